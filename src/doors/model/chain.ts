/**
 * Chain: how a conversation over one connection goes on from its newest response, without anybody else having kept it.
 *   DOR-11.1  What goes on is the whole conversation: what was sent and said before, and then what is sent now; all else of the request stays.
 *   DOR-11.2  The result of a call that the conversation does not hold is an error.
 *   DOR-11.3  Reasoning that its provider neither keeps nor gave out encrypted cannot be sent again, and stays out; a conversation beyond the bound is forgotten.
 */
import { limits } from "../../abi/limits.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { err, ok, type Result } from "../../lib/result.ts";

export interface Chain {
  /** Of the response that it ends with. */
  readonly id: string;
  readonly items: readonly Json[];
}

interface GoneOn {
  readonly request: JsonObject;
  /** It needs nothing of what its provider keeps. */
  readonly known: boolean;
}

export function goOn(chain: Chain | null, body: JsonObject): Result<GoneOn, string> {
  const { previous_response_id: previous, ...rest } = body;
  if (previous == null) return ok({ request: rest, known: true });
  if (chain?.id !== previous) return ok({ request: body, known: false });
  const items = [...chain.items, ...itemsOf(body.input)];
  const calls = new Set(items.filter(isObject).flatMap(({ type, call_id: id }) => (isOutput(type) ? [] : [id])));
  const stray = itemsOf(body.input)
    .filter(isObject)
    .some(({ type, call_id: id }) => isOutput(type) && !calls.has(id));
  if (stray)
    return err("No tool call found for function call output: the response that is gone on with holds no call of this id");
  return ok({ request: { ...rest, input: items }, known: true });
}

/** null: it cannot be gone on with here. */
export function grown(request: JsonObject, { id, output }: JsonObject): Chain | null {
  if (typeof id !== "string" || request.previous_response_id != null) return null;
  const said = Array.isArray(output) ? (output as readonly Json[]) : [];
  const items = [...itemsOf(request.input), ...said.filter((item) => !isLost(item, request.store))];
  return JSON.stringify(items).length > limits.guestSocketBytesMax ? null : { id, items };
}

function itemsOf(input: Json | undefined): readonly Json[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  return Array.isArray(input) ? (input as readonly Json[]) : [];
}

function isOutput(type: Json | undefined): boolean {
  return typeof type === "string" && type.endsWith("_call_output");
}

function isLost(item: Json, store: Json | undefined): boolean {
  return isObject(item) && item.type === "reasoning" && store === false && typeof item.encrypted_content !== "string";
}
