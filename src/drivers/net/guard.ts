/**
 * Guard: where a request made for a model may go. It resolves a name once, checks every address, and connects to those alone.
 *   NET-3.1  Only http and https, without a user name or password in the address.
 *   NET-3.2  A host is refused when any of its addresses is closed (address.ts), whatever the others are.
 *   NET-3.3  The connection goes to an address that was checked: a name that resolves differently a moment later changes nothing.
 */
import { isIP, type LookupFunction } from "node:net";
import type { Client } from "undici";
import { sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { closedAddress } from "./address.ts";

/** All addresses of a host name; an empty list when it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface GuardDeps {
  readonly resolve: Resolve;
  /** Lets loopback addresses through, for tests; everything else stays closed. */
  readonly allowLoopback: boolean;
}

/** A target that passed: its addresses are the only ones a connection may use. */
export interface Target {
  readonly url: URL;
  readonly addresses: readonly string[];
}

export function readTarget(text: string): Result<URL, SysError> {
  const next = "give a full http or https address";
  if (Buffer.byteLength(text) > limits.urlBytesMax)
    return err(sysError("E2BIG", `the address is longer than ${limits.urlBytesMax} bytes`));
  const url = URL.parse(text);
  if (url === null) return err(sysError("EINVAL", `"${text.slice(0, 100)}" is not an address; ${next}`));
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return err(sysError("EINVAL", `${url.protocol} addresses are not fetched; ${next}`));
  if (url.username !== "" || url.password !== "")
    return err(sysError("EINVAL", `the address holds a user name or password; leave it out`));
  if (url.hostname === "") return err(sysError("EINVAL", `the address names no host; ${next}`));
  url.hash = "";
  return ok(url);
}

export async function checkTarget(url: URL, deps: GuardDeps): Promise<Result<Target, SysError>> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = isIP(host) === 0 ? await deps.resolve(host) : [host];
  if (addresses.length === 0)
    return err(sysError("ENOENT", `${host} has no address; check the name, and that this machine is online`));
  for (const address of addresses) {
    const why = closedAddress(address);
    if (why === null || (deps.allowLoopback && why === "loopback")) continue;
    return err(sysError("EPERM", `${host} is not reached: its address ${address} is ${why}; only public addresses can be`));
  }
  return ok({ url, addresses });
}

/** A connection of its own to the target, pinned to the checked addresses. Close it after use. */
export async function openTarget(target: Target): Promise<Client> {
  const { Client } = await import("undici");
  return new Client(target.url.origin, { pipelining: 1, allowH2: false, connect: { lookup: pinned(target.addresses) } });
}

/** Answers with these addresses, whatever the name. */
export function pinned(addresses: readonly string[]): LookupFunction {
  return (_host, options, callback) => {
    const all = addresses.map((address) => ({ address, family: isIP(address) }));
    const [first] = all;
    if (options.all === true) callback(null, all);
    else callback(null, first?.address ?? "", first?.family ?? 4);
  };
}

/** Every address the system knows for a name, hosts file included; none when it cannot be resolved. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  try {
    const { lookup } = await import("node:dns/promises");
    return (await lookup(host, { all: true, verbatim: true })).map((entry) => entry.address);
  } catch {
    return [];
  }
}
