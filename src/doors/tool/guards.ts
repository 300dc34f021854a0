/**
 * Guards: what a request must be like before the protocol sees it. The door speaks to one program on this machine, and a web page in a browser on
 * this machine is not it.
 *   DRT-4.1  The request names its target as a path, exactly one Host header names this machine and this port, and an Origin, where there is one, does too.
 *   DRT-4.2  Every request carries the credential of the process; it is compared in constant time and never told.
 *   DRT-4.3  A body is JSON of bounded size and depth, in plain encoding, and one message; anything else is refused before it is read to its end.
 */
import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { limits } from "../../abi/limits.ts";
import { sha256 } from "../../lib/hash.ts";
import { isObject, parseJson, tooDeep, type JsonObject } from "../../lib/json.ts";
import { done, err, ok, type Result } from "../../lib/result.ts";
import { isThisMachine, valuesOf } from "../heads.ts";

export interface Refusal {
  readonly status: number;
  readonly message: string;
}

export interface Guarded {
  /** null on a Unix socket: whoever forwards to it has a port of its own. */
  readonly port: number | null;
  readonly credential: string;
}

export const doorPath = "/mcp";

/** The head of the request, before any of its body is read. */
export function checkHead(request: IncomingMessage, guarded: Guarded): Result<void, Refusal> {
  const { url = "", method = "" } = request;
  if (!url.startsWith("/") || url.startsWith("//")) return no(400, "the target of a request is a path");
  const hosts = valuesOf(request.rawHeaders, "host");
  if (hosts.length !== 1 || !isThisMachine(hosts[0] ?? "", guarded.port))
    return no(403, "the Host header does not name this door");
  const origins = valuesOf(request.rawHeaders, "origin");
  const foreign = origins.some((origin) => !origin.startsWith("http://") || !isThisMachine(origin.slice(7), guarded.port));
  if (foreign || origins.length > 1) return no(403, "the Origin header names another place");
  if (!mayEnter(request, guarded.credential)) return no(401, "the credential is missing or wrong");
  if (url !== doorPath) return no(404, `there is nothing at this path; the door is at ${doorPath}`);
  if (!["POST", "GET", "DELETE"].includes(method)) return no(405, "POST, GET and DELETE are answered");
  return method === "POST" ? checkBodyHead(request) : done;
}

export async function readBody(request: IncomingMessage): Promise<Result<JsonObject, Refusal>> {
  const late = setTimeout(() => request.destroy(new Error("late")), limits.doorBodyTimeoutMs);
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of request) {
      if (!Buffer.isBuffer(piece)) return no(400, "the body is not bytes");
      bytes += piece.length;
      if (bytes > limits.doorBodyBytesMax) return no(413, `a message has at most ${limits.doorBodyBytesMax} bytes`);
      pieces.push(piece);
    }
  } catch {
    return no(408, "the message did not arrive in time");
  } finally {
    clearTimeout(late);
  }
  const json = parseJson(Buffer.concat(pieces).toString("utf8"));
  if (!isObject(json)) return no(400, "the body is not one JSON-RPC message");
  return tooDeep(json, limits.jsonDepthMax) ? no(400, `a message is nested at most ${limits.jsonDepthMax} deep`) : ok(json);
}

function checkBodyHead(request: IncomingMessage): Result<void, Refusal> {
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) return no(415, "a message is application/json");
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() !== "identity") return no(415, "a message is not compressed");
  const length = Number(request.headers["content-length"] ?? 0);
  return length > limits.doorBodyBytesMax ? no(413, `a message has at most ${limits.doorBodyBytesMax} bytes`) : done;
}

/** Over digests, which are of one length whatever was sent. */
function mayEnter(request: IncomingMessage, credential: string): boolean {
  const [value = "", ...others] = valuesOf(request.rawHeaders, "authorization");
  const given = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(value)?.[1] ?? "";
  const same = timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(credential)));
  return same && others.length === 0 && credential !== "";
}

function no(status: number, message: string): Result<never, Refusal> {
  return err({ status, message });
}
