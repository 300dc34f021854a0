/**
 * Remote: a model driver over HTTP, whatever the wire format; a dialect says how requests and replies look.
 *   MOD-5.1  A watched reply streams, and its text deltas together are its text; `restart` voids what an earlier try showed.
 *   MOD-5.2  The request is built once; every retry sends the same bytes under the same idempotency key.
 *   MOD-5.3  A reply that ends without its closing event, or cannot be read, is EPROTO and never a shorter reply.
 *   MOD-5.4  Without the key it needs, a driver says so and sends nothing.
 */
import type { Clock } from "../../abi/clock.ts";
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Delta, ModelDriver, ModelReply, ModelRequest, ThinkIo } from "../../abi/model.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { parseJson } from "../../lib/json.ts";
import type { Answer } from "../net/exchange.ts";
import { isLoopback } from "../net/address.ts";
import { networkFailure, protocolFailure, readTrouble, troubleFailure, type HttpClient, type Party } from "./http.ts";
import { troubleOf, type Dialect, type ReplyReader } from "../../wire/dialect.ts";
import { retrier, type Failure } from "./retry.ts";
import { frameReader } from "../../wire/frames.ts";

/** What remote drivers need of the world. */
export interface RemoteDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** From 0 up to 1: spreads retries. */
  readonly random: () => number;
  /** Unique for this workspace: keeps its idempotency keys apart from those of others under the same account. */
  readonly instance: string;
}

export interface Endpoint {
  readonly name: string;
  readonly url: URL;
  /** Name, value, name, value; with the key. */
  readonly headers: readonly string[];
  readonly secrets: readonly string[];
  /** The variable that holds the key. */
  readonly keyName: string;
  /** A key is needed and none is there. */
  readonly keyMissing: boolean;
}

export function remoteDriver(
  endpoint: Endpoint,
  dialect: Dialect,
  deps: RemoteDeps,
  windowTokens: (model: string) => number,
): ModelDriver {
  const retries = retrier(deps.clock, deps.random);
  const remote = !isLoopback(endpoint.url.hostname);

  return {
    name: endpoint.name,
    remote,
    windowTokens,
    think(request, io) {
      if (endpoint.keyMissing)
        return fail("EACCES", `${endpoint.name} needs a key and none is set; set ${endpoint.keyName}, or choose another model`);
      const party: Party = { ...endpoint, host: endpoint.url.host, model: request.model };
      const stream = io.onDelta !== null || request.outputTokensMax > limits.modelSilentTokensMax;
      const body = dialect.body(request, stream);
      let shown = false;
      const onDelta = (delta: Delta): void => {
        shown = true;
        io.onDelta?.(delta);
      };
      return retries.run((retry) => {
        if (retry > 0 && shown) {
          shown = false;
          io.onDelta?.({ type: "restart" });
        }
        return attempt(endpoint, dialect, deps, party, request, body, stream, io, onDelta);
      }, io.signal);
    },
    close: () => undefined,
  };
}

async function attempt(
  endpoint: Endpoint,
  dialect: Dialect,
  deps: RemoteDeps,
  party: Party,
  request: ModelRequest,
  body: Uint8Array,
  stream: boolean,
  io: ThinkIo,
  onDelta: (delta: Delta) => void,
): Promise<Result<ModelReply, Failure>> {
  const reader = stream ? dialect.reader(request, onDelta) : null;
  let stopped: Failure | null = null;
  const events =
    reader === null
      ? null
      : frameReader(limits.sseBytesMax, ({ event, data }) => {
          if (stopped === null && data !== null) stopped = takeEvent(reader, party, event, data);
        });
  const sent = await deps.http.send({
    url: endpoint.url,
    method: "POST",
    headers: requestHeaders(endpoint, `${deps.instance}-${request.idempotencyKey}`, stream),
    body,
    signal: io.signal,
    sink: events === null ? null : (chunk) => events.push(chunk) && stopped === null,
    timeoutMs: limits.modelTimeoutMs,
    bytesMax: limits.modelReplyBytesMax,
  });
  if (!sent.ok && stopped !== null) return err(stopped);
  if (!sent.ok) return err(networkFailure(party, sent.error));
  if (sent.value.status >= 300) return err(troubleFailure(party, readTrouble(sent.value, deps.clock.now())));
  if (reader === null || events === null || !sent.value.streamed) return wholeReply(dialect, party, request, sent.value, onDelta);
  events.end();
  if (stopped !== null) return err(stopped);
  const reply = reader.finish();
  return reply.ok ? reply : err(networkFailure(party, { kind: "broken", started: true, why: reply.error }));
}

function takeEvent(reader: ReplyReader, party: Party, event: string, data: string): Failure | null {
  if (data === "[DONE]") return null;
  const body = parseJson(data);
  if (body === undefined)
    return networkFailure(party, { kind: "broken", started: true, why: "an event of its stream is not JSON" });
  const trouble = reader.event(event, body);
  return trouble === null ? null : troubleFailure(party, trouble);
}

/** Also where a stream was asked for: some servers answer in one piece all the same. */
function wholeReply(
  dialect: Dialect,
  party: Party,
  request: ModelRequest,
  answer: Answer,
  onDelta: (delta: Delta) => void,
): Result<ModelReply, Failure> {
  const body = parseJson(answer.body.toString("utf8"));
  if (body === undefined) return err(protocolFailure(party, "its body is not JSON; is the address a model server's?"));
  const said = troubleOf(body);
  if (said !== undefined) return err(troubleFailure(party, { ...said, status: null, retryAfterMs: null, retry: null }));
  const reply = dialect.reply(body, request);
  if (!reply.ok) return err(protocolFailure(party, reply.error));
  for (const part of reply.value.parts) {
    if (part.type === "text") onDelta({ type: "text", text: part.text });
    else if (part.type === "call") onDelta({ type: "call", name: part.name });
  }
  return ok(reply.value);
}

function requestHeaders(endpoint: Endpoint, key: string, stream: boolean): string[] {
  return [
    ...endpoint.headers,
    "content-type",
    "application/json",
    "accept",
    stream ? "text/event-stream" : "application/json",
    // A compressed stream is held back by the compressor; a whole reply is not.
    "accept-encoding",
    stream ? "identity" : "gzip, br, zstd",
    "idempotency-key",
    key,
    "user-agent",
    "daimon",
  ];
}

/** A base address from configuration: no user name in it, http or https, one form whatever the trailing slash. */
export function readBaseUrl(text: string, path: string): Result<URL, SysError> {
  const url = URL.parse(text);
  const next = "give an address such as http://127.0.0.1:11434/v1";
  if (url === null || !/^https?:$/.test(url.protocol))
    return err(sysError("EINVAL", `the model server's address is not an http address; ${next}`));
  if (url.username !== "" || url.password !== "")
    return err(sysError("EINVAL", `the model server's address holds a password; ${next} and set the key apart`));
  url.hash = "";
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  return ok(url);
}
