/**
 * Net: the call `net.fetch`, the only way a process itself reaches the network.
 *   NET-4.1  Every address is guarded (net/guard.ts), that of each redirect too; a redirect to another host is not followed but told,
 *            so that policy decides about the new host.
 *   NET-4.2  An answer is bounded in time and size; what is beyond the size is cut off and said to be.
 *   NET-4.3  What comes back is untrusted text: the page, or for anything else a line that says what it is.
 *   NET-4.4  Headers that steer the connection, and values with line breaks, are refused.
 *   NET-4.5  After a crash a GET or HEAD is made again, as they have no effect by definition (RFC 9110, section 9.2.1); of any other
 *            request nobody can know.
 */
import type { CallContext, CallHandler, CallValue, Verdict } from "../../abi/call.ts";
import type { Clock } from "../../abi/clock.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { ok, type Result } from "../../lib/result.ts";
import { exchange, type Answer, type ExchangeError } from "../net/exchange.ts";
import { checkTarget, openTarget, readTarget, resolveHost, type GuardDeps, type Resolve, type Target } from "../net/guard.ts";

export interface NetDeps {
  readonly clock: Clock;
  readonly resolve?: Resolve;
  /** For tests only. */
  readonly allowLoopback?: boolean;
}

interface FetchArgs {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;

export function netCalls(deps: NetDeps): readonly CallHandler[] {
  const guard: GuardDeps = { resolve: deps.resolve ?? resolveHost, allowLoopback: deps.allowLoopback ?? false };
  return [
    {
      spec: {
        name: "net.fetch",
        summary:
          "Fetch a public http or https address. Returns its status, type and text; a redirect to another host is returned, not followed.",
        input: {
          type: "object",
          properties: {
            url: { type: "string", minLength: 1, description: "Full address, http or https." },
            method: { enum: [...methods], description: "GET unless said otherwise." },
            headers: { type: "object", additionalProperties: { type: "string" }, maxProperties: limits.fetchHeadersMax },
            body: { type: "string" },
          },
          required: ["url"],
          additionalProperties: false,
        },
        output: {
          type: "object",
          properties: {
            url: { type: "string" },
            status: { type: "integer" },
            type: { type: "string" },
            location: { type: "string" },
            truncated: { type: "boolean" },
            text: { type: "string" },
          },
          required: ["url", "status", "type", "text"],
        },
        effect: "external",
        reversible: false,
        recovery: "verify",
        roles: { url: "host", method: "option", headers: "content", body: "content" },
      },
      perform: (args: FetchArgs, context: CallContext) => perform(args, context, deps.clock, guard),
      verify: (args: FetchArgs): Verdict => verify(args.method ?? "GET"),
    },
  ];
}

async function perform(
  args: FetchArgs,
  context: CallContext,
  clock: Clock,
  guard: GuardDeps,
): Promise<Result<CallValue, SysError>> {
  const headers = readHeaders(args.headers ?? {});
  if (!headers.ok) return headers;
  const parsed = readTarget(args.url);
  if (!parsed.ok) return parsed;
  const endsAt = clock.now() + limits.fetchTimeoutMs;
  let url = parsed.value;
  let method = args.method ?? "GET";
  let body = args.body ?? null;

  for (let hops = 0; hops <= limits.fetchRedirectsMax; hops += 1) {
    const target = await checkTarget(url, guard);
    if (!target.ok) return target;
    const timeLeftMs = endsAt - clock.now();
    if (timeLeftMs <= 0 || context.signal.aborted) break;
    const answer = await send(target.value, method, headers.value, body, timeLeftMs, context.signal, clock);
    if (!answer.ok) return failed(url, answer.error);
    const next = redirectOf(answer.value, url);
    if (next === null) return ok(valueOf(url, answer.value, null));
    if (!sameHost(url, next)) return ok(valueOf(url, answer.value, next));
    if (answer.value.status === 303 || (answer.value.status <= 302 && method === "POST")) {
      method = method === "HEAD" ? "HEAD" : "GET";
      body = null;
    }
    url = next;
  }
  if (context.signal.aborted) return fail("ECANCELED", `fetching ${url.host} was cancelled`);
  if (clock.now() >= endsAt)
    return failed(url, { kind: "timeout", started: true, why: `not done within ${limits.fetchTimeoutMs / 1000} s` });
  return fail("EPROTO", `${url.host} redirects more than ${limits.fetchRedirectsMax} times; fetch the final address instead`);
}

async function send(
  target: Target,
  method: string,
  headers: readonly string[],
  body: string | null,
  timeoutMs: number,
  signal: AbortSignal,
  clock: Clock,
): Promise<Result<Answer, ExchangeError>> {
  const client = await openTarget(target);
  const { url } = target;
  const answer = await exchange(
    client,
    {
      origin: url.origin,
      method,
      path: url.pathname + url.search,
      headers: [
        "user-agent",
        "daimon",
        "accept",
        "text/*, application/json;q=0.9, */*;q=0.5",
        "accept-encoding",
        "gzip, br, zstd",
        ...headers,
      ],
      body,
      headersTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
      totalTimeoutMs: timeoutMs,
      bytesMax: limits.fetchBytesMax,
      truncate: true,
      signal,
      sink: null,
    },
    clock,
  );
  await client.destroy();
  return answer;
}

/** Headers of the connection itself are the driver's, and a cookie or host would speak for someone else. */
const ownHeaders =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|accept-encoding|user-agent|forwarded|via|proxy-.*|x-forwarded-.*|sec-.*)$/;

function readHeaders(headers: Readonly<Record<string, string>>): Result<readonly string[], SysError> {
  const flat: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(lower)) return fail("EINVAL", `"${name.slice(0, 60)}" is not a header name`);
    if (ownHeaders.test(lower)) return fail("EINVAL", `the header ${lower} belongs to the connection; leave it out`);
    if (!/^[\t\u0020-\u007e\u00a0-\u00ff]*$/.test(value))
      return fail("EINVAL", `the value of ${lower} holds a line break or a character no header takes`);
    flat.push(lower, value);
  }
  const bytes = Buffer.byteLength(flat.join(""));
  if (flat.length > 2 * limits.fetchHeadersMax || bytes > limits.fetchHeaderBytesMax)
    return fail("E2BIG", "the request has too many headers, or too long ones");
  return ok(flat);
}

function redirectOf(answer: Answer, from: URL): URL | null {
  if (![301, 302, 303, 307, 308].includes(answer.status)) return null;
  const location = answer.headers.location;
  if (location === undefined) return null;
  const next = URL.parse(location, from.href);
  return next;
}

/** The same host, and never back from https to http. */
function sameHost(from: URL, to: URL): boolean {
  if (to.username !== "" || to.password !== "") return false;
  if (to.origin === from.origin) return true;
  return (
    to.hostname === from.hostname && from.protocol === "http:" && to.protocol === "https:" && from.port === "" && to.port === ""
  );
}

function valueOf(url: URL, answer: Answer, elsewhere: URL | null): CallValue {
  const type = answer.headers["content-type"] ?? "";
  const text =
    elsewhere === null ? textOf(answer, type) : `redirects to ${elsewhere.href}; fetch that address if it is the one you want`;
  const location = elsewhere === null ? {} : { location: elsewhere.href };
  const truncated = answer.truncated ? { truncated: true } : {};
  return {
    value: { url: url.href, status: answer.status, type: type.slice(0, 200), ...location, ...truncated, text },
    source: url.href,
    label: { integrity: "untrusted", confidentiality: "public" },
  };
}

function textOf(answer: Answer, type: string): string {
  if (answer.body.length === 0) return "";
  const isText =
    type === ""
      ? !answer.body.subarray(0, 1024).includes(0)
      : /^text\/|json|xml|javascript|yaml|x-www-form-urlencoded/i.test(type);
  if (!isText) return `(${type.split(";")[0] || "unknown type"}, ${answer.body.length} bytes: not text)`;
  const charset = /charset\s*=\s*"?([\w-]+)/i.exec(type)?.[1] ?? "utf-8";
  return decoderOf(charset).decode(answer.body);
}

/** A charset nobody knows is read as UTF-8. */
function decoderOf(charset: string): { decode(bytes: Uint8Array): string } {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}

function failed(url: URL, error: ExchangeError): Result<never, SysError> {
  switch (error.kind) {
    case "aborted":
      return fail("ECANCELED", `fetching ${url.host} was cancelled`);
    case "timeout":
      return fail("ETIMEDOUT", `${url.host} did not answer in time: ${error.why}; try again later or fetch something smaller`);
    case "unreachable":
      return fail("EIO", `${url.host} cannot be reached: ${error.why}`);
    case "broken":
    case "too-large":
    case "refused-by-sink":
      return fail("EPROTO", `${url.host} sent a broken answer: ${error.why}`);
  }
}

function verify(method: string): Verdict {
  if (method === "GET" || method === "HEAD") return { verdict: "did-not-happen" };
  return {
    verdict: "unknown",
    why: `the ${method} request may have reached its host before the crash, and there is no way to ask it`,
  };
}
