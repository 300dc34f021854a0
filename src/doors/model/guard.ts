/**
 * Guard: who may speak at a door. Decides before a byte of a body is read.
 *   DOR-1.1  A request whose Host is not this machine's own name for the door is refused: a name that an attacker points here is none.
 *   DOR-1.2  A request that a web page sent is refused: it carries an Origin, or a browser's own marks.
 *   DOR-1.3  Without the credential of a living guest nothing is answered, and a wrong one and none look the same.
 */
import type { IncomingHttpHeaders } from "node:http";
import { sha256 } from "../../lib/hash.ts";
import { isThisMachine, valuesOf } from "../heads.ts";

export type Refused = "host" | "origin";

/** null: it may go on to show its credential. */
export function refusedByGuard(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): Refused | null {
  const [host = "", ...others] = valuesOf(rawHeaders, "host");
  if (others.length > 0 || !isThisMachine(host, null)) return "host";
  if (headers.origin !== undefined || headers["sec-fetch-site"] !== undefined) return "origin";
  return null;
}

/** Where the clients of each format put their key. */
export function credentialOf(headers: IncomingHttpHeaders, inAddress: string | null): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const named = headers["x-api-key"] ?? headers["x-goog-api-key"] ?? headers["api-key"];
  return bearer ?? (typeof named === "string" ? named : inAddress);
}

/** Credentials by their digest: a lookup says nothing of how much of a wrong one was right. */
export class Credentials<T> {
  readonly #holders = new Map<string, T>();

  add(credential: string, holder: T): () => void {
    const key = sha256(credential);
    this.#holders.set(key, holder);
    return () => this.#holders.delete(key);
  }

  holder(credential: string | null): T | null {
    return credential === null ? null : (this.#holders.get(sha256(credential)) ?? null);
  }
}
