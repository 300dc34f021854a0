import fc from "fast-check";
import { expect, test } from "vitest";
import type { ModelRequest } from "../../src/abi/model.ts";
import { callNames, contractOf, isStrict, objectArgs, readArgs, unwrap, usageOf, wireName } from "../../src/wire/parts.ts";
import { parseJson, type Json } from "../../src/lib/json.ts";

const tool = (name: string) => ({ name, description: "", input: { type: "object" } });
const request: ModelRequest = {
  model: "m",
  system: "You are careful.",
  messages: [{ role: "user", parts: [{ type: "text", text: "hi" }], tokens: 40 }],
  tools: [tool("fs.read")],
  outputTokensMax: 10,
  output: null,
  idempotencyKey: "1.1",
};

test("MOD-4.1 a plain name stays readable, any name is accepted and comes back", () => {
  expect(wireName("fs.read")).toBe("fs__read");
  expect(wireName("mcp.weather-server.get_forecast")).toBe("mcp__weather-server__get_forecast");
  const char = fc.constantFrom(..."abAB01._-é \u0000/");
  const name = fc.array(char, { minLength: 1, maxLength: 90 }).map((chars) => chars.join(""));
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (names) => {
      const wires = names.map(wireName);
      for (const wire of wires) expect(wire).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
      expect(new Set(wires).size).toBe(names.length);
      const back = callNames(names.map(tool));
      expect(wires.map(back)).toEqual(names);
    }),
    { numRuns: 500 },
  );
});

test("MOD-4.1 names that differ in dots and underscores alone stay apart", () => {
  const names = ["a.b", "a__b", "a_b", "a._b", "a_.b", "a___b", ".a.b", "a.b.", "a..b"];
  expect(new Set(names.map(wireName)).size).toBe(names.length);
});

test("MOD-4.1 a name nobody offered is guessed, for the trap to refuse", () => {
  expect(callNames(request.tools)("fs__delete")).toBe("fs.delete");
});

test("MOD-4.2 arguments that are not JSON stay text, and travel back as an object", () => {
  expect(readArgs(`{"a":1}`, false)).toEqual({ a: 1 });
  expect(readArgs(`{"a":1`, false)).toBe(`{"a":1`);
  expect(readArgs("", false)).toEqual({});
  expect(readArgs("", true)).toBe("");
  expect(readArgs(`{"__proto__":{"admin":true},"a":1}`, false)).toEqual({ a: 1 });
  expect(JSON.parse(objectArgs("{ broken"))).toEqual({ invalid_json: "{ broken" });
});

test("MOD-4.3 a reported zero is not believed where there is text", () => {
  const parts = [{ type: "text", text: "a reply of some length" } as const];
  const none = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const estimated = usageOf(none, request, parts);
  expect(estimated.reported).toBe(false);
  expect(estimated.inputTokens).toBeGreaterThan(40);
  expect(estimated.outputTokens).toBeGreaterThan(3);
  expect(usageOf({ ...none, input: 50 }, request, parts)).toMatchObject({ reported: false });
  expect(usageOf({ ...none, input: 50 }, request, [])).toMatchObject({ reported: true, outputTokens: 0 });
  expect(usageOf({ input: 50, output: 5, cacheRead: 80, cacheWrite: 9 }, request, parts)).toMatchObject({
    cacheReadTokens: 50,
    cacheWriteTokens: 0,
  });
});

test("MOD-4.4 only a contract whose root is no object is wrapped", () => {
  expect(contractOf({ type: "object", properties: {} }).wrapped).toBe(false);
  const { schema, wrapped } = contractOf({ type: "array", items: { $ref: "#/$defs/x" }, $defs: { x: { type: "string" } } });
  expect(wrapped).toBe(true);
  expect(schema).toMatchObject({ type: "object", properties: { value: { type: "array" } }, $defs: { x: { type: "string" } } });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(JSON.parse(unwrap(`{"value":${text}}`))).toEqual(parseJson(text));
    }),
  );
  expect(unwrap("not JSON")).toBe("not JSON");
});

test("MOD-7.2 only closed objects with every property required are strict", () => {
  const closed = (properties: Record<string, Json>, required = Object.keys(properties)) => ({
    type: "object",
    properties,
    required,
    additionalProperties: false,
  });
  expect(isStrict(closed({ a: { type: "string" }, b: { type: "array", items: closed({}) } }))).toBe(true);
  expect(isStrict(closed({ a: { type: "string" } }, []))).toBe(false);
  expect(isStrict({ type: "object", properties: {} })).toBe(false);
  expect(isStrict(closed({ a: { anyOf: [{ type: "null" }, { type: "object" }] } }))).toBe(false);
  expect(isStrict(closed({ a: { oneOf: [{ type: "null" }] } }))).toBe(false);
});
