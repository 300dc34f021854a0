/** Upstream, Anthropic Messages: replies, events and refusals in the form of the API reference. */
import type { Json } from "../../src/lib/json.ts";
import { pieces, rawArgs, type ReplyTurn, type WireFormat } from "./turns.ts";

interface WireBlock {
  type?: string;
  text?: string;
  id?: string;
  tool_use_id?: string;
  cache_control?: unknown;
  signature?: string;
}

export const anthropicWire: WireFormat = {
  refuse(body, headers) {
    const problem = authProblem(headers) ?? requestProblem(body, headers);
    return problem === null
      ? null
      : { status: problem[0], body: { type: "error", error: { type: problem[1], message: problem[2] }, request_id: "req_1" } };
  },
  whole(turn, body, n) {
    return { ...envelope(turn, body, n), content: content(turn, body), stop_reason: stopReason(turn, body), usage: usage(turn) };
  },
  events(turn, body, n) {
    const blocks = content(turn, body) as readonly Record<string, Json>[];
    const events: { event: string; data: Json }[] = [];
    const emit = (data: { type: string; [key: string]: Json }): void => void events.push({ event: data.type, data });
    emit({ type: "message_start", message: { ...envelope(turn, body, n), usage: { ...usage(turn), output_tokens: 1 } } });
    emit({ type: "ping" });
    blocks.forEach((block, index) => {
      emit({ type: "content_block_start", index, content_block: opening(block) });
      for (const delta of deltas(block, turn)) emit({ type: "content_block_delta", index, delta });
      emit({ type: "content_block_stop", index });
    });
    emit({ type: "an_event_of_the_future", anything: true });
    if (turn.unfinished === true) return events;
    const { output_tokens } = usage(turn) as { output_tokens: number };
    emit({
      type: "message_delta",
      delta: { stop_reason: stopReason(turn, body), stop_sequence: null },
      usage: { input_tokens: null, output_tokens },
    });
    emit({ type: "message_stop" });
    return events;
  },
  errorEvent: (type, message) => ({ event: "error", data: { type: "error", error: { type, message } } }),
};

function authProblem(headers: Readonly<Record<string, string>>): [number, string, string] | null {
  if (headers["anthropic-version"] === undefined) return [400, "invalid_request_error", "anthropic-version: header is required"];
  const key = headers["x-api-key"] ?? headers.authorization?.replace("Bearer ", "");
  return key === undefined || key.includes("wrong") ? [401, "authentication_error", `invalid x-api-key: ${key}`] : null;
}

function requestProblem(
  body: Record<string, unknown>,
  headers: Readonly<Record<string, string>>,
): [number, string, string] | null {
  const bad = (message: string): [number, string, string] => [400, "invalid_request_error", message];
  if (typeof body.max_tokens !== "number") return bad("max_tokens: Field required");
  if (headers["anthropic-version"] === "2026-10-21" && "temperature" in body)
    return bad("temperature: Extra inputs are not permitted");
  const current = /-5-5|fable/.test(String(body.model));
  const choice = body.tool_choice as { type?: string } | undefined;
  if (current && (choice?.type === "tool" || choice?.type === "any"))
    return bad("tool_choice: forced tool use is not supported by this model");
  if (!current && body.output_config !== undefined) return bad("output_config: Extra inputs are not permitted");
  for (const tool of (body.tools ?? []) as { name?: string; input_schema?: { type?: string } }[]) {
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(tool.name ?? "")) return bad(`tools: name ${tool.name} does not match the pattern`);
    if (tool.input_schema?.type !== "object") return bad("tools: input_schema.type must be object");
  }
  return messagesProblem(body.messages as { role: string; content: WireBlock[] }[], bad) ?? cacheProblem(body, bad);
}

type Bad = (message: string) => [number, string, string];

function messagesProblem(messages: { role: string; content: WireBlock[] }[], bad: Bad): [number, string, string] | null {
  if (messages[0]?.role !== "user") return bad("messages: first message must use the user role");
  let open: string[] = [];
  for (const [n, message] of messages.entries()) {
    if (message.content.some((block) => block.type === "text" && !/\S/.test(block.text ?? "")))
      return bad(`messages.${n}: text content blocks must contain non-whitespace text`);
    if (message.content.length === 0) return bad(`messages.${n}: all messages must have non-empty content`);
    const results = message.content.filter((block) => block.type === "tool_result").map((block) => String(block.tool_use_id));
    const missing = open.find((id) => !results.includes(id));
    if (missing !== undefined)
      return bad(`messages.${n}: tool_use ids were found without tool_result blocks immediately after: ${missing}`);
    if (results.some((id) => !open.includes(id))) return bad(`messages.${n}: unexpected tool_use_id in tool_result`);
    if (results.length > 0 && message.content.slice(0, results.length).some((block) => block.type !== "tool_result"))
      return bad(`messages.${n}: tool_result blocks must come first`);
    open =
      message.role === "assistant"
        ? message.content.filter((block) => block.type === "tool_use").map((block) => String(block.id))
        : [];
    const thinking = message.content.find((block) => block.type === "thinking");
    if (thinking !== undefined && thinking.signature !== "signed")
      return bad(`messages.${n}: invalid signature in thinking block`);
  }
  return null;
}

function cacheProblem(body: Record<string, unknown>, bad: Bad): [number, string, string] | null {
  const marks = (JSON.stringify(body).match(/"cache_control"/g) ?? []).length;
  return marks > 4 ? bad(`a maximum of 4 blocks with cache_control may be provided, found ${marks}`) : null;
}

function envelope(turn: ReplyTurn, body: Record<string, unknown>, n: number): Record<string, Json> {
  return {
    id: `msg_${n}`,
    type: "message",
    role: "assistant",
    model: turn.model ?? String(body.model),
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
}

/** A forced tool that is the only way to answer is used to answer. */
function content(turn: ReplyTurn, body: Record<string, unknown>): Json {
  const blocks: Json[] = [];
  if (turn.thinking !== undefined) blocks.push({ type: "thinking", thinking: turn.thinking, signature: "signed" });
  const forced = body.tool_choice !== undefined && turn.calls === undefined;
  if (turn.text !== undefined && forced)
    blocks.push({ type: "tool_use", id: "toolu_answer", name: "final_answer", input: JSON.parse(turn.text) as Json });
  else if (turn.text !== undefined) blocks.push({ type: "text", text: turn.text });
  if (turn.refusal !== undefined) blocks.push({ type: "text", text: turn.refusal });
  turn.calls?.forEach(({ name, args, id }, n) =>
    blocks.push({ type: "tool_use", id: id ?? `toolu_${n}`, name, input: isRaw(args) ? {} : args }),
  );
  return blocks;
}

function isRaw(args: unknown): args is { raw: string } {
  return typeof args === "object" && args !== null && "raw" in args;
}

function opening(block: Record<string, Json>): Json {
  switch (block.type) {
    case "text":
      return { ...block, text: "" };
    case "thinking":
      return { ...block, thinking: "", signature: "" };
    default:
      return { ...block, input: {} };
  }
}

function deltas(block: Record<string, Json>, turn: ReplyTurn): Json[] {
  switch (block.type) {
    case "text":
      return pieces(String(block.text), 3).map((text) => ({ type: "text_delta", text }));
    case "thinking":
      return [
        ...pieces(String(block.thinking), 5).map((thinking) => ({ type: "thinking_delta", thinking })),
        { type: "signature_delta", signature: "signed" },
      ];
    default: {
      const asked = turn.calls?.[Number(String(block.id).split("_")[1])];
      const json = asked === undefined ? JSON.stringify(block.input) : rawArgs(asked.args);
      return ["", ...pieces(json, 4)].map((partial_json) => ({ type: "input_json_delta", partial_json }));
    }
  }
}

function stopReason(turn: ReplyTurn, body: Record<string, unknown>): string {
  if (turn.stop === "length") return "max_tokens";
  if (turn.stop === "refusal" || turn.refusal !== undefined) return "refusal";
  return (turn.calls?.length ?? 0) > 0 || body.tool_choice !== undefined ? "tool_use" : "end_turn";
}

function usage(turn: ReplyTurn): Record<string, Json> {
  if (turn.usage === null) return { input_tokens: 0, output_tokens: 0 };
  const { input = 100, output = 20, cacheRead = 0, cacheWrite = 0 } = turn.usage ?? {};
  return {
    input_tokens: input - cacheRead - cacheWrite,
    output_tokens: output,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
  };
}
