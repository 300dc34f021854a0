import { expect, test } from "vitest";
import { modelList, tokenCount } from "../../src/wire/asides.ts";

test("WRT-7.1 a count of tokens is in the words of each format", () => {
  expect(tokenCount("messages", 7)).toEqual({ input_tokens: 7 });
  expect(tokenCount("responses", 7)).toEqual({ object: "response.input_tokens", input_tokens: 7 });
  expect(tokenCount("gemini", 7)).toEqual({ totalTokens: 7 });
});

test("WRT-7.2 the one model is listed in the words of each format, and told alone where it was asked for", () => {
  expect(modelList("chat", "m", false)).toMatchObject({ object: "list", data: [{ id: "m", object: "model" }] });
  expect(modelList("messages", "m", false)).toMatchObject({ data: [{ type: "model", id: "m" }], has_more: false });
  expect(modelList("gemini", "m", false)).toMatchObject({ models: [{ name: "models/m" }] });
  expect(modelList("chat", "m", true)).toMatchObject({ id: "m", object: "model" });
});
