/**
 * Step: what one governed, durable step costs: window, model reply, schema, capability, policy of 100 rules, budget, label, journal with
 * fdatasync before the effect, outcome. `--agents N`, `--steps N`, `--http` choose the case; without flags the one with 100 agents × 20 steps.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ModelDriver } from "../src/abi/model.ts";
import { atLeast, atMost, cost, median, sideBySide, told, type BenchOptions, type Measure } from "./measure.ts";
import { inProcess, manifest, openMachine, payloadBytes, storeCall } from "./machine.ts";
import { httpModel } from "./step-http.ts";

export const seconds = 90;

export interface Case {
  readonly agents: number;
  readonly steps: number;
  /** null: the in-process model. */
  readonly driver: ModelDriver | null;
}

/** CPU and wall time of one whole run, and what it wrote. */
export interface Sample {
  readonly cpuUs: number;
  readonly stepsPerSecond: number;
  readonly bytesPerStep: number;
}

/** Left out: compilation. A kernel that lives has run more than 20,000 steps. */
const warmRounds = 10;

export async function run({ args }: BenchOptions): Promise<readonly Measure[]> {
  const { values } = parseArgs({
    args: [...args],
    options: { agents: { type: "string" }, steps: { type: "string" }, http: { type: "boolean", default: false } },
    strict: false,
  });
  if (values.http === true) return overHttp();
  if (values.agents === "1") return alone();
  if (values.steps !== undefined) return long(Number(values.steps));
  return concurrent();
}

async function concurrent(): Promise<readonly Measure[]> {
  const samples = await rounds(15, { agents: 100, steps: 20, driver: null });
  return [
    atMost("cpu per step, 100 agents × 20 steps", median(samples.map((sample) => sample.cpuUs)), "µs", 40, "15"),
    atLeast("steps per second", median(samples.map((sample) => sample.stepsPerSecond)), "1/s", 20_000, "60000"),
    told("journal bytes per step", median(samples.map((sample) => sample.bytesPerStep)), "B"),
  ];
}

/** One agent waits for its own disk: the yardstick is two raw fdatasyncs of a record this size, measured in turn. */
async function alone(): Promise<readonly Measure[]> {
  await once({ agents: 1, steps: 200, driver: null });
  const rates = await sideBySide(9, {
    daimon: async () => (await once({ agents: 1, steps: 400, driver: null })).stepsPerSecond,
    raw: () => rawFsyncs(400),
  });
  const ratio = median(rates.daimon) / median(rates.raw);
  return [
    atLeast("one agent: steps per second over two raw fdatasyncs a step", ratio, "×", 0.5, "0.8"),
    told("steps per second", median(rates.daimon), "1/s"),
    told("two raw fdatasyncs per second", median(rates.raw), "1/s"),
  ];
}

function rawFsyncs(steps: number): number {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const file = openSync(join(folder, "raw"), "w");
  const record = Buffer.alloc(300, "x");
  const start = performance.now();
  for (let n = 0; n < steps * 2; n += 1) {
    writeSync(file, record);
    fdatasyncSync(file);
  }
  const perSecond = (steps * 1_000) / (performance.now() - start);
  closeSync(file);
  rmSync(folder, { recursive: true });
  return perSecond;
}

async function long(steps: number): Promise<readonly Measure[]> {
  /** As many at once in both, so that a flush of the log serves as many, and as many steps in all. */
  const agents = 100;
  const short: number[] = [];
  const far: Sample[] = [];
  for (let round = 0; round < 5; round += 1) {
    const costs: number[] = [];
    for (let part = 0; part < steps / 20; part += 1) costs.push((await once({ agents, steps: 20, driver: null })).cpuUs);
    short.push(costs.reduce((sum, one) => sum + one, 0) / costs.length);
    far.push(await once({ agents, steps, driver: null }));
  }
  const bytes = median(far.map((sample) => sample.bytesPerStep)) / payloadBytes;
  return [
    atMost(
      `cpu per step at ${steps} steps over 20 steps`,
      median(far.map((sample) => sample.cpuUs)) / median(short),
      "×",
      1.5,
      "1.2",
    ),
    atMost("bytes written over payload", bytes, "×", 3, "1.3"),
    told("cpu per step", median(far.map((sample) => sample.cpuUs)), "µs"),
  ];
}

/** One server and one pool of connections for all rounds, as in a kernel that lives longer than 20 steps. */
async function overHttp(): Promise<readonly Measure[]> {
  const model = await httpModel(20);
  const which = { agents: 100, steps: 20, driver: model.driver };
  for (let warm = 0; warm < warmRounds; warm += 1) await once(which);
  const samples: Sample[] = [];
  const bare: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    samples.push(await once(which));
    bare.push(await model.bareCpuUs(2_000, 100));
  }
  await model.close();
  return [
    atMost("cpu per step against an HTTP model", median(samples.map((sample) => sample.cpuUs)), "µs", 100, "60"),
    told("the same requests by undici dispatch alone", median(bare), "µs"),
    told("steps per second", median(samples.map((sample) => sample.stepsPerSecond)), "1/s"),
  ];
}

async function rounds(count: number, which: Case): Promise<readonly Sample[]> {
  for (let warm = 0; warm < warmRounds; warm += 1) await once(which);
  const samples: Sample[] = [];
  for (let round = 0; round < count; round += 1) samples.push(await once(which));
  return samples;
}

export async function once(which: Case): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const { kernel, close } = openMachine(folder, which.driver ?? inProcess(which.steps), [storeCall()]);
  const spent = await cost(async () => {
    const pids = Array.from({ length: which.agents }, (_, n) =>
      kernel.spawn({ manifest, goal: `task ${n}`, parent: 0, call: null }),
    );
    for (const pid of pids) {
      if (!pid.ok) throw new Error(pid.error.message);
      const status = await kernel.wait(pid.value);
      if (!status.ok) throw new Error(status.error.message);
    }
  });
  await close();
  const journal = join(folder, "journal");
  const bytes = readdirSync(journal).reduce((sum, name) => sum + statSync(join(journal, name)).size, 0);
  rmSync(folder, { recursive: true });
  const steps = which.agents * which.steps;
  return { cpuUs: (spent.cpuMs * 1_000) / steps, stepsPerSecond: (steps * 1_000) / spent.wallMs, bytesPerStep: bytes / steps };
}
