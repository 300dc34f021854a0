/**
 * Session files: the copy-on-write sessions of a workspace without a kernel, for a command that only looks at them.
 *   BOO-18.2  It opens nothing of a workspace that is not ours.
 *   BOO-18.1  It holds the workspace's lock as long as it is open, so that no kernel changes what is looked at.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../abi/clock.ts";
import type { SysError } from "../abi/errno.ts";
import type { BlobDriver } from "../abi/store.ts";
import { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { openFileBlobs } from "../drivers/store/file-blobs.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Layout } from "./layout.ts";
import { acquireLock, readIdentity } from "./lock.ts";
import { checkWorkspace } from "./provenance.ts";
import { openSessions, type Sessions } from "./sessions.ts";

export interface SessionFiles {
  readonly sessions: Sessions;
  readonly blobs: BlobDriver;
  close(): Promise<void>;
}

export async function openSessionFiles(layout: Layout, clock: Clock): Promise<Result<SessionFiles, SysError>> {
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  const lock = await acquireLock(layout.lock, readIdentity(process.pid), clock, () => randomBytes(4).toString("hex"));
  if (!lock.ok) return lock;
  const blobs = openFileBlobs({ dir: layout.blobs });
  if (!blobs.ok) {
    lock.value.release();
    return blobs;
  }
  const helper = new ZygoteClient();
  const sessions = openSessions(layout, helper, blobs.value);
  const close = async (): Promise<void> => {
    await sessions.close();
    await helper.close();
    await blobs.value.flush();
    lock.value.release();
  };
  return ok({ sessions, blobs: blobs.value, close });
}
