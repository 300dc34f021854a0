import fc from "fast-check";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fileSwap, memorySwap } from "../../../src/drivers/store/swap.ts";

const folder = mkdtempSync(join(tmpdir(), "daimon-swap-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ["file", () => fileSwap(folder, String(Math.floor(performance.now() * 1_000)))],
  ["memory", memorySwap],
])("%s swap", (_, make) => {
  test("STO-4.1 what was put is what is got, until it is freed", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 20 }), (texts) => {
        const swap = make();
        const slots = texts.map((text) => swap.put(text));
        expect(slots.map((slot) => swap.get(slot))).toEqual(texts);
        for (const slot of slots.slice(1)) swap.free(slot);
        if (slots[0] !== undefined) expect(swap.get(slots[0])).toBe(texts[0]);
        swap.close();
      }),
      { numRuns: 30 },
    );
  });

  test("STO-4.2 once everything is freed it begins again at its start", () => {
    const swap = make();
    const first = [swap.put("one"), swap.put("two")];
    for (const slot of first) swap.free(slot);
    const again = swap.put("three");
    expect(swap.get(again)).toBe("three");
    swap.close();
  });
});

test("STO-4.2 the swap file has no name, so nothing is left of it whatever ends the kernel", () => {
  const swap = fileSwap(folder, "named");
  swap.put("x");
  expect(readdirSync(folder)).toEqual([]);
  swap.close();
});
