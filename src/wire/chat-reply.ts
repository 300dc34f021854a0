/**
 * Chat replies: read what a model behind the Chat Completions API answers, as a stream or in one piece.
 *   MOD-8.1  A tool call is put together from its pieces whatever the server leaves out: the index, the id, or both.
 *   MOD-8.4  The single call of the older form, and one whose input is free text, are calls as well.
 *   MOD-8.5  A streamed reply can be said again as the message that it would have been in one piece, with what a server adds to its calls.
 */
import type { OpaquePart, Part } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { troubleOf, type SaidReader, type Trouble } from "./dialect.ts";
import { callPart, contractOf, count, finishReply, listOf, readArgs, str, type Counted } from "./parts.ts";

/** Its opaque parts hold fields of an assistant's message. */
export const chatDialectName = "openai-chat";

interface CallDraft {
  readonly index: number | null;
  readonly form: "function" | "custom" | "legacy";
  id: string;
  name: string;
  args: string;
  /** What else the server said of it. */
  more: JsonObject;
}

interface State {
  text: string;
  refusal: string;
  /** The field the server uses and what it holds: `reasoning_content` (DeepSeek, llama.cpp) or `reasoning` (vLLM, Ollama). */
  thought: { readonly field: string; text: string } | null;
  readonly calls: CallDraft[];
  finish: string | null;
  model: string;
  usage: JsonObject;
}

function newState(): State {
  return { text: "", refusal: "", thought: null, calls: [], finish: null, model: "", usage: {} };
}

/** The completion in one piece; the error says what is missing. */
export function readChat(
  body: Json,
  request: ModelRequest,
  nameOf: (wire: string) => string,
  local: boolean,
): Result<ModelReply, string> {
  const choice = isObject(body) && Array.isArray(body.choices) ? (body.choices[0] as Json | undefined) : undefined;
  if (!isObject(body) || !isObject(choice) || !isObject(choice.message)) return err("it has no message");
  const state = newState();
  takeMeta(state, body, choice);
  takeDelta(state, choice.message, () => undefined);
  return finish(state, request, nameOf, local);
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
  for (const piece of listOf(delta.tool_calls)) takeCall(state, piece, onCall);
  if (isObject(delta.function_call)) takeLegacy(state, delta.function_call, onCall);
}

/** A piece belongs to the call of its index, unless it brings another id; without an index, to the last call, unless it names one. */
function takeCall(state: State, piece: JsonObject, onCall: (name: string) => void): void {
  const { index: place, id: said, type, function: fn, custom, ...more } = piece;
  const body = isObject(fn) ? fn : isObject(custom) ? custom : {};
  const index = typeof place === "number" ? place : null;
  const id = str(said);
  const name = str(body.name);
  const args = isObject(body.arguments) ? JSON.stringify(body.arguments) : str(body.arguments ?? body.input);
  const known =
    index === null ? (name === "" ? state.calls.at(-1) : undefined) : state.calls.findLast((call) => call.index === index);
  if (known !== undefined && (id === "" || known.id === "" || known.id === id)) {
    if (known.id === "") known.id = id;
    known.name += name === known.name ? "" : name;
    known.args += args;
    known.more = { ...known.more, ...more };
    return;
  }
  const form = type === "custom" || isObject(custom) ? "custom" : "function";
  state.calls.push({ index, form, id, name, args, more });
  if (name !== "") onCall(name);
}

/** The older form has one call, and neither an index nor an id. */
function takeLegacy(state: State, piece: JsonObject, onCall: (name: string) => void): void {
  const name = str(piece.name);
  const known = state.calls.find((call) => call.form === "legacy");
  if (known !== undefined) {
    known.name += name === known.name ? "" : name;
    known.args += str(piece.arguments);
    return;
  }
  state.calls.push({ index: null, form: "legacy", id: "", name, args: str(piece.arguments), more: {} });
  if (name !== "") onCall(name);
}

export function chatReader(
  request: ModelRequest,
  nameOf: (wire: string) => string,
  onDelta: (delta: Delta) => void,
  local: boolean,
): SaidReader {
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
      if (direct && state.text.length + state.refusal.length > before)
        onDelta({ type: "text", text: str(choice.delta.content) + str(choice.delta.refusal) });
      return null;
    },
    finish() {
      if (state.finish === null) return err("its stream ended before the reply did");
      const reply = finish(state, request, nameOf, local);
      if (!direct && reply.ok)
        for (const part of reply.value.parts) if (part.type === "text") onDelta({ type: "text", text: part.text });
      return reply;
    },
    said: () => [saidMessage(messageOf(state))],
  };
}

/** A message as a part that holds its fields verbatim. */
export function saidMessage(value: JsonObject): OpaquePart {
  return { type: "opaque", dialect: chatDialectName, value };
}

function messageOf(state: State): JsonObject {
  const legacy = state.calls.find((call) => call.form === "legacy");
  const calls = state.calls.filter((call) => call.form !== "legacy");
  return {
    content: state.text === "" ? null : state.text,
    ...(state.refusal === "" ? {} : { refusal: state.refusal }),
    ...(state.thought === null ? {} : { [state.thought.field]: state.thought.text }),
    ...(legacy === undefined ? {} : { function_call: { name: legacy.name, arguments: legacy.args } }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(wireCall) }),
  };
}

function wireCall({ form, id, name, args, more }: CallDraft): JsonObject {
  return form === "custom"
    ? { ...more, id, type: "custom", custom: { name, input: args } }
    : { ...more, id, type: "function", function: { name, arguments: args } };
}

function finish(
  state: State,
  request: ModelRequest,
  nameOf: (wire: string) => string,
  local: boolean,
): Result<ModelReply, string> {
  const stop = state.refusal !== "" ? "refusal" : (stops[state.finish ?? "stop"] ?? "end");
  const parts: Part[] = [];
  if (local && state.thought !== null) parts.push(saidMessage({ [state.thought.field]: state.thought.text }));
  if (state.text !== "") parts.push({ type: "text", text: state.text });
  if (state.refusal !== "") parts.push({ type: "text", text: state.refusal });
  state.calls.forEach((call, n) => {
    const made = call.form === "legacy" ? call.name : `call_${request.idempotencyKey}_${n}`;
    const args = call.form === "custom" ? { input: call.args } : readArgs(call.args, stop === "length");
    parts.push(callPart(call.id === "" ? made : call.id, nameOf(call.name), args));
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
