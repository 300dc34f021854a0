import fc from "fast-check";
import { expect, test } from "vitest";
import { cost, localWindowTokens, priceOf, prices, windowOf } from "../../../src/drivers/model/prices.ts";

const anthropic = { name: "anthropic", remote: true };
const openai = { name: "openai", remote: true };
const usage = (inputTokens: number, outputTokens: number, cacheReadTokens = 0, cacheWriteTokens = 0) => ({
  inputTokens,
  outputTokens,
  cacheReadTokens,
  cacheWriteTokens,
  reported: true,
});

test("MOD-10.1 an unknown model has no price and an unknown cost; a local one costs nothing", () => {
  expect(priceOf(openai, "gpt-99")).toBeNull();
  expect(cost(usage(1_000, 1_000), null)).toBeNull();
  expect(priceOf({ name: "openai-compatible", remote: true }, "gpt-5.4")).toBeNull();
  expect(cost(usage(1_000, 1_000), priceOf({ name: "reflex", remote: false }, "reflex"))).toBe(0);
});

test("MOD-10.1 every part of the usage is charged at its own rate", () => {
  const price = priceOf(anthropic, "claude-opus-5-5");
  expect(cost(usage(1_000_000, 0), price)).toBeCloseTo(4, 9);
  expect(cost(usage(0, 1_000_000), price)).toBeCloseTo(20, 9);
  expect(cost(usage(1_000_000, 0, 1_000_000), price)).toBeCloseTo(0.2, 9);
  expect(cost(usage(1_000_000, 0, 0, 1_000_000), price)).toBeCloseTo(5, 9);
  expect(cost(usage(1_000_000, 100_000, 600_000, 100_000), price)).toBeCloseTo(0.3 * 4 + 0.6 * 0.2 + 0.1 * 5 + 0.1 * 20, 9);
});

test("MOD-10.2 dated ids have their model's price, similar names do not", () => {
  expect(priceOf(anthropic, "claude-haiku-4-5-20251001")).toEqual(priceOf(anthropic, "claude-haiku-4-5"));
  expect(priceOf(anthropic, "claude-haiku-4-5@20251001")).toEqual(priceOf(anthropic, "claude-haiku-4-5"));
  expect(priceOf(openai, "gpt-5.4-2026-03-05")).toEqual(priceOf(openai, "gpt-5.4"));
  expect(priceOf(openai, "gpt-5.4-pro")).toBeNull();
  expect(priceOf(openai, "gpt-5.4-mini")).not.toEqual(priceOf(openai, "gpt-5.4"));
  expect(priceOf(openai, "claude-opus-5-5")).toBeNull();
});

test("MOD-10.3 a request beyond the threshold is charged its long price as a whole", () => {
  const price = priceOf(anthropic, "claude-haiku-5-5");
  expect(cost(usage(100_000, 1_000), price)).toBeCloseTo((100_000 * 0.1 + 1_000 * 0.5) / 1e6, 12);
  expect(cost(usage(100_001, 1_000), price)).toBeCloseTo((100_001 * 0.5 + 1_000 * 2.5) / 1e6, 12);
});

test("MOD-10.4 a model without a row has a conservative window", () => {
  expect(windowOf("anthropic", "claude-next")).toBe(200_000);
  expect(windowOf("openai", "gpt-99")).toBe(128_000);
  expect(windowOf("anthropic", "claude-sonnet-5-5")).toBe(1_000_000);
  expect(localWindowTokens).toBeLessThanOrEqual(8_192);
});

test("MOD-10.1 every row is dated, sourced, unique, and reading a cache is never dearer than reading anew", () => {
  for (const row of prices) {
    expect(row.asOf).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(row.source).not.toBe("");
    for (const price of [row.price, ...(row.price.long === undefined ? [] : [row.price.long.price])]) {
      expect(price.inputUsd).toBeGreaterThan(0);
      expect(price.outputUsd).toBeGreaterThan(price.inputUsd);
      expect(price.cacheReadUsd).toBeLessThan(price.inputUsd);
      expect(price.cacheWriteUsd).toBeGreaterThanOrEqual(price.inputUsd);
    }
  }
  expect(new Set(prices.map((row) => `${row.driver}/${row.model}`)).size).toBe(prices.length);
});

test("MOD-10.1 more tokens never cost less", () => {
  fc.assert(
    fc.property(fc.constantFrom(...prices), fc.nat(2_000_000), fc.nat(100_000), fc.nat(1_000), (row, input, output, more) => {
      const base = cost(usage(input, output), row.price) ?? -1;
      expect(base).toBeGreaterThanOrEqual(0);
      expect(cost(usage(input + more, output + more), row.price)).toBeGreaterThanOrEqual(base);
    }),
  );
});
