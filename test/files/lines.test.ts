import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffLines, splitLines } from "../../src/files/lines.ts";

/** Few different lines, so that equal runs, moves and repeats are common. */
const text = fc
  .array(fc.constantFrom("a\n", "b\n", "c\n", "\n", "d\n"), { maxLength: 40 })
  .chain((lines) => fc.constantFrom("", "end without line feed").map((end) => lines.join("") + end));

function applied(a: readonly string[], b: readonly string[], bound?: number): string[] {
  const out: string[] = [];
  let at = 0;
  for (const hunk of diffLines(a, b, bound)) {
    expect(hunk.fromAt).toBeGreaterThanOrEqual(at);
    out.push(...a.slice(at, hunk.fromAt), ...b.slice(hunk.toAt, hunk.toAt + hunk.to));
    at = hunk.fromAt + hunk.from;
  }
  return [...out, ...a.slice(at)];
}

describe("lines", () => {
  test("FIL-1.1 applying the hunks of a diff gives the other text", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(applied(splitLines(a), splitLines(b)).join("")).toBe(b);
      }),
      { numRuns: 2_000 },
    );
  });

  test("FIL-1.1 the edit is a shortest one", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [from, to] = [splitLines(a), splitLines(b)];
        const edits = diffLines(from, to).reduce((sum, hunk) => sum + hunk.from + hunk.to, 0);
        expect(edits).toBe(from.length + to.length - 2 * commonLength(from, to));
      }),
      { numRuns: 500 },
    );
  });

  test("FIL-1.2 beyond the bound the middle is one hunk and still right", () => {
    const a = Array.from({ length: 50 }, (_, index) => `a${index}\n`);
    const b = Array.from({ length: 50 }, (_, index) => `b${index}\n`);
    const bounded = diffLines(["same\n", ...a, "end\n"], ["same\n", ...b, "end\n"], 3);
    expect(bounded).toEqual([{ fromAt: 1, from: 50, toAt: 1, to: 50 }]);
    fc.assert(
      fc.property(text, text, (one, two) => {
        expect(applied(splitLines(one), splitLines(two), 2).join("")).toBe(two);
      }),
    );
  });

  test("FIL-1.3 splitting and joining is the identity", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "\n", "\r", "ü") }), (value) => {
        expect(splitLines(value).join("")).toBe(value);
      }),
    );
  });
});

/** The longest common subsequence by the textbook table: slow and surely right. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, () => 0);
  for (const line of a) {
    const next = [0];
    for (let index = 0; index < b.length; index += 1) {
      next.push(line === b[index] ? (row[index] ?? 0) + 1 : Math.max(row[index + 1] ?? 0, next[index] ?? 0));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
