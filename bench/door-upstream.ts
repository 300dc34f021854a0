/**
 * The trial's upstream: a server of all four formats whose replies follow from what it is asked. Where the user says `status-N` it fails with that
 * status, `busy-NAME` fails with 429 the first time, and `endless` never ends until its client goes; `/trial/open` tells how many such replies are open.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isObject, parseJson, type Json, type JsonObject } from "../src/lib/json.ts";
import { upstreamFormats } from "./door-formats.ts";
import { serveSockets } from "./door-socket.ts";
import { object, type FormatName, type UpstreamFormat } from "./door-shape.ts";
import { replyTo, tokensOf } from "./door-talk.ts";

export interface TrialUpstream {
  readonly url: string;
  close(): Promise<void>;
}

/** What lasts from one request to the next. */
interface State {
  replies: number;
  open: number;
  readonly seen: Set<string>;
}

export async function openUpstream(): Promise<TrialUpstream> {
  const state: State = { replies: 0, open: 0, seen: new Set() };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    response.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(state, request, Buffer.concat(chunks).toString(), response));
  });
  serveSockets(server, () => `socket${(state.replies += 1)}`);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(state: State, request: IncomingMessage, raw: string, response: ServerResponse): void {
  const path = (request.url ?? "").split("?")[0] ?? "";
  const google = request.headers["x-goog-api-key"] !== undefined;
  const lister = google ? "gemini" : request.headers["anthropic-version"] !== undefined ? "messages" : "chat";
  if (path === "/trial/open") return json(response, 200, { open: state.open });
  if (request.method === "GET") return json(response, 200, models(path, lister));
  const body = parseJson(raw);
  const found = placeOf(path);
  if (found === null) return json(response, 404, upstreamFormats.chat.error(404, `nothing is at ${path}`));
  const { format: name, kind } = found;
  const format = upstreamFormats[name];
  if (!isObject(body)) return json(response, 400, format.error(400, "the body is not JSON"));
  if (kind === "count") return json(response, 200, counted(name, raw));
  const asked: JsonObject = { ...body, model: found.model ?? body["model"] ?? "" };
  const wrong = format.wrong(asked);
  const status = wrong === null ? failureOf(state, format.talk(asked).user) : 400;
  if (status !== null)
    return json(response, status, format.error(status, wrong ?? "the trial wants this to fail"), { "retry-after": "0" });
  if (kind === "compact") return json(response, 200, compacted(state, asked));
  reply(state, format, asked, found.stream ?? asked["stream"] === true, response);
}

interface Place {
  readonly format: FormatName;
  readonly kind: "reply" | "count" | "compact";
  readonly model: string | null;
  readonly stream: boolean | null;
}

function placeOf(path: string): Place | null {
  const known = places[path];
  if (known !== undefined) return { format: known[0], kind: known[1], model: null, stream: null };
  const [, model, verb] = /^\/v1(?:beta)?\/models\/([^/:]+):(\w+)$/.exec(path) ?? [];
  if (model === undefined) return null;
  return {
    format: "gemini",
    kind: verb === "countTokens" ? "count" : "reply",
    model: decodeURIComponent(model),
    stream: verb === "streamGenerateContent",
  };
}

const places: Readonly<Record<string, readonly [FormatName, Place["kind"]]>> = {
  "/v1/messages": ["messages", "reply"],
  "/v1/messages/count_tokens": ["messages", "count"],
  "/v1/responses": ["responses", "reply"],
  "/v1/responses/input_tokens": ["responses", "count"],
  "/v1/responses/compact": ["responses", "compact"],
  "/v1/chat/completions": ["chat", "reply"],
};

function failureOf(state: State, user: string): number | null {
  const status = /status-(\d{3})$/.exec(user)?.[1];
  if (status !== undefined) return Number(status);
  const busy = /busy-\S+$/.exec(user)?.[0];
  if (busy === undefined || state.seen.has(busy)) return null;
  state.seen.add(busy);
  return 429;
}

function reply(state: State, format: UpstreamFormat, body: JsonObject, stream: boolean, response: ServerResponse): void {
  state.replies += 1;
  const id = `trial${state.replies}`;
  const talk = format.talk(body);
  const said = replyTo(talk);
  const never = /exactly: endless/.test(talk.user);
  if (!stream && never) return endless(state, [], response);
  if (!stream) return json(response, 200, format.whole(body, said, id));
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", ...requestId });
  const frames = format.stream(body, said, id).map((event) => format.frame(event));
  if (never) return endless(state, frames, response);
  for (const frame of frames) response.write(frame);
  response.end(format.last);
}

/** The piece of text in its middle again and again, until the client goes. */
function endless(state: State, frames: readonly string[], response: ServerResponse): void {
  const last = Math.floor(frames.length / 2);
  for (const frame of frames.slice(0, last + 1)) response.write(frame);
  state.open += 1;
  const timer = setInterval(() => frames.length > 0 && response.write(frames[last] ?? ""), 20);
  response.once("close", () => {
    clearInterval(timer);
    state.open -= 1;
  });
}

function counted(format: FormatName, raw: string): JsonObject {
  const tokens = tokensOf(raw);
  if (format === "gemini") return { totalTokens: tokens };
  return format === "messages" ? { input_tokens: tokens } : { object: "response.input_tokens", input_tokens: tokens };
}

function compacted(state: State, body: JsonObject): JsonObject {
  state.replies += 1;
  const input = typeof body["input"] === "string" ? [] : (body["input"] as readonly Json[] | undefined);
  const said = (input ?? []).filter(isObject).filter((item) => item["role"] === "user");
  const kept = said.map((item, n) => ({
    type: "message",
    id: `msg_c${n}`,
    role: "user",
    status: "completed",
    content: blocksOf(item),
  }));
  const compaction = { type: "compaction", id: `cmp_${state.replies}`, encrypted_content: "b3BhcXVl" };
  const tokens = tokensOf(JSON.stringify(body["input"] ?? ""));
  return {
    id: `resp_c${state.replies}`,
    object: "response.compaction",
    created_at: 1_790_000_000,
    output: [...kept, compaction],
    usage: {
      input_tokens: tokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: tokens + 4,
    },
  };
}

function blocksOf(item: JsonObject): Json {
  const content = item["content"] ?? "";
  return typeof content === "string" ? [{ type: "input_text", text: content }] : content;
}

function models(path: string, format: FormatName): JsonObject {
  const id = "oracle-1";
  if (format === "gemini")
    return { models: [{ name: `models/${id}`, displayName: id, supportedGenerationMethods: ["generateContent"] }] };
  const entry: JsonObject =
    format === "messages"
      ? { id, type: "model", display_name: id, created_at: "2026-01-01T00:00:00Z" }
      : { id, object: "model", created: 1_790_000_000, owned_by: "trial" };
  if (path !== "/v1/models") return entry;
  return format === "messages"
    ? { data: [entry], has_more: false, first_id: id, last_id: id }
    : { object: "list", data: [entry] };
}

const requestId = { "x-request-id": "req_trial", "request-id": "req_trial" };

function json(response: ServerResponse, status: number, body: JsonObject, headers: Readonly<Record<string, string>> = {}): void {
  const bytes = Buffer.from(JSON.stringify(object(body)));
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, ...requestId, ...headers });
  response.end(bytes);
}
