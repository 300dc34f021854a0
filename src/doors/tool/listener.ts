/**
 * Listener: the tool door's HTTP, on loopback or a Unix socket, with the guards before everything else. What answers is made when the first request has
 * passed them: a door that nobody enters costs a socket.
 *   DRT-5.1  The door listens on a loopback address or a Unix socket that its owner alone opens, and nowhere else.
 *   DRT-5.3  A client that goes away while it is answered cancels its request.
 *   DRT-5.5  A client that waits for a stream hears every 15 seconds that it is still worked on, so that it does not take a person's time for a fault.
 *   DRT-5.4  Nothing of the protocol is loaded before a request came that may enter.
 */
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../abi/clock.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { JsonObject } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { listenPrivately } from "../private-socket.ts";
import { repeat } from "../repeat.ts";
import { checkHead, readBody, doorPath, type Refusal } from "./guards.ts";

export interface HttpOptions {
  /** A loopback port, 0 for one that is free; or the path of a Unix socket. */
  readonly listen: { readonly port: number } | { readonly socket: string };
  /** What every request has to carry: `Authorization: Bearer CREDENTIAL`. */
  readonly credential: string;
  /** Absent: nobody waits long. */
  readonly clock?: Clock;
}

export interface HttpDoor {
  /** The door alone keeps no program running. */
  unref(): void;
  /** `http://127.0.0.1:PORT/mcp`; null on a Unix socket. */
  readonly url: string | null;
  close(): Promise<void>;
}

/** Answers messages. */
export interface Answering {
  answer(request: Request, body: JsonObject | null): Promise<Response>;
  close(): Promise<void>;
}

/** `make` is called once, for the first request that may enter. */
export async function listenHttp(
  { listen, credential, clock }: HttpOptions,
  make: () => Promise<Answering>,
): Promise<Result<HttpDoor, SysError>> {
  if (credential === "") return fail("EINVAL", "a door without a credential stands open; give it one");
  const made: { answering: Promise<Answering> | null } = { answering: null };
  const answering = (): Promise<Answering> => (made.answering ??= make());
  const guarded: { port: number | null; readonly credential: string } = { port: null, credential };
  const http = createServer(
    { maxHeaderSize: limits.doorHeaderBytesMax, headersTimeout: limits.doorBodyTimeoutMs, requireHostHeader: false },
    (request, response) => void serve(answering, guarded, clock ?? null, request, response),
  );
  http.maxConnections = limits.doorConnectionsMax;
  const failed = await opened(http, listen);
  if (failed !== null) return fail("EIO", "the tool door cannot listen; choose another port or folder", failed.message);
  if ("port" in listen) guarded.port = (http.address() as AddressInfo).port;
  const close = async (): Promise<void> => {
    const ended = new Promise<void>((resolve) => http.close(() => resolve()));
    // One that could not be made has nothing to close.
    const answers = await made.answering?.catch(() => null);
    await answers?.close();
    http.closeAllConnections();
    await ended;
  };
  return ok({
    unref: () => void http.unref(),
    url: guarded.port === null ? null : `http://127.0.0.1:${guarded.port}${doorPath}`,
    close,
  });
}

/** null: it listens. */
function opened(http: HttpServer, listen: HttpOptions["listen"]): Promise<Error | null> {
  if ("socket" in listen) return listenPrivately(http, listen.socket);
  return new Promise((resolve) => {
    http.once("error", resolve);
    http.listen(listen.port, "127.0.0.1", () => {
      http.off("error", resolve);
      resolve(null);
    });
  });
}

async function serve(
  answering: () => Promise<Answering>,
  guarded: Parameters<typeof checkHead>[1],
  clock: Clock | null,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort("the client is gone"));
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  try {
    const head = checkHead(request, guarded);
    if (!head.ok) return refuse(response, head.error);
    const body = request.method === "POST" ? await readBody(request) : ok(null);
    if (!body.ok) return refuse(response, body.error);
    await send(response, clock, await (await answering()).answer(requestOf(request, gone.signal), body.value));
  } catch {
    // The protocol answers its own errors; what comes here is a client that went away, or a fault of ours that is not told to it.
    if (!response.headersSent && !response.destroyed) refuse(response, { status: 500, message: "the door failed" });
    else response.destroy();
  }
}

/** The credential stays at the door. */
function requestOf({ method = "GET", rawHeaders }: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const name = rawHeaders[n] ?? "";
    if (!/^(?:authorization|cookie|content-length|connection|transfer-encoding)$/i.test(name))
      headers.append(name, rawHeaders[n + 1] ?? "");
  }
  return new Request(`http://127.0.0.1${doorPath}`, { method, headers, signal });
}

async function send(response: ServerResponse, clock: Clock | null, answer: Response): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body === null) return void response.end();
  response.flushHeaders();
  const reader: ReadableStreamDefaultReader<Uint8Array> = answer.body.getReader();
  // A stream that is silent would not notice otherwise.
  response.once("close", () => void reader.cancel().catch(() => undefined));
  const events = (answer.headers.get("content-type") ?? "").startsWith("text/event-stream");
  // A comment may stand between two events, and nowhere else.
  let between = true;
  const stop =
    clock === null || !events ? null : repeat(clock, limits.guestKeepAliveMs, () => void (between && response.write(":\n\n")));
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      between = read.value.at(-1) === newline && read.value.at(-2) === newline;
      if (!response.write(read.value) && !response.destroyed) await drained(response);
    }
  } finally {
    stop?.();
  }
  response.end();
}

const newline = 10;

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}

function refuse(response: ServerResponse, refused: Refusal): void {
  const { status, headers, text } = refusalOf(refused);
  // What is left of a body that is not read must not become the next request.
  response.writeHead(status, { ...headers, connection: "close" });
  response.end(text);
}

/** The same as an answer. */
export function refusal(refused: Refusal): Response {
  const { status, headers, text } = refusalOf(refused);
  return new Response(text, { status, headers });
}

function refusalOf({ status, message }: Refusal): {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
} {
  const challenge: Record<string, string> = status === 401 ? { "www-authenticate": "Bearer" } : {};
  const allow: Record<string, string> = status === 405 ? { allow: "POST, GET, DELETE" } : {};
  const text = JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message } });
  return { status, headers: { "content-type": "application/json", ...challenge, ...allow }, text };
}
