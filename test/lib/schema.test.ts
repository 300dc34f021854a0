import { describe, expect, test } from "vitest";
import { schemaCompiler } from "../../src/lib/schema.ts";
import type { Json, JsonSchema } from "../../src/lib/json.ts";

function check(schema: JsonSchema, value: Json): string | null {
  const compiled = schemaCompiler()(schema);
  if (!compiled.ok) throw new Error(compiled.error);
  return compiled.value(value);
}

const person: JsonSchema = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 2, maxLength: 5 },
    age: { type: ["integer", "null"], minimum: 0, maximum: 150 },
    role: { enum: ["reader", "writer"] },
    tags: {
      type: "array",
      items: { type: "string", pattern: "^[a-z]+$" },
      minItems: 1,
      uniqueItems: true,
      description: "lower case",
    },
  },
  required: ["name"],
  additionalProperties: false,
};

describe("schemas", () => {
  test.each<[Json, string | null]>([
    [{ name: "abc" }, null],
    [{ name: "abc", age: null, role: "reader", tags: ["x"] }, null],
    [7, "the value must be object"],
    [{}, "name is missing"],
    [{ name: "a" }, "name must have at least 2 characters"],
    [{ name: "abcdef" }, "name must have at most 5 characters"],
    [{ name: "abc", age: 1.5 }, "age must be integer or null"],
    [{ name: "abc", age: -1 }, "age must be at least 0"],
    [{ name: "abc", role: "king" }, 'role must be one of ["reader","writer"]'],
    [{ name: "abc", tags: [] }, "tags must have at least 1 items"],
    [{ name: "abc", tags: ["x", "Y"] }, "tags.1 must match pattern ^[a-z]+$"],
    [{ name: "abc", tags: ["x", "x"] }, "tags must not hold the same item twice"],
    [{ name: "abc", extra: 1 }, "extra is not known here; leave it out"],
  ])("LIB-4.1 %j: %s", (value, wanted) => {
    expect(check(person, value)).toBe(wanted);
  });

  test("LIB-4.2 a pattern that makes a backtracking engine hang answers at once", () => {
    const text = `${"a".repeat(50_000)}!`;
    expect(check({ type: "string", pattern: "^(a+)+$" }, text)).toBe("the value must match pattern ^(a+)+$");
  });

  test("LIB-4.2 patternProperties and references out of the schema are refused", () => {
    expect(schemaCompiler()({ type: "object", patternProperties: { "^a": {} } })).toMatchObject({ ok: false });
    expect(schemaCompiler()({ $ref: "https://example.com/schema.json" })).toMatchObject({ ok: false });
    expect(schemaCompiler()({ type: "string", pattern: "(?<=a)b" })).toMatchObject({ ok: false });
    expect(check({ $ref: "#/$defs/a", $defs: { a: { type: "integer" } } }, "x")).toMatch(/must be integer/);
  });

  test("LIB-4.3 a schema with a broken keyword is refused when it is compiled", () => {
    expect(schemaCompiler()({ type: "no such type" })).toMatchObject({ ok: false });
    expect(schemaCompiler()({ properties: 7 })).toMatchObject({ ok: false });
    expect(check({}, { anything: [1, null] })).toBeNull();
    expect(check({ type: "object", "x-daimon": { extract: "facts" }, title: "t" }, {})).toBeNull();
  });

  test("LIB-4.4 an array whose items must differ is bounded where its schema does not do it", () => {
    const many = Array.from({ length: 5_000 }, (_, n) => ({ n }));
    expect(check({ type: "array", uniqueItems: true }, many)).toMatch(/must have at most|must not/);
    expect(check({ type: "array", uniqueItems: true, maxItems: 3 }, [1, 2, 3])).toBeNull();
  });

  test("values in enum and const stay values, whatever their keys are called", () => {
    expect(check({ const: { pattern: "(", format: "x" } }, { pattern: "(", format: "x" })).toBeNull();
    expect(check({ enum: [{ pattern: "a" }] }, { pattern: "b" })).toMatch(/must be one of/);
  });

  test("anyOf, oneOf and nested objects are checked", () => {
    const either: JsonSchema = {
      anyOf: [{ type: "string" }, { type: "object", properties: { n: { type: "integer" } }, required: ["n"] }],
    };
    expect(check(either, "x")).toBeNull();
    expect(check(either, { n: 1 })).toBeNull();
    expect(check(either, { n: "1" })).not.toBeNull();
  });
});
