/**
 * Responses for guests: hears and writes what agents on OpenAI's Responses API read, in the events of its streams.
 *   HRD-4.1  A call is every item that asks the client to act, from the first event that speaks of it, in whatever event it stands.
 *   HRD-4.2  The ways in which a stream tells its calls agree: as they began, as their arguments grew, as they were done, and at the end; and its
 *            events are what they are named.
 *   HRD-4.3  A response in one piece that is not finished is trouble, since its calls would be fetched by another way.
 *   WRT-5.3  To ask again the reply stands behind the input as it was said, and an output of its own kind for each call behind it; all else stays.
 *   WRT-5.4  A call that takes no text as its output is left out of what is asked again, and a word to the model says what became of it.
 */
import type { OpaquePart } from "../abi/message.ts";
import { canonical, isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CallAnswer, GuestFormat, Hearing, Question } from "./guest-format.ts";
import { askedOf, hearing, misnamed, namedAs, withError, type Listener, type Meaning, type Reply, verbatim } from "./hearing.ts";
import { isNoList, jsonBytes, listOf, readArgs, str } from "./parts.ts";
import { responsesRefusals } from "./refusals.ts";
import { isCallItem, isCallType, itemCall, readResponse, responseReader, saidItem } from "./responses-reply.ts";
import { responsesRequest } from "./responses-request.ts";
import { newPlace, placeReader, responsesWriter, wholeResponse } from "./responses-writer.ts";

export const responsesGuest: GuestFormat = {
  name: "responses",
  hear: hearResponses,
  writer: (question, id) => responsesWriter(question, newPlace(), id),
  whole: (question, parts, stop, usage, id) => jsonBytes(wholeResponse(question, parts, stop, usage, id)),
  again: againResponses,
  request: responsesRequest,
  ...responsesRefusals,
};

function hearResponses(question: Question): Hearing {
  const request = askedOf(question);
  const reader = responseReader(request, verbatim, () => undefined);
  const place = placeReader();
  const calls = callWatch();
  /** What came of items that are not done. */
  let growing = "";

  const listener: Listener = {
    event(event, data) {
      if (!isObject(data)) return { broken: "an event of its stream is no object" };
      const meaning = namedAs(event, data) ? calls.event(data) : misnamed;
      if (typeof meaning === "object") return meaning;
      if (str(data.type).endsWith(".delta")) growing += str(data.delta);
      else if (data.type === "response.output_item.done") growing = "";
      const error = reader.event(event, data);
      return withError(meaning, error);
    },
    passed: (data) => place.passed(data),
    finish() {
      const reply = reader.finish();
      if (!reply.ok) return reply;
      const said = reader.said();
      return calls.agree(said) ? ok({ reply: reply.value, said }) : err(disagree);
    },
    whole(body): Result<Reply, string> {
      const reply = readResponse(body, request, verbatim);
      if (!reply.ok || !isObject(body)) return err(reply.ok ? "it is no object" : reply.error);
      if (body.status === "queued" || body.status === "in_progress") return err(background);
      return ok({ reply: reply.value, said: listOf(body.output).map(saidItem) });
    },
    sofar: () => [...reader.said(), { type: "text", text: growing }],
    writer: (id) => responsesWriter(question, place.now(), id),
  };
  return hearing(question, listener);
}

const background = "it is not finished, and what is fetched of it later passes no door; ask without `background`";

const disagree = "its stream tells its calls in ways that do not agree";

interface CallWatch {
  event(data: JsonObject): Exclude<Meaning, { readonly error: unknown }>;
  /** Whether the calls of the whole reply are those that the stream told one by one. */
  agree(said: readonly OpaquePart[]): boolean;
}

function callWatch(): CallWatch {
  let begun = 0;
  const done: JsonObject[] = [];
  /** Arguments as they grew, by the place of their item. */
  const grown = new Map<Json, string>();

  return {
    event(data) {
      const type = str(data.type);
      const kind = callKind(type);
      const item = isObject(data.item) && isCallItem(data.item) ? data.item : null;
      if (kind !== null && type.endsWith(".delta")) {
        const index = data.output_index ?? null;
        grown.set(index, (grown.get(index) ?? "") + str(data.delta));
      }
      if (item !== null && type === "response.output_item.added") begun += 1;
      if (item !== null && type === "response.output_item.done") {
        if (!fits(grown.get(data.output_index ?? null), item)) return { broken: disagree };
        done.push(item);
      }
      if (isObject(data.response) && isNoList(data.response.output)) return { broken: "its output is no list" };
      const output = isObject(data.response) ? listOf(data.response.output) : [];
      return kind !== null || item !== null || output.some(isCallItem) ? "call" : "pass";
    },
    agree(said) {
      const all = said
        .map((part) => part.value)
        .filter(isObject)
        .filter(isCallItem);
      return begun <= all.length && (done.length === 0 || canonical(done.map(asCall)) === canonical(all.map(asCall)));
    },
  };
}

/** The kind of call that an event is about by its name, as `response.custom_tool_call_input.delta`; null: about none of the client's. */
function callKind(type: string): string | null {
  const kind = /^response\.([a-z_]*?_call)(?:[._]|$)/.exec(type)?.[1] ?? "";
  return isCallType(kind) && kind !== "tool_search_call" ? kind : null;
}

function asCall(item: JsonObject): Json {
  const { id, name, args } = itemCall(item, verbatim, true);
  return [id, name, args];
}

function fits(grown: string | undefined, item: JsonObject): boolean {
  if (grown === undefined) return true;
  if (item.type === "custom_tool_call") return grown === item.input;
  return item.type !== "function_call" || canonical(readArgs(grown, false)) === canonical(readArgs(str(item.arguments), false));
}

/** Without a store reasoning can only go back where it came encrypted. */
function againResponses(body: Json, said: readonly OpaquePart[], answers: readonly CallAnswer[]): Json | null {
  if (!isObject(body) || (typeof body.input !== "string" && !Array.isArray(body.input))) return null;
  const before: readonly Json[] =
    typeof body.input === "string" ? [{ role: "user", content: body.input }] : (body.input as readonly Json[]);
  const items: Json[] = [];
  const outputs: Json[] = [];
  for (const item of said.map((part) => part.value).filter(isObject)) {
    const call = isCallItem(item) ? itemCall(item, verbatim, false) : null;
    const text = call === null ? "" : (answers.find(({ id }) => id === call.id)?.text ?? "");
    const output = call === null ? null : (callOutputs[str(item.type)]?.(call.id, text) ?? null);
    if (call !== null && output === null)
      outputs.push({ role: "developer", content: `Your call of ${call.name} was not carried out. ${text}` });
    else if (item.type !== "reasoning" || body.store !== false || str(item.encrypted_content) !== "") items.push(item);
    if (output !== null) outputs.push(output);
  }
  return { ...body, input: [...before, ...items, ...outputs] };
}

/** The output that belongs to each kind of call. */
const callOutputs: Readonly<Record<string, (id: string, text: string) => JsonObject>> = {
  function_call: (id, text) => ({ type: "function_call_output", call_id: id, output: text }),
  custom_tool_call: (id, text) => ({ type: "custom_tool_call_output", call_id: id, output: text }),
  local_shell_call: (id, text) => ({ type: "local_shell_call_output", id, output: text }),
  shell_call: (id, text) => ({
    type: "shell_call_output",
    call_id: id,
    output: [{ stdout: "", stderr: text, outcome: { type: "exit", exit_code: 1 } }],
  }),
  apply_patch_call: (id, text) => ({ type: "apply_patch_call_output", call_id: id, status: "failed", output: text }),
};
