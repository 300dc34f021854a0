/**
 * Prices: one table of what models cost and how much they read, with the day and the place each row was taken from.
 * Each row was found in two sources that agree; where they differed on a figure, the dearer one stands.
 *   MOD-10.1  A model without a row has no price, so its cost is unknown and never zero; a local model costs nothing.
 *   MOD-10.2  A dated or suffixed id (`gpt-5.4-2026-03-05`, `claude-haiku-4-5@20251001`) has the price of its model.
 *   MOD-10.3  A request longer than a row's threshold is charged its long price as a whole.
 *   MOD-10.4  A model without a row has a conservative window.
 */
import type { ModelDriver, Price, Usage } from "../../abi/model.ts";

export interface PriceRow {
  readonly driver: "anthropic" | "openai";
  readonly model: string;
  readonly price: Price;
  readonly windowTokens: number;
  /** The day the figures were read, or last known to hold. */
  readonly asOf: string;
  readonly source: string;
}

const claudePages = "platform.claude.com/docs/en/models";
const openAiPages = "developers.openai.com/api/docs/pricing";
const catalogue = "models.dev";

export const prices: readonly PriceRow[] = [
  claude("claude-fable-5-1", 10, 50, 0.25, 12.5, 1_000_000, "2026-09-26", claudePages),
  claude("claude-fable-5", 10, 50, 1, 12.5, 1_000_000, "2026-09-26", claudePages),
  claude("claude-opus-5-5", 4, 20, 0.2, 5, 1_000_000, "2026-09-26", claudePages),
  claude("claude-opus-5", 5, 25, 0.5, 6.25, 1_000_000, "2026-09-26", claudePages),
  claude("claude-opus-4-8", 5, 25, 0.5, 6.25, 1_000_000, "2026-07-02", catalogue),
  claude("claude-opus-4-7", 5, 25, 0.5, 6.25, 1_000_000, "2026-07-02", catalogue),
  claude("claude-opus-4-6", 5, 25, 0.5, 6.25, 1_000_000, "2026-07-02", catalogue),
  claude("claude-opus-4-5", 5, 25, 0.5, 6.25, 200_000, "2026-07-02", catalogue),
  claude("claude-sonnet-5-5", 2, 10, 0.2, 2.5, 1_000_000, "2026-09-28", claudePages),
  claude("claude-sonnet-5", 2, 10, 0.2, 2.5, 1_000_000, "2026-09-26", claudePages),
  claude("claude-sonnet-4-6", 3, 15, 0.3, 3.75, 1_000_000, "2026-07-02", catalogue),
  claude("claude-sonnet-4-5", 3, 15, 0.3, 3.75, 200_000, "2026-07-02", catalogue),
  {
    ...claude("claude-haiku-5-5", 0.1, 0.5, 0.01, 0.125, 1_000_000, "2026-10-07", claudePages),
    price: { ...price(0.1, 0.5, 0.01, 0.125), long: { overInputTokens: 100_000, price: price(0.5, 2.5, 0.05, 0.625) } },
  },
  claude("claude-haiku-4-5", 1, 5, 0.1, 1.25, 200_000, "2026-09-26", claudePages),
  gpt("gpt-6.1-sol", 2, 10, 0.1, 2.5, 1_050_000, "2026-09-30", openAiPages),
  gpt("gpt-6-astra", 10, 50, 1, 12.5, 1_050_000, "2026-09-07", openAiPages),
  gpt("gpt-6-sol", 2, 10, 0.2, 2.5, 1_050_000, "2026-09-23", openAiPages),
  gpt("gpt-6-luna", 0.1, 0.5, 0.01, 0.125, 1_050_000, "2026-09-23", openAiPages),
  gpt("gpt-5.6-sol", 4, 20, 0.4, 5, 1_050_000, "2026-09-23", openAiPages),
  gpt("gpt-5.6-terra", 2, 12, 0.2, 2.5, 1_050_000, "2026-09-07", openAiPages),
  gpt("gpt-5.6-luna", 0.2, 1.2, 0.02, 0.25, 1_050_000, "2026-09-07", openAiPages),
  gpt("gpt-5.5", 5, 30, 0.5, 5, 1_050_000, "2026-07-02", catalogue),
  gpt("gpt-5.4", 2.5, 15, 0.25, 2.5, 1_050_000, "2026-07-02", catalogue),
  flat("gpt-5.4-mini", 0.75, 4.5, 0.075, 400_000),
  flat("gpt-5.4-nano", 0.2, 1.25, 0.02, 400_000),
  flat("gpt-5.2", 1.75, 14, 0.175, 400_000),
  flat("gpt-5.1", 1.25, 10, 0.125, 400_000),
];

/** What a window is taken to be where nobody says. */
const unknownWindowTokens = { anthropic: 200_000, openai: 128_000 } as const;
export const localWindowTokens = 8_192;

const free: Price = price(0, 0, 0, 0);

/** The price of a model of a driver; null when it is not known. */
export function priceOf(driver: Pick<ModelDriver, "name" | "remote">, model: string): Price | null {
  if (!driver.remote) return free;
  return rowOf(driver.name, model)?.price ?? null;
}

export function windowOf(driver: PriceRow["driver"], model: string): number {
  return rowOf(driver, model)?.windowTokens ?? unknownWindowTokens[driver];
}

/** Dollars; null when the price is not known. */
export function cost(usage: Usage, price: Price | null): number | null {
  if (price === null) return null;
  const rate = price.long !== undefined && usage.inputTokens > price.long.overInputTokens ? price.long.price : price;
  const fresh = Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens);
  return (
    (fresh * rate.inputUsd +
      usage.cacheReadTokens * rate.cacheReadUsd +
      usage.cacheWriteTokens * rate.cacheWriteUsd +
      usage.outputTokens * rate.outputUsd) /
    1_000_000
  );
}

function rowOf(driver: string, model: string): PriceRow | undefined {
  const id = model.replace(/[-@]\d{8}$|-\d{4}-\d{2}-\d{2}$|-latest$/, "");
  return prices.find((row) => row.driver === driver && (row.model === model || row.model === id));
}

function price(inputUsd: number, outputUsd: number, cacheReadUsd: number, cacheWriteUsd: number): Price {
  return { inputUsd, outputUsd, cacheReadUsd, cacheWriteUsd };
}

function claude(
  model: string,
  input: number,
  output: number,
  read: number,
  write: number,
  windowTokens: number,
  asOf: string,
  source: string,
): PriceRow {
  return { driver: "anthropic", model, price: price(input, output, read, write), windowTokens, asOf, source };
}

/** Above 272,000 tokens of input OpenAI charges input and cache twice, output one and a half times. */
function gpt(
  model: string,
  input: number,
  output: number,
  read: number,
  write: number,
  windowTokens: number,
  asOf: string,
  source: string,
): PriceRow {
  const long = { overInputTokens: 272_000, price: price(2 * input, 1.5 * output, 2 * read, 2 * write) };
  return { driver: "openai", model, price: { ...price(input, output, read, write), long }, windowTokens, asOf, source };
}

/** Models with one price and no charge for writing the cache. */
function flat(model: string, input: number, output: number, read: number, windowTokens: number): PriceRow {
  return {
    driver: "openai",
    model,
    price: price(input, output, read, input),
    windowTokens,
    asOf: "2026-07-02",
    source: catalogue,
  };
}
