/**
 * Responses replies: read what a model behind OpenAI's Responses API answers, as a stream or in one piece.
 *   MOD-7.4  Every item that asks the client to act is a call, whatever its kind: one of free text has it as `input`, one of a built-in tool is
 *            named by its type, and one of a namespace by both names.
 *   MOD-7.5  A streamed reply can be said again as the items that it would have had in one piece.
 */
import type { CallPart, OpaquePart, Part } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { SaidReader, Trouble } from "./dialect.ts";
import { callPart, contractOf, count, finishReply, listOf, readArgs, str, type Counted } from "./parts.ts";

/** Its opaque parts hold items of a response. */
export const responsesDialectName = "openai-responses";

/** What the provider executes itself. */
const ownCalls: ReadonlySet<string> = new Set([
  "web_search_call",
  "file_search_call",
  "code_interpreter_call",
  "image_generation_call",
  "mcp_call",
]);

/** Whether a type of item is a call for the client; a type that nobody knows yet is one. */
export function isCallType(type: string): boolean {
  return type.endsWith("_call") && !ownCalls.has(type);
}

export function isCallItem(item: JsonObject): boolean {
  return isCallType(str(item.type)) && !(item.type === "tool_search_call" && item.execution === "server");
}

/** The call that an item asks for. `cut`: the reply ended at its limit. */
export function itemCall(item: JsonObject, nameOf: (wire: string) => string, cut: boolean): CallPart {
  const { type, id: itemId, call_id: callId, name, namespace, status: _status, ...rest } = item;
  const id = str(callId) === "" ? str(itemId) : str(callId);
  const own = nameOf(str(name));
  const full = str(namespace) === "" ? own : `${str(namespace)}.${own}`;
  if (type === "function_call") return callPart(id, full, readArgs(str(item.arguments), cut));
  if (type === "custom_tool_call") return callPart(id, full, { input: str(item.input) });
  return callPart(id, str(type).slice(0, -"_call".length), rest);
}

/** The response in one piece; the error says what is missing. */
export function readResponse(body: Json, request: ModelRequest, nameOf: (wire: string) => string): Result<ModelReply, string> {
  if (!isObject(body) || !Array.isArray(body.output)) return err("it has no output");
  return replyOf(body, listOf(body.output), request, nameOf);
}

function replyOf(
  response: JsonObject,
  output: readonly JsonObject[],
  request: ModelRequest,
  nameOf: (wire: string) => string,
): Result<ModelReply, string> {
  const cut = response.status === "incomplete";
  const parts: Part[] = [];
  let stop: StopReason = "end";
  for (const item of output) {
    if (item.type === "message") {
      for (const content of listOf(item.content)) {
        if (content.type === "refusal") stop = "refusal";
        const text = str(content.type === "refusal" ? content.refusal : content.text);
        if (text !== "") parts.push({ type: "text", text });
      }
    } else if (isCallItem(item)) parts.push(itemCall(item, nameOf, cut));
    else parts.push(saidItem(item));
  }
  if (cut) {
    const reason = isObject(response.incomplete_details) ? response.incomplete_details.reason : null;
    stop = reason === "content_filter" ? "refusal" : "length";
  }
  return ok(finishReply(request, parts, stop, counted(response.usage), str(response.model)));
}

/** An item as a part that holds it verbatim. */
export function saidItem(value: JsonObject): OpaquePart {
  return { type: "opaque", dialect: responsesDialectName, value };
}

export function responseReader(
  request: ModelRequest,
  nameOf: (wire: string) => string,
  onDelta: (delta: Delta) => void,
): SaidReader {
  const direct = request.output === null || !contractOf(request.output).wrapped;
  /** Items as they were when they were whole, in that order; the closing event of some servers leaves them out. */
  const items: JsonObject[] = [];
  let last: JsonObject | null = null;
  const outputOf = (): readonly JsonObject[] => {
    const whole = listOf(last?.output);
    return whole.length > 0 ? whole : items;
  };

  return {
    event(_event, data): Trouble | null {
      if (!isObject(data)) return null;
      switch (data.type) {
        case "response.output_text.delta":
        case "response.refusal.delta":
          if (direct && typeof data.delta === "string" && data.delta !== "") onDelta({ type: "text", text: data.delta });
          return null;
        case "response.output_item.added":
          if (isObject(data.item) && isCallItem(data.item))
            onDelta({ type: "call", name: itemCall(data.item, nameOf, true).name });
          return null;
        case "response.output_item.done":
          if (isObject(data.item)) items.push(data.item);
          return null;
        case "response.completed":
        case "response.incomplete":
          if (isObject(data.response)) last = data.response;
          return null;
        case "response.failed":
        case "error":
          return streamTrouble(data);
        default:
          return null;
      }
    },
    finish() {
      if (last === null) return err("its stream ended before the reply did");
      const reply = replyOf(last, outputOf(), request, nameOf);
      if (!direct && reply.ok)
        for (const part of reply.value.parts) if (part.type === "text") onDelta({ type: "text", text: part.text });
      return reply;
    },
    said: () => outputOf().map(saidItem),
  };
}

function streamTrouble(data: JsonObject): Trouble {
  const response = isObject(data.response) ? data.response : data;
  const error = isObject(response.error) ? response.error : response;
  const type = [error.code, error.type].filter((word): word is string => typeof word === "string" && word !== "error").join(" ");
  return { status: null, type, message: str(error.message), retryAfterMs: null, retry: null };
}

function counted(usage: Json | undefined): Counted {
  const figures = isObject(usage) ? usage : {};
  const details = isObject(figures.input_tokens_details) ? figures.input_tokens_details : {};
  return {
    input: count(figures.input_tokens),
    output: count(figures.output_tokens),
    cacheRead: count(details.cached_tokens) ?? 0,
    cacheWrite: count(details.cache_write_tokens) ?? 0,
  };
}
