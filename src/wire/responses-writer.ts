/**
 * Responses writer: writes a response as its stream of events, or the rest of one whose beginning a guest has heard.
 *   WRT-5.1  A heard stream goes on with its own response, the next output index and the next sequence number; an item left open is closed first.
 *   WRT-5.2  The closing event holds every item that the guest has heard, and a response names all settings of its request, those
 *            of its functions and of its reasoning that the request left out with them.
 *   WRT-5.6  A stream ends with the word that Open Responses ends it with; OpenAI's own has none, and its clients pass over it.
 *   WRT-5.5  A call of a tool that takes free text, or that lies in a namespace, is written as one.
 */
import type { CallPart, Part } from "../abi/message.ts";
import type { StopReason, Usage } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import type { Question, ReplyWriter } from "./guest-format.ts";
import { listOf, objectArgs, str } from "./parts.ts";
import { responsesDialectName } from "./responses-reply.ts";

interface OpenItem {
  readonly index: number;
  readonly item: JsonObject;
  /** Its text so far; null before its content began. */
  text: string | null;
}

/** How far the guest has heard a response. */
export interface Place {
  /** As the stream began it. */
  readonly response: JsonObject | null;
  readonly sequence: number;
  readonly next: number;
  readonly done: readonly JsonObject[];
  readonly open: readonly OpenItem[];
}

export function newPlace(): Place {
  return { response: null, sequence: 0, next: 0, done: [], open: [] };
}

/** Follows the events that a guest has got. */
export function placeReader(): { passed(data: Json): void; now(): Place } {
  let response: JsonObject | null = null;
  let sequence = 0;
  let next = 0;
  const done: JsonObject[] = [];
  let open: OpenItem[] = [];

  function passed(data: Json): void {
    if (!isObject(data)) return;
    if (typeof data.sequence_number === "number") sequence = data.sequence_number + 1;
    const index = typeof data.output_index === "number" ? data.output_index : next;
    const current = open.find((known) => known.index === index);
    if (data.type === "response.created" && isObject(data.response)) response = data.response;
    else if (data.type === "response.output_item.added" && isObject(data.item)) {
      open.push({ index, item: data.item, text: null });
      next = Math.max(next, index + 1);
    } else if (data.type === "response.output_item.done" && isObject(data.item)) {
      open = open.filter((known) => known !== current);
      done.push(data.item);
      next = Math.max(next, index + 1);
    } else if (current !== undefined && data.type === "response.content_part.added") current.text = "";
    else if (current !== undefined && data.type === "response.output_text.delta")
      current.text = (current.text ?? "") + str(data.delta);
  }

  return { passed, now: () => ({ response, sequence, next, done: [...done], open: [...open] }) };
}

export function responsesWriter(question: Question, place: Place, id: string): ReplyWriter {
  const tools = toolTable(question);
  const head = place.response ?? responseOf(question, id);
  const output = [...place.done];
  let { sequence, next } = place;
  let begun = place.response !== null;
  let open = place.open;

  function event(type: string, data: JsonObject): string {
    const line = JSON.stringify({ type, sequence_number: sequence, ...data });
    sequence += 1;
    return `event: ${type}\ndata: ${line}\n\n`;
  }

  function begin(): string {
    let text = "";
    if (!begun) {
      const response = { ...head, status: "in_progress" };
      text = event("response.created", { response }) + event("response.in_progress", { response });
    }
    for (const left of open) text += closeItem(left);
    begun = true;
    open = [];
    return text;
  }

  function closeItem({ index, item, text }: OpenItem): string {
    const content = text === null ? [] : [textContent(text)];
    const whole = item.type === "message" ? { ...item, status: "completed", content } : { ...item, status: "incomplete" };
    const closing = item.type === "message" && text !== null ? closeContent(index, item, 0, textContent(text)) : "";
    output.push(whole);
    return closing + event("response.output_item.done", { output_index: index, item: whole });
  }

  function closeContent(index: number, item: JsonObject, place: number, content: JsonObject): string {
    const where = { item_id: item.id ?? "", output_index: index, content_index: place };
    const said =
      content.type === "refusal"
        ? event("response.refusal.done", { ...where, refusal: content.refusal ?? "" })
        : event("response.output_text.done", { ...where, text: content.text ?? "", logprobs: [] });
    return said + event("response.content_part.done", { ...where, part: content });
  }

  function contentEvents(index: number, item: JsonObject, place: number, content: JsonObject): string {
    const where = { item_id: item.id ?? "", output_index: index, content_index: place };
    const field = content.type === "refusal" ? "refusal" : "text";
    const name = content.type === "refusal" ? "response.refusal.delta" : "response.output_text.delta";
    return (
      event("response.content_part.added", { ...where, part: { ...content, [field]: "" } }) +
      event(name, { ...where, delta: content[field] ?? "", ...(field === "text" ? { logprobs: [] } : {}) }) +
      closeContent(index, item, place, content)
    );
  }

  /** What stands between the beginning and the end of an item, and how it begins. */
  function growth(index: number, item: JsonObject): readonly [JsonObject, () => string] {
    const where = { item_id: item.id ?? "", output_index: index };
    if (item.type === "message")
      return [
        { ...item, status: "in_progress", content: [] },
        () =>
          listOf(item.content)
            .map((content, n) => contentEvents(index, item, n, content))
            .join(""),
      ];
    const [field, name] =
      item.type === "function_call" ? ["arguments", "function_call_arguments"] : ["input", "custom_tool_call_input"];
    if (item.type !== "function_call" && item.type !== "custom_tool_call") return [item, () => ""];
    const text = item[field] ?? "";
    const grow = (): string =>
      event(`response.${name}.delta`, { ...where, delta: text }) + event(`response.${name}.done`, { ...where, [field]: text });
    return [{ ...item, status: "in_progress", [field]: "" }, grow];
  }

  return {
    part(part) {
      const item = itemOf(part, tools, `${id}_${next}`);
      if (item === null) return Buffer.alloc(0);
      const before = begin();
      const index = next;
      next += 1;
      output.push(item);
      const [start, grow] = growth(index, item);
      const added = event("response.output_item.added", { output_index: index, item: start });
      return Buffer.from(before + added + grow() + event("response.output_item.done", { output_index: index, item }));
    },
    end(stop, usage) {
      const before = begin();
      const response = ended(head, output, stop, usage);
      return Buffer.from(`${before}${event(`response.${str(response.status)}`, { response })}data: [DONE]\n\n`);
    },
  };
}

export function wholeResponse(
  question: Question,
  parts: readonly Part[],
  stop: StopReason,
  usage: Usage,
  id: string,
): JsonObject {
  const tools = toolTable(question);
  const output = parts.map((part, n) => itemOf(part, tools, `${id}_${n}`)).filter((item) => item !== null);
  return ended(responseOf(question, id), output, stop, usage);
}

function ended(head: JsonObject, output: readonly JsonObject[], stop: StopReason, usage: Usage): JsonObject {
  const reason = stop === "length" ? "max_output_tokens" : stop === "refusal" ? "content_filter" : null;
  return {
    ...head,
    status: reason === null ? "completed" : "incomplete",
    incomplete_details: reason === null ? null : { reason },
    output,
    usage: {
      input_tokens: usage.inputTokens,
      input_tokens_details: { cached_tokens: usage.cacheReadTokens, cache_write_tokens: usage.cacheWriteTokens },
      output_tokens: usage.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.inputTokens + usage.outputTokens,
    },
  };
}

/** Settings that a response repeats, as they are where the request does not say them. */
const settings: JsonObject = {
  background: false,
  frequency_penalty: 0,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  presence_penalty: 0,
  previous_response_id: null,
  prompt_cache_key: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: "default",
  store: true,
  temperature: 1,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_logprobs: 0,
  top_p: 1,
  truncation: "disabled",
  user: null,
};

/** The times are zero, since what writes here knows none. */
function responseOf({ model, echo }: Question, id: string): JsonObject {
  const said = Object.entries(echo ?? {}).filter(([name]) => name in settings);
  return {
    id,
    object: "response",
    created_at: 0,
    completed_at: null,
    status: "in_progress",
    error: null,
    incomplete_details: null,
    model,
    output: [],
    usage: null,
    ...settings,
    ...Object.fromEntries(said),
    reasoning: { effort: null, summary: null, ...(isObject(echo?.reasoning) ? echo.reasoning : {}) },
    tools: listOf(echo?.tools).map((tool) => (tool.type === "function" ? { ...functionTool, ...tool } : tool)),
  };
}

/** What a function says of itself in a response, where the request left it out. */
const functionTool: JsonObject = { description: null, parameters: null, strict: true };

interface ToolForm {
  readonly name: string;
  readonly namespace: string | null;
  readonly custom: boolean;
}

/** The guest's tools by the names that their calls have here. */
function toolTable({ echo }: Question): ReadonlyMap<string, ToolForm> {
  const table = new Map<string, ToolForm>();
  for (const tool of listOf(echo?.tools)) {
    const name = str(tool.name);
    if (tool.type !== "namespace") table.set(name, { name, namespace: null, custom: tool.type === "custom" });
    for (const inner of tool.type === "namespace" ? listOf(tool.tools) : [])
      table.set(`${name}.${str(inner.name)}`, { name: str(inner.name), namespace: name, custom: inner.type === "custom" });
  }
  return table;
}

/** The part as an item; null where this format has none for it. */
function itemOf(part: Part, tools: ReadonlyMap<string, ToolForm>, id: string): JsonObject | null {
  switch (part.type) {
    case "text":
      if (part.text === "") return null;
      return { type: "message", id: `msg_${id}`, status: "completed", role: "assistant", content: [textContent(part.text)] };
    case "call":
      return callItem(part, tools.get(part.name), id);
    case "opaque":
      return part.dialect === responsesDialectName && isObject(part.value) ? part.value : null;
    case "image":
    case "result":
      return null;
  }
}

function textContent(text: string): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function callItem({ id: callId, name: full, args }: CallPart, form: ToolForm | undefined, id: string): JsonObject {
  const name = form?.name ?? full;
  const space = form?.namespace == null ? {} : { namespace: form.namespace };
  const common = { status: "completed", call_id: callId, name, ...space };
  if (form?.custom === true && isObject(args))
    return { type: "custom_tool_call", id: `ctc_${id}`, ...common, input: str(args.input) };
  return { type: "function_call", id: `fc_${id}`, ...common, arguments: objectArgs(args) };
}
