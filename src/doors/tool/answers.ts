/**
 * Answers: what a call gave, as the protocol has it.
 *   DRT-3.1  A tool that failed, and a call that daimon refused, is a result with `isError` that the model reads; an error of the protocol stays one, with its code.
 *   DRT-3.2  A text beyond the bound is cut, and its last line says how the client reads on.
 *   DRT-3.3  Images, audio and embedded resources pass as they are; links and resources are named as the client can read them, and none is followed.
 */
import { ProtocolError } from "@modelcontextprotocol/server";
import { errnos, type SysError } from "../../abi/errno.ts";
import { errorText, render } from "../../kernel/window.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Result } from "../../lib/result.ts";

/** How the client sees a resource of the server that answered, and a text that may be too long for it. */
export interface Shown {
  uri(uri: string): string;
  text(text: string): string;
}

export function toolResult(outcome: Result<Json, SysError>, shown: Shown): JsonObject {
  if (!outcome.ok) return { content: [{ type: "text", text: errorText(outcome.error) }], isError: true };
  const { value } = outcome;
  if (!isObject(value)) return { content: [{ type: "text", text: shown.text(render(value)) }] };
  raise(value);
  if (isObject(value.result)) return toolForm(value.result, shown);
  const { failed, ...rest } = value;
  const content = [{ type: "text", text: shown.text(render(rest)) }];
  return failed === true ? { content, isError: true } : { content };
}

/** Of a method that is no tool: an error of ours is one of the protocol's. */
export function methodResult(outcome: Result<Json, SysError>): JsonObject {
  if (!outcome.ok) throw new ProtocolError(errnos[outcome.error.errno].rpc, errorText(outcome.error));
  const { value } = outcome;
  if (!isObject(value)) return {};
  raise(value);
  return isObject(value.result) ? value.result : {};
}

/** What the server behind answered with an error of the protocol. */
function raise(value: JsonObject): void {
  if (value.failed === true && typeof value.code === "number")
    throw new ProtocolError(value.code, typeof value.text === "string" ? value.text : "", value.data ?? undefined);
}

function toolForm(result: JsonObject, shown: Shown): JsonObject {
  if (!Array.isArray(result.content)) return result;
  return { ...result, content: (result.content as readonly Json[]).map((block) => blockForm(block, shown)) };
}

/** One block of a tool's result or of a prompt's message. */
export function blockForm(block: Json, shown: Shown): Json {
  if (!isObject(block)) return block;
  if (block.type === "text" && typeof block.text === "string") return { ...block, text: shown.text(block.text) };
  if (block.type === "resource_link") return withUri(block, shown);
  if (block.type !== "resource" || !isObject(block.resource)) return block;
  const { text } = block.resource;
  const resource = typeof text === "string" ? { ...block.resource, text: shown.text(text) } : block.resource;
  return { ...block, resource: withUri(resource, shown) };
}

export function withUri(value: JsonObject, shown: Pick<Shown, "uri">): JsonObject {
  return typeof value.uri === "string" ? { ...value, uri: shown.uri(value.uri) } : value;
}
