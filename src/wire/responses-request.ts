/** Responses requests: what a guest asks on OpenAI's Responses API, in the one internal form. Rules: requests.ts. */
import type { ImagePart, Part, ToolDefinition } from "../abi/message.ts";
import type { CallControl } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestRequest } from "./guest-format.ts";
import { count, listOf, str } from "./parts.ts";
import {
  callControl,
  cannotSay,
  freeText,
  imageAt,
  partsOf,
  readAll,
  requestOf,
  resultPart,
  resultWith,
  textParts,
  textsOf,
  toolOf,
  type Turn,
} from "./requests.ts";
import { isCallItem, itemCall, saidItem } from "./responses-reply.ts";

const textFields = { input_text: "text", output_text: "text", text: "text", refusal: "refusal" } as const;

export function responsesRequest(body: Json): Result<GuestRequest, string> {
  if (!isObject(body) || (typeof body.input !== "string" && !Array.isArray(body.input))) return err("it has no input");
  if (body.previous_response_id != null || body.conversation != null)
    return err("it goes on with a reply that only its provider has; send the whole conversation with each request");
  const items = typeof body.input === "string" ? [{ role: "user", content: body.input }] : listOf(body.input);
  const start = items.findIndex((item) => !isSystem(item));
  const head = start < 0 ? items.length : start;
  const system = readAll(items.slice(0, head), ({ content }) => textsOf(content, textFields));
  if (!system.ok) return system;
  const turns = readAll(items.slice(head), readItem);
  if (!turns.ok) return turns;
  const format = isObject(body.text) && isObject(body.text.format) ? body.text.format : {};
  return ok(
    requestOf({
      model: str(body.model),
      system: [str(body.instructions), ...system.value],
      turns: turns.value,
      tools: listOf(body.tools).flatMap((tool) => readTool(tool, "")),
      outputTokensMax: count(body.max_output_tokens),
      output: format.type === "json_object" ? { type: "object" } : format.schema,
      calls: callControl(readChoice(body.tool_choice), body.parallel_tool_calls !== false),
      stops: undefined,
    }),
  );
}

function readChoice(choice: Json | undefined): CallControl["choice"] {
  if (choice === "none") return "none";
  if (choice === "required") return "any";
  if (!isObject(choice) || (choice.type !== "function" && choice.type !== "custom")) return "auto";
  return str(choice.name) === "" ? "auto" : { tool: str(choice.name) };
}

function isSystem({ role }: JsonObject): boolean {
  return role === "system" || role === "developer";
}

function readItem(item: JsonObject): Result<readonly Turn[], string> {
  const type = str(item.type);
  if (type === "message" || (type === "" && "role" in item)) {
    const parts = partsOf(item.content, textFields, imageOf);
    return parts.ok ? ok([{ assistant: item.role === "assistant", parts: parts.value }]) : parts;
  }
  if (type.endsWith("_call_output")) {
    const parts = typeof item.output === "object" && !Array.isArray(item.output) ? cannotSay(type) : readOutput(item);
    if (!parts.ok) return parts;
    const id = str(item.call_id) === "" ? str(item.id) : str(item.call_id);
    const result = (text: string): Part => resultPart(id, "", text, item.status !== "failed");
    return ok([{ assistant: false, parts: resultWith(parts.value, result) }]);
  }
  if (isCallItem(item)) return ok([{ assistant: true, parts: [itemCall(item, (name) => name, false)] }]);
  if (type === "item_reference" || type === "") return cannotSay(type);
  return ok([{ assistant: true, parts: [saidItem(item)] }]);
}

/** A shell answers with what it wrote to each of its streams. */
function readOutput(item: JsonObject): Result<readonly Part[], string> {
  if (item.type !== "shell_call_output") return partsOf(item.output, textFields, imageOf);
  return ok(listOf(item.output).flatMap(({ stdout, stderr }) => textParts([str(stdout), str(stderr)])));
}

function imageOf({ type, image_url: address }: JsonObject): ImagePart | null {
  return type === "input_image" ? imageAt(address) : null;
}

/** The tools of a namespace have both names, as their calls do. */
function readTool(tool: JsonObject, space: string): readonly ToolDefinition[] {
  const name = str(tool.name) === "" ? "" : `${space}${str(tool.name)}`;
  if (tool.type === "namespace") return listOf(tool.tools).flatMap((inner) => readTool(inner, `${name}.`));
  if (tool.type === "custom") return toolOf(name, tool.description, freeText);
  return tool.type === "function" ? toolOf(name, tool.description, tool.parameters) : [];
}
