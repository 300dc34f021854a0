import fc from "fast-check";
import { expect, test } from "vitest";
import { inertJson } from "../../../src/cli/term/inert-json.ts";

test("TTY-12.1 no byte of the JSON moves a cursor or hides, and parsing gives the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      const text = inertJson(value);
      expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(inertJson({ a: "\u202eabc\u009b" })).toBe('{"a":"\\u202eabc\\u009b"}');
});
