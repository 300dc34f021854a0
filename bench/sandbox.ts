/**
 * Sandbox bench: one isolated command while the kernel holds a heap of 1 GB, and how long the event loop stands still for it;
 * side by side with bubblewrap started by the kernel's own process.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bwrapSandbox } from "../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../src/drivers/sandbox/zygote-client.ts";
import { etcFiles, profile } from "../src/drivers/sandbox/profile.ts";
import { assert } from "../src/lib/assert.ts";
import { atMost, median, quantile, sideBySide, told, type BenchOptions, type Measure } from "./measure.ts";

export const seconds = 30;

const heapBytes = 1024 * 1024 * 1024;
const rounds = 60;
/** A model thinks between two commands; even the fastest takes longer than this. */
const pauseMs = 30;

export async function run(options: BenchOptions): Promise<Measure[]> {
  const folder = mkdtempSync(join(options.data ?? tmpdir(), "daimon-sandbox-"));
  mkdirSync(join(folder, ".aws"));
  for (const name of [".env", "server.key"]) writeFileSync(join(folder, name), "");
  const driver = bwrapSandbox({ helper: new ZygoteClient() });
  const ballast = fill(heapBytes);
  try {
    const available = await driver.available();
    if (!available.ok) throw new Error(available.error.message);
    const ours = async (): Promise<number> => {
      const start = performance.now();
      const result = await driver.run(trueIn(folder), new AbortController().signal);
      assert(result.ok && result.value.exitCode === 0, "the command ran");
      return performance.now() - start;
    };
    const plain = (): Promise<number> => spawnPlain(folder);
    for (let warm = 0; warm < 5; warm += 1) await ours();
    const stalls = { ours: [] as number[], plain: [] as number[] };
    const paced = (act: () => Promise<number>) => async (): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      return act();
    };
    // The watch keeps a core busy, so time and stall are measured in turns of their own.
    const watched = (name: "ours" | "plain", act: () => Promise<number>) => async (): Promise<number> => {
      const watch = watchLoop();
      const ms = await act();
      stalls[name].push(watch());
      return ms;
    };
    const samples = await sideBySide(rounds, { ours: paced(ours), plain: paced(plain) });
    await sideBySide(rounds, { ours: paced(watched("ours", ours)), plain: paced(watched("plain", plain)) });
    const burst: number[] = [];
    for (let index = 0; index < rounds; index += 1) burst.push(await ours());
    assert(ballast.length > 0, "the heap is still held");
    return [
      atMost("one command, 1 GB heap, p50", median(samples.ours), "ms", 8, "4"),
      told("one command, 1 GB heap, p95", quantile(samples.ours, 0.95), "ms"),
      atMost("event loop stalled by one command, p50", median(stalls.ours), "ms", 2),
      told("event loop stalled by one command, p95", quantile(stalls.ours, 0.95), "ms"),
      told("one command straight after another, p50", median(burst), "ms"),
      told("same profile spawned by the kernel itself, p50", median(samples.plain), "ms"),
      told("event loop stalled by that, p50", median(stalls.plain), "ms"),
    ];
  } finally {
    await driver.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Objects on the heap proper, all touched: what a fork has to copy the page tables of. */
function fill(bytes: number): Float64Array[] {
  const chunk = 8 * 1024 * 1024;
  return Array.from({ length: bytes / chunk }, (_, index) => new Float64Array(chunk / 8).fill(index + 1));
}

/** The longest time between two turns of the loop, in milliseconds, from here until the returned function is called. */
function watchLoop(): () => number {
  let last = performance.now();
  let longest = 0;
  let watching = true;
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    watching = false;
    return Math.max(longest, performance.now() - last);
  };
}

/** What a workspace usually has of it; closed to the command. */
const closed = [".env", ".aws", "server.key"];

const memoryBytesMax = 256 * 1024 * 1024;

function trueIn(root: string) {
  const bounds = { timeoutMs: 10_000, memoryBytesMax, processesMax: 64, outputBytesMax: 4_096 };
  return { argv: ["true"], root, closed, growth: null, cwd: ".", env: {}, stdin: "", ...bounds };
}

/** The same walls and no helper: what a kernel without one would do. */
function spawnPlain(root: string): Promise<number> {
  const start = performance.now();
  const args = profile({ root, memoryBytesMax, closed: [], etc: "/etc", covers: "/", seccomp: false });
  const made = args.slice(0, args.indexOf("--")).filter((_, index, all) => !isOwnFile(all, index));
  const child = spawn("bwrap", [...made, "--", "true"], { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve) => child.once("close", () => resolve(performance.now() - start)));
}

/** The account files are the helper's; without it there are none. */
function isOwnFile(args: readonly string[], index: number): boolean {
  return [0, 1, 2].some(
    (back) =>
      args[index - back] === "--ro-bind" && Object.keys(etcFiles).some((name) => args[index - back + 2] === `/etc/${name}`),
  );
}
