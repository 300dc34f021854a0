/**
 * Rollback: decide how the workspace gets back what a commit replaced, or what such a rollback did.
 *   FIL-5.1  A path is put back only where the workspace still holds what the commit wrote; elsewhere it is a named conflict and stays.
 *   FIL-5.2  What the commit did not create is never deleted; a folder it made goes only when it is empty.
 *   FIL-5.3  Rolling back twice is rolling back once.
 *   FIL-5.4  The last rollback that nobody undid is the one to undo, with the commits that it undid and that do not stand again, oldest first.
 */
import type { FilesEntry } from "../abi/entry.ts";
import type { FileStep, Version } from "../abi/files.ts";
import type { Pid } from "../abi/process.ts";
import type { Digest } from "../lib/hash.ts";

/** One path of a safety copy: what stood there, and what the commit put in its place. */
export interface SafetyEntry {
  readonly path: string;
  readonly from: SafetyVersion | null;
  readonly to: SafetyVersion | null;
}

export interface SafetyVersion {
  readonly type: "file" | "link" | "folder";
  readonly digest: Digest | null;
  readonly executable: boolean;
}

/** The workspace before a commit, or before another act of the same kind of steps. */
export interface Safety {
  readonly kind: "commit";
  readonly pid: number;
  readonly entries: readonly SafetyEntry[];
}

export interface RollbackPlan {
  readonly steps: readonly FileStep[];
  readonly conflicts: readonly { readonly path: string; readonly message: string }[];
}

/** The safety copy a plan needs: one entry a step, in the plan's order. */
export function safetyOf(pid: number, steps: readonly FileStep[]): Safety {
  return { kind: "commit", pid, entries: steps.map(entryOf) };
}

function entryOf(step: FileStep): SafetyEntry {
  const folder: SafetyVersion = { type: "folder", digest: null, executable: false };
  switch (step.op) {
    case "mkdir":
      return { path: step.path, from: null, to: folder };
    case "rmdir":
      return { path: step.path, from: folder, to: null };
    case "remove":
      return { path: step.path, from: { type: step.type, digest: step.from, executable: step.executableFrom }, to: null };
    case "write": {
      const from: SafetyVersion = { type: step.typeFrom, digest: step.from, executable: step.executableFrom };
      const to: SafetyVersion = { type: step.type, digest: step.to, executable: step.executable };
      return { path: step.path, from: step.from === null ? null : from, to };
    }
  }
}

export function planRollback({ entries }: Safety, workspace: ReadonlyMap<string, Version | null>): RollbackPlan {
  const steps: FileStep[] = [];
  const conflicts: { path: string; message: string }[] = [];
  const left = new Map(reached(entries, workspace));
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const entry = entries[index];
    if (entry === undefined) continue;
    const last = left.get(entry.path);
    if (last === "elsewhere") {
      conflicts.push({
        path: entry.path,
        message: `${entry.path}: it changed since, so it stays as it is; restore it by hand if you want it back`,
      });
      // One word about a path is enough.
      left.set(entry.path, -1);
    } else if (last !== undefined && index <= last) steps.push(undo(entry));
  }
  return { steps, conflicts };
}

/** For each path, the entry whose result stands there now; -1 where the path is as it was before the first. */
function* reached(
  entries: Safety["entries"],
  workspace: ReadonlyMap<string, Version | null>,
): Generator<[string, number | "elsewhere"]> {
  const byPath = Map.groupBy(entries.keys(), (index) => entries[index]?.path ?? "");
  for (const [path, indexes] of byPath) {
    const now = workspace.get(path) ?? null;
    const first = entries[indexes[0] ?? 0];
    const last = indexes.findLast((index) => same(now, entries[index]?.to ?? null));
    if (first !== undefined && same(now, first.from)) yield [path, -1];
    else yield [path, last ?? "elsewhere"];
  }
}

/** What a step leaves at its path. */
export function leaves(step: FileStep): Version | null {
  if (step.op === "write") return { type: step.type, digest: step.to, executable: step.executable };
  return step.op === "mkdir" ? { type: "folder", digest: null, executable: false } : null;
}

export interface RolledBack {
  /** Oldest first; `steps` is the manifest of what the rollback did. */
  readonly commits: readonly { readonly safety: Digest; readonly steps: Digest }[];
  /** Its commits that stand again, where undoing it was cut short. */
  readonly redone: readonly Digest[];
  /** Null where the rollback was cut short before it came to the session. */
  readonly stash: string | null;
}

/** What undoing would take back; null where nothing of this session was rolled back. `entries` are the journal's, in order. */
export function lastRollback(entries: Iterable<FilesEntry>, pid: Pid): RolledBack | null {
  const stack: RolledBack[] = [];
  let steps: Digest | null = null;
  /** A rollback that has not come to the session yet; the next one of the same session goes on with it. */
  let open: RolledBack | null = null;
  for (const entry of entries) {
    if (entry.pid !== pid) continue;
    const { act, phase, safety, stash } = entry;
    if (phase === "intent") {
      steps = entry.steps ?? null;
    } else if (act === "stash" && stash !== undefined) {
      stack.push({ ...(open ?? nothing), stash });
      open = null;
    } else if (act === "unstash" && stash !== undefined) {
      stack.pop();
    } else if (act === "rollback" && safety !== null && steps !== null) {
      open = { ...(open ?? nothing), commits: [{ safety, steps }, ...(open ?? nothing).commits] };
    } else if (act === "commit" && safety !== null && steps !== null) {
      const last: RolledBack | undefined = open ?? stack.pop();
      if (last !== undefined) stack.push(without(last, safety));
      open = null;
    }
  }
  return open ?? stack.at(-1) ?? null;
}

const nothing: RolledBack = { commits: [], redone: [], stash: null };

function without(last: RolledBack, safety: Digest): RolledBack {
  if (!last.commits.some((commit) => commit.safety === safety)) return last;
  return { ...last, commits: last.commits.filter((commit) => commit.safety !== safety), redone: [...last.redone, safety] };
}

function same(now: Version | null, then: SafetyVersion | null): boolean {
  if (now === null || then === null) return now === then;
  return now.type === then.type && now.digest === then.digest && (now.type !== "file" || now.executable === then.executable);
}

function undo(entry: SafetyEntry): FileStep {
  const { path, from, to } = entry;
  if (from === null) {
    if (to === null || to.digest === null || to.type === "folder") return { op: "rmdir", path };
    return { op: "remove", path, type: to.type, from: to.digest, executableFrom: to.executable };
  }
  if (from.digest === null || from.type === "folder") return { op: "mkdir", path };
  return {
    op: "write",
    path,
    type: from.type,
    from: to?.digest ?? null,
    to: from.digest,
    executable: from.executable,
    typeFrom: to?.type === "link" ? "link" : "file",
    executableFrom: to?.executable ?? false,
  };
}
