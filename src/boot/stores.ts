/**
 * Stores: the log and the blobs of a workspace, for the kernel that writes them and for readers beside it.
 *   BOO-22.1  A journal that the workspace's own key did not sign is EKEYREJECTED for both: files that came into a `.daimon` of
 *            ours, by a checkout or an archive, are not believed either.
 *   BOO-22.2  A reader of a workspace that is not ours gets EUCLEAN, and of one where nothing has run ENOENT.
 *   BOO-22.3  A journal that is gone while sessions are there is EUCLEAN for both: no new one begins over what the old one knew.
 */
import { existsSync, readdirSync } from "node:fs";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { BlobDriver } from "../abi/store.ts";
import { openFileBlobs } from "../drivers/store/file-blobs.ts";
import { openSegmentLog, type SegmentLog } from "../drivers/store/segment-log.ts";
import { isSigned, type SignatureNote } from "../drivers/store/signature.ts";
import { done, ok, type Result } from "../lib/result.ts";
import { shownKey, signerOf } from "./keys.ts";
import type { Layout } from "./layout.ts";
import { checkWorkspace } from "./provenance.ts";
import { withUnflushed } from "./unflushed.ts";

export interface Stores {
  readonly log: SegmentLog;
  readonly blobs: BlobDriver;
}

/** For writing, under the lock. Batches are signed with the workspace's own key. */
export function openStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const whole = checkLost(layout);
  if (!whole.ok) return whole;
  const sign = signerOf(layout);
  if (!sign.ok) return sign;
  const log = openSegmentLog({
    dir: layout.journal,
    now: () => clock.now(),
    sign: sign.value,
    accept: (by) => checkSigner(by, layout),
  });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs });
  return blobs.ok ? ok({ log: log.value, blobs: blobs.value }) : blobs;
}

/** For reading, also while a kernel writes. */
export function readStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const there = checkJournal(layout);
  return there.ok ? readUnproven(layout, clock) : there;
}

/** Is there a journal to read, and is it this workspace's? */
export function checkJournal(layout: Layout): Result<void, SysError> {
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  const whole = checkLost(layout);
  if (!whole.ok || existsSync(layout.journal)) return whole;
  return fail("ENOENT", "nothing has run here yet; start with: daimon run brief FOLDER");
}

/** A session is made for a process, and a process stands in the journal before it acts. */
function checkLost({ journal, sessions }: Layout): Result<void, SysError> {
  if (namesIn(journal).length > 0 || namesIn(sessions).length === 0) return done;
  const next = "restore .daimon/journal from a backup, or move .daimon away to begin anew";
  return fail("EUCLEAN", `the journal is gone, while .daimon/sessions holds what its processes changed; ${next}`);
}

/** Of a folder that is not there, none. */
function namesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** The same of a `.daimon` that nobody vouches for yet, once its survey found nothing but plain files: for a person who is to judge it. */
export function readUnproven(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const accept = (by: SignatureNote | null): Result<void, SysError> => checkSigner(by, layout);
  const log = openSegmentLog({ dir: layout.journal, now: () => clock.now(), readOnly: true, accept });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs, readOnly: true });
  return blobs.ok ? ok({ log: log.value, blobs: withUnflushed(blobs.value, layout.blobs) }) : blobs;
}

/** A log with records begins with a signature, so the newest one is there; and whoever does not hold the key cannot have made it. */
function checkSigner(signature: SignatureNote | null, layout: Layout): Result<void, SysError> {
  const key = shownKey(layout);
  if (!key.ok) return key;
  if (signature !== null && isSigned(signature, key.value)) return done;
  const next = "restore .daimon/journal from a backup, or move .daimon away to begin anew";
  return fail(
    "EKEYREJECTED",
    `the journal is not signed with this workspace's key: somebody else's files took its place; ${next}`,
  );
}
