/**
 * Upstream over HTTP: a provider's interface through one keep-alive pool, its key put in here and nowhere else.
 *   UPS-1.1  A request goes on with the guest's own headers and the provider's key; of the guest nothing that identifies, authorises or frames it goes.
 *   UPS-1.2  The answer comes as it is: status, headers and bytes, decoded where the provider compressed it although it was not asked to.
 *   UPS-1.5  A key that the provider repeats in an error or in a header does not go on to the guest.
 *   UPS-1.3  An answer that does not begin, falls silent, breaks off or cannot be decoded is an error with the provider's name, and never a shorter answer.
 *   UPS-1.4  An aborted request ends at once, and its connection is not used again for another.
 */
import type { Dispatcher, Pool } from "undici";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Upstream, UpstreamExchange, UpstreamSink } from "../../abi/upstream.ts";
import { decoderFor, type Decoder } from "../net/decoder.ts";
import { codeOf } from "../net/error-code.ts";
import { done, type Result } from "../../lib/result.ts";

export interface UpstreamOptions {
  readonly name: string;
  /** Up to and with the version: `https://api.anthropic.com/v1`. */
  readonly baseUrl: URL;
  /** Name, value, name, value: the key. They replace the guest's of the same names. */
  readonly headers: readonly string[];
  readonly pool: Pool;
  /** How long it may take to begin, and be silent; the limits of models when absent. */
  readonly timeoutMs?: number;
}

export function httpUpstream(options: UpstreamOptions): Upstream {
  const { name, baseUrl, pool } = options;
  const folder = baseUrl.pathname.replace(/\/$/, "");
  const own = new Set(options.headers.filter((_, n) => n % 2 === 0).map((header) => header.toLowerCase()));
  const secrets = options.headers.filter((_, n) => n % 2 === 1).map((value) => value.replace(/^Bearer /, ""));
  return {
    name,
    send(request, sink) {
      const exchange = new Exchange(name, sink, secrets);
      const headers = [...options.headers, "accept-encoding", "identity"];
      for (let n = 0; n + 1 < request.headers.length; n += 2) {
        const [header = "", value = ""] = [request.headers[n], request.headers[n + 1]];
        if (!kept.has(header.toLowerCase()) && !own.has(header.toLowerCase())) headers.push(header, value);
      }
      if (request.body !== null) headers.push("content-length", String(request.bytes));
      pool.dispatch(
        {
          origin: baseUrl.origin,
          path: folder + request.path,
          method: request.method,
          headers,
          body: request.body as Uint8Array | null,
          headersTimeout: options.timeoutMs ?? limits.modelTimeoutMs,
          bodyTimeout: options.timeoutMs ?? limits.modelIdleTimeoutMs,
        },
        exchange,
      );
      return exchange;
    },
  };
}

/** What belongs to the guest's own connection, or would say who it is. */
const kept: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"],
  ...["host", "expect", "content-length", "content-encoding", "accept-encoding"],
  ...["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "forwarded", "x-forwarded-for", "x-real-ip"],
  // Whose bill it is, and that a request is what it says.
  ...["openai-organization", "openai-project", "x-goog-user-project"],
  ...["x-http-method-override", "x-http-method", "x-method-override"],
]);

class Exchange implements Dispatcher.DispatchHandler, UpstreamExchange {
  readonly ended: Promise<Result<void, SysError>>;
  readonly #name: string;
  readonly #sink: UpstreamSink;
  #settle: (result: Result<void, SysError>) => void = () => undefined;
  #controller: Dispatcher.DispatchController | null = null;
  readonly #secrets: readonly string[];
  /** An error is told in one piece, since a key may lie across two. */
  #error: Uint8Array[] | null = null;
  #errorBytes = 0;
  #decoder: Decoder | null = null;
  #started = false;
  #settled = false;

  constructor(name: string, sink: UpstreamSink, secrets: readonly string[]) {
    this.#secrets = secrets;
    this.#name = name;
    this.#sink = sink;
    this.ended = new Promise((resolve) => (this.#settle = resolve));
  }

  resume(): void {
    if (this.#decoder === null) this.#controller?.resume();
    else this.#decoder.resume();
  }

  abort(): void {
    if (this.#settled) return;
    this.#end(fail("ECANCELED", "the request was cancelled"));
    this.#controller?.abort(new Error("cancelled"));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error("cancelled"));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200 || this.#settled) return;
    this.#started = true;
    if (status >= 300) this.#error = [];
    const given: Record<string, string | readonly string[]> = {};
    for (const [header, value] of Object.entries(headers)) {
      if (
        value !== undefined &&
        !this.#secrets.some((secret) => String(value).includes(secret)) &&
        !framing.has(header.toLowerCase())
      )
        given[header.toLowerCase()] = value;
    }
    const encoding = headers["content-encoding"];
    this.#decoder = typeof encoding === "string" ? decoderFor(encoding) : null;
    this.#decoder?.on("data", (chunk: Buffer) => {
      if (!this.#take(chunk)) this.#decoder?.pause();
    });
    this.#decoder?.on("end", () => this.#finish());
    this.#decoder?.on("error", () => this.#fail("EPROTO", "its compressed answer is damaged or cut off"));
    this.#decoder?.on("drain", () => this.#controller?.resume());
    this.#sink.head(status, given);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    const more = this.#decoder === null ? this.#take(chunk) : this.#decoder.write(chunk);
    if (!more) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#decoder === null) this.#finish();
    else this.#decoder.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const code = codeOf(error);
    if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT")
      return this.#fail("ETIMEDOUT", "it did not answer in time");
    if (code === "UND_ERR_BODY_TIMEOUT") return this.#fail("ETIMEDOUT", "it fell silent in the middle of its answer");
    if (this.#started) return this.#fail("EPROTO", "it broke off in the middle of its answer");
    const why =
      code === "ECONNREFUSED"
        ? "nothing listens there"
        : code === "ENOTFOUND"
          ? "its name could not be resolved"
          : "it cannot be reached";
    this.#fail("EIO", why);
  }

  #take(chunk: Uint8Array): boolean {
    if (this.#error === null) return this.#sink.data(chunk);
    this.#errorBytes += chunk.length;
    if (this.#errorBytes <= limits.guestErrorBytesMax) this.#error.push(chunk);
    return true;
  }

  #finish(): void {
    if (this.#error !== null && this.#error.length > 0 && !this.#settled) {
      const whole = Buffer.concat(this.#error).toString("latin1");
      const told = this.#secrets.reduce((text, secret) => text.replaceAll(secret, "[key]"), whole);
      this.#sink.data(Buffer.from(told, "latin1"));
    }
    if (!this.#settled) this.#sink.end?.();
    this.#end(done);
  }

  #fail(errno: "EIO" | "EPROTO" | "ETIMEDOUT", why: string): void {
    this.#end(fail(errno, `${this.#name} failed: ${why}; try again, or look at the network and the provider`));
    this.#controller?.abort(new Error(why));
  }

  #end(result: Result<void, SysError>): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#settle(result);
  }
}

/** They describe the connection to the provider, not the one to the guest. */
const framing: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "trailer", "upgrade"],
  ...["proxy-authenticate", "set-cookie", "alt-svc", "strict-transport-security"],
]);
