/**
 * HTTP for models: one keep-alive pool for each origin, and the errors a provider can give in this system's words.
 *   MOD-1.1  No error, whatever the server echoes, holds a key: known secrets and anything that looks like one are struck out.
 *   MOD-1.2  Every HTTP status and network failure has one errno, says who failed and the next step, and whether a retry can help.
 *   MOD-1.3  A request that does not fit the context window is E2BIG, and spent credit is EDQUOT, whatever status carries them.
 */
import type { Pool } from "undici";
import type { Clock } from "../../abi/clock.ts";
import { sysError, type Errno } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { parseJson } from "../../lib/json.ts";
import type { Result } from "../../lib/result.ts";
import { troubleOf, type Trouble } from "../../wire/dialect.ts";
import { exchange, type Answer, type ExchangeError } from "../net/exchange.ts";
import type { Failure } from "./retry.ts";

export interface HttpCall {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: string[];
  readonly body: Uint8Array | null;
  readonly signal: AbortSignal | null;
  readonly sink: ((chunk: Uint8Array) => boolean) | null;
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

export interface HttpClient {
  send(call: HttpCall): Promise<Result<Answer, ExchangeError>>;
  /** Ends every connection; requests under way fail. */
  close(): Promise<void>;
}

export function httpClient(clock: Clock): HttpClient {
  const pools = new Map<string, Promise<Pool>>();
  return {
    async send(call) {
      const origin = call.url.origin;
      let pool = pools.get(origin);
      if (pool === undefined) pools.set(origin, (pool = openPool(origin)));
      const path = call.url.pathname + call.url.search;
      const { timeoutMs } = call;
      const idleTimeoutMs = Math.min(timeoutMs, limits.modelIdleTimeoutMs);
      return exchange(
        await pool,
        { ...call, origin, path, truncate: false, headersTimeoutMs: timeoutMs, idleTimeoutMs, totalTimeoutMs: timeoutMs },
        clock,
      );
    },
    async close() {
      const open = [...pools.values()];
      pools.clear();
      await Promise.all(open.map(async (pool) => (await pool).destroy()));
    },
  };
}

/** undici is loaded with the first request: a machine that only uses the embedded CPU never pays for it. */
export async function openPool(origin: string): Promise<Pool> {
  const { Pool } = await import("undici");
  return new Pool(origin, { connections: limits.modelConnectionsMax, pipelining: 1, allowH2: false, keepAliveTimeout: 30_000 });
}

/** Who is asked, for errors: names and places, never a key. */
export interface Party {
  /** The driver's name. */
  readonly name: string;
  readonly host: string;
  readonly model: string;
  /** The environment variable a person sets. */
  readonly keyName: string;
  readonly secrets: readonly string[];
}

export function networkFailure(party: Party, error: ExchangeError): Failure {
  const who = `${party.name} at ${party.host}`;
  switch (error.kind) {
    case "aborted":
      return failure("ECANCELED", `the request to ${who} was cancelled`, 0);
    case "timeout":
      return failure(
        "ETIMEDOUT",
        `${who} timed out: ${error.why}; try again, or use a smaller request or another model`,
        limits.modelRetriesMax,
      );
    case "unreachable":
      return failure(
        "EIO",
        `${who} cannot be reached: ${error.why}; check the network and the server, then continue`,
        limits.modelRetriesMax,
      );
    case "too-large":
      return failure("EPROTO", `${who} broke off: ${error.why}; ask for less output`, 0);
    case "broken":
    case "refused-by-sink":
      return failure(
        "EPROTO",
        `${who} sent an incomplete reply: ${error.why}; the request can be sent again`,
        limits.modelRetriesMax,
      );
  }
}

/** The reply could be read but not understood: one more try, since a model server seldom errs twice in the same way. */
export function protocolFailure(party: Party, what: string): Failure {
  return failure("EPROTO", `${party.name} at ${party.host} answered in a form daimon does not understand: ${what}`, 1);
}

/** Read a provider's error body: the forms of Anthropic, OpenAI, Ollama, llama.cpp and vLLM. */
export function readTrouble(answer: Answer, now: number): Trouble {
  const text = answer.body.toString("utf8");
  const body = parseJson(text);
  const after = retryAfter(answer.headers, now);
  const should = answer.headers["x-should-retry"];
  const said = troubleOf(body);
  return {
    status: answer.status,
    type: said?.type ?? "",
    message: said?.message ?? (looksLikeHtml(text) ? "" : text),
    retryAfterMs: after,
    retry: should === "false" ? false : should === "true" ? true : null,
  };
}

export function troubleFailure(party: Party, trouble: Trouble): Failure {
  const errno = errnoOf(trouble);
  const transient = trouble.retry ?? (errno === "EAGAIN" || errno === "EIO" || errno === "ETIMEDOUT");
  const said = quote(trouble.message, party.secrets);
  const status = trouble.status === null ? "" : ` (${trouble.status})`;
  const message = `${party.name} at ${party.host}${status}: ${said === "" ? trouble.type || "no reason given" : said}; ${advice(errno, party, trouble)}`;
  return { ...failure(errno, message, transient ? limits.modelRetriesMax : 0), retryAfterMs: trouble.retryAfterMs };
}

/** A server's own words: one line, bounded, without control bytes and without anything that may be a key. */
export function quote(text: string, secrets: readonly string[]): string {
  let clean = text.slice(0, 16 * limits.quoteCharsMax);
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, "[key]");
  clean = clean
    .replace(/\b(?:sk|pk|rk|gsk|xai|key|ant)-[\w*.-]{4,}/gi, "[key]")
    .replace(/\b(Bearer|Basic)\s+[\w+/=.*~-]{4,}/gi, "$1 [key]")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .trim()
    .replace(/[.;,\s]+$/, "");
  return clean.length > limits.quoteCharsMax ? `${clean.slice(0, limits.quoteCharsMax)}…` : clean;
}

function errnoOf({ status, type, message }: Trouble): Errno {
  if (/context_length|exceed_context|request_too_large|context_window/i.test(type)) return "E2BIG";
  if (/insufficient_quota|billing|spend_limit|credit/i.test(type)) return "EDQUOT";
  if (status === null || status === 200) return errnoOfType(type);
  if (status === 402) return "EDQUOT";
  if (status === 413) return "E2BIG";
  if (status === 400 || status === 422 || status === 500) {
    if (tooLong.test(message)) return "E2BIG";
    if (/credit balance|billing|quota/i.test(message)) return "EDQUOT";
  }
  if (status === 401 || status === 403) return "EACCES";
  if (status === 404) return "ENOENT";
  if (status === 408 || status === 504) return "ETIMEDOUT";
  if (status === 409 || status === 425 || status === 429) return "EAGAIN";
  if (status >= 500) return "EIO";
  return "EINVAL";
}

const tooLong =
  /prompt is too long|maximum context|context (?:length|window|size)|exceeds? the (?:available|model'?s?) context|too many (?:input )?tokens|input is too long/i;

/** Errors inside a stream carry no status, only a name. */
function errnoOfType(type: string): Errno {
  if (/rate_limit/i.test(type)) return "EAGAIN";
  if (/authentication|permission/i.test(type)) return "EACCES";
  if (/not_found/i.test(type)) return "ENOENT";
  if (/timeout/i.test(type)) return "ETIMEDOUT";
  if (/invalid|policy|unsupported/i.test(type)) return "EINVAL";
  return "EIO";
}

function advice(errno: Errno, party: Party, trouble: Trouble): string {
  switch (errno) {
    case "EACCES":
      return trouble.status === 403
        ? `the key in ${party.keyName} may not use ${party.model}`
        : `check the key in ${party.keyName}`;
    case "EDQUOT":
      return "the account's credit or spending limit is used up; raise it there, or use another model";
    case "E2BIG":
      return `the request does not fit the context window of ${party.model}; evict pages or use a model with a larger one`;
    case "ENOENT":
      return `is the model name "${party.model}" right?`;
    case "EAGAIN":
      return trouble.retryAfterMs === null
        ? "wait a little, then continue"
        : `try again in ${Math.ceil(trouble.retryAfterMs / 1000)} s`;
    case "EINVAL":
      return "the provider does not accept this request; change the model or the program";
    default:
      return "the provider has trouble; continue later, or use another model";
  }
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, section 10.2.3). */
function retryAfter(headers: Answer["headers"], now: number): number | null {
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 0) return ms;
  const value = headers["retry-after"];
  if (value === undefined) return null;
  const s = Number(value);
  if (Number.isFinite(s)) return Math.max(0, s * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

function failure(errno: Errno, message: string, retriesMax: number): Failure {
  return { error: sysError(errno, message), retriesMax, retryAfterMs: null };
}

function looksLikeHtml(text: string): boolean {
  return /^\s*</.test(text);
}
