/**
 * Stores: the log and the blobs of a workspace, for the kernel that writes them and for readers beside it.
 *   BOO-22.1  A journal that the workspace's own key did not sign is EKEYREJECTED for both: files that came into a `.daimon` of
 *            ours, by a checkout or an archive, are not believed either.
 *   BOO-22.2  A reader of a workspace that is not ours gets EUCLEAN, and of one where nothing has run ENOENT.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createPrivateKey, createPublicKey, sign as signBytes, type KeyObject } from "node:crypto";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { BlobDriver } from "../abi/store.ts";
import { openFileBlobs } from "../drivers/store/file-blobs.ts";
import { openSegmentLog, type SegmentLog } from "../drivers/store/segment-log.ts";
import { isSigned, type Sign, type SignatureNote } from "../drivers/store/signature.ts";
import { done, ok, type Result } from "../lib/result.ts";
import type { Layout } from "./layout.ts";
import { checkWorkspace, keyFiles } from "./provenance.ts";
import { withUnflushed } from "./unflushed.ts";

export interface Stores {
  readonly log: SegmentLog;
  readonly blobs: BlobDriver;
}

/** For writing, under the lock. Batches are signed with the workspace's own key. */
export function openStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const key = keyIn(layout, "secret");
  if (!key.ok) return key;
  const sign: Sign = (head) => signBytes(null, head, key.value);
  const log = openSegmentLog({ dir: layout.journal, now: () => clock.now(), sign, accept: (by) => checkSigner(by, layout) });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs });
  return blobs.ok ? ok({ log: log.value, blobs: blobs.value }) : blobs;
}

/** For reading, also while a kernel writes. */
export function readStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  if (!existsSync(layout.journal)) return fail("ENOENT", "nothing has run here yet; start with: daimon run brief FOLDER");
  return readUnproven(layout, clock);
}

/** The same of a `.daimon` that nobody vouches for yet, once its survey found nothing but plain files: for a person who is to judge it. */
export function readUnproven(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const accept = (by: SignatureNote | null): Result<void, SysError> => checkSigner(by, layout);
  const log = openSegmentLog({ dir: layout.journal, now: () => clock.now(), readOnly: true, accept });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs, readOnly: true });
  return blobs.ok ? ok({ log: log.value, blobs: withUnflushed(blobs.value, layout.blobs) }) : blobs;
}

function keyIn(layout: Layout, name: "secret" | "shown"): Result<KeyObject, SysError> {
  try {
    const text = readFileSync(join(layout.keys, keyFiles[name]));
    return ok(name === "secret" ? createPrivateKey(text) : createPublicKey(text));
  } catch {
    return fail("EIO", "the journal's key in .daimon/keys cannot be read; restore it from a backup, or look with daimon fsck");
  }
}

/** A log with records begins with a signature, so the newest one is there; and whoever does not hold the key cannot have made it. */
function checkSigner(signature: SignatureNote | null, layout: Layout): Result<void, SysError> {
  const key = keyIn(layout, "shown");
  if (!key.ok) return key;
  if (signature !== null && isSigned(signature, key.value)) return done;
  const next = "restore .daimon/journal from a backup, or move .daimon away to begin anew";
  return fail(
    "EKEYREJECTED",
    `the journal is not signed with this workspace's key: somebody else's files took its place; ${next}`,
  );
}
