/**
 * Processes: what a live and a parked one cost. 10,000 live processes stand in the middle of a call at their tenth step, with window,
 * pages and budget; 100,000 parked ones wait for a person's answer after one step.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelDriver } from "../src/abi/model.ts";
import { ok } from "../src/lib/result.ts";
import { atMost, settledHeapBytes, told, type Measure } from "./measure.ts";
import { answer, inProcess, manifest, openMachine, replyAt, stepOf, storeCall } from "./machine.ts";

export const seconds = 120;

const live = 10_000;
const parked = 100_000;

export async function run(): Promise<readonly Measure[]> {
  return [...(await liveProcesses()), ...(await parkedProcesses())];
}

async function liveProcesses(): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const gates: (() => void)[] = [];
  const atTenth = storeCall((_args: never, context) => {
    if (!context.id.endsWith(".9.0")) return ok({ value: { text: answer } });
    return new Promise((resolve) => gates.push(() => resolve(ok({ value: { text: answer } }))));
  });
  const machine = openMachine(folder, inProcess(20), [atTenth]);
  const before = settledHeapBytes();
  const pids: number[] = [];
  for (let n = 0; n < live; n += 1)
    pids.push(spawned(machine.kernel.spawn({ manifest, goal: `task ${n}`, parent: 0, call: null })));
  while (gates.length < live) await new Promise(setImmediate);
  await machine.kernel.recorder.barrier(false);
  const bytes = (settledHeapBytes() - before) / live;
  for (const open of gates.splice(0)) open();
  for (const pid of pids) await machine.kernel.wait(pid);
  await machine.close();
  rmSync(folder, { recursive: true });
  return [atMost(`heap per live process, ${live} of them at step 10`, bytes / 1024, "kB", 16, "8")];
}

async function parkedProcesses(): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const machine = openMachine(folder, asking, [storeCall()]);
  const before = settledHeapBytes();
  const batch = 5_000;
  for (let done = 0; done < parked; done += batch) {
    for (let n = 0; n < batch; n += 1)
      spawned(machine.kernel.spawn({ manifest, goal: `task ${done + n}`, parent: 0, call: null }));
    const last = done + batch;
    while (machine.kernel.recorder.table.procs.get(last)?.swapped == null) await new Promise(setImmediate);
  }
  await machine.kernel.recorder.barrier(false);
  const bytes = (settledHeapBytes() - before) / parked;
  const answered = machine.kernel.answer(77, { park: 1, allow: true, text: "go on", by: "bench", raise: null });
  const status = await machine.kernel.wait(77);
  if (!answered.ok || !status.ok) throw new Error("a parked process goes on");
  await machine.close();
  rmSync(folder, { recursive: true });
  return [
    atMost(`heap per parked process, ${parked} of them`, bytes, "B", 1_024, "300"),
    told("peak resident set", process.resourceUsage().maxRSS / 1024, "MB"),
  ];
}

/** One step of work, then a question to the person. */
const asking: ModelDriver = {
  name: "bench",
  remote: false,
  windowTokens: () => 10_000_000,
  think: (request) => {
    const step = stepOf(request);
    if (step !== 1) return ok(replyAt(step, 3));
    const reply = replyAt(0, 3);
    return ok({ ...reply, parts: [{ type: "call", id: "q", name: "ask", args: { question: "Which of the two?" } }] });
  },
  close: () => {},
};

function spawned(result: ReturnType<ReturnType<typeof openMachine>["kernel"]["spawn"]>): number {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
