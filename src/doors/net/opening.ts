/**
 * Opening: what a guest says first in a tunnel, before a byte of it has left.
 *   DRN-6.1  The name in the first message of TLS is the host of the tunnel, or the tunnel ends; a host that is an address is named by none.
 *   DRN-6.2  What is neither TLS nor HTTP goes nowhere, and neither does what says nothing in time or has no end.
 *   DRN-6.3  A name that does not fit is told in TLS's own words, and what is no TLS in plain ones; both are in the journal.
 */
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../abi/clock.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import type { Bounds } from "./bounds.ts";
import { readHello } from "./hello.ts";
import { plainMethods, type Destination } from "./targets.ts";

export interface OpeningOptions {
  readonly place: Destination;
  readonly guest: Duplex;
  /** What the guest wrote behind its request. */
  readonly head: Buffer;
  readonly clock: Clock;
  readonly bounds: Bounds;
}

/** `bytes` is all that was said so far. */
export type Opening =
  | { readonly kind: "tls"; readonly bytes: Buffer }
  | { readonly kind: "http"; readonly bytes: Buffer }
  | { readonly kind: "gone" }
  /** `answer` is for the guest, in the words it would understand. */
  | { readonly kind: "refused"; readonly error: SysError; readonly answer: Buffer };

/** Leaves the guest paused. */
export function openingOf({ place, guest, head, clock, bounds }: OpeningOptions): Promise<Opening> {
  let bytes = head;
  return new Promise((resolve) => {
    const settle = (opening: Opening): void => {
      cancel();
      guest.off("data", more).off("end", gone).off("close", gone);
      guest.pause();
      resolve(opening);
    };
    const gone = (): void => settle({ kind: "gone" });
    const look = (): void => {
      const opening = bytes.length > bounds.helloBytesMax ? neither(place) : judged(bytes, place);
      if (opening !== null) settle(opening);
    };
    const more = (piece: Buffer): void => {
      bytes = Buffer.concat([bytes, piece]);
      look();
    };
    const cancel = clock.after(bounds.helloTimeoutMs, () => settle(late(place)));
    guest.on("data", more);
    guest.once("end", gone);
    guest.once("close", gone);
    if (head.length > 0) look();
  });
}

/** null: it cannot be told yet. */
function judged(bytes: Buffer, place: Destination): Opening | null {
  const hello = readHello(bytes);
  if (hello.kind === "more") return null;
  if (hello.kind === "hello")
    return names(hello.name, place) ? { kind: "tls", bytes } : { kind: "refused", ...otherName(hello.name, place) };
  const text = bytes.subarray(0, methodCharsMax).toString("latin1");
  const begun = [...plainMethods]
    .map((method) => `${method} `)
    .find((method) => method.startsWith(text) || text.startsWith(method));
  if (begun === undefined) return neither(place);
  return text.startsWith(begun) ? { kind: "http", bytes } : null;
}

/** Of the longest method, with the space behind it. */
const methodCharsMax = 8;

/** `server_name` holds no addresses (RFC 6066, section 3). */
function names(name: string | null, { url }: Destination): boolean {
  const host = bare(url.hostname);
  if (isIP(host) !== 0) return name === null;
  return name !== null && bare(name) === host;
}

function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/\.$/, "")
    .replace(/^\[|\]$/g, "");
}

function otherName(name: string | null, { url }: Destination): { readonly error: SysError; readonly answer: Buffer } {
  const asked = name === null ? "names no server" : `asks for ${JSON.stringify(name.slice(0, 100))}`;
  const message = `TLS in the tunnel to ${url.host} ${asked}; ask for a tunnel to the host that is meant`;
  return { error: sysError("EPERM", message), answer: unrecognisedName };
}

/** The alert unrecognized_name, fatal (RFC 8446, section 6.2; RFC 6066, section 3). */
const unrecognisedName = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

function neither({ url }: Destination): Opening {
  const message = `what was sent into the tunnel to ${url.host} is neither TLS nor HTTP, and nothing else goes through`;
  return { kind: "refused", error: sysError("EPERM", message), answer: Buffer.from(`daimon refused: ${message}\n`) };
}

function late({ url }: Destination): Opening {
  const message = `nothing that could be told from the rest was said in the tunnel to ${url.host} in time; speak as soon as it stands`;
  return { kind: "refused", error: sysError("ETIMEDOUT", message), answer: Buffer.alloc(0) };
}
