/**
 * Commit: perform what the commit decider planned, and its undoing. The workspace is touched here and nowhere else.
 * gather() reads, decide is the decider's, apply() writes; between them the caller journals the plan.
 *   FIL-12.1  Everything a plan needs and everything it replaces is in the blob store, flushed, before the first write.
 *   FIL-12.2  Right before each rename the workspace must still hold what the plan says; otherwise ESTALE, and what was applied is put back.
 *   FIL-12.3  Performing a plan again after a crash finishes it: a step whose result stands is done.
 *   FIL-12.4  No link in the workspace is followed; a link is replaced, not written through.
 */
import type { Stats } from "node:fs";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Change, FileStep, Session, Version } from "../../abi/files.ts";
import type { BlobDriver } from "../../abi/store.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical, parseJson } from "../../lib/json.ts";
import { done, ok, type Result } from "../../lib/result.ts";
import * as beneath from "./beneath.ts";
import * as walk from "./tree.ts";
import { standing, targetOf } from "./content.ts";
import { typeOf } from "./upper.ts";

/** What is in the workspace at these paths now. The contents go into the blob store, so that a merge and a safety copy have them. */
export function gather(
  lower: string,
  paths: readonly string[],
  blobs: BlobDriver,
): Result<Map<string, Version | null>, SysError> {
  return withTree(lower, (tree) => {
    const found = new Map<string, Version | null>();
    for (const path of paths) {
      const at = standing(tree, path);
      // A file where the path needs a folder: nothing stands at the path itself.
      if (!at.ok && at.error.errno !== "ENOENT") return at;
      found.set(path, at.ok && at.value !== null ? describe(at.value.stat, at.value.data, blobs) : null);
    }
    return ok(found);
  });
}

/** Puts the session's contents of these changes into the blob store. */
export async function keepContents(
  session: Session,
  changes: readonly Change[],
  blobs: BlobDriver,
): Promise<Result<void, SysError>> {
  for (const change of changes) {
    if (change.now === null || change.type !== "file" || blobs.has(change.now)) continue;
    const data = await session.read(change.path);
    if (!data.ok && data.error.errno === "E2BIG") continue;
    if (!data.ok) return data;
    if (blobs.put(data.value) !== change.now) {
      return fail("ESTALE", `${change.path} changed in the session while it was read; end its commands and try again`);
    }
  }
  return done;
}

/**
 * Performs the steps in order. The caller has journaled them and flushed the blobs. On failure everything applied is put back,
 * as far as the workspace still holds what was just written there.
 */
export function apply(lower: string, steps: readonly FileStep[], blobs: BlobDriver): Result<void, SysError> {
  return withTree(lower, (tree) => {
    const missing = steps.find((step) => step.op === "write" && !blobs.has(step.to));
    if (missing !== undefined) return fail("EIO", `the content for ${missing.path} is not in the store; nothing was written`);
    const applied: FileStep[] = [];
    for (const step of steps) {
      const result = perform(tree, step, blobs);
      if (!result.ok) {
        for (const earlier of applied.toReversed()) revert(tree, earlier, blobs);
        return result;
      }
      if (result.value === "done") applied.push(step);
    }
    return done;
  });
}

/** Keeps a manifest in the blob store and flushes it, with everything put before. Its digest is the safety copy's name. */
export async function keepManifest(manifest: unknown, blobs: BlobDriver): Promise<Result<Digest, SysError>> {
  const digest = blobs.put(canonical(manifest));
  const flushed = await blobs.flush();
  return flushed.ok ? ok(digest) : flushed;
}

export function readManifest(digest: Digest, blobs: BlobDriver): Result<unknown, SysError> {
  const data = blobs.get(digest);
  if (!data.ok) return fail("ENOENT", "there is no safety copy of this name; `daimon log` shows those that were made");
  const manifest = parseJson(data.value.toString("utf8"));
  return manifest === undefined ? fail("EUCLEAN", "the safety copy cannot be read; run daimon fsck") : ok(manifest);
}

function withTree<T>(lower: string, use: (tree: walk.Tree) => Result<T, SysError>): Result<T, SysError> {
  const tree = walk.openTree(lower, null, "none");
  if (!tree.ok) return tree;
  try {
    return use(tree.value);
  } finally {
    walk.closeTree(tree.value);
  }
}

function describe(stat: Stats, data: Buffer | null, blobs: BlobDriver): Version {
  const digest = data === null ? null : blobs.put(data);
  return { type: typeOf(stat), digest, executable: stat.isFile() && (stat.mode & 0o111) !== 0 };
}

function perform(tree: walk.Tree, step: FileStep, blobs: BlobDriver): Result<"done" | "was-done", SysError> {
  switch (step.op) {
    case "mkdir":
      return performed(beneath.folderBeneath(tree, step.path));
    case "rmdir": {
      const removed = beneath.removeEmptyBeneath(tree, step.path);
      // A folder that is not empty holds what the session did not delete.
      return removed.ok ? ok(removed.value ? "done" : "was-done") : removed;
    }
    case "remove": {
      const now = current(tree, step.path);
      if (!now.ok) return now;
      // A folder in its place came with a later step of the same plan.
      if (now.value === null || now.value.folder) return ok("was-done");
      return performed(beneath.removeBeneath(tree, step.path, (place) => mustHold(tree, place, step.path, step.from)));
    }
    case "write": {
      const now = current(tree, step.path);
      if (!now.ok) return now;
      const { value } = now;
      const stands = value?.digest === step.to && (step.type === "link" || value.executable === step.executable);
      if (stands) return ok("was-done");
      return performed(put(tree, step.path, step, blobs, value?.digest === step.to ? step.to : step.from));
    }
  }
}

interface Putting {
  readonly type: "file" | "link";
  readonly to: Digest;
  readonly executable: boolean;
}

function put(tree: walk.Tree, path: string, what: Putting, blobs: BlobDriver, expected: Digest | null): Result<void, SysError> {
  const data = blobs.get(what.to);
  if (!data.ok) return data;
  const check = (place: walk.Place): void => mustHold(tree, place, path, expected);
  if (what.type === "link") return beneath.linkBeneath(tree, path, targetOf(data.value), check);
  const found = standing(tree, path);
  const mode = modeFor(found.ok ? (found.value?.stat ?? null) : null, what.executable);
  return beneath.writeBeneath(tree, path, data.value, { mode, durable: true, last: "keep" }, check);
}

/** The old mode with the executable bits set where it can be read, or all of them cleared. */
function modeFor(old: Stats | null, executable: boolean): number {
  const mode = old?.isFile() ? old.mode & 0o777 : 0o666 & ~process.umask();
  return executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111;
}

interface Current {
  readonly digest: Digest | null;
  readonly executable: boolean;
  readonly folder: boolean;
}

function current(tree: walk.Tree, path: string): Result<Current | null, SysError> {
  const found = standing(tree, path);
  if (!found.ok) return found.error.errno === "ENOENT" ? ok(null) : found;
  if (found.value === null) return ok(null);
  const { data, stat } = found.value;
  return ok({ digest: data === null ? null : sha256(data), executable: (stat.mode & 0o111) !== 0, folder: stat.isDirectory() });
}

/** The last look before a rename. What changed since the plan was made belongs to somebody else. */
function mustHold(tree: walk.Tree, place: walk.Place, path: string, expected: Digest | null): void {
  const now = place.stat === null ? ok(null) : current(tree, path);
  if (now.ok && (now.value?.digest ?? null) === expected && (now.value === null) === (expected === null)) return;
  throw walk.refusal(
    "ESTALE",
    `${path} changed in the workspace after the commit was planned; nothing was kept of this commit. Plan it again`,
  );
}

function performed(result: Result<void, SysError>): Result<"done", SysError> {
  return result.ok ? ok("done") : result;
}

/** Best effort in the face of a failure: each path only where it still holds what was written a moment ago. */
function revert(tree: walk.Tree, step: FileStep, blobs: BlobDriver): void {
  switch (step.op) {
    case "mkdir":
      beneath.removeEmptyBeneath(tree, step.path);
      return;
    case "rmdir":
      beneath.folderBeneath(tree, step.path);
      return;
    case "remove":
      put(tree, step.path, { type: step.type, to: step.from, executable: step.executableFrom }, blobs, null);
      return;
    case "write":
      if (step.from === null) beneath.removeBeneath(tree, step.path, (place) => mustHold(tree, place, step.path, step.to));
      else put(tree, step.path, { type: step.typeFrom, to: step.from, executable: step.executableFrom }, blobs, step.to);
  }
}
