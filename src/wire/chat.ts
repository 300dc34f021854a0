/**
 * Chat: the Chat Completions API, as OpenAI speaks it and as the many servers compatible with it do.
 * Source: OpenAI API reference, Chat Completions; the servers' own deviations are named where they are met.
 *   MOD-8.2  Reasoning that a compatible server shows is kept, and goes back with the calls it led to.
 *   MOD-8.3  A contract of the reply is `response_format`, strict where the schema allows it.
 */
import type { Message, ResultPart, ToolDefinition } from "../abi/message.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { chatDialectName, chatReader, readChat } from "./chat-reply.ts";
import type { Dialect } from "./dialect.ts";
import {
  bodyOf,
  callNames,
  contractOf,
  hasText,
  headCache,
  imageUrl,
  isStrict,
  joinCache,
  objectArgs,
  onceFor,
  openaiCalls,
  wireName,
} from "./parts.ts";

export interface ChatOptions {
  readonly effort: string | null;
  /** A compatible server: older field names, and its reasoning is kept. */
  readonly local: boolean;
}

interface Head {
  readonly system: string;
  readonly tools: string;
  readonly nameOf: (wire: string) => string;
}

export function chatDialect(options: ChatOptions): Dialect {
  const wire = joinCache(onceFor((message: Message) => messagesOf(message, options.local)));
  const headOf = headCache(makeHead);

  return {
    body(request, stream) {
      const head = headOf(request);
      const fields = [`"model":${JSON.stringify(request.model)}`];
      if (head.tools !== "") fields.push(head.tools, ...openaiCalls(request, chatTool));
      fields.push(`"${options.local ? "max_tokens" : "max_completion_tokens"}":${request.outputTokensMax}`);
      if (request.output !== null) fields.push(`"response_format":${responseFormat(request.output)}`);
      if (options.effort !== null) fields.push(`"reasoning_effort":${JSON.stringify(options.effort)}`);
      if (stream) fields.push(`"stream":true,"stream_options":{"include_usage":true}`);
      const messages = wire(request.messages);
      const system = head.system === "" || messages.length === 0 ? head.system : `${head.system},`;
      return bodyOf(`{${fields.join(",")},"messages":[${system}`, messages, "]}");
    },
    reply: (body, request) => readChat(body, request, headOf(request).nameOf, options.local),
    reader: (request, onDelta) => chatReader(request, headOf(request).nameOf, onDelta, options.local),
  };
}

function makeHead(system: string, tools: readonly ToolDefinition[]): Head {
  const wire = tools.map(
    (tool) =>
      `{"type":"function","function":{"name":${JSON.stringify(wireName(tool.name))},"description":${JSON.stringify(tool.description)},"parameters":${JSON.stringify(tool.input)}}}`,
  );
  return {
    system: hasText(system) ? `{"role":"system","content":${JSON.stringify(system)}}` : "",
    tools: wire.length === 0 ? "" : `"tools":[${wire.join(",")}]`,
    nameOf: callNames(tools),
  };
}

function chatTool(name: string): string {
  return `{"type":"function","function":{"name":${JSON.stringify(name)}}}`;
}

function responseFormat(output: JsonObject): string {
  const { schema } = contractOf(output);
  return `{"type":"json_schema","json_schema":{"name":"reply","schema":${JSON.stringify(schema)},"strict":${isStrict(schema)}}}`;
}

/** One message, or several where it holds several results. */
function messagesOf(message: Message, local: boolean): string {
  if (message.role === "assistant") return assistantMessage(message, local);
  const out: string[] = [];
  if (message.parts.some(({ type }) => type === "image")) return shownMessages(message);
  for (const part of message.parts) {
    if (part.type === "result") out.push(resultMessage(part));
    else if (part.type === "text" && hasText(part.text)) out.push(`{"role":"user","content":${JSON.stringify(part.text)}}`);
  }
  return out.join(",");
}

/** Words and images of one turn stand in one message, behind the results. */
function shownMessages({ parts }: Message): string {
  const content: string[] = [];
  const results: string[] = [];
  for (const part of parts) {
    if (part.type === "result") results.push(resultMessage(part));
    else if (part.type === "image") content.push(`{"type":"image_url","image_url":{"url":${JSON.stringify(imageUrl(part))}}}`);
    else if (part.type === "text" && hasText(part.text)) content.push(`{"type":"text","text":${JSON.stringify(part.text)}}`);
  }
  return [...results, `{"role":"user","content":[${content.join(",")}]}`].join(",");
}

function resultMessage({ id, text }: ResultPart): string {
  return `{"role":"tool","tool_call_id":${JSON.stringify(id)},"content":${JSON.stringify(text)}}`;
}

function assistantMessage(message: Message, local: boolean): string {
  const text = message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const calls = message.parts.filter((part) => part.type === "call");
  if (!hasText(text) && calls.length === 0) return "";
  const fields = [`"role":"assistant"`, `"content":${hasText(text) ? JSON.stringify(text) : "null"}`];
  const thought = message.parts.find((part) => part.type === "opaque" && part.dialect === chatDialectName);
  if (local && calls.length > 0 && thought?.type === "opaque" && isObject(thought.value)) {
    for (const [field, value] of Object.entries(thought.value)) fields.push(`${JSON.stringify(field)}:${JSON.stringify(value)}`);
  }
  if (calls.length > 0) {
    const wire = calls.map(
      (call) =>
        `{"id":${JSON.stringify(call.id)},"type":"function","function":{"name":${JSON.stringify(wireName(call.name))},"arguments":${JSON.stringify(objectArgs(call.args))}}}`,
    );
    fields.push(`"tool_calls":[${wire.join(",")}]`);
  }
  return `{${fields.join(",")}}`;
}
