/**
 * Commit: decide what a session's changes do to the workspace: nothing, a step, a merge, or a named conflict.
 * Three versions meet at each path: the base (what the session started from), the session's, and the workspace's now.
 *   FIL-4.1  A path only the session changed is applied; a path both changed alike is skipped.
 *   FIL-4.2  A path both changed differently is merged if both are text and touch different lines; else it is a conflict with a name.
 *   FIL-4.3  One conflict without a resolution and nothing at all is written.
 *   FIL-4.4  `ours` takes the session's version, `theirs` keeps the workspace's; a resolution of a path without a conflict changes nothing.
 *   FIL-4.5  A link that leaves the workspace, a device, a pipe and a file beyond the bound are never committed; `theirs` leaves them out.
 *   FIL-4.6  Only selected paths are committed; selecting a folder selects what is in it.
 *   FIL-4.7  Each step names the content it replaces, so performing it late or twice cannot overwrite something else.
 */
import type { Change, FileStep, Version } from "../abi/files.ts";
import type { Digest } from "../lib/hash.ts";
import { sha256 } from "../lib/hash.ts";
import { mergeText, textOf, type TextConflict } from "./merge.ts";

export interface CommitRequest {
  readonly changes: readonly Change[];
  readonly workspace: ReadonlyMap<string, Version | null>;
  /** Files and folders to commit; null commits all. */
  readonly paths: readonly string[] | null;
  readonly resolutions: Readonly<Record<string, "ours" | "theirs">>;
  /** Contents by digest; null where it was not kept (beyond the bound, or the base is not known). */
  readonly content: (digest: Digest) => Uint8Array | null;
}

export type ConflictReason =
  | "both-changed"
  | "both-added"
  | "deleted-here-changed-there"
  | "changed-here-deleted-there"
  | "binary"
  | "type-changed"
  | "link-leaves-workspace"
  | "not-a-file"
  | "too-large";

export interface Conflict {
  readonly path: string;
  readonly reason: ConflictReason;
  /** What happened and what to do, for a person or a model. */
  readonly message: string;
  readonly base: Digest | null;
  readonly session: Digest | null;
  readonly workspace: Digest | null;
  readonly lines: readonly TextConflict[];
}

export interface CommitPlan {
  readonly steps: readonly FileStep[];
  /** Contents the merge made, by digest; to be kept before the first step. */
  readonly merged: readonly { readonly path: string; readonly digest: Digest; readonly text: string }[];
  /** Paths where the workspace has the session's content already, or keeps its own by resolution. */
  readonly skipped: readonly string[];
}

export type CommitDecision =
  { readonly ok: true; readonly plan: CommitPlan } | { readonly ok: false; readonly conflicts: readonly Conflict[] };

type Outcome =
  | { readonly kind: "step"; readonly step: FileStep; readonly text?: string }
  | { readonly kind: "skip" }
  | { readonly kind: "conflict"; readonly conflict: Conflict; readonly ours: FileStep | null };

export function planCommit(request: CommitRequest): CommitDecision {
  const steps: FileStep[] = [];
  const merged: { path: string; digest: Digest; text: string }[] = [];
  const skipped: string[] = [];
  const conflicts: Conflict[] = [];
  const chosen = request.changes.filter((change) => selected(change.path, request.paths));
  const deleted = new Map(chosen.filter((change) => change.kind === "deleted").map((change) => [change.path, change]));
  for (const change of chosen) {
    const outcome = decide(change, standsAt(change, deleted, request.workspace), request.content);
    const resolution = outcome.kind === "conflict" ? request.resolutions[change.path] : undefined;
    if (outcome.kind === "skip" || resolution === "theirs") skipped.push(change.path);
    else if (outcome.kind === "step") {
      steps.push(outcome.step);
      if (outcome.text !== undefined && outcome.step.op === "write") {
        merged.push({ path: change.path, digest: outcome.step.to, text: outcome.text });
      }
    } else if (resolution === "ours" && outcome.ours !== null) steps.push(outcome.ours);
    else conflicts.push(outcome.conflict);
  }
  if (conflicts.length > 0) return { ok: false, conflicts };
  return { ok: true, plan: { steps: ordered(steps), merged, skipped } };
}

/** What a change meets in the workspace. What the session itself deletes there first, to put something of another type, is no longer there. */
function standsAt(change: Change, deleted: ReadonlyMap<string, Change>, workspace: CommitRequest["workspace"]): Version | null {
  const stands = workspace.get(change.path) ?? null;
  const before = deleted.get(change.path);
  if (stands === null || before === undefined || before === change) return stands;
  return (before.type === "folder") === (stands.type === "folder") ? null : stands;
}

export function selected(path: string, paths: readonly string[] | null): boolean {
  return paths === null || paths.some((chosen) => chosen === "." || chosen === path || path.startsWith(`${chosen}/`));
}

function decide(change: Change, workspace: Version | null, content: CommitRequest["content"]): Outcome {
  if (change.type === "folder") return decideFolder(change, workspace);
  if (change.type === "other") return refuse(change, workspace, "not-a-file");
  if (change.now === null) return decideRemoval(change, workspace);
  const fromType = workspace?.type ?? null;
  if (fromType === "folder" || fromType === "other") return refuse(change, workspace, "type-changed");
  const step: FileStep = {
    op: "write",
    path: change.path,
    type: change.type,
    from: workspace?.digest ?? null,
    to: change.now,
    executable: change.executable,
    typeFrom: fromType ?? change.type,
    executableFrom: workspace?.executable ?? false,
  };
  if (workspace?.digest === change.now && workspace.executable === change.executable) return { kind: "skip" };
  const data = content(change.now);
  if (data === null) return refuse(change, workspace, "too-large");
  if (change.type === "link" && linkedPath(change.path, data) === null) return refuse(change, workspace, "link-leaves-workspace");
  const executable = workspace !== null && change.executable === change.wasExecutable ? workspace.executable : change.executable;
  if ((workspace?.digest ?? null) === change.base) return { kind: "step", step: { ...step, executable } };
  if (workspace?.digest === change.now) return { kind: "step", step: { ...step, executable } };
  if (workspace === null) return conflict(change, workspace, "changed-here-deleted-there", step);
  if (change.base === null) return conflict(change, workspace, "both-added", step);
  return decideMerge(change, workspace, { ...step, executable }, data, content);
}

function decideMerge(
  change: Change,
  workspace: Version,
  step: FileStep & { op: "write" },
  data: Uint8Array,
  content: CommitRequest["content"],
): Outcome {
  // The session changed the mode alone, so the workspace's content stands.
  if (change.base === change.now && workspace.digest !== null) return { kind: "step", step: { ...step, to: workspace.digest } };
  const base = change.base === null ? null : content(change.base);
  const there = workspace.digest === null ? null : content(workspace.digest);
  if (base === null || there === null || change.type === "link" || workspace.type === "link") {
    return conflict(change, workspace, "both-changed", step);
  }
  const texts = [base, data, there].map(textOf);
  const [baseText = null, ourText = null, theirText = null] = texts;
  if (baseText === null || ourText === null || theirText === null) return conflict(change, workspace, "binary", step);
  const merge = mergeText(baseText, ourText, theirText);
  if (!merge.ok) return conflict(change, workspace, "both-changed", step, merge.conflicts);
  return { kind: "step", step: { ...step, to: sha256(merge.text) }, text: merge.text };
}

function decideRemoval(change: Change, workspace: Version | null): Outcome {
  if (workspace === null) return { kind: "skip" };
  if (workspace.digest === null || workspace.type === "folder" || workspace.type === "other") {
    return refuse(change, workspace, "type-changed");
  }
  const step: FileStep = {
    op: "remove",
    path: change.path,
    type: workspace.type,
    from: workspace.digest,
    executableFrom: workspace.executable,
  };
  if (workspace.digest === change.base) return { kind: "step", step };
  return conflict(change, workspace, "deleted-here-changed-there", step);
}

/** A folder is made where nothing is, and removed only when it has become empty, so neither can lose anything. */
function decideFolder(change: Change, workspace: Version | null): Outcome {
  if (change.kind === "deleted") {
    return workspace?.type === "folder" ? { kind: "step", step: { op: "rmdir", path: change.path } } : { kind: "skip" };
  }
  if (workspace === null) return { kind: "step", step: { op: "mkdir", path: change.path } };
  return workspace.type === "folder" ? { kind: "skip" } : refuse(change, workspace, "type-changed");
}

const reasons: Readonly<Record<ConflictReason, string>> = {
  "both-changed":
    "the session and the workspace both changed it in the same place; choose `ours` (the session's) or `theirs` (the workspace's)",
  "both-added": "the session and the workspace both added it, with different content; choose `ours` or `theirs`",
  "deleted-here-changed-there":
    "the session deleted it, but it changed in the workspace; choose `ours` to delete it or `theirs` to keep it",
  "changed-here-deleted-there":
    "the session changed it, but it was deleted from the workspace; choose `ours` to put it back or `theirs` to leave it out",
  binary: "the session and the workspace both changed it and it is not text, so it cannot be merged; choose `ours` or `theirs`",
  "type-changed":
    "a folder or special file stands at this path in the workspace; move it away, or choose `theirs` to leave the change out",
  "link-leaves-workspace":
    "it is a link to something outside the workspace, which is never committed; choose `theirs` to leave it out",
  "not-a-file": "it is a pipe, socket or device, which is never committed; choose `theirs` to leave it out",
  "too-large": "it is larger than a file may be here; choose `theirs` to leave it out",
};

function conflict(
  change: Change,
  workspace: Version | null,
  reason: ConflictReason,
  ours: FileStep | null,
  lines: readonly TextConflict[] = [],
): Outcome {
  const message = `${change.path}: ${reasons[reason]}`;
  const versions = { base: change.base, session: change.now, workspace: workspace?.digest ?? null };
  return { kind: "conflict", ours, conflict: { path: change.path, reason, message, ...versions, lines } };
}

function refuse(change: Change, workspace: Version | null, reason: ConflictReason): Outcome {
  return conflict(change, workspace, reason, null);
}

/** What a link's content begins with, so that a link and a file never share a digest. */
export const linkMark = "\0link\0";

/** What a link's content says it points to; null for the content of a file. */
export function linkTarget(content: Uint8Array): string | null {
  const text = Buffer.from(content).toString("utf8");
  return text.startsWith(linkMark) ? text.slice(linkMark.length) : null;
}

/** The path that a link at `path` stands for, by its text alone; null where that leads out of the root. */
export function linkedPath(path: string, content: Uint8Array): string | null {
  const target = linkTarget(content) ?? "";
  if (target.startsWith("/")) return null;
  const segments = path.split("/").slice(0, -1);
  for (const segment of target.split("/")) {
    if (segment === ".." && segments.pop() === undefined) return null;
    if (segment !== "" && segment !== "." && segment !== "..") segments.push(segment);
  }
  return segments.join("/") || ".";
}

/** Removals first and deepest first, so that a folder can become a file; then folders and files, outermost first. */
function ordered(steps: readonly FileStep[]): FileStep[] {
  const rank: Readonly<Record<FileStep["op"], number>> = { remove: 0, rmdir: 1, mkdir: 2, write: 3 };
  const depth = (path: string): number => path.split("/").length;
  return steps.toSorted((a, b) => {
    const byRank = rank[a.op] - rank[b.op];
    if (byRank !== 0) return byRank;
    const byDepth = depth(a.path) - depth(b.path);
    if (byDepth !== 0) return rank[a.op] <= 1 ? -byDepth : byDepth;
    return a.path < b.path ? -1 : 1;
  });
}
