/** Replay: how fast a journal is read, its chain checked, and folded again with every recorded digest proved. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replay } from "../src/kernel/replay.ts";
import { openSegmentLog } from "../src/drivers/store/segment-log.ts";
import { atLeast, median, told, type Measure } from "./measure.ts";
import { inProcess, manifest, openMachine, storeCall } from "./machine.ts";

const agents = 5_000;
const steps = 20;

export async function run(): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const machine = openMachine(folder, inProcess(steps), [storeCall()]);
  const pids = Array.from({ length: agents }, (_, n) =>
    machine.kernel.spawn({ manifest, goal: `task ${n}`, parent: 0, call: null }),
  );
  for (const pid of pids) if (pid.ok) await machine.kernel.wait(pid.value);
  await machine.close();
  const rates: number[] = [];
  let proved = 0;
  for (let round = 0; round < 5; round += 1) {
    const log = openSegmentLog({ dir: join(folder, "journal"), now: () => 0, readOnly: true });
    if (!log.ok) throw new Error(log.error.message);
    const start = performance.now();
    const report = replay({ log: log.value, blobs: machine.blobs, until: null, pid: null });
    const elapsed = performance.now() - start;
    if (!report.ok || report.value.findings.length > 0 || report.value.proved < agents)
      throw new Error("the journal replays to itself");
    rates.push((report.value.entries * 1_000) / elapsed);
    proved = report.value.proved;
  }
  rmSync(folder, { recursive: true });
  return [atLeast("entries replayed per second", median(rates), "1/s", 100_000, "250000"), told("digests proved", proved, "")];
}
