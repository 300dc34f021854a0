/**
 * Outside: the way of a guest's connections out of this machine. Nothing that a guest names is connected to but an address that was checked here.
 *   NET-6.1  A name is resolved once for a connection, every address is checked (guard.ts), and the connection goes to one of those and to no other.
 *   NET-6.2  A name that does not resolve, and an address that does not answer, are given up after their time, with which of the two it was.
 *   NET-6.3  A secure connection is one to a server that proved to be the host: otherwise it is an error, and nothing was sent over it.
 */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import type { connect as connectSecure } from "node:tls";
import type { Clock } from "../../abi/clock.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Outside, Way } from "../../abi/outside.ts";
import { ok, type Result } from "../../lib/result.ts";
import { codeOf } from "./error-code.ts";
import { checkTarget, pinned, resolveHost, type Resolve } from "./guard.ts";

export interface OutsideOptions {
  readonly clock: Clock;
  readonly resolve?: Resolve;
  /** For tests only. */
  readonly allowLoopback?: boolean;
  /** Certificates that are believed in place of the system's. */
  readonly ca?: string;
}

export function openOutside(options: OutsideOptions): Outside {
  const { clock, ca } = options;
  const guard = { resolve: options.resolve ?? resolveHost, allowLoopback: options.allowLoopback ?? false };
  return {
    locate: async (url) => {
      const found = await within(checkTarget(url, guard), limits.egressLookupTimeoutMs, clock);
      if (found === null) return fail("ETIMEDOUT", `the address of ${url.hostname} was not found in time; try again later`);
      return found.ok ? ok(found.value.addresses) : found;
    },
    connect: async (way, signal) => {
      for (const address of way.addresses) {
        const checked = await checkTarget(new URL(`http://${isIP(address) === 6 ? `[${address}]` : address}`), guard);
        if (!checked.ok) return checked;
      }
      /** Loaded for those who need it: every boot would pay for it. */
      const secure = way.secure ? (await import("node:tls")).connect : null;
      return await opened(way, secure, ca, signal, clock);
    },
  };
}

function opened(
  { host, port, addresses }: Way,
  secure: typeof connectSecure | null,
  ca: string | undefined,
  signal: AbortSignal,
  clock: Clock,
) {
  const name = host.replace(/^\[|\]$/g, "");
  const lookup = pinned(addresses);
  return new Promise<Result<Socket, SysError>>((resolve) => {
    const plain = { host: name, port, lookup, autoSelectFamily: true, noDelay: true };
    const socket =
      secure === null
        ? connectPlain(plain)
        : secure({
            ...plain,
            ALPNProtocols: ["http/1.1"],
            ...(isIP(name) === 0 && { servername: name }),
            ...(ca !== undefined && { ca }),
          });
    const settle = (result: Result<Socket, SysError>): void => {
      cancel();
      signal.removeEventListener("abort", gone);
      socket.off("error", broke);
      if (!result.ok) socket.on("error", () => undefined).destroy();
      resolve(result);
    };
    const broke = (error: Error): void => settle(fail("EIO", `${host} cannot be reached at port ${port}: ${whyOf(error)}`));
    const gone = (): void => settle(fail("ECANCELED", "the guest that asked for the connection is gone"));
    const late = `${host} did not answer at port ${port} in time; try again later`;
    const cancel = clock.after(limits.egressConnectTimeoutMs, () => settle(fail("ETIMEDOUT", late)));
    socket.once(secure === null ? "connect" : "secureConnect", () => settle(ok(socket)));
    socket.on("error", broke);
    signal.addEventListener("abort", gone, { once: true });
    if (signal.aborted) gone();
  });
}

function whyOf(error: Error): string {
  const code = codeOf(error);
  if (code === "ECONNREFUSED") return "nothing listens there";
  if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return "there is no route to it; is this machine online?";
  if (/CERT|SSL|TLS|ISSUER|ALTNAME/.test(code)) return `its certificate was not accepted (${code})`;
  return "the connection broke before it stood";
}

/** null: it took too long. */
function within<T>(work: Promise<T>, timeoutMs: number, clock: Clock): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => resolve(null));
    work.then(resolve, reject).finally(cancel);
  });
}
