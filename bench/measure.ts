/**
 * Measure: what a bench reports, and the sums every bench needs.
 *   TOOL-7.1  A bound is met only by a number that keeps it: no sample, no met bound.
 *   TOOL-7.2  Rivals are measured side by side: in each round every one of them runs, and the order turns from round to round.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

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
  /** What else stood on the command line, for the bench's own flags. */
  readonly args: readonly string[];
}

/** What bench/NAME.ts exports. `seconds` is its usual length, 60 when it does not say. */
export interface BenchModule {
  readonly seconds?: number;
  run(options: BenchOptions): Promise<readonly Measure[]>;
}

export function atMost(name: string, value: number, unit: string, bound: number, aim?: string): Measure {
  return { name, value, unit, must: `≤ ${bound}`, met: value <= bound, ...(aim === undefined ? {} : { aim }) };
}

export function atLeast(name: string, value: number, unit: string, bound: number, aim?: string): Measure {
  return { name, value, unit, must: `≥ ${bound}`, met: value >= bound, ...(aim === undefined ? {} : { aim }) };
}

export function told(name: string, value: number, unit: string): Measure {
  return { name, value, unit, must: null, met: null };
}

/** The value below which a share of the samples lies; NaN for none. */
export function quantile(samples: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle sample, or the mean of the two in the middle; NaN for none. */
export function median(samples: ArrayLike<number>): number {
  const sorted = Float64Array.from(samples).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** One section's cost. CPU is user and system time of the whole process, its threads included. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export async function cost(section: () => unknown): Promise<Cost> {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await section();
  const wallMs = Number(process.hrtime.bigint() - start) / 1e6;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1e3 };
}

/**
 * Run rivals in interleaved rounds and give each one's samples. A machine that slows down slows all of them,
 * so the ratio of two medians holds where the medians themselves do not.
 */
export async function sideBySide<Name extends string>(
  rounds: number,
  rivals: Readonly<Record<Name, () => number | Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(rivals) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length] as Name;
      samples[name].push(await rivals[name]());
    }
  }
  return samples;
}

/** The ratio of two medians. */
export function ratio(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  return median(ours) / median(theirs);
}

/** The heap after a full collection, in bytes. */
export function settledHeapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let pass = 0; pass < 4; pass += 1) collect();
  return process.memoryUsage().heapUsed;
}
