import fc from "fast-check";
import { expect, test } from "vitest";
import { sentenceSpans, terms, words } from "../../src/lib/text.ts";

const split = (text: string): string[] => sentenceSpans(text).map(({ from, to }) => text.slice(from, to));

test("TXT-2.1 sentences end where they end", () => {
  expect(split("The lift failed. It is repaired.")).toEqual(["The lift failed.", "It is repaired."]);
  expect(split("See fig. 4 and No. 7 of approx. 3.5 tonnes. Dr. Who left.")).toEqual([
    "See fig. 4 and No. 7 of approx. 3.5 tonnes.",
    "Dr. Who left.",
  ]);
  expect(split("Can I? No. Ask again!")).toEqual(["Can I?", "No.", "Ask again!"]);
  expect(split('He said "stop." Then he left.')).toEqual(['He said "stop."', "Then he left."]);
  expect(split("Open a.md, e.g. in an editor. Done")).toEqual(["Open a.md, e.g. in an editor.", "Done"]);
});

test("TXT-2.1 spans are in order, do not overlap, and cover everything but white space", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "B", ".", "!", "?", " ", "\n", "1", "“", "”", "é") }), (text) => {
      let at = 0;
      for (const { from, to } of sentenceSpans(text)) {
        expect(from).toBeGreaterThanOrEqual(at);
        expect(to).toBeGreaterThan(from);
        expect(text.slice(at, from).trim()).toBe("");
        at = to;
      }
      expect(text.slice(at).trim()).toBe("");
    }),
  );
});

test("TXT-2.2 terms are the words that carry the content, in one form", () => {
  expect(terms("The stores of the archives are full of policies and boxes")).toEqual([
    "store",
    "archive",
    "full",
    "policy",
    "boxe",
  ]);
  expect(words("It's 14.2 km — Zürich’s lake")).toEqual(["it's", "14", "2", "km", "zürich’s", "lake"]);
});
