/**
 * Cow bench: a copy-on-write session over 1,000 and over 10,000 files: opening it, its first write, its list of changes, its end;
 * side by side with the copy that it spares.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Session, SessionDriver } from "../src/abi/files.ts";
import type { SysError } from "../src/abi/errno.ts";
import { copySessions } from "../src/drivers/files/copy.ts";
import { overlaySessions } from "../src/drivers/files/overlay.ts";
import { Secrets } from "../src/drivers/files/secrets.ts";
import { ZygoteClient } from "../src/drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../src/drivers/store/memory-blobs.ts";
import type { Result } from "../src/lib/result.ts";
import { atMost, median, told, type BenchOptions, type Measure } from "./measure.ts";
import { isSecret } from "../src/security/policy/names.ts";

export const seconds = 30;

const rounds = 25;
const copies = 3;

export async function run(options: BenchOptions): Promise<Measure[]> {
  const folder = mkdtempSync(join(options.data ?? tmpdir(), "daimon-cow-"));
  const helper = new ZygoteClient();
  const blobs = openMemoryBlobs();
  const overlay = overlaySessions({ helper, blobs, hide: [".daimon"], isSecret });
  const available = await overlay.available();
  try {
    const driver = available.ok ? overlay : copySessions({ blobs, hide: [".daimon"] });
    const small = await measure(driver, workspace(folder, 1_000), folder);
    const large = await measure(driver, workspace(folder, 10_000), folder);
    const looks = await look(join(folder, "files-10000"));
    const copied = Array.from({ length: copies }, (_, index) =>
      copyTime(join(folder, "files-10000"), join(folder, `copy-${index}`)),
    );
    return [
      atMost(`open over 10,000 files (${driver.name}), p50`, median(large.open), "ms", 15, "8"),
      told("open over 1,000 files, p50", median(small.open), "ms"),
      atMost("open, 10,000 files over 1,000", median(large.open) / median(small.open), "times", 1.5),
      told("first look for secret files, 10,000 files, p50", median(looks.first), "ms"),
      told("later look for them, p50", median(looks.later), "ms"),
      told("first write, p50", median(large.write), "ms"),
      told("changes after one write, p50", median(large.changes), "ms"),
      told("close, p50", median(large.close), "ms"),
      told("cp -a of 10,000 files, p50", median(copied), "ms"),
    ];
  } finally {
    await overlay.close();
    await helper.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

type Phase = "open" | "write" | "changes" | "close";

async function measure(driver: SessionDriver, lower: string, folder: string): Promise<Record<Phase, number[]>> {
  const times: Record<Phase, number[]> = { open: [], write: [], changes: [], close: [] };
  const timed = async <T>(phase: Phase, act: () => T | Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await act();
    times[phase].push(performance.now() - start);
    return result;
  };
  for (let round = 0; round < rounds; round += 1) {
    const home = mkdtempSync(join(folder, "home-"));
    const session: Session = value(await timed("open", () => driver.open({ pid: round, lower, home })));
    value(await timed("write", () => session.write("d7/f77.txt", Buffer.from("changed"))));
    value(await timed("changes", () => session.changes()));
    await timed("close", () => session.close());
    rmSync(home, { recursive: true, force: true });
  }
  return times;
}

/** What the first command of a kernel, and each later one, waits for. */
async function look(lower: string): Promise<Record<"first" | "later", number[]>> {
  const times: Record<"first" | "later", number[]> = { first: [], later: [] };
  for (let round = 0; round < rounds; round += 1) {
    const secrets = new Secrets(lower, isSecret, [], () => Number.MAX_SAFE_INTEGER);
    for (const phase of ["first", "later"] as const) {
      const start = performance.now();
      value(await secrets.look());
      times[phase].push(performance.now() - start);
    }
  }
  return times;
}

function workspace(folder: string, count: number): string {
  const root = join(folder, `files-${count}`);
  for (let index = 0; index < count; index += 1) {
    const inner = join(root, `d${index % 100}`);
    if (index < 100) mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, `f${index}.txt`), `file ${index}\n`.repeat(20));
  }
  return root;
}

function copyTime(from: string, to: string): number {
  const start = performance.now();
  execFileSync("cp", ["-a", from, to]);
  const ms = performance.now() - start;
  rmSync(to, { recursive: true });
  return ms;
}

function value<T>(result: Result<T, SysError>): T {
  if (!result.ok) throw new Error(`${result.error.message} ${result.error.cause ?? ""}`);
  return result.value;
}
