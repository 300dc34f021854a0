/** Text of others without what nobody sees. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { hiddenIn, visible, visibleJson } from "../../src/lib/visible.ts";

const hidden = fc.constantFrom(
  "\u0000",
  "\u001b",
  "\u0085",
  "\u200b",
  "\u202e",
  "\u2066",
  "\u00ad",
  "\ufeff",
  "\u{e0041}",
  "\u{e007f}",
);

test("LIB-16.1 nothing hidden is left, and nothing else is lost", () => {
  expect(visible("a\u200b\u202eb\u{e0041}\u001b[31mc\n\td")).toBe("ab [31mc\n\td");
  for (const text of ["Grüße, 世界 😀", "👩‍👩‍👧 ❤️ one\r\ntwo"]) expect(visible(text)).toBe(text);
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string({ unit: "binary" }), hidden)), (parts) => {
      const shown = visible(parts.join(""));
      expect(shown).not.toMatch(/[\u0000-\u0008\u000b\u000c\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/);
      expect(hiddenIn(shown)).toEqual([]);
    }),
  );
  expect(visibleJson({ a: ["x\u200by", 1, null], b: { c: "\u202e" } })).toEqual({ a: ["xy", 1, null], b: { c: "" } });
});

test("LIB-16.2 each kind of hidden text is named once", () => {
  expect(hiddenIn("plain text\n")).toEqual([]);
  expect(hiddenIn("\u001b\u001b")).toEqual(["control"]);
  expect(hiddenIn("\u202e")).toEqual(["bidi"]);
  expect(hiddenIn("\u{e0041}")).toEqual(["tag"]);
  expect(hiddenIn("\u200b\u00ad")).toEqual(["zero-width"]);
  expect(hiddenIn("\u0007\u2066\u{e0041}\u200d")).toEqual(["bidi", "control", "tag", "zero-width"]);
});
