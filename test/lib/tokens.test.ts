import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { estimateTokens } from "../../src/lib/tokens.ts";

/** What cl100k_base and o200k_base count, on the average. */
const counted: readonly (readonly [string, number])[] = [
  ["charter.md", 706],
  ["climate-report.html", 1165],
  ["label_check.py", 723],
  ["move-schedule.csv", 2143],
  ["service-desk-log.txt", 5194],
  ["minutes-2026-11-02.md", 977],
];

for (const [name, tokens] of counted) {
  test(`TXT-1.1 the estimate of ${name} is within 15 %`, () => {
    const text = readFileSync(new URL(`../../examples/inbox/${name}`, import.meta.url), "utf8");
    expect(Math.abs(estimateTokens(text) / tokens - 1)).toBeLessThanOrEqual(0.15);
  });
}

test("TXT-1.2 no text has more tokens than bytes, and only the empty text has none", () => {
  expect(estimateTokens("")).toBe(0);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }), (text) => {
      const tokens = estimateTokens(text);
      expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text));
      if (text.trim() !== "") expect(tokens).toBeGreaterThan(0);
    }),
  );
});

test("TXT-1.3 a longer text never costs less than its beginning", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (head, tail) => {
      expect(estimateTokens(head + tail)).toBeGreaterThanOrEqual(estimateTokens(head));
    }),
  );
});
