/** End to end: a commit and its undoing as a kernel composes them, for the tests of the parts. */
import { fail, type SysError } from "../../../src/abi/errno.ts";
import type { Change, FileStep, Session, Version } from "../../../src/abi/files.ts";
import type { BlobDriver } from "../../../src/abi/store.ts";
import type { Digest } from "../../../src/lib/hash.ts";
import { ok, type Awaitable, type Result } from "../../../src/lib/result.ts";
import { apply, gather, keepContents, keepManifest, readManifest } from "../../../src/drivers/files/commit.ts";

export interface PlanRequest {
  readonly changes: readonly Change[];
  readonly workspace: ReadonlyMap<string, Version | null>;
  readonly paths: readonly string[] | null;
  readonly resolutions: Readonly<Record<string, "ours" | "theirs">>;
  readonly content: (digest: Digest) => Uint8Array | null;
}

interface Plan {
  readonly steps: readonly FileStep[];
  readonly merged: readonly { readonly path: string; readonly digest: Digest; readonly text: string }[];
  readonly skipped: readonly string[];
}

interface Conflict {
  readonly path: string;
  readonly message: string;
}

/** What journal entries hold of a step. */
export interface Moved {
  readonly path: string;
  readonly from: Digest | null;
  readonly to: Digest | null;
}

export interface CommitDeps<C extends Conflict> {
  readonly lower: string;
  readonly blobs: BlobDriver;
  /** `planCommit` of src/files/commit.ts. */
  readonly plan: (
    request: PlanRequest,
  ) => { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly conflicts: readonly C[] };
  /** `safetyOf` and `planRollback` of src/files/rollback.ts. */
  readonly safetyOf: (pid: number, steps: readonly FileStep[]) => unknown;
  /** Durable when it returns. */
  readonly journal: (
    phase: "intent" | "outcome",
    moved: readonly Moved[],
    safety: Digest | null,
  ) => Awaitable<Result<void, SysError>>;
}

export type CommitOutcome<C> =
  | {
      readonly committed: true;
      readonly written: readonly string[];
      readonly merged: readonly string[];
      readonly skipped: readonly string[];
      readonly safety: Digest | null;
    }
  | { readonly committed: false; readonly conflicts: readonly C[] };

export async function commitSession<C extends Conflict>(
  session: Session,
  deps: CommitDeps<C>,
  paths: readonly string[] | null,
  resolutions: Readonly<Record<string, "ours" | "theirs">> = {},
): Promise<Result<CommitOutcome<C>, SysError>> {
  const { lower, blobs } = deps;
  const all = await session.changes();
  if (!all.ok) return all;
  const changes = all.value.filter((change) => isChosen(change.path, paths));
  if (changes.length === 0 && paths !== null) {
    return fail("ENOENT", `the session changed none of ${paths.join(", ")}; fs.diff shows what it changed`);
  }
  const kept = await keepContents(session, changes, blobs);
  if (!kept.ok) return kept;
  const workspace = gather(
    lower,
    changes.map((change) => change.path),
    blobs,
  );
  if (!workspace.ok) return workspace;
  const content = (digest: Digest): Buffer | null => {
    const found = blobs.has(digest) ? blobs.get(digest) : null;
    return found?.ok === true ? found.value : null;
  };
  const decision = deps.plan({ changes, workspace: workspace.value, paths, resolutions, content });
  if (!decision.ok) return ok({ committed: false, conflicts: decision.conflicts });
  const { steps, merged, skipped } = decision.plan;
  for (const merge of merged) blobs.put(merge.text);
  const safety = await keepManifest(deps.safetyOf(session.pid, steps), blobs);
  if (!safety.ok) return safety;
  const moved = steps.map(movedBy);
  const intent = await deps.journal("intent", moved, safety.value);
  if (!intent.ok) return intent;
  const applied = apply(lower, steps, blobs);
  if (!applied.ok) return applied;
  // A merged path is settled with the session's own version: the workspace now has that and more.
  const settled = await session.settle(
    changes.filter((change) => change.type !== "folder").map(({ path, now }) => ({ path, now })),
  );
  if (!settled.ok) return settled;
  const outcome = await deps.journal("outcome", moved, safety.value);
  if (!outcome.ok) return outcome;
  const written = steps.map((step) => step.path);
  return ok({ committed: true, written, merged: merged.map((merge) => merge.path), skipped, safety: safety.value });
}

export interface RollbackDeps<S> {
  readonly lower: string;
  readonly blobs: BlobDriver;
  readonly planRollback: (
    safety: S,
    workspace: ReadonlyMap<string, Version | null>,
  ) => { readonly steps: readonly FileStep[]; readonly conflicts: readonly Conflict[] };
  readonly journal: CommitDeps<Conflict>["journal"];
}

export interface RolledBack {
  readonly restored: readonly string[];
  /** Left as they are, because they changed after the commit. */
  readonly conflicts: readonly Conflict[];
}

/** Puts the workspace back as it was before the commit whose safety copy this is. */
export async function rollbackCommit<S extends { readonly kind: string; readonly entries: readonly { readonly path: string }[] }>(
  safety: Digest,
  deps: RollbackDeps<S>,
): Promise<Result<RolledBack, SysError>> {
  const manifest = readManifest(safety, deps.blobs);
  if (!manifest.ok) return manifest;
  // Its digest proves that it is what keepManifest() wrote.
  const copy = manifest.value as S;
  if (copy.kind !== "commit")
    return fail("EINVAL", "this safety copy is of a session's changes; restore it into a session instead");
  const workspace = gather(
    deps.lower,
    copy.entries.map((entry) => entry.path),
    deps.blobs,
  );
  if (!workspace.ok) return workspace;
  const { steps, conflicts } = deps.planRollback(copy, workspace.value);
  const flushed = await deps.blobs.flush();
  if (!flushed.ok) return flushed;
  const moved = steps.map(movedBy);
  const intent = await deps.journal("intent", moved, safety);
  if (!intent.ok) return intent;
  const applied = apply(deps.lower, steps, deps.blobs);
  if (!applied.ok) return applied;
  const outcome = await deps.journal("outcome", moved, safety);
  return outcome.ok ? ok({ restored: steps.map((step) => step.path), conflicts }) : outcome;
}

function isChosen(path: string, paths: readonly string[] | null): boolean {
  return paths === null || paths.some((chosen) => chosen === "." || chosen === path || path.startsWith(`${chosen}/`));
}

function movedBy(step: FileStep): Moved {
  const from = step.op === "write" || step.op === "remove" ? step.from : null;
  return { path: step.path, from, to: step.op === "write" ? step.to : null };
}
