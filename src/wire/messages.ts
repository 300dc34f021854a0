/**
 * Messages: Anthropic's API, in its classic form and in the one models since 4.6 speak.
 * Source: platform.claude.com API reference; API versions 2023-06-01 and 2026-10-21.
 *   MOD-6.1  Thinking and other blocks only Anthropic understands come back to it verbatim and in place.
 *   MOD-6.2  The stable prefix is marked for the cache: the tools and system prompt, the end of the last turn, the end of the request.
 *   MOD-6.3  A contract of the reply is a forced tool for a classic model and `output_config.format` for a current one, because current
 *            models refuse forced tools; either way the reply is JSON text.
 *   MOD-6.4  No sampling parameter is ever sent: the 2026-10-21 version refuses them.
 */
import type { Message, Part, ToolDefinition } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { contractFormat } from "./messages-schema.ts";
import { cacheMark as mark, conversationOf } from "./messages-turns.ts";
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
  objectArgs,
  onceFor,
  readArgs,
  str,
  wireName,
  type Counted,
} from "./parts.ts";

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

const answerTool = "final_answer";

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
    reply(body, request) {
      const state = newState();
      if (!isObject(body) || !Array.isArray(body.content)) return err("it has no content");
      state.content = (body.content as readonly Json[]).filter(isObject).map((wire) => ({ wire, json: null }));
      takeMessage(state, body);
      return finish(state, request, headOf(request).nameOf);
    },
    reader: (request, onDelta) => messagesReader(request, headOf(request).nameOf, onDelta),
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
  const output: string[] = [];
  const format = contract === null || classic ? null : contractFormat(contract.schema);
  if (format !== null) output.push(`"format":${format}`);
  if (options.effort != null && !classic) output.push(`"effort":"${options.effort}"`);
  if (output.length > 0) fields.push(`"output_config":{${output.join(",")}}`);
  const thinking = thinkingField(request, classic, options.thinking ?? "default");
  if (thinking !== null) fields.push(`"thinking":${thinking}`);
  return fields;
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
    case "opaque":
      return part.dialect === "anthropic" ? JSON.stringify(part.value) : "";
  }
}

interface Block {
  wire: JsonObject;
  /** Arguments as they stream; null when they came whole. */
  json: string | null;
}

interface State {
  content: Block[];
  model: string;
  stop: string | null;
  usage: JsonObject;
  ended: boolean;
}

function newState(): State {
  return { content: [], model: "", stop: null, usage: {}, ended: false };
}

/** The fields a whole message and the start of a streamed one share. */
function takeMessage(state: State, message: JsonObject): void {
  if (typeof message.model === "string") state.model = message.model;
  if (typeof message.stop_reason === "string") state.stop = message.stop_reason;
  if (isObject(message.usage)) state.usage = merge(state.usage, message.usage);
}

/** Later figures replace earlier ones; null says nothing. */
function merge(usage: JsonObject, more: JsonObject): JsonObject {
  return { ...usage, ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== null)) };
}

function messagesReader(request: ModelRequest, nameOf: (wire: string) => string, onDelta: (delta: Delta) => void): ReplyReader {
  const state = newState();
  const direct = request.output === null || !contractOf(request.output).wrapped;
  const show = (text: unknown): void => {
    if (direct && typeof text === "string" && text !== "") onDelta({ type: "text", text });
  };

  function startBlock(index: number, wire: JsonObject): void {
    state.content[index] = { wire, json: wire.type === "tool_use" ? "" : null };
    if (wire.type === "text") show(wire.text);
    if (wire.type === "tool_use" && wire.name !== answerTool) onDelta({ type: "call", name: nameOf(str(wire.name)) });
  }

  function growBlock(index: number, delta: JsonObject): void {
    const known = state.content[index];
    if (known === undefined) return;
    if (delta.type === "text_delta") show(delta.text);
    if (delta.type === "input_json_delta") {
      known.json = (known.json ?? "") + str(delta.partial_json);
      if (known.wire.name === answerTool) show(delta.partial_json);
      return;
    }
    const field = growing[str(delta.type)];
    if (field === undefined) return;
    known.wire = { ...known.wire, [field]: str(known.wire[field]) + str(delta[field]) };
  }

  return {
    event(_event, data): Trouble | null {
      if (!isObject(data)) return null;
      switch (data.type) {
        case "message_start":
          if (isObject(data.message)) takeMessage(state, data.message);
          return null;
        case "content_block_start":
          if (isObject(data.content_block)) startBlock(Number(data.index), data.content_block);
          return null;
        case "content_block_delta":
          if (isObject(data.delta)) growBlock(Number(data.index), data.delta);
          return null;
        case "message_delta":
          takeMessage(state, { ...(isObject(data.delta) ? data.delta : {}), usage: data.usage ?? null });
          return null;
        case "message_stop":
          state.ended = true;
          return null;
        case "error": {
          const error = isObject(data.error) ? data.error : {};
          return {
            status: null,
            type: str(error.type),
            message: str(error.message),
            retryAfterMs: null,
            retry: null,
          };
        }
        default:
          return null;
      }
    },
    finish() {
      if (!state.ended) return err("its stream ended before the reply did");
      const reply = finish(state, request, nameOf);
      if (!direct && reply.ok)
        for (const part of reply.value.parts) if (part.type === "text") onDelta({ type: "text", text: part.text });
      return reply;
    },
  };
}

/** Which field a delta lengthens; the delta carries it under the same name. */
const growing: Readonly<Record<string, string>> = {
  text_delta: "text",
  thinking_delta: "thinking",
  signature_delta: "signature",
};

function finish(state: State, request: ModelRequest, nameOf: (wire: string) => string): Result<ModelReply, string> {
  if (state.stop === null) return err("it does not say why it stopped");
  const stop = stops[state.stop] ?? "end";
  const parts: Part[] = [];
  for (const { wire, json } of state.content.filter((known) => known !== undefined)) {
    if (wire.type === "text") {
      if (typeof wire.text === "string" && wire.text !== "") parts.push({ type: "text", text: wire.text });
    } else if (wire.type === "tool_use") parts.push(usePart(wire, json, stop === "length", nameOf));
    else parts.push({ type: "opaque", dialect: "anthropic", value: wire });
  }
  return ok(finishReply(request, parts, stop, counted(state.usage), state.model));
}

function usePart(wire: JsonObject, json: string | null, cut: boolean, nameOf: (wire: string) => string): Part {
  if (wire.name === answerTool) return { type: "text", text: json === null ? JSON.stringify(wire.input) : tidyJson(json) };
  const args =
    json === null
      ? (wire.input ?? {})
      : json === "" && isObject(wire.input) && Object.keys(wire.input).length > 0
        ? wire.input
        : readArgs(json, cut);
  return callPart(str(wire.id), nameOf(str(wire.name)), args);
}

/** The text that was shown, unless nothing was. */
function tidyJson(json: string): string {
  return json === "" ? "{}" : parseJson(json) === undefined ? json : json;
}

const stops: Readonly<Record<string, StopReason>> = {
  end_turn: "end",
  stop_sequence: "end",
  tool_use: "end",
  pause_turn: "end",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "refusal",
};

/** Cached tokens are counted apart by Anthropic, and are parts of the input here. */
function counted(usage: JsonObject): Counted {
  const cacheRead = count(usage.cache_read_input_tokens) ?? 0;
  const cacheWrite = count(usage.cache_creation_input_tokens) ?? 0;
  const fresh = count(usage.input_tokens);
  const input = fresh === null ? null : fresh + cacheRead + cacheWrite;
  return { input, output: count(usage.output_tokens), cacheRead, cacheWrite };
}
