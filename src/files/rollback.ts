/**
 * Rollback: decide how the workspace gets back what a commit replaced.
 *   FIL-5.1  A path is put back only where the workspace still holds what the commit wrote; elsewhere it is a named conflict and stays.
 *   FIL-5.2  What the commit did not create is never deleted; a folder it made goes only when it is empty.
 *   FIL-5.3  Rolling back twice is rolling back once.
 */
import type { FileStep, Version } from "../abi/files.ts";
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

/** commit: the workspace before a commit · session: a session's changes before they were discarded. */
export interface Safety {
  readonly kind: "commit" | "session";
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

export function planRollback(safety: Safety, workspace: ReadonlyMap<string, Version | null>): RollbackPlan {
  const steps: FileStep[] = [];
  const conflicts: { path: string; message: string }[] = [];
  const left = new Map(reached(safety, workspace));
  for (let index = safety.entries.length - 1; index >= 0; index -= 1) {
    const entry = safety.entries[index];
    if (entry === undefined) continue;
    const last = left.get(entry.path);
    if (last === "elsewhere") {
      conflicts.push({
        path: entry.path,
        message: `${entry.path}: it changed after the commit, so it was left as it is; restore it by hand if you want it back`,
      });
      // One word about a path is enough.
      left.set(entry.path, -1);
    } else if (last !== undefined && index <= last) steps.push(undo(entry));
  }
  return { steps, conflicts };
}

/** For each path, the entry whose result stands there now; -1 where the path is as it was before the first. */
function* reached(safety: Safety, workspace: ReadonlyMap<string, Version | null>): Generator<[string, number | "elsewhere"]> {
  const byPath = Map.groupBy(safety.entries.keys(), (index) => safety.entries[index]?.path ?? "");
  for (const [path, indexes] of byPath) {
    const now = workspace.get(path) ?? null;
    const first = safety.entries[indexes[0] ?? 0];
    const last = indexes.findLast((index) => same(now, safety.entries[index]?.to ?? null));
    if (first !== undefined && same(now, first.from)) yield [path, -1];
    else yield [path, last ?? "elsewhere"];
  }
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
