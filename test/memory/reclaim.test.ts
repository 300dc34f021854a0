import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Page } from "../../src/abi/page.ts";
import { plan, type ReclaimRequest } from "../../src/memory/reclaim.ts";
import { label } from "../../src/security/labels.ts";

const stubTokens = 40;

function page(n: number, part: Partial<Page>): Page {
  return {
    id: `1.${n}.0`,
    source: "a.md",
    kind: "result",
    tokens: 100,
    label: label("untrusted", "workspace"),
    pin: "none",
    resident: true,
    bornStep: n,
    blob: null,
    ...part,
  };
}

const pages = fc.array(
  fc.record({
    tokens: fc.integer({ min: 0, max: 2_000 }),
    pin: fc.constantFrom<Page["pin"]>("none", "none", "none", "fact"),
    resident: fc.boolean(),
    kind: fc.constantFrom<Page["kind"]>("result", "result", "note"),
  }),
  { maxLength: 40 },
);

const requests = fc
  .tuple(pages, fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 500, max: 20_000 }))
  .map(([parts, head, windowTokensMax]): ReclaimRequest => {
    const list = parts.map((part, n) => page(n, part));
    const resident = list.reduce((sum, one) => sum + (one.resident ? one.tokens : stubTokens), 0);
    return { pages: list, windowTokens: head + resident, windowTokensMax, stubTokens, step: list.length };
  });

function freed(request: ReclaimRequest, chosen: readonly string[]): number {
  return request.pages.filter((one) => chosen.includes(one.id)).reduce((sum, one) => sum + one.tokens - stubTokens, 0);
}

describe("reclaim", () => {
  test("MEM-3.1 a pinned page and a page of the newest steps are never evicted", () => {
    fc.assert(
      fc.property(requests, (request) => {
        const planned = plan(request);
        if (!planned.ok) return;
        for (const id of planned.value) {
          const chosen = request.pages.find((one) => one.id === id);
          expect(chosen).toMatchObject({ pin: "none", resident: true, kind: "result" });
          expect(chosen?.bornStep).toBeLessThan(request.step - 1);
        }
      }),
    );
  });

  test("MEM-3.2 the lowest value leaves first, ties in window order, and the same request gives the same plan", () => {
    const request: ReclaimRequest = {
      pages: [page(0, { tokens: 300 }), page(1, { tokens: 900 }), page(2, { tokens: 300 }), page(3, {}), page(4, {})],
      windowTokens: 2_000,
      windowTokensMax: 2_000,
      stubTokens,
      step: 5,
    };
    expect(plan(request)).toEqual({ ok: true, value: ["1.0.0", "1.1.0"] });
    fc.assert(
      fc.property(requests, (any) => {
        expect(plan(any)).toEqual(plan(any));
      }),
    );
  });

  test("MEM-3.3 nothing leaves below the high mark; above it a batch goes down to the low mark as far as there are candidates", () => {
    fc.assert(
      fc.property(requests, (request) => {
        const planned = plan(request);
        const belowHighMark = request.windowTokens <= request.windowTokensMax * 0.8;
        if (belowHighMark) expect(planned).toEqual({ ok: true, value: [] });
        if (belowHighMark || !planned.ok) return;
        const left = request.windowTokens - freed(request, planned.value);
        const candidates = request.pages.filter(
          (one) =>
            one.resident &&
            one.pin === "none" &&
            one.kind === "result" &&
            one.bornStep < request.step - 1 &&
            one.tokens > stubTokens,
        );
        if (left > request.windowTokensMax * 0.5) expect(planned.value).toHaveLength(candidates.length);
      }),
    );
  });

  test("MEM-3.4 when what must stay exceeds the window the answer is ENOMEM with the figures", () => {
    const request = {
      pages: [page(0, { pin: "fact", tokens: 5_000 })],
      windowTokens: 6_000,
      windowTokensMax: 4_000,
      stubTokens,
      step: 9,
    };
    expect(plan(request)).toMatchObject({ ok: false, error: { errno: "ENOMEM", message: expect.stringContaining("6000") } });
    fc.assert(
      fc.property(requests, (any) => {
        const planned = plan(any);
        const left = planned.ok ? any.windowTokens - freed(any, planned.value) : Infinity;
        expect(planned.ok).toBe(left <= any.windowTokensMax);
      }),
    );
  });
});
