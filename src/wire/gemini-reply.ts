/**
 * Gemini replies: read what a model behind Google's generateContent answers, as a stream of responses or as one.
 * Source: Gemini API reference, GenerateContentResponse.
 *   MOD-13.1  Every `functionCall` is a call; one without an id goes by its name, and by its place among those of the same name.
 *   MOD-13.2  Thoughts, code that the provider runs and other blocks of its own are opaque, and texts that were cut by the stream are one.
 *   MOD-13.3  A reply can be said again with its parts as they came, signatures included; only texts without one are joined.
 *   MOD-13.4  Thinking counts as output, cached tokens as parts of the input; a prompt that was blocked is a refusal.
 */
import type { OpaquePart, Part } from "../abi/message.ts";
import type { ModelReply, ModelRequest, StopReason } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { troubleOf, type SaidReader, type Trouble } from "./dialect.ts";
import { callPart, count, finishReply, listOf, str, type Counted } from "./parts.ts";

/** Its opaque parts hold parts of a content. */
export const geminiDialectName = "gemini";

/** The parts of the candidate that a client reads. */
export function partsOf(response: JsonObject): readonly JsonObject[] {
  const [first] = listOf(response.candidates);
  return isObject(first?.content) ? listOf(first.content.parts) : [];
}

export function geminiReader(request: ModelRequest): SaidReader {
  const parts: JsonObject[] = [];
  let usage: JsonObject = {};
  let model = "";
  let stop: StopReason | null = null;

  return {
    event(_event, data): Trouble | null {
      const error = troubleOf(data);
      if (error !== undefined) return { ...error, status: null, retryAfterMs: null, retry: null };
      if (!isObject(data)) return null;
      for (const part of partsOf(data)) addPart(parts, part);
      if (isObject(data.usageMetadata)) usage = data.usageMetadata;
      if (typeof data.modelVersion === "string") model = data.modelVersion;
      const reason = str(listOf(data.candidates)[0]?.finishReason);
      if (reason !== "") stop = stops[reason] ?? "end";
      if (isObject(data.promptFeedback) && str(data.promptFeedback.blockReason) !== "") stop ??= "refusal";
      return null;
    },
    finish(): Result<ModelReply, string> {
      if (stop === null) return err("its stream ended before the reply did");
      return ok(finishReply(request, readParts(parts), stop, counted(usage), model));
    },
    said: () => parts.map(saidPart),
  };
}

/** A part as a part that holds it verbatim. */
function saidPart(value: JsonObject): OpaquePart {
  return { type: "opaque", dialect: geminiDialectName, value };
}

/** A signature belongs to the part that it came with, so that only texts without one are joined. */
function addPart(parts: JsonObject[], part: JsonObject): void {
  const last = parts.at(-1);
  const plain = (one: JsonObject | undefined): one is JsonObject =>
    typeof one?.text === "string" && Object.keys(one).every((field) => field === "text" || field === "thought");
  if (plain(last) && plain(part) && (last.thought === true) === (part.thought === true))
    parts[parts.length - 1] = { ...last, text: str(last.text) + str(part.text) };
  else parts.push(part);
}

function readParts(wire: readonly JsonObject[]): readonly Part[] {
  const parts: Part[] = [];
  const ids = callIds(wire);
  for (const [n, part] of wire.entries()) {
    const last = parts.at(-1);
    if (isObject(part.functionCall)) {
      parts.push(callPart(ids[n] ?? "", str(part.functionCall.name), part.functionCall.args ?? {}));
    } else if (typeof part.text !== "string") parts.push(saidPart(part));
    else if (part.thought === true) addThought(parts, part.text);
    else if (last?.type === "text") parts[parts.length - 1] = { type: "text", text: last.text + part.text };
    else if (part.text !== "") parts.push({ type: "text", text: part.text });
  }
  return parts;
}

function addThought(parts: Part[], text: string): void {
  const last = parts.at(-1);
  const before = last?.type === "opaque" && isObject(last.value) && last.value.thought === true ? str(last.value.text) : null;
  if (before !== null) parts.pop();
  if (before !== null || text !== "") parts.push(saidPart({ text: (before ?? "") + text, thought: true }));
}

/** The id of the call in each part; empty where there is none. */
export function callIds(wire: readonly JsonObject[]): readonly string[] {
  const seen = new Map<string, number>();
  return wire.map(({ functionCall: call }) => {
    if (!isObject(call)) return "";
    if (str(call.id) !== "") return str(call.id);
    const name = str(call.name);
    const place = (seen.get(name) ?? 0) + 1;
    seen.set(name, place);
    return place === 1 ? name : `${name}#${place}`;
  });
}

const stops: Readonly<Record<string, StopReason>> = {
  STOP: "end",
  MAX_TOKENS: "length",
  SAFETY: "refusal",
  RECITATION: "refusal",
  LANGUAGE: "refusal",
  BLOCKLIST: "refusal",
  PROHIBITED_CONTENT: "refusal",
  SPII: "refusal",
  IMAGE_SAFETY: "refusal",
};

function counted(usage: JsonObject): Counted {
  const prompt = count(usage.promptTokenCount);
  const wrote = count(usage.candidatesTokenCount);
  const thought = count(usage.thoughtsTokenCount);
  return {
    input: prompt === null ? null : prompt + (count(usage.toolUsePromptTokenCount) ?? 0),
    output: wrote === null && thought === null ? null : (wrote ?? 0) + (thought ?? 0),
    cacheRead: count(usage.cachedContentTokenCount) ?? 0,
    cacheWrite: 0,
  };
}

/** A body in one piece: one response, or the list of those that a stream without events is. */
export function responsesIn(body: Json): readonly JsonObject[] {
  return Array.isArray(body) ? listOf(body) : isObject(body) ? [body] : [];
}
