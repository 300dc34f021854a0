/**
 * Chat for guests: hears and writes what agents on the Chat Completions API read, in the chunks of its streams.
 *   HRD-3.1  A call is every entry of `tool_calls`, and the `function_call` of the older form.
 *   HRD-3.2  Calls in any but the first choice, or whose names come in pieces, are told in a way that readers differ on.
 *   WRT-3.1  A heard stream goes on under its own id, model and time, and its role is said once.
 *   WRT-3.2  Texts that are written one after the other are kept apart by an empty line, since this format has one text.
 *   WRT-3.3  To ask again the reply stands behind the messages as it was said, and the answers to its calls behind it; all else stays.
 *   WRT-3.5  What a reply took stands in a chunk of its own, without choices, and only where the request asks for it.
 *   WRT-3.4  A call of a tool that takes free text is written as one.
 */
import type { CallPart, OpaquePart, Part } from "../abi/message.ts";
import type { StopReason, Usage } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { chatDialectName, chatReader, readChat, saidMessage } from "./chat-reply.ts";
import { chatRequest } from "./chat-request.ts";
import type { CallAnswer, GuestFormat, Hearing, Question, ReplyWriter } from "./guest-format.ts";
import { askedOf, hearing, withError, type Meaning, verbatim } from "./hearing.ts";
import { isNoList, jsonBytes, listOf, objectArgs, str } from "./parts.ts";
import { chatRefusals } from "./refusals.ts";

export const chatGuest: GuestFormat = {
  name: "chat",
  hear: hearChat,
  writer: (question, id) => chatWriter(question, newPlace(id, question.model)),
  whole: (question, parts, stop, usage, id) => jsonBytes(wholeChat(question, parts, stop, usage, id)),
  again: againChat,
  request: chatRequest,
  ...chatRefusals,
};

/** How far the guest has heard a reply. */
interface Place {
  id: string;
  model: string;
  /** Seconds since 1970; 0 where no chunk has said it, since what writes here knows no time. */
  created: number;
  begun: boolean;
  text: boolean;
}

function newPlace(id: string, model: string): Place {
  return { id, model, created: 0, begun: false, text: false };
}

function hearChat(question: Question): Hearing {
  const request = askedOf(question);
  const reader = chatReader(request, verbatim, () => undefined, true);
  const names = new Map<number, string>();
  const place = newPlace("", question.model);

  return hearing(question, {
    event(event, data) {
      if (!isObject(data)) return { broken: "an event of its stream is no object" };
      if (isNoList(data.choices)) return { broken: "its choices are no list" };
      let meaning: "pass" | "call" = "pass";
      let first = true;
      for (const choice of listOf(data.choices)) {
        const found = meaningOf(choice, names);
        if (typeof found === "object") return found;
        if (found === "call") meaning = found;
        first &&= isFirst(choice);
      }
      const error = reader.event(event, first ? data : { ...data, choices: listOf(data.choices).filter(isFirst) });
      return withError(meaning, error);
    },
    passed(data) {
      if (!isObject(data)) return;
      if (!place.begun) {
        place.id = str(data.id);
        place.model = str(data.model);
        place.created = typeof data.created === "number" ? data.created : 0;
        place.begun = true;
      }
      for (const { delta } of listOf(data.choices)) if (isObject(delta) && str(delta.content) !== "") place.text = true;
    },
    finish() {
      const reply = reader.finish();
      return reply.ok ? { ok: true, value: { reply: reply.value, said: reader.said() } } : reply;
    },
    whole(body) {
      const reply = readChat(body, request, verbatim, true);
      if (!reply.ok) return reply;
      const [choice, ...others] = isObject(body) ? listOf(body.choices) : [];
      if (others.some(({ message }) => hasCalls(message) !== false)) return { ok: false, error: otherChoice };
      if (!isObject(choice?.message) || hasCalls(choice.message) === null)
        return { ok: false, error: "its calls are not told as calls are" };
      const { role: _role, ...said } = choice.message;
      return { ok: true, value: { reply: reply.value, said: [saidMessage(said)] } };
    },
    sofar: () => reader.said(),
    writer: (id) => chatWriter(question, place.begun ? { ...place } : newPlace(id, question.model)),
  });
}

const otherChoice = "a choice other than the first calls";

function isFirst(choice: JsonObject): boolean {
  return choice.index === undefined || choice.index === 0;
}

function meaningOf(choice: JsonObject, names: Map<number, string>): Meaning {
  const calls = hasCalls(choice.delta);
  if (calls === null || hasCalls(choice.message) !== false) return { broken: "a call of its stream is not told as calls are" };
  if (!calls) return "pass";
  if (!isFirst(choice)) return { broken: otherChoice };
  for (const { index, function: fn, custom } of isObject(choice.delta) ? listOf(choice.delta.tool_calls) : []) {
    const body = fn ?? custom;
    const name = isObject(body) ? str(body.name) : "";
    if (typeof index !== "number" || name === "") continue;
    if ((names.get(index) ?? name) !== name) return { broken: "the name of a call changes in its stream" };
    names.set(index, name);
  }
  return "call";
}

/** null: something stands in the place of calls that is none, or is two at once. */
function hasCalls(message: Json | undefined): boolean | null {
  if (!isObject(message)) return false;
  const { tool_calls: calls, function_call: legacy } = message;
  if (isNoList(calls) || listOf(calls).some((call) => call.function != null && call.custom != null)) return null;
  return (Array.isArray(calls) && calls.length > 0) || legacy != null;
}

/** The names of the tools that the guest gives free text. */
function customTools({ echo }: Question): ReadonlySet<string> {
  return new Set(listOf(echo?.tools).map(({ custom }) => (isObject(custom) ? str(custom.name) : "")));
}

/** The part as fields of a message; null where this format has none for it. */
function fieldsOf(part: Part, customs: ReadonlySet<string>): JsonObject | null {
  switch (part.type) {
    case "text":
      return part.text === "" ? null : { content: part.text };
    case "call":
      return { tool_calls: [callOf(part, customs)] };
    case "opaque":
      return part.dialect === chatDialectName && isObject(part.value) ? part.value : null;
    case "image":
    case "result":
      return null;
  }
}

function callOf({ id, name, args }: CallPart, customs: ReadonlySet<string>): JsonObject {
  if (customs.has(name) && isObject(args)) return { id, type: "custom", custom: { name, input: str(args.input) } };
  return { id, type: "function", function: { name, arguments: objectArgs(args) } };
}

function chatWriter(question: Question, place: Place): ReplyWriter {
  const customs = customTools(question);
  let calls = 0;

  function chunk(delta: JsonObject, finish: string | null): string {
    return frame([{ index: 0, delta, logprobs: null, finish_reason: finish }], {});
  }

  function frame(choices: readonly JsonObject[], more: JsonObject): string {
    const { id, created } = place;
    const model = place.model === "" ? question.model : place.model;
    return `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model, choices, ...more })}\n\n`;
  }

  return {
    part(part) {
      const fields = fieldsOf(part, customs);
      if (fields === null) return Buffer.alloc(0);
      const delta: Record<string, Json> = { ...(place.begun ? {} : { role: "assistant" }), ...fields };
      if (typeof fields.content === "string") delta["content"] = place.text ? `\n\n${fields.content}` : fields.content;
      place.begun = true;
      place.text ||= str(fields.content) !== "";
      if (Array.isArray(fields.tool_calls))
        delta["tool_calls"] = listOf(fields.tool_calls).map((call) => ({ index: calls++, ...call }));
      return Buffer.from(chunk(delta, null));
    },
    end(stop, usage) {
      const head = place.begun ? "" : chunk({ role: "assistant", content: "" }, null);
      const told = wantsUsage(question) ? frame([], { usage: wireUsage(usage) }) : "";
      return Buffer.from(`${head}${chunk({}, stops[stop])}${told}data: [DONE]\n\n`);
    },
  };
}

function wantsUsage({ echo }: Question): boolean {
  return isObject(echo?.stream_options) && echo.stream_options.include_usage === true;
}

function wireUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens },
  };
}

function wholeChat(question: Question, parts: readonly Part[], stop: StopReason, usage: Usage, id: string): JsonObject {
  const message = { role: "assistant", ...mergeFields(parts, customTools(question)) };
  return {
    id,
    object: "chat.completion",
    created: 0,
    model: question.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: stops[stop] }],
    usage: wireUsage(usage),
  };
}

/** One message of all parts: texts behind each other, calls in one list, of other fields the last. */
function mergeFields(parts: readonly Part[], customs: ReadonlySet<string>): JsonObject {
  const merged: Record<string, Json> = { content: null, refusal: null };
  const calls: Json[] = [];
  for (const part of parts) {
    const { content, tool_calls: more, ...fields } = fieldsOf(part, customs) ?? {};
    Object.assign(merged, fields);
    if (str(content) !== "")
      merged["content"] = [str(merged["content"]), str(content)].filter((text) => text !== "").join("\n\n");
    calls.push(...listOf(more));
  }
  return calls.length === 0 ? merged : { ...merged, tool_calls: calls };
}

const stops: Readonly<Record<StopReason, string>> = {
  end: "stop",
  calls: "tool_calls",
  length: "length",
  refusal: "content_filter",
};

function againChat(body: Json, said: readonly OpaquePart[], answers: readonly CallAnswer[]): Json | null {
  if (!isObject(body) || !Array.isArray(body.messages)) return null;
  const fields = said.map((part) => part.value).filter(isObject);
  const legacy = fields.some(({ function_call: call }) => call != null);
  const results = answers.map(({ id, name, text }) =>
    legacy ? { role: "function", name, content: text } : { role: "tool", tool_call_id: id, content: text },
  );
  const reply = fields.map((message) => ({ role: "assistant", ...withoutNulls(message) }));
  return { ...body, messages: [...(body.messages as readonly Json[]), ...reply, ...results] };
}

/** What a reply says it has not, a request must not say; only its text may be none. */
function withoutNulls(message: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(message).filter(([field, value]) => value !== null || field === "content"));
}
