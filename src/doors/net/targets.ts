/**
 * Targets: where a request at the proxy wants to go, read so that nobody behind could read it otherwise (RFC 9110, section 7; RFC 9112, section 3.2).
 *   DRN-2.1  A tunnel names a host and a port and nothing else: no path, no user, no body.
 *   DRN-2.2  A plain request names an http address in full; a Host header that names another, or several, is refused, and so is none.
 *   DRN-2.3  A body has one length: a length next to a transfer encoding, several lengths, and an encoding that is not `chunked` are refused.
 *   DRN-2.4  What belongs to the connection stays at the door in both directions, with all that `Connection` names, and the guest's credential first.
 *   DRN-2.5  TRACE and methods that nobody knows are refused.
 */
import type { IncomingMessage } from "node:http";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { ok, type Result } from "../../lib/result.ts";
import { valuesOf } from "../heads.ts";

/** A place on the network. */
export interface Destination {
  /** `CONNECT`: a tunnel. */
  readonly method: string;
  /** Scheme, host and port: `https://example.com`. */
  readonly url: URL;
  readonly port: number;
}

export interface PlainTarget extends Destination {
  /** Path and query. */
  readonly path: string;
  /** null: in pieces, or none at all. */
  readonly bodyBytes: number | null;
  readonly bodyInPieces: boolean;
}

type Head = Pick<IncomingMessage, "rawHeaders" | "method" | "url">;

export function tunnelOf({ url: text = "", rawHeaders }: Head): Result<Destination, SysError> {
  const [, host = "", port = ""] = /^([^\s/?#@\\]+):(\d{1,5})$/.exec(text) ?? [];
  const url = URL.parse(`https://${host}:${port}`);
  if (host === "" || url === null || url.hostname === "" || Number(port) === 0)
    return fail("EINVAL", "a tunnel is asked for with CONNECT HOST:PORT and nothing else");
  const hosts = valuesOf(rawHeaders, "host");
  const named = hosts[0] === undefined ? null : hostIn("https", hosts[0]);
  if (hosts.length > 1 || (named !== null && named !== url.host && named !== url.hostname))
    return fail("EINVAL", "the Host header names another host than CONNECT does; leave it out, or give the same");
  const body = bodyOf(rawHeaders);
  if (!body.ok) return body;
  if (body.value.pieces || (body.value.bytes ?? 0) > 0) return fail("EINVAL", "a request for a tunnel has no body");
  return ok({ method: "CONNECT", url, port: portOf(url) });
}

export const plainMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export function plainOf({ method = "", url: text = "", rawHeaders }: Head): Result<PlainTarget, SysError> {
  if (!plainMethods.has(method))
    return fail("EINVAL", `the door takes CONNECT and ${[...plainMethods].join(", ")}, not this method`);
  if (Buffer.byteLength(text) > limits.urlBytesMax)
    return fail("E2BIG", `the address is longer than ${limits.urlBytesMax} bytes; shorten it, or send it in the body`);
  const url = /^http:\/\/[^\s\\]+$/i.test(text) ? URL.parse(text) : null;
  if (url === null || url.hostname === "")
    return fail("EINVAL", "this is a proxy: send http:// addresses in full, and ask for a tunnel with CONNECT for https://");
  if (url.username !== "" || url.password !== "" || url.hash !== "")
    return fail("EINVAL", "the address carries a user, a password or a fragment; leave it out");
  const hosts = valuesOf(rawHeaders, "host");
  if (hosts.length !== 1 || hostIn("http", hosts[0] ?? "") !== url.host)
    return fail("EINVAL", "there is one Host header, and it names the host of the address");
  const body = bodyOf(rawHeaders);
  if (!body.ok) return body;
  const { bytes, pieces } = body.value;
  return ok({
    method,
    url: new URL(url.origin),
    port: portOf(url),
    path: url.pathname + url.search,
    bodyBytes: bytes,
    bodyInPieces: pieces,
  });
}

/** The address of a request inside a tunnel, which names its path alone. */
export function insideOf({ url: path = "" }: Pick<Head, "url">, { url, port }: Destination): string {
  return path.startsWith("/") ? `http://${url.hostname}${port === 80 ? "" : `:${port}`}${path}` : "";
}

/** As policy and the journal have it. */
export function originOf({ url }: Destination): string {
  return url.origin;
}

/** The host that a Host header names, with its port where that is not the scheme's own; the empty text where it names none. */
function hostIn(scheme: string, header: string): string {
  return /[/?#@\\\s]/.test(header) ? "" : (URL.parse(`${scheme}://${header}`)?.host ?? "");
}

function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

interface Body {
  readonly bytes: number | null;
  readonly pieces: boolean;
}

function bodyOf(rawHeaders: readonly string[]): Result<Body, SysError> {
  const lengths = valuesOf(rawHeaders, "content-length");
  const encodings = valuesOf(rawHeaders, "transfer-encoding");
  const pieces = encodings.length > 0;
  if (lengths.length > 1 || (pieces && lengths.length > 0) || lengths.some((length) => !/^\d{1,15}$/.test(length)))
    return fail("EINVAL", "the request says in two ways how long its body is, or in none that can be read");
  if (pieces && (encodings.length > 1 || encodings[0]?.toLowerCase() !== "chunked"))
    return fail("EINVAL", "the transfer encoding of a body is `chunked`, or there is none");
  return ok({ bytes: lengths[0] === undefined ? null : Number(lengths[0]), pieces });
}

const ofTheConnection =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|http2-settings|alt-svc|host|expect|forwarded|via|x-forwarded-.*)$/;

/** The headers that go on, name and value in turn. */
export function passedOn(rawHeaders: readonly string[]): readonly string[] {
  const named = valuesOf(rawHeaders, "connection").flatMap((value) => value.split(",").map((word) => word.trim().toLowerCase()));
  return rawHeaders.filter((_text, n) => {
    const name = rawHeaders[n - (n % 2)]?.toLowerCase() ?? "";
    return !ofTheConnection.test(name) && (name === "content-length" || !named.includes(name));
  });
}
