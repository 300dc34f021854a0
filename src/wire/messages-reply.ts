/**
 * Messages replies: read what a model behind Anthropic's API answers, as a stream or in one piece.
 *   MOD-6.6  A tool is the contract's own only in the reply to a request that has a contract; otherwise it is a tool like any other.
 *   MOD-6.7  A streamed reply can be said again as the blocks that it would have been in one piece.
 */
import type { OpaquePart, Part } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { SaidReader, Trouble } from "./dialect.ts";
import { callPart, contractOf, count, finishReply, listOf, readArgs, str, type Counted } from "./parts.ts";

/** The tool that a classic model answers a contract with. */
export const answerTool = "final_answer";

export const messagesDialectName = "anthropic";

/** A block that the client is to act on; what the provider runs itself is named apart. */
export function isToolUse(block: JsonObject): boolean {
  const type = str(block.type);
  return type.endsWith("tool_use") && type !== "server_tool_use" && type !== "mcp_tool_use";
}

interface Block {
  readonly wire: JsonObject;
  /** Arguments as they stream; null when they came whole. */
  json: string | null;
  /** Fields that grow, as far as they came. */
  readonly grown: Record<string, string>;
  readonly citations: Json[];
}

interface State {
  readonly content: Block[];
  model: string;
  stop: string | null;
  usage: JsonObject;
  ended: boolean;
}

/** The message in one piece; the error says what is missing. */
export function readMessage(body: Json, request: ModelRequest, nameOf: (wire: string) => string): Result<ModelReply, string> {
  if (!isObject(body) || !Array.isArray(body.content)) return err("it has no content");
  const state: State = {
    content: listOf(body.content).map((wire) => newBlock(wire, null)),
    model: "",
    stop: null,
    usage: {},
    ended: true,
  };
  takeMessage(state, body);
  return finish(state, request, nameOf);
}

function newBlock(wire: JsonObject, json: string | null): Block {
  return { wire, json, grown: {}, citations: [] };
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

export function messageReader(
  request: ModelRequest,
  nameOf: (wire: string) => string,
  onDelta: (delta: Delta) => void,
): SaidReader {
  const state: State = { content: [], model: "", stop: null, usage: {}, ended: false };
  const direct = request.output === null || !contractOf(request.output).wrapped;
  const isAnswer = (wire: JsonObject): boolean => request.output !== null && wire.name === answerTool;
  const show = (text: unknown): void => {
    if (direct && typeof text === "string" && text !== "") onDelta({ type: "text", text });
  };

  function startBlock(index: number, wire: JsonObject): void {
    state.content[index] = newBlock(wire, isToolUse(wire) ? "" : null);
    if (wire.type === "text") show(wire.text);
    if (isToolUse(wire) && !isAnswer(wire)) onDelta({ type: "call", name: nameOf(str(wire.name)) });
  }

  function growBlock(index: number, delta: JsonObject): void {
    const known = state.content[index];
    if (known === undefined) return;
    if (delta.type === "text_delta") show(delta.text);
    if (delta.type === "input_json_delta") {
      known.json = (known.json ?? "") + str(delta.partial_json);
      if (isAnswer(known.wire)) show(delta.partial_json);
      return;
    }
    if (delta.type === "citations_delta") known.citations.push(delta.citation ?? null);
    const field = growing[str(delta.type)];
    if (field === undefined) return;
    known.grown[field] = (known.grown[field] ?? str(known.wire[field])) + str(delta[field]);
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
          return { status: null, type: str(error.type), message: str(error.message), retryAfterMs: null, retry: null };
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
    said: () => saidBlocks(blocksOf(state)),
  };
}

/** Blocks as parts that hold them verbatim. */
export function saidBlocks(blocks: readonly JsonObject[]): readonly OpaquePart[] {
  return blocks.map((value) => ({ type: "opaque", dialect: messagesDialectName, value }));
}

/** Which field a delta lengthens; the delta carries it under the same name. */
const growing: Readonly<Record<string, string>> = {
  text_delta: "text",
  thinking_delta: "thinking",
  signature_delta: "signature",
  compaction_delta: "content",
};

function blocksOf(state: State): JsonObject[] {
  const cut = state.stop === null || stops[state.stop] === "length";
  // A place that no event began is a hole in the list.
  return state.content.filter((known) => known !== undefined).map((known) => wholeBlock(known, cut));
}

/** The block as it would have come in one piece. */
function wholeBlock({ wire, json, grown, citations }: Block, cut: boolean): JsonObject {
  const block: Record<string, Json> = { ...wire, ...grown };
  if (citations.length > 0)
    block["citations"] = [...(Array.isArray(wire.citations) ? (wire.citations as Json[]) : []), ...citations];
  const hasInput = isObject(wire.input) && Object.keys(wire.input).length > 0;
  if (json !== null && !(json === "" && hasInput)) block["input"] = readArgs(json, cut);
  return block;
}

function finish(state: State, request: ModelRequest, nameOf: (wire: string) => string): Result<ModelReply, string> {
  if (state.stop === null) return err("it does not say why it stopped");
  const stop = stops[state.stop] ?? "end";
  const parts: Part[] = [];
  for (const known of state.content) {
    if (known === undefined) continue;
    const block = wholeBlock(known, stop === "length");
    if (block.type === "text") {
      if (typeof block.text === "string" && block.text !== "") parts.push({ type: "text", text: block.text });
    } else if (!isToolUse(block)) parts.push({ type: "opaque", dialect: messagesDialectName, value: block });
    else if (request.output !== null && block.name === answerTool) parts.push({ type: "text", text: answerText(known) });
    else parts.push(callPart(str(block.id), nameOf(str(block.name)), block.input ?? {}));
  }
  return ok(finishReply(request, parts, stop, counted(state.usage), state.model));
}

/** The text that was shown, unless nothing was. */
function answerText({ wire, json }: Block): string {
  if (json === null) return JSON.stringify(wire.input);
  return json === "" ? "{}" : json;
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
