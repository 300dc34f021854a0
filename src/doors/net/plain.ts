/**
 * Plain: one request without TLS from a guest, sent on by the door over a connection of its own, and its answer.
 *   DRN-7.1  What goes on is written anew from what was understood: method, path, the host of the address, and headers that are not the connection's.
 *   DRN-7.2  A host with a credential in the configuration is asked over TLS, and gets that in place of whatever the guest put there; no other host does.
 *   DRN-7.3  Body and answer pass as they come, within their bounds; a body that says it is larger is refused before anything is sent.
 *   DRN-7.4  An answer that breaks off is broken to the guest, never shorter. A guest that leaves ends its request.
 */
import { request as ask, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../../abi/clock.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import type { Bounds } from "./bounds.ts";
import { passedOn, type PlainTarget } from "./targets.ts";
import { carry, gauge, watchSilence, type Traffic } from "./traffic.ts";

/** What the kernel adds for one host. */
export interface Credential {
  readonly header: string;
  readonly value: string;
}

export interface PlainOptions {
  readonly place: PlainTarget;
  readonly credential: Credential | null;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Connected to the host. */
  readonly outside: Duplex;
  readonly clock: Clock;
  readonly bounds: Bounds;
  readonly traffic: Traffic;
  readonly refused: (error: SysError) => void;
}

/** An error: nothing of an answer was told to the guest yet. */
export function plain(options: PlainOptions): Promise<SysError | null> {
  const { place, request, response, outside, clock, bounds, traffic, refused } = options;
  return new Promise((resolve) => {
    const sent = ask({
      createConnection: () => outside,
      method: place.method,
      path: place.path,
      headers: headersOf(options),
      setHost: false,
      maxHeaderSize: bounds.headerBytesMax,
    });
    const state = { over: false };
    const stop = (error: SysError | null): void => {
      if (state.over) return;
      state.over = true;
      silence.stop();
      sent.destroy();
      outside.destroy();
      if (error !== null && !response.headersSent) return resolve(error);
      if (!response.writableFinished) response.destroy();
      resolve(null);
    };
    const late = sysError("ETIMEDOUT", `${place.url.host} fell silent; try again later`);
    const silence = watchSilence(clock, bounds.idleTimeoutMs, () => stop(late));
    const passes = gauge(traffic, silence.heard, (error) => {
      refused(error);
      stop(error);
    });
    const broken = sysError("EPROTO", `${place.url.host} broke off, or does not speak HTTP; try again later`);
    sent.on("error", () => stop(broken));
    outside.on("error", () => stop(broken));
    response.once("close", () => stop(null));
    sent.once("upgrade", () => stop(broken));
    sent.once("response", (answer) => {
      silence.heard();
      answer.on("error", () => stop(broken));
      if (!head(answer, response)) return stop(broken);
      carry(answer, response, passes("down"));
    });
    carry(request, sent, passes("up"));
  });
}

function headersOf({ place, credential, request: { rawHeaders } }: PlainOptions): Record<string, string | string[]> {
  const headers = Object.create(null) as Record<string, string | string[]>;
  const flat = passedOn(rawHeaders);
  for (let n = 0; n < flat.length; n += 2) {
    const name = (flat[n] ?? "").toLowerCase();
    const value = flat[n + 1] ?? "";
    const before = headers[name];
    headers[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  if (credential !== null) headers[credential.header.toLowerCase()] = credential.value;
  // Said here, because Node's own choice hangs on the method.
  if (place.bodyInPieces) headers["transfer-encoding"] = "chunked";
  return { ...headers, host: place.url.host, connection: "close" };
}

/** False: its first lines cannot be written as they came. */
function head(answer: IncomingMessage, response: ServerResponse): boolean {
  try {
    response.sendDate = false;
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? "", [...passedOn(answer.rawHeaders)]);
    return true;
  } catch {
    return false;
  }
}
