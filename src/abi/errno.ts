/**
 * Errno: the one table of ways a call can fail.
 * Each row gives the text, whether a retry can help, and the code at every border.
 *   ABI-1.1  Every errno has a text, an exit code, and HTTP, JSON-RPC and MCP codes; exit codes are distinct from 0 and 1.
 */
import { err, type Err } from "../lib/result.ts";

export type Retry = "never" | "later" | "after-change";

interface ErrnoRow {
  readonly text: string;
  readonly retry: Retry;
  readonly exit: number;
  readonly http: number;
  readonly rpc: number;
}

const table = {
  EPERM: { text: "policy denies the call", retry: "after-change", exit: 77, http: 403, rpc: -32001 },
  EACCES: { text: "capability not held", retry: "after-change", exit: 13, http: 403, rpc: -32003 },
  EDQUOT: { text: "budget or quota spent", retry: "after-change", exit: 22, http: 402, rpc: -32004 },
  ENOMEM: { text: "only pinned pages are left in the window", retry: "after-change", exit: 12, http: 413, rpc: -32005 },
  E2BIG: { text: "too large", retry: "after-change", exit: 7, http: 413, rpc: -32006 },
  ENOENT: { text: "not found", retry: "after-change", exit: 66, http: 404, rpc: -32007 },
  EEXIST: { text: "exists already", retry: "after-change", exit: 17, http: 409, rpc: -32008 },
  ESTALE: { text: "changed since it was read", retry: "after-change", exit: 16, http: 409, rpc: -32009 },
  EHWPOISON: { text: "tainted by untrusted text", retry: "never", exit: 33, http: 403, rpc: -32010 },
  EROFS: { text: "read-only tier", retry: "never", exit: 30, http: 403, rpc: -32011 },
  EUCLEAN: { text: "the workspace needs fsck", retry: "after-change", exit: 17 + 100, http: 500, rpc: -32012 },
  EINVAL: { text: "invalid argument", retry: "after-change", exit: 64, http: 400, rpc: -32602 },
  ENOEXEC: { text: "bad manifest", retry: "after-change", exit: 65, http: 422, rpc: -32013 },
  EKEYREJECTED: { text: "signature rejected", retry: "never", exit: 76, http: 403, rpc: -32014 },
  EPROTO: { text: "the other side broke the protocol", retry: "later", exit: 71, http: 502, rpc: -32015 },
  EAGAIN: { text: "rate limited or not ready", retry: "later", exit: 75, http: 429, rpc: -32016 },
  EBUSY: { text: "in use by another kernel or process", retry: "later", exit: 73, http: 409, rpc: -32017 },
  ETIMEDOUT: { text: "timed out", retry: "later", exit: 124, http: 504, rpc: -32018 },
  ECANCELED: { text: "cancelled", retry: "never", exit: 130, http: 499, rpc: -32800 },
  EDEADLK: { text: "livelock: no progress", retry: "after-change", exit: 35, http: 508, rpc: -32019 },
  ENOSPC: { text: "no space left on the disk", retry: "after-change", exit: 28, http: 507, rpc: -32023 },
  EIO: { text: "a driver failed", retry: "later", exit: 74, http: 502, rpc: -32603 },
  ENOSYS: { text: "no such call", retry: "never", exit: 78, http: 501, rpc: -32601 },
} as const satisfies Record<string, ErrnoRow>;

export type Errno = keyof typeof table;

/** Every errno with its text, retry rule and codes; the documentation is generated from it. */
export const errnos: Readonly<Record<Errno, ErrnoRow>> = table;

/** A failed call. The message is for its reader, model or person: what happened, why, the next step. */
export interface SysError {
  readonly errno: Errno;
  readonly message: string;
  readonly cause?: string;
}

export function sysError(errno: Errno, message: string, cause?: string): SysError {
  return cause === undefined ? { errno, message } : { errno, message, cause };
}

/** The failed Result in one word: `return fail("ENOENT", "…")`. */
export function fail(errno: Errno, message: string, cause?: string): Err<SysError> {
  return err(sysError(errno, message, cause));
}
