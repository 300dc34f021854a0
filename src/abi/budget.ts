/** Budget: limits and what is spent, on a process and on every group above it. */

/** Each limit is optional; null means no limit. Time is in milliseconds, while neither the process nor one below it waits for a person. */
export interface Limits {
  readonly costUsd: number | null;
  readonly tokens: number | null;
  readonly calls: number | null;
  readonly timeMs: number | null;
}

export interface Spend {
  readonly costUsd: number;
  readonly tokens: number;
  readonly calls: number;
  readonly timeMs: number;
}

export const noLimits: Limits = { costUsd: null, tokens: null, calls: null, timeMs: null };
export const noSpend: Spend = { costUsd: 0, tokens: 0, calls: 0, timeMs: 0 };
