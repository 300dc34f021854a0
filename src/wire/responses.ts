/**
 * Responses: OpenAI's API in its stateless form (`store: false`, everything sent each time).
 * Source: OpenAI API reference, Responses.
 *   MOD-7.1  Reasoning items come back to OpenAI verbatim and in place, encrypted content included.
 *   MOD-7.2  A contract of the reply is `text.format`, strict where the schema allows it.
 *   MOD-7.3  Requests with one head share a prompt cache key, so they meet in the provider's cache.
 */
import type { Message, Part, ToolDefinition } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { sha256 } from "../lib/hash.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Dialect, ReplyReader, Trouble } from "./dialect.ts";
import {
  bodyOf,
  callNames,
  callPart,
  contractOf,
  count,
  finishReply,
  hasText,
  headCache,
  isStrict,
  joinCache,
  objectArgs,
  onceFor,
  readArgs,
  str,
  wireName,
  type Counted,
} from "./parts.ts";

export interface ResponsesOptions {
  readonly effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | null;
}

const dialectName = "openai-responses";

interface Head {
  readonly text: string;
  readonly nameOf: (wire: string) => string;
}

export function responsesDialect(options: ResponsesOptions): Dialect {
  const items = joinCache(onceFor((message: Message) => itemsOf(message)));
  const headOf = headCache(makeHead);

  return {
    body(request, stream) {
      const fields = [
        `"model":${JSON.stringify(request.model)}`,
        headOf(request).text,
        `"max_output_tokens":${request.outputTokensMax}`,
      ];
      if (request.output !== null) fields.push(`"text":{"format":${textFormat(request.output)}}`);
      if (options.effort != null) fields.push(`"reasoning":{"effort":"${options.effort}"}`);
      fields.push(`"store":false,"include":["reasoning.encrypted_content"]`);
      if (stream) fields.push(`"stream":true`);
      return bodyOf(`{${fields.join(",")},"input":[`, items(request.messages), "]}");
    },
    reply: (body, request) => readResponse(body, request, headOf(request).nameOf),
    reader: (request, onDelta) => responsesReader(request, headOf(request).nameOf, onDelta),
  };
}

function makeHead(system: string, tools: readonly ToolDefinition[]): Head {
  const wire = tools.map(
    (tool) =>
      `{"type":"function","name":${JSON.stringify(wireName(tool.name))},"description":${JSON.stringify(tool.description)},"parameters":${JSON.stringify(tool.input)},"strict":false}`,
  );
  const fields = hasText(system) ? [`"instructions":${JSON.stringify(system)}`] : [];
  if (wire.length > 0) fields.push(`"tools":[${wire.join(",")}]`);
  fields.push(`"prompt_cache_key":"${sha256(fields.join(",")).slice(0, 32)}"`);
  return { text: fields.join(","), nameOf: callNames(tools) };
}

function textFormat(output: JsonObject): string {
  const { schema } = contractOf(output);
  return `{"type":"json_schema","name":"reply","schema":${JSON.stringify(schema)},"strict":${isStrict(schema)}}`;
}

function itemsOf(message: Message): string {
  return message.parts
    .map((part) => item(message, part))
    .filter((text) => text !== "")
    .join(",");
}

function item(message: Message, part: Part): string {
  switch (part.type) {
    case "text":
      return hasText(part.text)
        ? `{"role":"${message.role === "assistant" ? "assistant" : "user"}","content":${JSON.stringify(part.text)}}`
        : "";
    case "call":
      return `{"type":"function_call","call_id":${JSON.stringify(part.id)},"name":${JSON.stringify(wireName(part.name))},"arguments":${JSON.stringify(objectArgs(part.args))}}`;
    case "result":
      return `{"type":"function_call_output","call_id":${JSON.stringify(part.id)},"output":${JSON.stringify(part.text)}}`;
    case "opaque":
      return part.dialect === dialectName ? JSON.stringify(part.value) : "";
  }
}

function readResponse(body: Json, request: ModelRequest, nameOf: (wire: string) => string): Result<ModelReply, string> {
  if (!isObject(body) || !Array.isArray(body.output)) return err("it has no output");
  return replyOf(body, (body.output as readonly Json[]).filter(isObject), request, nameOf);
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
      for (const content of Array.isArray(item.content) ? (item.content as readonly Json[]).filter(isObject) : []) {
        if (content.type === "refusal") stop = "refusal";
        const text = content.type === "refusal" ? content.refusal : content.text;
        if (typeof text === "string" && text !== "") parts.push({ type: "text", text });
      }
    } else if (item.type === "function_call") {
      parts.push(callPart(str(item.call_id ?? item.id), nameOf(str(item.name)), readArgs(str(item.arguments), cut)));
    } else parts.push({ type: "opaque", dialect: dialectName, value: item });
  }
  if (cut) {
    const reason = isObject(response.incomplete_details) ? response.incomplete_details.reason : null;
    stop = reason === "content_filter" ? "refusal" : "length";
  }
  return ok(finishReply(request, parts, stop, counted(response.usage), typeof response.model === "string" ? response.model : ""));
}

function responsesReader(request: ModelRequest, nameOf: (wire: string) => string, onDelta: (delta: Delta) => void): ReplyReader {
  const direct = request.output === null || !contractOf(request.output).wrapped;
  /** Items as they were when they were whole; the closing event of some servers leaves them out. */
  const items: JsonObject[] = [];
  let last: JsonObject | null = null;

  return {
    event(_event, data): Trouble | null {
      if (!isObject(data)) return null;
      switch (data.type) {
        case "response.output_text.delta":
        case "response.refusal.delta":
          if (direct && typeof data.delta === "string" && data.delta !== "") onDelta({ type: "text", text: data.delta });
          return null;
        case "response.output_item.added":
          if (isObject(data.item) && data.item.type === "function_call")
            onDelta({ type: "call", name: nameOf(str(data.item.name)) });
          return null;
        case "response.output_item.done":
          if (isObject(data.item)) items[Number(data.output_index)] = data.item;
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
      const whole = Array.isArray(last.output) ? (last.output as readonly Json[]).filter(isObject) : [];
      const output = whole.length > 0 ? whole : items.filter((known) => known !== undefined);
      const reply = replyOf(last, output, request, nameOf);
      if (!direct && reply.ok)
        for (const part of reply.value.parts) if (part.type === "text") onDelta({ type: "text", text: part.text });
      return reply;
    },
  };
}

function streamTrouble(data: JsonObject): Trouble {
  const response = isObject(data.response) ? data.response : data;
  const error = isObject(response.error) ? response.error : response;
  const type = [error.code, error.type].filter((word): word is string => typeof word === "string" && word !== "error").join(" ");
  const message = typeof error.message === "string" ? error.message : "";
  return { status: null, type, message, retryAfterMs: null, retry: null };
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
