import fc from "fast-check";
import { expect, test } from "vitest";
import { canonical, parseJson, parsePlainJson } from "../../src/lib/json.ts";
import { linearPattern } from "../../src/lib/pattern.ts";

test("LIB-1.1 canonical() gives one text per value, whatever the order of its keys", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonical(shuffled(value))).toBe(canonical(value));
    }),
  );
  expect(canonical({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}');
});

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, shuffled(item)]),
  );
}

test("LIB-1.2 parseJson() throws nothing, and no spelling of __proto__ survives as a key", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseJson(text)));
  for (const text of [
    '{"a":{"__proto__":{"x":1}}}',
    '{"a":{"\\u005f_proto__":{"x":1}}}',
    '{"a":{"\\u005F\\u005Fproto\\u005f_":1}}',
  ]) {
    const parsed = parseJson(text);
    expect(JSON.stringify(parsed)).toBe('{"a":{}}');
    expect(Object.hasOwn((parsed as { a: object }).a, "__proto__")).toBe(false);
  }
  expect(parseJson("{")).toBeUndefined();
  expect(parseJson('{"b":[1,"\\u00e9"]}')).toEqual({ b: [1, "é"] });
});

test("LIB-5.1 no pattern takes more than linear time, and what the engine does not know is refused", () => {
  const evil = linearPattern("^(a|aa)+$");
  expect(evil.ok && evil.value(`${"a".repeat(100_000)}b`)).toBe(false);
  expect(linearPattern("(?=a)")).toMatchObject({ ok: false });
  expect(linearPattern("(")).toMatchObject({ ok: false });
});

test("LIB-1.3 a text that others may take for more than it is here is none", () => {
  for (const text of ['{"__proto__":{}}', '[{"a":{"\\u005f_proto__":1}}]', "{"]) expect(parsePlainJson(text)).toBe(undefined);
  for (const text of ['{"a":"__proto__"}', '"\\u0041"', "[1]"]) expect(parsePlainJson(text)).toEqual(JSON.parse(text));
});
