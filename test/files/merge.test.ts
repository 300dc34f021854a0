import fc from "fast-check";
import { diff3Merge } from "node-diff3";
import { describe, expect, test } from "vitest";
import { splitLines } from "../../src/files/lines.ts";
import { mergeText, textOf } from "../../src/files/merge.ts";

const line = fc.constantFrom("a\n", "b\n", "c\n", "d\n", "e\n");
const text = fc.array(line, { maxLength: 14 }).map((lines) => lines.join(""));

describe("merge", () => {
  test("FIL-2.1 a change of one side alone is taken, a change both made is taken once", () => {
    fc.assert(
      fc.property(text, text, (base, other) => {
        expect(mergeText(base, other, base)).toEqual({ ok: true, text: other });
        expect(mergeText(base, base, other)).toEqual({ ok: true, text: other });
        expect(mergeText(base, other, other)).toEqual({ ok: true, text: other });
      }),
    );
  });

  test("FIL-2.1 changes apart from each other are both in the result", () => {
    const base = "one\ntwo\nthree\nfour\nfive\n";
    const merged = mergeText(base, base.replace("one", "ONE"), base.replace("five\n", "FIVE"));
    expect(merged).toEqual({ ok: true, text: "ONE\ntwo\nthree\nfour\nFIVE" });
  });

  test("FIL-2.2 changes of the same line are a conflict with both sides and the line's number", () => {
    const merged = mergeText("one\ntwo\nthree\n", "one\n2\nthree\n", "one\nzwei\nthree\n");
    expect(merged).toEqual({ ok: false, conflicts: [{ line: 2, base: "two\n", ours: "2\n", theirs: "zwei\n" }] });
  });

  test("FIL-2.2 changes that touch are a conflict", () => {
    expect(mergeText("a\nb\n", "A\nb\n", "a\nB\n").ok).toBe(false);
  });

  test("FIL-2.2 what merges cleanly holds every line each side added, and is what diff3 gives where diff3 is clean", () => {
    fc.assert(
      fc.property(text, text, text, (base, ours, theirs) => {
        const merged = mergeText(base, ours, theirs);
        const swapped = mergeText(base, theirs, ours);
        expect(swapped.ok).toBe(merged.ok);
        if (!merged.ok || !swapped.ok) return;
        expect(swapped.text).toBe(merged.text);
        for (const one of ["a\n", "b\n", "c\n", "d\n", "e\n"]) {
          const count = (value: string): number => splitLines(value).filter((other) => other === one).length;
          const grown = Math.max(count(ours), count(theirs)) - count(base);
          if (grown > 0 && count(ours) >= count(base) && count(theirs) >= count(base))
            expect(count(merged.text)).toBeGreaterThanOrEqual(count(base) + grown);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("FIL-2.2 an independent diff3 agrees on unique lines", () => {
    const unique = fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 6, maxLength: 20 });
    const edits = fc.array(fc.tuple(fc.nat(19), fc.constantFrom("change", "delete", "insert")), { maxLength: 4 });
    const edited = (lines: readonly string[], side: string, changes: readonly (readonly [number, string])[]): string[] =>
      lines.flatMap((value, index) => {
        const change = changes.find(([at]) => at === index)?.[1];
        if (change === "change") return [`${side}${index}\n`];
        if (change === "delete") return [];
        return change === "insert" ? [value, `${side}+${index}\n`] : [value];
      });
    fc.assert(
      fc.property(unique, edits, edits, (numbers, mine, yours) => {
        const base = numbers.map((value) => `${value}\n`);
        const [ours, theirs] = [edited(base, "o", mine), edited(base, "t", yours)];
        const oracle = diff3Merge(ours, base, theirs, { excludeFalseConflicts: true });
        const merged = mergeText(base.join(""), ours.join(""), theirs.join(""));
        if (!merged.ok) return;
        expect(oracle.every((region) => region.ok !== undefined)).toBe(true);
        expect(merged.text).toBe(oracle.flatMap((region) => region.ok ?? []).join(""));
      }),
      { numRuns: 1_000 },
    );
  });

  test("FIL-2.3 text is UTF-8 without NUL", () => {
    expect(textOf(Buffer.from("grün\n"))).toBe("grün\n");
    expect(textOf(Buffer.from([0xff, 0xfe, 0x41]))).toBeNull();
    expect(textOf(Buffer.from("a\0b"))).toBeNull();
  });
});
