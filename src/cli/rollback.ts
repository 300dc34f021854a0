/**
 * daimon rollback: the workspace as it was before a process's commits, and the process's own changes set aside.
 *   CLI-20.7  What was put back is named, and where the safety copy lies; a session with nothing to take back is exit 0.
 */
import type { SysError } from "../abi/errno.ts";
import { filesDeps } from "../boot/world-calls.ts";
import { rollbackSession, type RollbackResult } from "../boot/workspace-files.ts";
import { ok, type Result } from "../lib/result.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { sessionOf } from "./session.ts";
import { withMachine } from "./workspace.ts";

export async function run(word: string, io: Io): Promise<Result<number, SysError>> {
  const meant = await sessionOf(word, io);
  if (!meant.ok) return meant;
  const { owner, layout, exists, commits } = meant.value;
  if (!exists && commits === 0) return show({ restored: [], safety: null }, owner, io);
  const undone = await withMachine(io, { processes: "leave" }, async ({ kernel, sessions, blobs }) => {
    const session = await sessions.open(owner);
    if (!session.ok) return session;
    return await rollbackSession(session.value, filesDeps(layout, blobs, io.clock, kernel));
  });
  return undone.ok ? show(undone.value, owner, io) : undone;
}

function show(result: RollbackResult, pid: number, io: Io): Result<number, SysError> {
  const { restored, safety } = result;
  if (io.json) {
    printJson(io, { pid, ...result });
    return ok(0);
  }
  for (const path of restored) print(io, `put back  ${path}`);
  if (safety !== null) print(io, `set aside the session's own changes; their safety copy is blob ${safety}`);
  if (restored.length === 0 && safety === null) note(io, `process ${pid} has nothing to take back`);
  return ok(0);
}
