/**
 * Rollback: what a session committed is taken out of the workspace and the session set aside, and all of that brought back.
 *   BOO-16.3  A rollback undoes the session's commits, newest first, then stashes the session: its folder goes to `.daimon/quarantine`, whole.
 *   BOO-16.7  Undoing the last rollback commits again what it undid, oldest first, and then the session is as it was, byte for byte.
 *   BOO-16.8  Either way everything is looked at first: where workspace or session changed since, each path is named and nothing is changed.
 */
import type { FilesEntry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Change, Version } from "../abi/files.ts";
import type { Pid } from "../abi/process.ts";
import { gather, keepManifest, readManifest } from "../drivers/files/commit.ts";
import { lastRollback, leaves, planRollback, safetyOf, type Safety } from "../files/rollback.ts";
import type { Digest } from "../lib/hash.ts";
import { done, ok, type Result } from "../lib/result.ts";
import type { Sessions } from "./sessions.ts";
import { freeStash, moveSession } from "./stash.ts";
import { perform, stepsOf, type CommitManifest, type FilesDeps } from "./workspace-files.ts";

export interface RollbackResult {
  /** Paths of the workspace that were put back. */
  readonly restored: readonly string[];
  /** The folder in `.daimon/quarantine` that the session went to, or came from; null where nothing was taken back. */
  readonly stash: string | null;
}

/** An act of a session to be reversed: the commit that `safety` names, or its undoing. `saved` is what the act did. */
interface Reversal {
  readonly safety: Digest;
  readonly saved: Safety;
}

export function rollbackSession(sessions: Sessions, pid: Pid, deps: FilesDeps): Promise<Result<RollbackResult, SysError>> {
  return deps.turn.take(() => rollbackInTurn(sessions, pid, deps));
}

async function rollbackInTurn(sessions: Sessions, pid: Pid, deps: FilesDeps): Promise<Result<RollbackResult, SysError>> {
  const changes = await changesOf(sessions, pid);
  if (!changes.ok) return changes;
  const standing = deps.recorder().table.commits.filter((commit) => commit.session === pid);
  if (standing.length === 0 && changes.value.length === 0) return ok({ restored: [], stash: null });
  const commits: Reversal[] = [];
  for (const { safety } of standing) {
    const manifest = readManifest(safety, deps.blobs);
    if (!manifest.ok) return manifest;
    /** commitSession() wrote it, and its digest proves that nobody changed it. */
    commits.push({ safety, saved: manifest.value as CommitManifest });
  }
  const free = checkFree(commits, deps);
  if (!free.ok) return free;
  const restored: string[] = [];
  for (const commit of commits.toReversed()) {
    const undone = await reverse(pid, "rollback", commit, deps);
    if (!undone.ok) return undone;
    restored.push(...undone.value);
  }
  await sessions.release(pid);
  const stash = freeStash(deps, pid);
  const listed = changes.value.map(({ path, base, now }) => ({ path, from: base, to: now }));
  const stashed = await moveSession({ kind: "files", pid, act: "stash", changes: listed, safety: null, stash }, deps);
  return stashed.ok ? ok({ restored, stash }) : stashed;
}

/** `entries` are the journal's, from the first on. ENOENT where nothing was rolled back. */
export function undoRollback(
  sessions: Sessions,
  pid: Pid,
  entries: Iterable<FilesEntry>,
  deps: FilesDeps,
): Promise<Result<RollbackResult, SysError>> {
  return deps.turn.take(() => undoInTurn(sessions, pid, entries, deps));
}

async function undoInTurn(
  sessions: Sessions,
  pid: Pid,
  entries: Iterable<FilesEntry>,
  deps: FilesDeps,
): Promise<Result<RollbackResult, SysError>> {
  const last = lastRollback(entries, pid);
  if (last === null) return fail("ENOENT", `nothing of process ${pid} was rolled back; \`daimon log ${pid}\` shows what was`);
  const standing = deps.recorder().table.commits.filter((commit) => commit.session === pid);
  if (standing.some(({ safety }) => !last.redone.includes(safety)))
    return fail(
      "ESTALE",
      `process ${pid} committed since, so nothing was changed; take that back first: \`daimon rollback ${pid}\``,
    );
  const changes = await changesOf(sessions, pid);
  if (!changes.ok) return changes;
  if (changes.value.length > 0) {
    const paths = changes.value.map(({ path }) => path).join("\n");
    const next = `take that back first: \`daimon rollback ${pid}\``;
    return fail("ESTALE", `process ${pid} changed these files since, so nothing was changed; ${next}\n${paths}`);
  }
  const commits: Reversal[] = [];
  for (const { safety, steps } of last.commits) {
    const read = stepsOf(steps, deps.blobs);
    if (!read.ok) return read;
    commits.push({ safety, saved: safetyOf(pid, read.value) });
  }
  // The rollback undid the newest first: what it did is undone the other way round.
  const free = checkFree(commits.toReversed(), deps);
  if (!free.ok) return free;
  const restored: string[] = [];
  for (const commit of commits) {
    const redone = await reverse(pid, "commit", commit, deps);
    if (!redone.ok) return redone;
    restored.push(...redone.value);
  }
  await sessions.release(pid);
  const { stash } = last;
  if (stash === null) return ok({ restored, stash });
  const back = await moveSession({ kind: "files", pid, act: "unstash", changes: [], safety: null, stash }, deps);
  return back.ok ? ok({ restored, stash }) : back;
}

/** Captures what each change is based on, which only the workspace as it stands can say. */
async function changesOf(sessions: Sessions, pid: Pid): Promise<Result<readonly Change[], SysError>> {
  const session = await sessions.open(pid);
  return session.ok ? await session.value.changes() : session;
}

/** Acts to be reversed from the last to the first: does the workspace still hold what each of them left? */
function checkFree(acts: readonly Reversal[], deps: FilesDeps): Result<void, SysError> {
  const workspace = standingAt(acts, deps);
  if (!workspace.ok) return workspace;
  const lines: string[] = [];
  for (const { saved } of acts.toReversed()) {
    const { steps, conflicts } = planRollback(saved, workspace.value);
    lines.push(...conflicts.map(({ message }) => message));
    for (const step of steps) workspace.value.set(step.path, leaves(step));
  }
  if (lines.length === 0) return done;
  return fail("ESTALE", `${lines.length} conflict(s), so nothing was put back:\n${lines.join("\n")}`);
}

function standingAt(acts: readonly Reversal[], { lower, blobs }: FilesDeps): Result<Map<string, Version | null>, SysError> {
  return gather(
    lower,
    acts.flatMap(({ saved }) => saved.entries.map(({ path }) => path)),
    blobs,
  );
}

async function reverse(
  pid: Pid,
  act: "commit" | "rollback",
  { safety, saved }: Reversal,
  deps: FilesDeps,
): Promise<Result<readonly string[], SysError>> {
  const workspace = standingAt([{ safety, saved }], deps);
  if (!workspace.ok) return workspace;
  const { steps } = planRollback(saved, workspace.value);
  const kept = await keepManifest({ steps }, deps.blobs);
  if (!kept.ok) return kept;
  const performed = await perform(deps, { pid, act, safety, steps, stepsDigest: kept.value });
  return performed.ok ? ok(steps.map((step) => step.path)) : performed;
}
