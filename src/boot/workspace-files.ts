/**
 * Workspace files: diff and commit of a session, planned by the decider, journaled, then performed; and what a crash cut short is finished.
 *   BOO-16.1  A commit's plan and safety copy are durable before the first write; its outcome is journaled after the last.
 *   BOO-16.2  A commit or rollback that a crash cut short is finished by the next kernel, and finishing it twice changes nothing.
 *   BOO-16.6  Commits and rollbacks of one workspace are made one after the other: each is planned on what the one before left.
 *   BOO-16.4  Conflicts are named one by one with their reason, and nothing is written.
 *   BOO-16.5  A plan that was frozen for a person's yes is performed as it stands, digest for digest, or refused with ESTALE and nothing written.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Change, FileStep, Session } from "../abi/files.ts";
import { limits } from "../abi/limits.ts";
import type { Pid } from "../abi/process.ts";
import type { BlobDriver } from "../abi/store.ts";
import { apply, gather, keepContents, keepManifest, readManifest } from "../drivers/files/commit.ts";
import { linkedPath, linkTarget, planCommit, selected, type CommitPlan, type Conflict } from "../files/commit.ts";
import { unifiedDiff } from "../files/diff.ts";
import { review, type Review, type ReviewBounds } from "../files/review.ts";
import { safetyOf, type Safety } from "../files/rollback.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { canonical } from "../lib/json.ts";
import { done, err, ok, type Result } from "../lib/result.ts";
import type { Turn } from "../lib/turn.ts";
import { isObeyed } from "../security/policy/names.ts";
import type { Reach } from "./reach.ts";
import { finishMove, type StashDeps } from "./stash.ts";

export interface FilesDeps extends StashDeps {
  /** The workspace's folder. */
  readonly lower: string;
  readonly blobs: BlobDriver;
  /** Of the whole workspace. */
  readonly turn: Turn;
}

export interface CommitOptions {
  /** Files and folders; null commits everything. */
  readonly paths: readonly string[] | null;
  readonly resolutions: Readonly<Record<string, "ours" | "theirs">>;
  /** A process's commit asks for each path; a person may commit what they like. */
  readonly reach?: Reach;
  /** Plan, and write nothing. */
  readonly dryRun?: boolean;
  /** The plan a person allowed: no other is performed. */
  readonly frozen?: Digest | null;
}

export interface CommitResult {
  readonly written: readonly string[];
  readonly merged: readonly string[];
  readonly skipped: readonly string[];
  readonly safety: Digest | null;
}

export interface CommitConflicts extends SysError {
  readonly conflicts: readonly Conflict[];
}

/** A commit's manifest: the safety copy, and the steps for finishing it after a crash. What a person is shown before they allow it, too. */
export type CommitManifest = Safety & { readonly steps: readonly FileStep[] };

export async function diffSession(
  session: Session,
  paths: readonly string[] | null,
  blobs: BlobDriver,
  reach: Reach = () => null,
): Promise<Result<string, SysError>> {
  const changes = await session.changes();
  if (!changes.ok) return changes;
  const files = [];
  for (const change of changes.value) {
    if (!selected(change.path, paths) || change.type === "folder" || reach(change.path) !== null) continue;
    const after = await contentNow(session, change, blobs);
    files.push({
      path: change.path,
      before: change.base === null ? null : shown(contentOf(blobs, change.base)),
      after,
      executableBefore: change.wasExecutable,
      executableAfter: change.executable,
    });
  }
  return ok(unifiedDiff(files));
}

/** A link is shown as what it points to, never followed; what cannot be read is shown as binary. */
async function contentNow(session: Session, change: Change, blobs: BlobDriver): Promise<Uint8Array | null> {
  if (change.now === null) return null;
  if (change.type !== "file") return shown(contentOf(blobs, change.now));
  const read = await session.read(change.path);
  return read.ok ? read.value : new Uint8Array([0]);
}

function shown(content: Uint8Array | null): Uint8Array | null {
  const target = content === null ? null : linkTarget(content);
  return target === null ? content : Buffer.from(`link to ${target}\n`);
}

/** A commit worked out against the workspace as it is; nothing of it is written. */
interface Planned {
  readonly chosen: readonly Change[];
  readonly manifest: CommitManifest;
  readonly merged: CommitPlan["merged"];
  readonly skipped: readonly string[];
}

type Refused = CommitConflicts | SysError;

/** The plan that commitSession() would perform now, kept durable under the digest that it has to be given as `frozen`. */
export async function freezeCommit(session: Session, options: CommitOptions, deps: FilesDeps): Promise<Result<Digest, Refused>> {
  const plan = await planned(session, options, deps);
  return plan.ok ? await keepPlan(plan.value, deps) : plan;
}

export function commitSession(
  session: Session,
  options: CommitOptions,
  deps: FilesDeps,
): Promise<Result<CommitResult, CommitConflicts | SysError>> {
  return deps.turn.take(() => commitInTurn(session, options, deps));
}

async function commitInTurn(session: Session, options: CommitOptions, deps: FilesDeps): Promise<Result<CommitResult, Refused>> {
  const plan = await planned(session, options, deps);
  if (!plan.ok) return plan;
  const { chosen, manifest, skipped } = plan.value;
  const { steps } = manifest;
  const { frozen = null } = options;
  if (frozen !== null && frozen !== sha256(canonical(manifest)))
    return fail(
      "ESTALE",
      "the files changed after a person allowed this commit, so nothing was written; commit again, and they are asked again",
    );
  const merged = plan.value.merged.map(({ path }) => path);
  const written = steps.map((step) => step.path);
  if (steps.length === 0 || options.dryRun === true) return ok({ written, merged, skipped, safety: null });
  const safety = await keepPlan(plan.value, deps);
  if (!safety.ok) return safety;
  const performed = await perform(deps, { pid: session.pid, act: "commit", safety: safety.value, steps });
  if (!performed.ok) return performed;
  const settled = await session.settle(
    chosen.filter((change) => change.type !== "folder" && options.resolutions[change.path] !== "theirs"),
  );
  if (!settled.ok) return settled;
  return ok({ written, merged, skipped, safety: safety.value });
}

async function planned(session: Session, options: CommitOptions, deps: FilesDeps): Promise<Result<Planned, Refused>> {
  const changes = await session.changes();
  if (!changes.ok) return changes;
  const chosen = changes.value.filter((change) => isChosen(change, options.paths));
  const missing = unknownPath(options.paths, changes.value);
  if (missing !== null) return fail("ENOENT", `${missing} is not changed in this session; "daimon diff" shows what is`);
  const refused = firstRefusal(chosen, options.reach, deps.blobs);
  if (refused !== null) return err(refused);
  const kept = await keepContents(session, chosen, deps.blobs);
  if (!kept.ok) return kept;
  const workspace = gather(
    deps.lower,
    chosen.map((change) => change.path),
    deps.blobs,
  );
  if (!workspace.ok) return workspace;
  const content = (digest: Digest): Uint8Array | null => contentOf(deps.blobs, digest);
  const decision = planCommit({
    changes: chosen,
    workspace: workspace.value,
    paths: null,
    resolutions: options.resolutions,
    content,
  });
  if (!decision.ok) return err(conflictError(decision.conflicts));
  const { steps, merged, skipped } = decision.plan;
  return ok({ chosen, manifest: { ...safetyOf(session.pid, steps), steps }, merged, skipped });
}

/** Durable, with every content it names: the session's and the workspace's are in the store since the plan was made. */
async function keepPlan({ manifest, merged }: Planned, { blobs }: FilesDeps): Promise<Result<Digest, SysError>> {
  for (const { text } of merged) blobs.put(text);
  return await keepManifest(manifest, blobs);
}

/** A frozen plan as a person is shown it: `bounded` to what can be looked through at a question, or the whole of it. */
export function reviewPlan(frozen: Digest, blobs: BlobDriver, how: keyof typeof bounds): Result<Review, SysError> {
  const read = readManifest(frozen, blobs);
  if (!read.ok)
    return fail(read.error.errno, "the plan that was kept for this question cannot be read; refuse it, or run daimon fsck");
  /** keepPlan() wrote it, and its digest proves that nobody changed it. */
  const { steps } = read.value as CommitManifest;
  const content = (digest: Digest): Uint8Array | null => contentOf(blobs, digest);
  return ok(review({ steps, content, obeyed: isObeyed, bounds: bounds[how] }));
}

const bounds = {
  bounded: {
    steps: limits.reviewStepsMax,
    all: limits.reviewRowsMax,
    each: limits.reviewRowsPerStepMax,
    chars: limits.reviewLineCharsMax,
    bytes: limits.reviewBytesMax,
  },
  whole: { steps: Infinity, all: Infinity, each: Infinity, chars: Infinity, bytes: Infinity },
} as const satisfies Record<string, ReviewBounds>;

/** What was named, and the new folders it lies in: a rollback then knows that they were made. */
function isChosen(change: Change, paths: readonly string[] | null): boolean {
  if (selected(change.path, paths)) return true;
  const made = change.type === "folder" && change.kind === "added";
  return made && paths !== null && paths.some((path) => path.startsWith(`${change.path}/`));
}

/** A path that a person or a process named and that selects nothing is a mistake, not an empty commit. */
function unknownPath(paths: readonly string[] | null, changes: readonly Change[]): string | null {
  return paths?.find((path) => !changes.some((change) => selected(change.path, [path]))) ?? null;
}

function firstRefusal(changes: readonly Change[], reach: Reach | undefined, blobs: BlobDriver): SysError | null {
  if (reach === undefined) return null;
  for (const change of changes) {
    const link = change.type === "link" && change.now !== null ? contentOf(blobs, change.now) : null;
    const refused = link === null ? reach(change.path) : reach(change.path, linkedPath(change.path, link));
    if (refused !== null) return refused;
  }
  return null;
}

function conflictError(conflicts: readonly Conflict[]): CommitConflicts {
  const lines = conflicts.map((conflict) => conflict.message);
  const message = `${conflicts.length} conflict(s), so nothing was written:\n${lines.join("\n")}`;
  return { errno: "ESTALE", message, conflicts };
}

interface Act {
  readonly pid: Pid;
  readonly act: "commit" | "rollback";
  readonly safety: Digest;
  readonly steps: readonly FileStep[];
  readonly stepsDigest?: Digest;
}

/** Intent, durable; the steps; outcome. A failed apply has put back what it did, and its outcome says that nothing changed. */
export async function perform(deps: FilesDeps, act: Act): Promise<Result<void, SysError>> {
  const recorder = deps.recorder();
  const changes = act.steps.map((step) => ({
    path: step.path,
    from: "from" in step ? step.from : null,
    to: step.op === "write" ? step.to : null,
  }));
  const entry = { kind: "files", pid: act.pid, act: act.act, changes, safety: act.safety } as const;
  const steps = act.stepsDigest === undefined ? {} : { steps: act.stepsDigest };
  recorder.record({ ...entry, at: deps.now(), phase: "intent", ...steps });
  const durable = await recorder.barrier(true);
  if (!durable.ok) return durable;
  const applied = apply(deps.lower, act.steps, deps.blobs);
  const outcome = applied.ok ? entry : { ...entry, changes: [], safety: null };
  recorder.record({ ...outcome, at: deps.now(), phase: "outcome" });
  return applied;
}

/** What a crash cut short, before any process runs again. */
export async function finishFiles(deps: FilesDeps): Promise<Result<void, SysError>> {
  const { unfinished } = deps.recorder().table;
  if (unfinished === null) return done;
  const { act, stash } = unfinished;
  if (act === "stash" || act === "unstash") return stash === undefined ? done : finishMove({ ...unfinished, act, stash }, deps);
  const digest = unfinished.steps ?? unfinished.safety;
  if (digest === null) return done;
  const steps = stepsOf(digest, deps.blobs);
  if (!steps.ok) return steps;
  const applied = apply(deps.lower, steps.value, deps.blobs);
  const outcome = applied.ok ? unfinished : { ...unfinished, changes: [], safety: null };
  const { steps: _, ...entry } = outcome;
  deps.recorder().record({ ...entry, at: deps.now(), phase: "outcome" });
  return applied;
}

/** The steps that a manifest of ours names; its digest proves that nobody changed it. */
export function stepsOf(digest: Digest, blobs: BlobDriver): Result<readonly FileStep[], SysError> {
  const manifest = readManifest(digest, blobs);
  return manifest.ok ? ok((manifest.value as { readonly steps: readonly FileStep[] }).steps) : manifest;
}

function contentOf(blobs: BlobDriver, digest: Digest): Uint8Array | null {
  const data = blobs.get(digest);
  return data.ok ? data.value : null;
}
