/**
 * Exit: end a process and everything below it.
 *   KRN-7.1  A process's descendants end before it does.
 *   KRN-7.2  The exit entry carries the digest of the state it ends with: what a replay must reproduce.
 */
import { sysError } from "../abi/errno.ts";
import type { ExitStatus, Pid } from "../abi/process.ts";
import type { Core } from "./core.ts";
import { digestOf } from "./snapshot.ts";
import type { Proc } from "./table.ts";

/** How a process ends whose parent has. */
export function orphaned(parent: Pid): Extract<ExitStatus, { ok: false }> {
  return { ok: false, error: sysError("ECANCELED", `process ${parent}, its parent, ended`) };
}

export function exit(core: Core, proc: Proc, status: ExitStatus): void {
  if (proc.state === "zombie") return;
  core.recorder.swapIn(proc);
  for (const pid of proc.children) {
    const child = core.recorder.table.procs.get(pid);
    if (child === undefined) continue;
    exit(core, child, orphaned(proc.pid));
  }
  core.recorder.record({ kind: "exit", at: core.clock.now(), pid: proc.pid, status, digest: digestOf(proc) });
  core.slots.forget(proc.pid);
  core.exited(proc);
}
