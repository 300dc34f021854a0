/**
 * Exchange: one HTTP request and its answer over an undici dispatcher, with every bound a caller needs.
 * `fetch` costs five times the CPU of `dispatch`, so nothing here uses it.
 *   NET-1.1  An answer that does not begin, pauses or lasts beyond its time ends as a timeout that names the phase.
 *   NET-1.2  An answer is decoded (gzip, br, zstd, deflate) as it arrives, and its bound counts decoded bytes.
 *   NET-1.3  An aborted signal ends the request at once, also while it waits for a connection.
 *   NET-1.4  An answer that ends before it is complete is broken, never short.
 */
import type { Dispatcher } from "undici";
import type { Clock } from "../../abi/clock.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { decoderFor, type Decoder } from "./decoder.ts";
import { codeOf } from "./error-code.ts";

export interface ExchangeRequest {
  readonly origin: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Name, value, name, value. */
  readonly headers: string[];
  readonly body: string | Uint8Array | null;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  readonly bytesMax: number;
  /** Keep the first `bytesMax` bytes of a longer answer instead of failing. */
  readonly truncate: boolean;
  readonly signal: AbortSignal | null;
  /** Takes the decoded body of a successful event stream piece by piece; false ends the exchange. */
  readonly sink: ((chunk: Uint8Array) => boolean) | null;
}

export interface Answer {
  readonly status: number;
  /** Lower-case names; repeated headers are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where the sink took it. */
  readonly body: Buffer;
  readonly streamed: boolean;
  readonly truncated: boolean;
}

export interface ExchangeError {
  readonly kind: "aborted" | "timeout" | "too-large" | "unreachable" | "broken" | "refused-by-sink";
  /** `started`: the server had begun to answer. */
  readonly started: boolean;
  /** A few words without secrets or host paths: `connection refused`, `no answer within 30 s`. */
  readonly why: string;
}

export function exchange(dispatcher: Dispatcher, request: ExchangeRequest, clock: Clock): Promise<Result<Answer, ExchangeError>> {
  return new Promise((resolve) => {
    if (request.signal?.aborted === true) return resolve(err({ kind: "aborted", started: false, why: "cancelled" }));
    const handler = new Exchange(request, clock, resolve);
    dispatcher.dispatch(
      {
        origin: request.origin,
        path: request.path,
        method: request.method,
        headers: request.headers,
        body: request.body,
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      handler,
    );
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: ExchangeRequest;
  readonly #clock: Clock;
  readonly #resolve: (result: Result<Answer, ExchangeError>) => void;
  readonly #startedAt: number;
  #lastAt: number;
  #cancelTimer: () => void;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  #decoder: Decoder | null = null;
  #sink: ((chunk: Uint8Array) => boolean) | null = null;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #settled = false;

  constructor(request: ExchangeRequest, clock: Clock, resolve: (result: Result<Answer, ExchangeError>) => void) {
    this.#request = request;
    this.#clock = clock;
    this.#resolve = resolve;
    this.#startedAt = clock.now();
    this.#lastAt = this.#startedAt;
    const { headersTimeoutMs, idleTimeoutMs, totalTimeoutMs } = request;
    this.#cancelTimer = clock.after(Math.min(headersTimeoutMs, idleTimeoutMs, totalTimeoutMs), this.#onTimer);
    request.signal?.addEventListener("abort", this.#onAbort);
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
    if (status < 200) return;
    this.#status = status;
    this.#lastAt = this.#clock.now();
    this.#headers = flatten(headers);
    if (this.#request.sink !== null && status < 300 && (this.#headers["content-type"] ?? "").startsWith("text/event-stream")) {
      this.#sink = this.#request.sink;
    }
    this.#decoder = decoderFor(this.#headers["content-encoding"] ?? "");
    this.#decoder?.on("data", this.#take);
    this.#decoder?.on("error", () => this.#fail("broken", "its compressed body is damaged or cut off"));
    this.#decoder?.on("end", this.#finish);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    this.#lastAt = this.#clock.now();
    if (this.#decoder === null) this.#take(chunk);
    else this.#decoder.write(chunk);
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    if (this.#decoder === null) this.#finish();
    else this.#decoder.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#settled) return;
    const [kind, why] = explain(error, this.#status !== 0);
    this.#fail(kind, why);
  }

  readonly #take = (chunk: Uint8Array): void => {
    if (this.#settled) return;
    this.#bytes += chunk.length;
    const over = this.#bytes - this.#request.bytesMax;
    if (over > 0 && !this.#request.truncate)
      return this.#fail("too-large", `its answer is larger than ${this.#request.bytesMax} bytes`);
    if (this.#sink === null) this.#chunks.push(over > 0 ? chunk.subarray(0, chunk.length - over) : chunk);
    else if (!this.#sink(chunk)) return this.#fail("refused-by-sink", "its answer was refused");
    if (over > 0) this.#finish();
  };

  readonly #finish = (): void => {
    const truncated = this.#bytes > this.#request.bytesMax;
    const body = this.#chunks.length === 1 ? Buffer.from(this.#chunks[0] ?? []) : Buffer.concat(this.#chunks);
    this.#settle(ok({ status: this.#status, headers: this.#headers, body, streamed: this.#sink !== null, truncated }));
    if (truncated) this.#controller?.abort(new Error("enough"));
  };

  #fail(kind: ExchangeError["kind"], why: string): void {
    if (this.#settled) return;
    this.#settle(err({ kind, started: this.#status !== 0, why }));
    this.#controller?.abort(new Error(why));
  }

  #settle(result: Result<Answer, ExchangeError>): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelTimer();
    this.#request.signal?.removeEventListener("abort", this.#onAbort);
    this.#decoder?.removeListener("end", this.#finish);
    this.#chunks = [];
    this.#resolve(result);
  }

  readonly #onAbort = (): void => this.#fail("aborted", "cancelled");

  /**
   * One timer serves all three bounds: it looks at the clock when it wakes, so that an answer and each of its chunks only have to note the time. It
   * wakes first when the shortest of them could be over.
   */
  readonly #onTimer = (): void => {
    const now = this.#clock.now();
    const { headersTimeoutMs, idleTimeoutMs, totalTimeoutMs } = this.#request;
    if (now - this.#startedAt >= totalTimeoutMs)
      return this.#fail("timeout", `its answer was not complete within ${seconds(totalTimeoutMs)}`);
    if (this.#status === 0 && now - this.#startedAt >= headersTimeoutMs) {
      return this.#fail("timeout", `it did not begin to answer within ${seconds(headersTimeoutMs)}`);
    }
    if (this.#status !== 0 && now - this.#lastAt >= idleTimeoutMs) {
      return this.#fail("timeout", `it fell silent for ${seconds(idleTimeoutMs)} in the middle of its answer`);
    }
    this.#arm();
  };

  #arm(): void {
    if (this.#settled) return;
    this.#cancelTimer();
    const now = this.#clock.now();
    const { headersTimeoutMs, idleTimeoutMs, totalTimeoutMs } = this.#request;
    const phaseEnd = this.#status === 0 ? this.#startedAt + headersTimeoutMs : this.#lastAt + idleTimeoutMs;
    this.#cancelTimer = this.#clock.after(Math.max(1, Math.min(phaseEnd, this.#startedAt + totalTimeoutMs) - now), this.#onTimer);
  }
}

function flatten(headers: Record<string, string | string[] | undefined>): Readonly<Record<string, string>> {
  const flat: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined) flat[name.toLowerCase()] = typeof value === "string" ? value : value.join(", ");
  }
  return flat;
}

function explain(error: Error, started: boolean): readonly [ExchangeError["kind"], string] {
  const code = codeOf(error);
  if (started) return ["broken", "the connection broke in the middle of its answer"];
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") return ["timeout", "no connection could be made in time"];
  if (code === "ECONNREFUSED") return ["unreachable", "connection refused: nothing listens there"];
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return ["unreachable", "its name could not be resolved"];
  if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return ["unreachable", "no route to it: is this machine online?"];
  if (error.name === "HTTPParserError" || code.startsWith("HPE_")) return ["broken", "it does not speak HTTP"];
  if (/CERT|SSL|TLS|ISSUER/.test(code)) return ["unreachable", `its certificate was not accepted (${code})`];
  return ["unreachable", "the connection was closed before it answered"];
}

function seconds(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`;
}
