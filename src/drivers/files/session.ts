/** Session: what the session drivers share. */
import { fail, type SysError } from "../../abi/errno.ts";
import type { Pid } from "../../abi/process.ts";
import type { BlobDriver } from "../../abi/store.ts";
import type { Result } from "../../lib/result.ts";
import type { QuotaBounds } from "./quota.ts";

export interface SessionDriverOptions {
  readonly blobs: BlobDriver;
  /** Names in the workspace's top folder that sessions do not show: the platform's own. */
  readonly hide: readonly string[];
  /** What one session may take of the disk; the usual limits when absent. */
  readonly quota?: QuotaBounds;
  /** refuse: a link inside the workspace is not followed for a caller; follow when absent. */
  readonly links?: "follow" | "refuse";
}

export interface SessionSpec {
  readonly pid: Pid;
  readonly lower: string;
  readonly home: string;
}

export function closed(): Result<never, SysError> {
  return fail("EIO", "the session is closed; open it again, its changes are kept");
}
