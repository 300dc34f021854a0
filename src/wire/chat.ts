/**
 * Chat: the Chat Completions API, as OpenAI speaks it and as the many servers compatible with it do.
 * Source: OpenAI API reference, Chat Completions; the servers' own deviations are named where they are met.
 *   MOD-8.1  A tool call is put together from its pieces whatever the server leaves out: the index, the id, or both.
 *   MOD-8.2  Reasoning that a compatible server shows is kept, and goes back with the calls it led to.
 *   MOD-8.3  A contract of the reply is `response_format`, strict where the schema allows it.
 */
import type { Message, Part, ToolDefinition } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { troubleOf, type Dialect, type ReplyReader, type Trouble } from "./dialect.ts";
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
  wireName,
  type Counted,
} from "./parts.ts";

export interface ChatOptions {
  readonly effort: string | null;
  /** A compatible server: older field names, and its reasoning is kept. */
  readonly local: boolean;
}

const dialectName = "openai-chat";

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
      if (head.tools !== "") fields.push(head.tools);
      fields.push(`"${options.local ? "max_tokens" : "max_completion_tokens"}":${request.outputTokensMax}`);
      if (request.output !== null) fields.push(`"response_format":${responseFormat(request.output)}`);
      if (options.effort !== null) fields.push(`"reasoning_effort":${JSON.stringify(options.effort)}`);
      if (stream) fields.push(`"stream":true,"stream_options":{"include_usage":true}`);
      const messages = wire(request.messages);
      const system = head.system === "" || messages.length === 0 ? head.system : `${head.system},`;
      return bodyOf(`{${fields.join(",")},"messages":[${system}`, messages, "]}");
    },
    reply(body, request) {
      const choice = isObject(body) && Array.isArray(body.choices) ? (body.choices[0] as Json | undefined) : undefined;
      if (!isObject(body) || !isObject(choice) || !isObject(choice.message)) return err("it has no message");
      const state = newState();
      takeMeta(state, body, choice);
      takeDelta(state, choice.message, () => undefined);
      return finish(state, request, headOf(request).nameOf, options.local);
    },
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

function responseFormat(output: JsonObject): string {
  const { schema } = contractOf(output);
  return `{"type":"json_schema","json_schema":{"name":"reply","schema":${JSON.stringify(schema)},"strict":${isStrict(schema)}}}`;
}

/** One message, or several where it holds several results. */
function messagesOf(message: Message, local: boolean): string {
  if (message.role === "assistant") return assistantMessage(message, local);
  const out: string[] = [];
  for (const part of message.parts) {
    if (part.type === "result")
      out.push(`{"role":"tool","tool_call_id":${JSON.stringify(part.id)},"content":${JSON.stringify(part.text)}}`);
    else if (part.type === "text" && hasText(part.text)) out.push(`{"role":"user","content":${JSON.stringify(part.text)}}`);
  }
  return out.join(",");
}

function assistantMessage(message: Message, local: boolean): string {
  const text = message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const calls = message.parts.filter((part) => part.type === "call");
  if (!hasText(text) && calls.length === 0) return "";
  const fields = [`"role":"assistant"`, `"content":${hasText(text) ? JSON.stringify(text) : "null"}`];
  const thought = message.parts.find((part) => part.type === "opaque" && part.dialect === dialectName);
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

interface CallDraft {
  readonly index: number | null;
  id: string;
  name: string;
  args: string;
}

interface State {
  text: string;
  refusal: string;
  /** The field the server uses and what it holds: `reasoning_content` (DeepSeek, llama.cpp) or `reasoning` (vLLM, Ollama). */
  thought: { field: string; text: string } | null;
  readonly calls: CallDraft[];
  finish: string | null;
  model: string;
  usage: JsonObject;
}

function newState(): State {
  return { text: "", refusal: "", thought: null, calls: [], finish: null, model: "", usage: {} };
}

function takeMeta(state: State, body: JsonObject, choice: JsonObject | null): void {
  if (typeof body.model === "string" && body.model !== "") state.model = body.model;
  if (isObject(body.usage)) state.usage = body.usage;
  if (choice !== null && typeof choice.finish_reason === "string") state.finish = choice.finish_reason;
}

/** A whole message is a delta that comes at once. */
function takeDelta(state: State, delta: JsonObject, onCall: (name: string) => void): void {
  if (typeof delta.content === "string") state.text += delta.content;
  if (typeof delta.refusal === "string") state.refusal += delta.refusal;
  for (const field of ["reasoning_content", "reasoning"]) {
    const text = delta[field];
    if (typeof text !== "string" || text === "" || (state.thought !== null && state.thought.field !== field)) continue;
    state.thought = { field, text: (state.thought?.text ?? "") + text };
  }
  if (!Array.isArray(delta.tool_calls)) return;
  for (const piece of (delta.tool_calls as readonly Json[]).filter(isObject)) takeCall(state, piece, onCall);
}

/** A piece belongs to the call of its index, unless it brings another id; without an index, to the last call, unless it names one. */
function takeCall(state: State, piece: JsonObject, onCall: (name: string) => void): void {
  const fn = isObject(piece.function) ? piece.function : {};
  const index = typeof piece.index === "number" ? piece.index : null;
  const id = typeof piece.id === "string" ? piece.id : "";
  const name = typeof fn.name === "string" ? fn.name : "";
  const args = typeof fn.arguments === "string" ? fn.arguments : isObject(fn.arguments) ? JSON.stringify(fn.arguments) : "";
  const known =
    index === null ? (name === "" ? state.calls.at(-1) : undefined) : state.calls.findLast((call) => call.index === index);
  if (known !== undefined && (id === "" || known.id === "" || known.id === id)) {
    if (known.id === "") known.id = id;
    known.name += name === known.name ? "" : name;
    known.args += args;
    return;
  }
  state.calls.push({ index, id, name, args });
  if (name !== "") onCall(name);
}

function chatReader(
  request: ModelRequest,
  nameOf: (wire: string) => string,
  onDelta: (delta: Delta) => void,
  local: boolean,
): ReplyReader {
  const state = newState();
  const direct = request.output === null || !contractOf(request.output).wrapped;
  return {
    event(_event, data): Trouble | null {
      const said = troubleOf(data);
      if (said !== undefined) return { ...said, status: null, retryAfterMs: null, retry: null };
      if (!isObject(data)) return null;
      const choice = Array.isArray(data.choices) ? (data.choices[0] as Json | undefined) : undefined;
      takeMeta(state, data, isObject(choice) ? choice : null);
      if (!isObject(choice) || !isObject(choice.delta)) return null;
      const before = state.text.length + state.refusal.length;
      takeDelta(state, choice.delta, (name) => onDelta({ type: "call", name: nameOf(name) }));
      if (direct && state.text.length + state.refusal.length > before) {
        const { content, refusal } = choice.delta;
        onDelta({
          type: "text",
          text: (typeof content === "string" ? content : "") + (typeof refusal === "string" ? refusal : ""),
        });
      }
      return null;
    },
    finish() {
      if (state.finish === null) return err("its stream ended before the reply did");
      const reply = finish(state, request, nameOf, local);
      if (!direct && reply.ok)
        for (const part of reply.value.parts) if (part.type === "text") onDelta({ type: "text", text: part.text });
      return reply;
    },
  };
}

function finish(
  state: State,
  request: ModelRequest,
  nameOf: (wire: string) => string,
  local: boolean,
): Result<ModelReply, string> {
  const stop = state.refusal !== "" ? "refusal" : (stops[state.finish ?? "stop"] ?? "end");
  const parts: Part[] = [];
  if (local && state.thought !== null) {
    parts.push({ type: "opaque", dialect: dialectName, value: { [state.thought.field]: state.thought.text } });
  }
  if (state.text !== "") parts.push({ type: "text", text: state.text });
  if (state.refusal !== "") parts.push({ type: "text", text: state.refusal });
  state.calls.forEach((call, n) => {
    const id = call.id === "" ? `call_${request.idempotencyKey}_${n}` : call.id;
    parts.push(callPart(id, nameOf(call.name), readArgs(call.args, stop === "length")));
  });
  return ok(finishReply(request, parts, stop, counted(state.usage), state.model));
}

const stops: Readonly<Record<string, StopReason>> = {
  stop: "end",
  tool_calls: "end",
  function_call: "end",
  length: "length",
  content_filter: "refusal",
};

/** Some servers count reasoning beside the completion; the total tells. */
function counted(usage: JsonObject): Counted {
  const input = count(usage.prompt_tokens);
  const output = count(usage.completion_tokens);
  const total = count(usage.total_tokens);
  const details = isObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {};
  return {
    input,
    output: output !== null && total !== null && input !== null ? Math.max(output, total - input) : output,
    cacheRead: count(details.cached_tokens) ?? 0,
    cacheWrite: count(details.cache_write_tokens) ?? 0,
  };
}
