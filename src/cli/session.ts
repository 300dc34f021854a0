/**
 * Session: which copy-on-write session a command means by a process's number.
 *   CLI-20.1  A child's number stands for the session it works in, which is its root's.
 */
import { existsSync } from "node:fs";
import type { SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import { sessionFolder, type Layout } from "../boot/layout.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Io } from "./io.ts";
import { look, parsePid, procOf } from "./workspace.ts";

export interface Meant {
  readonly pid: Pid;
  /** The pid that the session is named by. */
  readonly owner: Pid;
  readonly layout: Layout;
  /** False where the process never touched a file. */
  readonly exists: boolean;
  /** Commits of it that stand. */
  readonly commits: number;
}

export async function sessionOf(word: string, io: Io): Promise<Result<Meant, SysError>> {
  const pid = parsePid(word);
  if (!pid.ok) return pid;
  const seen = await look(io);
  if (!seen.ok) return seen;
  const { layout, table, close } = seen.value;
  close();
  const proc = procOf(table, pid.value);
  if (!proc.ok) return proc;
  const owner = proc.value.session;
  const commits = table.commits.filter((commit) => commit.session === owner).length;
  return ok({ pid: pid.value, owner, layout, exists: existsSync(sessionFolder(layout, owner)), commits });
}
