/** Outside: the network beyond this machine, as the net door reaches it. */
import type { Duplex } from "node:stream";
import type { Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";

/** Where a connection goes: to one of these addresses, and to no other. */
export interface Way {
  readonly host: string;
  readonly port: number;
  /** As locate() gave them. */
  readonly addresses: readonly string[];
  /** With TLS, and only to who proves to be the host. */
  readonly secure: boolean;
}

export interface Outside {
  /** Every address of the host, each of them one that may be reached. EPERM: one may not; ENOENT: it has none; ETIMEDOUT. */
  readonly locate: (url: URL) => Promise<Result<readonly string[], SysError>>;
  /** EPERM: an address that may not be reached; EIO, ETIMEDOUT: it does not answer. The caller closes what it gets. */
  readonly connect: (way: Way, signal: AbortSignal) => Promise<Result<Duplex, SysError>>;
}
