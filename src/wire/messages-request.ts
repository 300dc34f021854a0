/** Messages requests: what a guest asks on Anthropic's API, in the one internal form. Rules: requests.ts. */
import type { ImagePart, Part } from "../abi/message.ts";
import type { CallControl } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestRequest } from "./guest-format.ts";
import { isToolUse, messagesDialectName } from "./messages-reply.ts";
import { callPart, count, listOf, str } from "./parts.ts";
import {
  callControl,
  cannotSay,
  imageAt,
  imageFrom,
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

const textFields = { text: "text" } as const;

export function messagesRequest(body: Json): Result<GuestRequest, string> {
  if (!isObject(body) || !Array.isArray(body.messages)) return err("it has no messages");
  const system = textsOf(body.system, textFields);
  if (!system.ok) return system;
  const turns = readAll(listOf(body.messages), readTurn);
  if (!turns.ok) return turns;
  const config = isObject(body.output_config) ? body.output_config.format : body.output_format;
  return ok(
    requestOf({
      model: str(body.model),
      system: system.value,
      turns: turns.value,
      // A tool of Anthropic's own has a type and no schema.
      tools: listOf(body.tools).flatMap((tool) =>
        isObject(tool.input_schema) ? toolOf(tool.name, tool.description, tool.input_schema) : [],
      ),
      outputTokensMax: count(body.max_tokens),
      output: isObject(config) ? config.schema : undefined,
      calls: readChoice(body.tool_choice),
      stops: body.stop_sequences,
    }),
  );
}

function readChoice(choice: Json | undefined): CallControl | null {
  if (!isObject(choice)) return null;
  const named = choice.type === "tool" && str(choice.name) !== "" ? { tool: str(choice.name) } : null;
  const plain = choice.type === "any" || choice.type === "none" ? choice.type : "auto";
  return callControl(named ?? plain, choice.disable_parallel_tool_use !== true);
}

function readTurn(turn: JsonObject): Result<readonly Turn[], string> {
  const assistant = turn.role === "assistant";
  const parts =
    typeof turn.content === "string"
      ? ok(textParts([turn.content]))
      : readAll(listOf(turn.content), (block) => readBlock(block, assistant));
  return parts.ok ? ok([{ assistant, parts: parts.value }]) : parts;
}

function readBlock(block: JsonObject, assistant: boolean): Result<readonly Part[], string> {
  if (block.type === "text") return ok(textParts([str(block.text)]));
  if (block.type === "tool_result") {
    const parts = partsOf(block.content, textFields, imageOf);
    const result = (text: string): Part => resultPart(str(block.tool_use_id), "", text, block.is_error !== true);
    return parts.ok ? ok(resultWith(parts.value, result)) : parts;
  }
  const image = assistant ? null : imageOf(block);
  if (image !== null) return ok([image]);
  if (!assistant) return cannotSay(block.type);
  if (isToolUse(block)) return ok([callPart(str(block.id), str(block.name), block.input ?? {})]);
  return ok([{ type: "opaque", dialect: messagesDialectName, value: block }]);
}

/** One that was uploaded before is with its provider alone. */
function imageOf({ type, source }: JsonObject): ImagePart | null {
  if (type !== "image" || !isObject(source)) return null;
  return source.type === "url" ? imageAt(source.url) : imageFrom(source.media_type, source.data);
}
