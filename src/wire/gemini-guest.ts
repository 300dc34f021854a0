/**
 * Gemini for guests: hears and writes what agents on Google's generateContent read, in its streams of whole responses.
 *   HRD-5.1  A call is every `functionCall`, and none that the provider executes itself.
 *   HRD-5.2  Calls in any but the first candidate, and such whose arguments come in pieces or whose name is spelled otherwise, are trouble.
 *   HRD-5.3  A stream that is a list of responses instead of events is held to its end, as a body in one piece is.
 *   WRT-6.1  A heard stream goes on under its own id and model.
 *   WRT-6.2  Texts that are written one after the other are kept apart by an empty line, since readers join them.
 *   WRT-6.3  To ask again the reply stands behind the contents with its signatures, and a response to each of its calls behind it; all else stays.
 */
import type { OpaquePart, Part } from "../abi/message.ts";
import type { StopReason, Usage } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok } from "../lib/result.ts";
import { callIds, geminiDialectName, geminiReader, partsOf, responsesIn } from "./gemini-reply.ts";
import { geminiRequest } from "./gemini-request.ts";
import type { CallAnswer, GuestFormat, Hearing, Question, ReplyWriter } from "./guest-format.ts";
import { askedOf, hearing, withError, type Listener, type Meaning } from "./hearing.ts";
import { isNoList, jsonBytes, listOf, objectOf, str } from "./parts.ts";
import { geminiRefusals } from "./refusals.ts";

export const geminiGuest: GuestFormat = {
  name: "gemini",
  hear: hearGemini,
  writer: (question, id) => geminiWriter({ id, model: question.model, text: false }),
  whole: (question, parts, stop, usage, id) => jsonBytes(wholeResponse(question, parts, stop, usage, id)),
  again: againGemini,
  request: geminiRequest,
  ...geminiRefusals,
};

/** How far the guest has heard a reply. */
interface Place {
  id: string;
  model: string;
  text: boolean;
}

const openArray = 0x5b;

/** Whether a stream is one of events its first byte says. */
function hearGemini(question: Question): Hearing {
  const events = hearing(question, listenerOf(question));
  if (!question.stream) return events;
  let chosen: Hearing | null = null;
  return {
    push(chunk) {
      if (chunk.length === 0) return [];
      chosen ??= chunk[0] === openArray ? hearing({ ...question, stream: false }, listenerOf(question)) : events;
      return chosen.push(chunk);
    },
    failed: () => chosen?.failed() ?? false,
    end: () => (chosen ?? events).end(),
    writer: (id) => (chosen ?? events).writer(id),
  };
}

function listenerOf(question: Question): Listener {
  const request = askedOf(question);
  const reader = geminiReader(request);
  const place: Place = { id: "", model: "", text: false };

  return {
    event(event, data) {
      if (!isObject(data)) return { broken: "an event of its stream is no object" };
      const meaning = meaningOf(data);
      if (typeof meaning === "object") return meaning;
      const error = reader.event(event, data);
      return withError(meaning, error);
    },
    passed(data) {
      if (!isObject(data)) return;
      if (place.id === "") place.id = str(data.responseId);
      if (place.model === "") place.model = str(data.modelVersion);
      place.text ||= partsOf(data).some(isText);
    },
    finish() {
      const reply = reader.finish();
      return reply.ok ? ok({ reply: reply.value, said: reader.said() }) : reply;
    },
    whole(body) {
      const whole = geminiReader(request);
      for (const response of responsesIn(body)) {
        const meaning = meaningOf(response);
        if (typeof meaning === "object" && "broken" in meaning) return err(meaning.broken);
        const error = whole.event("message", response);
        if (error !== null) return err(error.message);
      }
      const reply = whole.finish();
      return reply.ok ? ok({ reply: reply.value, said: whole.said() }) : reply;
    },
    sofar: () => reader.said(),
    writer: (id) =>
      geminiWriter({
        id: place.id === "" ? id : place.id,
        model: place.model === "" ? question.model : place.model,
        text: place.text,
      }),
  };
}

function meaningOf(response: JsonObject): Exclude<Meaning, { readonly error: unknown }> {
  const [, ...others] = listOf(response.candidates);
  const lists = [
    response.candidates,
    ...listOf(response.candidates).map(({ content }) => (isObject(content) ? content.parts : null)),
  ];
  if (lists.some(isNoList)) return { broken: "its candidates or parts are no list" };
  if (others.some(({ content }) => isObject(content) && listOf(content.parts).some(isCall)))
    return { broken: "a candidate other than the first calls" };
  const calls = partsOf(response).filter(isCall);
  if (calls.some((part) => "function_call" in part)) return { broken: "a call is spelled in a way that only some readers know" };
  if (calls.some(({ functionCall: call }) => !isObject(call) || "partialArgs" in call || call.willContinue === true))
    return { broken: "the arguments of a call come in pieces; ask without `streamFunctionCallArguments`" };
  return calls.length > 0 ? "call" : "pass";
}

function isCall(part: JsonObject): boolean {
  return part.functionCall != null || part.function_call != null;
}

function isText(part: JsonObject): boolean {
  return str(part.text) !== "" && part.thought !== true;
}

/** Turns parts into this format's own, one after the other; null where it has none for one. */
function partWriter(text: boolean): (part: Part) => JsonObject | null {
  let apart = text;
  return (part) => {
    const wire = wirePart(part);
    if (wire === null || !isText(wire)) return wire;
    const spaced = apart ? { ...wire, text: `\n\n${str(wire.text)}` } : wire;
    // What a provider said in several texts is one.
    apart = part.type === "text";
    return spaced;
  };
}

function wirePart(part: Part): JsonObject | null {
  switch (part.type) {
    case "text":
      return part.text === "" ? null : { text: part.text };
    case "call":
      return { functionCall: { id: part.id, name: part.name, args: objectOf(part.args) } };
    case "opaque":
      return part.dialect === geminiDialectName && isObject(part.value) ? part.value : null;
    case "image":
    case "result":
      return null;
  }
}

function geminiWriter({ id, model, text }: Place): ReplyWriter {
  const write = partWriter(text);
  return {
    part(part) {
      const wire = write(part);
      return wire === null
        ? Buffer.alloc(0)
        : event({ candidates: [candidate([wire], null)], modelVersion: model, responseId: id });
    },
    end(stop, usage) {
      // Clients take a response without a part for a broken one.
      const last = candidate([{ text: "" }], stops[stop]);
      return event({ candidates: [last], usageMetadata: wireUsage(usage), modelVersion: model, responseId: id });
    },
  };
}

function event(response: JsonObject): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(response)}\r\n\r\n`);
}

function candidate(parts: readonly JsonObject[], finishReason: string | null): JsonObject {
  return { content: { role: "model", parts }, ...(finishReason === null ? {} : { finishReason }), index: 0 };
}

function wireUsage(usage: Usage): JsonObject {
  return {
    promptTokenCount: usage.inputTokens,
    cachedContentTokenCount: usage.cacheReadTokens,
    candidatesTokenCount: usage.outputTokens,
    totalTokenCount: usage.inputTokens + usage.outputTokens,
  };
}

function wholeResponse(question: Question, parts: readonly Part[], stop: StopReason, usage: Usage, id: string): JsonObject {
  const write = partWriter(false);
  const wire = parts.map(write).filter((part) => part !== null);
  return {
    candidates: [candidate(wire.length === 0 ? [{ text: "" }] : wire, stops[stop])],
    usageMetadata: wireUsage(usage),
    modelVersion: question.model,
    responseId: id,
  };
}

const stops: Readonly<Record<StopReason, string>> = {
  end: "STOP",
  calls: "STOP",
  length: "MAX_TOKENS",
  refusal: "SAFETY",
};

function againGemini(body: Json, said: readonly OpaquePart[], answers: readonly CallAnswer[]): Json | null {
  if (!isObject(body) || !Array.isArray(body.contents)) return null;
  const parts = said.map((part) => part.value).filter(isObject);
  const ids = callIds(parts);
  const responses = parts.flatMap(({ functionCall: call }, n) => {
    if (!isObject(call)) return [];
    const text = answers.find(({ id }) => id === ids[n])?.text ?? "";
    const own = str(call.id) === "" ? {} : { id: str(call.id) };
    return [{ functionResponse: { ...own, name: str(call.name), response: { error: text } } }];
  });
  const contents = [
    { role: "model", parts },
    { role: "user", parts: responses },
  ];
  return { ...body, contents: [...(body.contents as readonly Json[]), ...contents.filter((turn) => turn.parts.length > 0)] };
}
