/**
 * Stash: a session's folder as a whole, moved out of the sessions and back in.
 *   BOO-16.9  The move is one rename between two journaled entries; one that a crash cut short is finished by the next kernel.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FilesEntry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import { forceRemove } from "../drivers/files/force.ts";
import { fsError, syncFolder } from "../drivers/store/disk.ts";
import type { Recorder } from "../kernel/recorder.ts";
import { done, type Result } from "../lib/result.ts";

export interface StashDeps {
  /** The folder of all sessions, and the one for what is set aside. */
  readonly sessions: string;
  readonly quarantine: string;
  readonly now: () => number;
  readonly recorder: () => Recorder;
}

type Moving = Omit<FilesEntry, "at" | "phase"> & { readonly act: "stash" | "unstash"; readonly stash: string };

/** The session's folder goes away or comes back, closed, by one rename. */
export async function moveSession(moving: Moving, deps: StashDeps): Promise<Result<void, SysError>> {
  const recorder = deps.recorder();
  recorder.record({ ...moving, at: deps.now(), phase: "intent" });
  const durable = await recorder.barrier(true);
  return durable.ok ? finishMove(moving, deps) : durable;
}

/** Also after a crash: what was moved already is where it belongs. */
export function finishMove(moving: Moving, deps: StashDeps): Result<void, SysError> {
  const home = join(deps.sessions, String(moving.pid));
  const aside = join(deps.quarantine, moving.stash);
  const { stash: _, ...entry } = moving;
  let moved: Result<void, SysError> = done;
  try {
    if (moving.act === "stash") rename(home, aside);
    else if (existsSync(aside)) {
      // Nothing was changed in it: that was looked at before.
      forceRemove(home);
      rename(aside, home);
    }
  } catch (thrown) {
    moved = { ok: false, error: fsError(thrown, "the session's folder could not be moved") };
  }
  const outcome = moved.ok ? moving : { ...entry, changes: [] };
  deps.recorder().record({ ...outcome, at: deps.now(), phase: "outcome" });
  return moved;
}

function rename(from: string, to: string): void {
  if (!existsSync(from) || existsSync(to)) return;
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(from, to);
  syncFolder(dirname(from));
  syncFolder(dirname(to));
}

/** A name that nothing in the quarantine has. */
export function freeStash({ quarantine }: Pick<StashDeps, "quarantine">, pid: Pid): string {
  for (let count = 1; ; count++) {
    const name = `session-${pid}-${count}`;
    if (!existsSync(join(quarantine, name))) return name;
  }
}
