/**
 * A kernel in a process of its own that runs brief over `inbox`, or goes on with the one that an earlier kernel left.
 * Its home is beside the workspace, and shared with all that lie there. `brief-child.ts FOLDER KILL_AT`: at that many journal entries it is killed with SIGKILL, in the middle of whatever it does; 0 lets it end.
 */
import { boot } from "../../src/boot/boot.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { tableDigest } from "../../src/kernel/snapshot.ts";

const [cwd = ".", killAt = "0"] = process.argv.slice(2);
const world = { cwd, env: {}, home: `${cwd}/../home`, uid: process.getuid?.() ?? 0 };
const booted = await boot({ world, clock: systemClock(), cpu: "reflex", policyEngine: "compiled" });
if (!booted.ok) throw new Error(booted.error.message);
const machine = booted.value;

let entries = 0;
machine.kernel.on(() => {
  entries += 1;
  if (entries === Number(killAt)) process.kill(process.pid, "SIGKILL");
});

const unfinished = machine.kernel.processes().find((proc) => proc.parent === 0);
const pid = unfinished?.pid ?? (await start());
const status = await machine.kernel.wait(pid);
const { table } = machine.kernel.recorder;
const live = [...table.procs.values()].filter((proc) => proc.state !== "zombie").length;
const digest = tableDigest(table);
await machine.close();
process.stdout.write(JSON.stringify({ status, digest, live, entries, pid, findings: machine.findings }));

async function start(): Promise<number> {
  const found = await machine.programs.find("brief");
  if (!found.ok) throw new Error(found.error.message);
  const { name, version, calls, limits, outputs } = found.value.program;
  const spawned = machine.kernel.spawn({
    manifest: {
      name,
      version,
      kind: "body",
      instructions: found.value.bodyName,
      cpu: null,
      calls,
      output: null,
      limits,
      windowTokens: null,
      stepsMax: 10_000,
      outputs,
    },
    goal: { folder: "inbox" },
    parent: 0,
    call: null,
  });
  if (!spawned.ok) throw new Error(spawned.error.message);
  return spawned.value;
}
