/** Stores: the log and the blobs of a workspace, for the kernel that writes them and for readers beside it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createPrivateKey, generateKeyPairSync, sign as signBytes, type KeyObject } from "node:crypto";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { BlobDriver } from "../abi/store.ts";
import { openFileBlobs } from "../drivers/store/file-blobs.ts";
import { openSegmentLog, type SegmentLog } from "../drivers/store/segment-log.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Layout } from "./layout.ts";
import { withUnflushed } from "./unflushed.ts";

export interface Stores {
  readonly log: SegmentLog;
  readonly blobs: BlobDriver;
}

/** For writing, under the lock. Batches are signed with the workspace's own key. */
export function openStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  const key = journalKey(layout);
  if (!key.ok) return key;
  const log = openSegmentLog({ dir: layout.journal, now: () => clock.now(), sign: (head) => signBytes(null, head, key.value) });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs });
  return blobs.ok ? ok({ log: log.value, blobs: blobs.value }) : blobs;
}

/** For reading, also while a kernel writes. */
export function readStores(layout: Layout, clock: Clock): Result<Stores, SysError> {
  if (!existsSync(layout.journal)) return fail("ENOENT", "nothing has run here yet; start with: daimon run brief FOLDER");
  const log = openSegmentLog({ dir: layout.journal, now: () => clock.now(), readOnly: true });
  if (!log.ok) return log;
  const blobs = openFileBlobs({ dir: layout.blobs, readOnly: true });
  return blobs.ok ? ok({ log: log.value, blobs: withUnflushed(blobs.value, layout.blobs) }) : blobs;
}

/** Ed25519, made at the first boot; the public half lies beside it for `daimon log verify` and for others. */
function journalKey(layout: Layout): Result<KeyObject, SysError> {
  const file = join(layout.keys, "journal.pem");
  try {
    if (existsSync(file)) return ok(createPrivateKey(readFileSync(file)));
    mkdirSync(layout.keys, { recursive: true, mode: 0o700 });
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    /** Removed, not written over: whatever stands there may be a link to somewhere else. */
    const shown = join(layout.keys, "journal.pub.pem");
    rmSync(shown, { force: true });
    writeFileSync(shown, publicKey.export({ type: "spki", format: "pem" }), { mode: 0o600, flag: "wx" });
    writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
    return ok(privateKey);
  } catch {
    return fail(
      "EIO",
      "the journal's key in .daimon/keys cannot be read or made; check the folder, or move the key away to make a new one",
    );
  }
}
