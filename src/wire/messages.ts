/**
 * Messages: Anthropic's API, in its classic form and in the one models since 4.6 speak.
 * Source: platform.claude.com API reference; API versions 2023-06-01 and 2026-10-21.
 *   MOD-6.1  Thinking and other blocks only Anthropic understands come back to it verbatim and in place.
 *   MOD-6.2  The stable prefix is marked for the cache: the tools and system prompt, the end of the last turn, the end of the request.
 *   MOD-6.3  A contract of the reply is a forced tool for a classic model and `output_config.format` for a current one, because current
 *            models refuse forced tools; either way the reply is JSON text.
 *   MOD-6.4  No sampling parameter is ever sent: the 2026-10-21 version refuses them.
 */
import type { ImagePart, Message, Part, ToolDefinition } from "../abi/message.ts";
import type { CallControl, ModelRequest } from "../abi/model.ts";
import type { JsonObject } from "../lib/json.ts";
import { contractFormat } from "./messages-schema.ts";
import { cacheMark as mark, conversationOf } from "./messages-turns.ts";
import type { Dialect } from "./dialect.ts";
import { answerTool, messageReader, messagesDialectName, readMessage } from "./messages-reply.ts";
import { bodyOf, callNames, contractOf, hasText, headCache, objectArgs, onceFor, wireName } from "./parts.ts";

/** What of a model is asked for besides the request. */
export interface MessagesOptions {
  /** `default` leaves it to the model; a budget applies to classic models, adaptive thinking to current ones. */
  readonly thinking?: "default" | "off" | "adaptive" | { readonly budgetTokens: number };
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | null;
}

/** Models before 4.6: forced tools, manual thinking budgets, no adaptive thinking. */
export function isClassic(model: string): boolean {
  return /claude-(?:2|3|instant)|claude-(?:opus|sonnet|haiku)-4(?:-[015](?!\d)|-\d{8}|$|@)/.test(model);
}

interface Head {
  /** The block of the system prompt. */
  readonly system: string;
  readonly tools: string;
  readonly nameOf: (wire: string) => string;
}

export function messagesDialect(options: MessagesOptions): Dialect {
  const conversation = conversationOf(onceFor((message: Message) => blocksOf(message)));
  const headOf = headCache(makeHead);

  return {
    body(request, stream) {
      const head = headOf(request);
      const fields = [`"model":${JSON.stringify(request.model)}`, `"max_tokens":${request.outputTokensMax}`];
      const system = [head.system, contractWords(request)].filter((text) => text !== "");
      if (system.length > 0) fields.push(`"system":[${system.join(",")}]`);
      fields.push(...controls(request, head, options));
      if (stream) fields.push(`"stream":true`);
      const { settled, tail } = conversation(request.messages);
      return bodyOf(`{${fields.join(",")},"messages":[`, settled, `${tail}]}`);
    },
    reply: (body, request) => readMessage(body, request, headOf(request).nameOf),
    reader: (request, onDelta) => messageReader(request, headOf(request).nameOf, onDelta),
  };
}

function makeHead(system: string, tools: readonly ToolDefinition[]): Head {
  const wire = tools.map(
    (tool) =>
      `{"name":${JSON.stringify(wireName(tool.name))},"description":${JSON.stringify(tool.description)},"input_schema":${JSON.stringify(tool.input)}}`,
  );
  const block = hasText(system) ? `{"type":"text","text":${JSON.stringify(system)},${mark}}` : "";
  return { system: block, tools: wire.join(","), nameOf: callNames(tools) };
}

/** Tools, contract, thinking: they come before the messages in the provider's cache as well. */
function controls(request: ModelRequest, head: Head, options: MessagesOptions): string[] {
  const classic = isClassic(request.model);
  const fields: string[] = [];
  const contract = request.output === null ? null : contractOf(request.output);
  let tools = head.tools;
  if (contract !== null && classic) {
    const answer = `{"name":"${answerTool}","description":"Give the final answer.","input_schema":${JSON.stringify(contract.schema)}}`;
    tools = tools === "" ? answer : `${tools},${answer}`;
    const choice = request.tools.length === 0 ? `{"type":"tool","name":"${answerTool}"}` : `{"type":"any"}`;
    fields.push(`"tool_choice":${choice}`);
  }
  if (tools !== "") fields.unshift(`"tools":[${tools}]`);
  // A contract's own tool has chosen already.
  if (head.tools !== "" && fields.length === 1 && request.calls !== undefined) fields.push(toolChoice(request.calls));
  const output: string[] = [];
  const format = contract === null || classic ? null : contractFormat(contract.schema);
  if (format !== null) output.push(`"format":${format}`);
  if (options.effort != null && !classic) output.push(`"effort":"${options.effort}"`);
  if (output.length > 0) fields.push(`"output_config":{${output.join(",")}}`);
  const thinking = thinkingField(request, classic, options.thinking ?? "default");
  if (thinking !== null) fields.push(`"thinking":${thinking}`);
  return fields;
}

function toolChoice({ choice, several }: CallControl): string {
  const named =
    typeof choice === "object" ? `"type":"tool","name":${JSON.stringify(wireName(choice.tool))}` : `"type":"${choice}"`;
  return `"tool_choice":{${named}${several || choice === "none" ? "" : `,"disable_parallel_tool_use":true`}}`;
}

/** A contract that structured output cannot say is said in words, after the part of the prompt that is cached. */
function contractWords({ model, output }: ModelRequest): string {
  if (output === null || isClassic(model)) return "";
  const { schema } = contractOf(output);
  if (contractFormat(schema) !== null) return "";
  const words = `The final answer is one JSON value and nothing else. It fits this JSON Schema: ${JSON.stringify(schema)}`;
  return `{"type":"text","text":${JSON.stringify(words)}}`;
}

/** A forced tool excludes manual thinking, and a budget must leave room for the answer. */
function thinkingField(request: ModelRequest, classic: boolean, wish: NonNullable<MessagesOptions["thinking"]>): string | null {
  if (wish === "default") return null;
  if (wish === "off") return `{"type":"disabled"}`;
  if (!classic) return `{"type":"adaptive"}`;
  if (wish === "adaptive" || request.output !== null) return null;
  const budget = Math.min(wish.budgetTokens, request.outputTokensMax - 1024);
  return budget >= 1024 ? `{"type":"enabled","budget_tokens":${budget}}` : null;
}

function blocksOf(message: Message): string {
  return message.parts
    .map(block)
    .filter((text) => text !== "")
    .join(",");
}

function block(part: Part): string {
  switch (part.type) {
    case "text":
      return hasText(part.text) ? `{"type":"text","text":${JSON.stringify(part.text)}}` : "";
    case "call":
      return `{"type":"tool_use","id":${JSON.stringify(part.id)},"name":${JSON.stringify(wireName(part.name))},"input":${objectArgs(part.args)}}`;
    case "result":
      return `{"type":"tool_result","tool_use_id":${JSON.stringify(part.id)},"content":${JSON.stringify(part.text)}${part.ok ? "" : `,"is_error":true`}}`;
    case "image":
      return `{"type":"image","source":${JSON.stringify(imageSource(part))}}`;
    case "opaque":
      return part.dialect === messagesDialectName ? JSON.stringify(part.value) : "";
  }
}

function imageSource({ source }: ImagePart): JsonObject {
  if ("url" in source) return { type: "url", url: source.url };
  return { type: "base64", media_type: source.mediaType, data: source.data };
}
