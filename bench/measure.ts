/** Measure: what a bench reports, and the two sums every bench needs. */

export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The bound it must keep, as text such as `≤ 3`; null where it is only told. */
  readonly must: string | null;
  /** null where there is no bound. */
  readonly met: boolean | null;
  readonly aim?: string;
}

export interface BenchOptions {
  /** A folder for what a bench writes; null takes a temporary one. */
  readonly data: string | null;
}

/** The value below which a share of the samples lies; 0 for none. */
export function quantile(samples: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function atMost(name: string, value: number, unit: string, bound: number, aim?: string): Measure {
  return { name, value, unit, must: `≤ ${bound}`, met: value <= bound, ...(aim === undefined ? {} : { aim }) };
}

export function told(name: string, value: number, unit: string): Measure {
  return { name, value, unit, must: null, met: null };
}
