import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Page } from "../../src/abi/page.ts";
import { plan, type ReclaimPlan, type ReclaimRequest, type TurnSize } from "../../src/memory/reclaim.ts";
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

const replies = fc.array(fc.record({ tokens: fc.integer({ min: 0, max: 1_000 }), noted: fc.boolean() }), {
  minLength: 40,
  maxLength: 40,
});

/** One page a turn. */
const requests = fc
  .tuple(pages, replies, fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 500, max: 20_000 }))
  .map(([parts, sizes, head, windowTokensMax]): ReclaimRequest => {
    const list = parts.map((part, n) => page(n, part));
    const turns = sizes.slice(0, list.length).map((size, step): TurnSize => ({ ...size, step }));
    const resident = list.reduce((sum, one) => sum + inWindow(one), 0);
    const windowTokens = head + resident + turns.reduce((sum, turn) => sum + turn.tokens, 0);
    return { pages: list, turns: () => turns, windowTokens, windowTokensMax, stubTokens, step: list.length };
  });

function inWindow(one: Page): number {
  return one.resident ? one.tokens : stubTokens;
}

function none(): readonly TurnSize[] {
  return [];
}

/** What the window holds when the plan is carried out. */
function left(request: ReclaimRequest, planned: ReclaimPlan): number {
  const pages = request.pages.filter((one) => planned.pages.includes(one.id));
  const stubbed = request.windowTokens - pages.reduce((sum, one) => sum + one.tokens - stubTokens, 0);
  const gone = request.turns().filter((turn) => planned.turns.includes(turn.step));
  return gone.reduce((tokens, turn) => {
    const own = request.pages.filter((one) => one.bornStep === turn.step);
    return (
      tokens - turn.tokens - own.reduce((sum, one) => sum + (planned.pages.includes(one.id) ? stubTokens : inWindow(one)), 0)
    );
  }, stubbed);
}

describe("reclaim", () => {
  test("MEM-3.1 a pinned page and a page of the newest steps are never evicted", () => {
    fc.assert(
      fc.property(requests, (request) => {
        const planned = plan(request);
        if (!planned.ok) return;
        for (const id of planned.value.pages) {
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
      turns: none,
      windowTokens: 2_000,
      windowTokensMax: 2_000,
      stubTokens,
      step: 5,
    };
    expect(plan(request)).toEqual({ ok: true, value: { pages: ["1.0.0", "1.1.0"], turns: [] } });
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
        if (belowHighMark) expect(planned).toEqual({ ok: true, value: { pages: [], turns: [] } });
        if (belowHighMark || !planned.ok) return;
        const candidates = request.pages.filter(
          (one) =>
            one.resident &&
            one.pin === "none" &&
            one.kind === "result" &&
            one.bornStep < request.step - 1 &&
            one.tokens > stubTokens,
        );
        if (left(request, planned.value) > request.windowTokensMax * 0.5)
          expect(planned.value.pages).toHaveLength(candidates.length);
      }),
    );
  });

  test("MEM-3.4 when what must stay exceeds the window the answer is ENOMEM with the figures", () => {
    const request = {
      pages: [page(0, { pin: "fact", tokens: 5_000 })],
      turns: none,
      windowTokens: 6_000,
      windowTokensMax: 4_000,
      stubTokens,
      step: 9,
    };
    expect(plan(request)).toMatchObject({ ok: false, error: { errno: "ENOMEM", message: expect.stringContaining("6000") } });
    fc.assert(
      fc.property(requests, (any) => {
        const planned = plan(any);
        if (planned.ok) expect(left(any, planned.value)).toBeLessThanOrEqual(any.windowTokensMax);
        else expect(everythingGone(any)).toBeGreaterThan(any.windowTokensMax);
      }),
    );
  });

  test("MEM-3.5 whole turns leave only when stubs and replies pass the high mark, oldest first, and none that holds a note or a pin", () => {
    const turns = [10, 400, 400, 400, 400].map((tokens, step): TurnSize => ({ step, tokens, noted: step === 1 }));
    const list = [0, 1, 2, 3, 4].map((n) => page(n, { tokens: 60, pin: n === 2 ? "fact" : "none" }));
    const request = { pages: list, turns: () => turns, windowTokens: 1_910, windowTokensMax: 2_000, stubTokens, step: 6 };
    expect(plan(request)).toEqual({ ok: true, value: { pages: ["1.0.0", "1.1.0", "1.3.0", "1.4.0"], turns: [0, 3, 4] } });
    fc.assert(
      fc.property(requests, (any) => {
        const planned = plan(any);
        if (!planned.ok || planned.value.turns.length === 0) return;
        expect(left(any, { ...planned.value, turns: [] })).toBeGreaterThan(any.windowTokensMax * 0.8);
        for (const step of planned.value.turns) {
          expect(step).toBeLessThan(any.step - 1);
          expect(any.turns()[step]?.noted).toBe(false);
          expect(any.pages.some((one) => one.bornStep === step && one.resident && one.pin !== "none")).toBe(false);
        }
        expect(planned.value.turns).toEqual(planned.value.turns.toSorted((a, b) => a - b));
      }),
    );
  });
});

/** The least that any plan can leave. */
function everythingGone(request: ReclaimRequest): number {
  const old = (step: number): boolean => step < request.step - 1;
  const movable = (one: Page): boolean => one.resident && one.pin === "none" && one.kind === "result" && one.tokens > stubTokens;
  const pages = request.pages.filter((one) => old(one.bornStep) && movable(one)).map((one) => one.id);
  const pinned = new Set(request.pages.filter((one) => one.resident && one.pin !== "none").map((one) => one.bornStep));
  const turns = request.turns().filter((turn) => old(turn.step) && !turn.noted && !pinned.has(turn.step));
  return left(request, { pages, turns: turns.map((turn) => turn.step) });
}
