/**
 * daimon rollback: the workspace as it was before a process's commits, and the process's own changes set aside.
 *   CLI-20.7  What was put back is named, and where the session lies now; a session with nothing to take back is exit 0.
 *   CLI-20.9  --undo brings all of the last rollback back; ENOENT where there is none, ESTALE with every path where something changed since.
 */
import type { FilesEntry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { LogDriver } from "../abi/store.ts";
import { rollbackSession, undoRollback, type RollbackResult } from "../boot/rollback.ts";
import { filesDeps } from "../boot/world-calls.ts";
import { decode } from "../kernel/codec.ts";
import { ok, type Result } from "../lib/result.ts";
import type { rollbackOptions } from "./commands.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { sessionOf } from "./session.ts";
import type { Input } from "./term/args.ts";
import { withMachine } from "./workspace.ts";

export async function run(input: Input<typeof rollbackOptions>, io: Io): Promise<Result<number, SysError>> {
  const [word = ""] = input.positionals;
  const { undo } = input.options;
  const meant = await sessionOf(word, io);
  if (!meant.ok) return meant;
  const { owner, layout, exists, commits } = meant.value;
  if (!undo && !exists && commits === 0) return show({ restored: [], stash: null }, owner, io);
  const moved = await withMachine(io, { processes: "leave" }, async ({ kernel, sessions, blobs, log }) => {
    const deps = filesDeps(layout, blobs, io.clock, kernel);
    return undo ? await undoRollback(sessions, owner, filesEntries(log), deps) : await rollbackSession(sessions, owner, deps);
  });
  if (!moved.ok) return moved;
  return undo ? showUndone(moved.value, owner, io) : show(moved.value, owner, io);
}

function* filesEntries(log: LogDriver): Generator<FilesEntry> {
  for (const record of log.read(0)) {
    const entry = record.ok ? decode(record.value.text) : null;
    if (entry?.kind === "files") yield entry;
  }
}

function show(result: RollbackResult, pid: number, io: Io): Result<number, SysError> {
  const { restored, stash } = result;
  if (io.json) {
    printJson(io, { pid, ...result });
    return ok(0);
  }
  for (const path of restored) print(io, `put back  ${path}`);
  if (stash === null) note(io, `process ${pid} has nothing to take back`);
  else note(io, `the session is set aside; \`daimon rollback ${pid} --undo\` brings all of it back`);
  return ok(0);
}

function showUndone(result: RollbackResult, pid: number, io: Io): Result<number, SysError> {
  if (io.json) {
    printJson(io, { pid, ...result });
    return ok(0);
  }
  for (const path of result.restored) print(io, `written again  ${path}`);
  note(io, `process ${pid}'s session is as it was before it was rolled back`);
  return ok(0);
}
