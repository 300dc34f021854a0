/**
 * Messages for guests: hears and writes what agents on Anthropic's API read, in the events of its streams.
 *   HRD-2.1  A call is every block that the client is to act on (`tool_use`), and none that the provider runs itself.
 *   HRD-2.2  A stream begins once and empty, its blocks come in order and once each, and its events are what they are named: otherwise readers
 *            differ on what it holds.
 *   WRT-2.1  A heard stream goes on at the next block index, and a block left open is closed first.
 *   WRT-2.2  What is written reads as what was to be written; blocks of Anthropic's own go on verbatim.
 *   WRT-2.3  To ask again the reply stands behind the messages as it was said, and the answers to its calls behind it; all else stays.
 */
import type { OpaquePart, Part } from "../abi/message.ts";
import type { StopReason, Usage } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import type { CallAnswer, GuestFormat, Hearing, Question, ReplyWriter } from "./guest-format.ts";
import { askedOf, hearing, misnamed, namedAs, withError, type Meaning, verbatim } from "./hearing.ts";
import { isToolUse, messageReader, messagesDialectName, readMessage, saidBlocks } from "./messages-reply.ts";
import { messagesRequest } from "./messages-request.ts";
import { hasText, jsonBytes, listOf, objectOf, str } from "./parts.ts";
import { messagesRefusals } from "./refusals.ts";

export const messagesGuest: GuestFormat = {
  name: "messages",
  hear: hearMessages,
  writer: (question, id) => messagesWriter(question, { begun: false, blocks: 0, open: false }, id),
  whole: (question, parts, stop, usage, id, sequence) =>
    jsonBytes({ ...messageOf(question, id, blocksOf(parts), null, wireUsage(usage)), ...stopped(stop, sequence) }),
  again: againMessages,
  request: messagesRequest,
  ...messagesRefusals,
};

/** How far the guest has heard a reply. */
interface Place {
  begun: boolean;
  /** Blocks it has heard the beginning of. */
  blocks: number;
  open: boolean;
}

function hearMessages(question: Question): Hearing {
  const request = askedOf(question);
  const reader = messageReader(request, verbatim, () => undefined);
  const place: Place = { begun: false, blocks: 0, open: false };
  let begun = false;
  let blocks = 0;

  function meaning(data: JsonObject): Exclude<Meaning, { readonly error: unknown }> {
    if (data.type === "message_start") {
      const empty =
        isObject(data.message) &&
        (data.message.content == null || (Array.isArray(data.message.content) && data.message.content.length === 0));
      if (begun || !empty) return { broken: "its stream begins twice, or with blocks" };
      begun = true;
    } else if (data.type === "content_block_start") {
      if (!isObject(data.content_block) || data.index !== blocks) return { broken: "the blocks of its stream are not in order" };
      blocks += 1;
      if (isToolUse(data.content_block)) return "call";
    }
    return "pass";
  }

  return hearing(question, {
    event(event, data) {
      if (!isObject(data)) return { broken: "an event of its stream is no object" };
      const found = namedAs(event, data) ? meaning(data) : misnamed;
      if (typeof found === "object") return found;
      const error = reader.event(event, data);
      return withError(found, error);
    },
    passed(data) {
      if (!isObject(data)) return;
      if (data.type === "message_start") place.begun = true;
      else if (data.type === "content_block_start") {
        place.blocks += 1;
        place.open = true;
      } else if (data.type === "content_block_stop") place.open = false;
    },
    finish() {
      const reply = reader.finish();
      return reply.ok ? { ok: true, value: { reply: reply.value, said: reader.said() } } : reply;
    },
    whole(body) {
      const reply = readMessage(body, request, verbatim);
      if (!reply.ok || !isObject(body)) return { ok: false, error: reply.ok ? "" : reply.error };
      return { ok: true, value: { reply: reply.value, said: saidBlocks(listOf(body.content)) } };
    },
    sofar: () => reader.said(),
    writer: (id) => messagesWriter(question, { ...place }, id),
  });
}

/** The part as a block; null where this format has none for it. */
function blockOf(part: Part): JsonObject | null {
  switch (part.type) {
    case "text":
      return part.text === "" ? null : { type: "text", text: part.text };
    case "call":
      return { type: "tool_use", id: part.id, name: part.name, input: objectOf(part.args) };
    case "opaque":
      return part.dialect === messagesDialectName && isObject(part.value) ? inputBlock(part.value) : null;
    case "image":
    case "result":
      return null;
  }
}

/** Arguments that were no object are written as one, as every reader expects it. */
function inputBlock(block: JsonObject): JsonObject {
  return "input" in block ? { ...block, input: objectOf(block.input ?? {}) } : block;
}

function blocksOf(parts: readonly Part[]): readonly JsonObject[] {
  return parts.map(blockOf).filter((block) => block !== null);
}

function messagesWriter(question: Question, place: Place, id: string): ReplyWriter {
  function begin(): string {
    const head = place.begun
      ? ""
      : event({ type: "message_start", message: messageOf(question, id, [], null, startUsage(question)) });
    const close = place.open ? event({ type: "content_block_stop", index: place.blocks - 1 }) : "";
    place.begun = true;
    place.open = false;
    return head + close;
  }

  return {
    part(part) {
      const block = blockOf(part);
      if (block === null) return Buffer.alloc(0);
      const index = place.blocks;
      const [start, deltas] = startOf(block);
      const events = [
        { type: "content_block_start", index, content_block: start },
        ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
        { type: "content_block_stop", index },
      ];
      const head = begin();
      place.blocks += 1;
      return Buffer.from(head + events.map(event).join(""));
    },
    end(stop, usage, stopSequence) {
      const delta = stopped(stop, stopSequence);
      const events = [{ type: "message_delta", delta, usage: wireUsage(usage) }, { type: "message_stop" }];
      return Buffer.from(begin() + events.map(event).join(""));
    },
  };
}

function event(data: JsonObject): string {
  return `event: ${str(data.type)}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A block as its stream begins it, and the deltas that make it whole. */
function startOf(block: JsonObject): readonly [JsonObject, readonly JsonObject[]] {
  if (block.type === "text") {
    const citations = listOf(block.citations).map((citation) => ({ type: "citations_delta", citation }));
    const start = citations.length > 0 ? { ...block, text: "", citations: [] } : { ...block, text: "" };
    return [start, [{ type: "text_delta", text: str(block.text) }, ...citations]];
  }
  if (block.type === "thinking") {
    const signature = { type: "signature_delta", signature: str(block.signature) };
    return [{ ...block, thinking: "", signature: "" }, [{ type: "thinking_delta", thinking: str(block.thinking) }, signature]];
  }
  if ("input" in block)
    return [{ ...block, input: {} }, [{ type: "input_json_delta", partial_json: JSON.stringify(block.input) }]];
  return [block, []];
}

/** The head of a stream has to name figures that only its end knows: our own count stands for them until then. */
function startUsage({ windowTokens }: Question): JsonObject {
  return { input_tokens: windowTokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
}

function wireUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
  };
}

function messageOf(
  question: Question,
  id: string,
  content: readonly JsonObject[],
  stop: string | null,
  usage: JsonObject,
): JsonObject {
  return {
    id,
    type: "message",
    role: "assistant",
    model: question.model,
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage,
  };
}

function stopped(stop: StopReason, sequence: string | undefined): JsonObject {
  return { stop_reason: sequence === undefined ? stops[stop] : "stop_sequence", stop_sequence: sequence ?? null };
}

const stops: Readonly<Record<StopReason, string>> = {
  end: "end_turn",
  calls: "tool_use",
  length: "max_tokens",
  refusal: "refusal",
};

/** The provider takes back what it said, but no text that is only white space. */
function againMessages(body: Json, said: readonly OpaquePart[], answers: readonly CallAnswer[]): Json | null {
  if (!isObject(body) || !Array.isArray(body.messages)) return null;
  const content = blocksOf(said).filter((block) => block.type !== "text" || hasText(str(block.text)));
  const results = answers.map(({ id, text }) => ({ type: "tool_result", tool_use_id: id, content: text }));
  const turns = [
    { role: "assistant", content },
    { role: "user", content: results },
  ];
  return { ...body, messages: [...(body.messages as readonly Json[]), ...turns.filter((turn) => turn.content.length > 0)] };
}
