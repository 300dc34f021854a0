/** Chat requests: what a guest asks on the Chat Completions API, in the one internal form. Rules: requests.ts. */
import type { Part, ToolDefinition } from "../abi/message.ts";
import type { CallControl } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestRequest } from "./guest-format.ts";
import { saidMessage } from "./chat-reply.ts";
import { callPart, count, listOf, readArgs, str } from "./parts.ts";
import {
  callControl,
  freeText,
  imageAt,
  partsOf,
  readAll,
  requestOf,
  resultPart,
  textParts,
  textsOf,
  toolOf,
  type Turn,
} from "./requests.ts";

const textFields = { text: "text", refusal: "refusal" } as const;

export function chatRequest(body: Json): Result<GuestRequest, string> {
  if (!isObject(body) || !Array.isArray(body.messages)) return err("it has no messages");
  const unheard = (count(body.n) ?? 1) > 1 ? "several choices" : body.logprobs === true ? "the odds of its tokens" : null;
  if (unheard !== null) return err(`it asks for ${unheard}, which a model of another format does not give; ask without`);
  const messages = listOf(body.messages);
  const start = messages.findIndex(({ role }) => role !== "system" && role !== "developer");
  const head = start < 0 ? messages.length : start;
  const system = readAll(messages.slice(0, head), ({ content }) => textsOf(content, textFields));
  if (!system.ok) return system;
  const turns = readAll(messages.slice(head), readMessage);
  if (!turns.ok) return turns;
  return ok(
    requestOf({
      model: str(body.model),
      system: system.value,
      turns: turns.value,
      tools: [...listOf(body.tools).flatMap(readTool), ...listOf(body.functions).flatMap(readFunction)],
      outputTokensMax: count(body.max_completion_tokens) ?? count(body.max_tokens),
      output: readFormat(body.response_format),
      calls: callControl(readChoice(body.tool_choice ?? body.function_call), body.parallel_tool_calls !== false),
      stops: body.stop,
    }),
  );
}

function readChoice(choice: Json | undefined): CallControl["choice"] {
  if (choice === "none") return "none";
  if (choice === "required") return "any";
  if (!isObject(choice)) return "auto";
  const named = [choice.function, choice.custom, choice].filter(isObject).find(({ name }) => str(name) !== "");
  return named === undefined ? "auto" : { tool: str(named.name) };
}

function readMessage(message: JsonObject): Result<readonly Turn[], string> {
  if (message.role === "user") {
    const parts = partsOf(message.content, textFields, ({ image_url: image }) => imageAt(isObject(image) ? image.url : image));
    return parts.ok ? ok([{ assistant: false, parts: parts.value }]) : parts;
  }
  const texts = textsOf(message.content, textFields);
  if (!texts.ok) return texts;
  const text = texts.value.join("\n");
  if (message.role === "tool") return ok([{ assistant: false, parts: [resultPart(str(message.tool_call_id), "", text, true)] }]);
  if (message.role === "function")
    return ok([{ assistant: false, parts: [resultPart(str(message.name), str(message.name), text, true)] }]);
  if (message.role !== "assistant") return ok([{ assistant: false, parts: textParts(texts.value) }]);
  return ok([
    {
      assistant: true,
      parts: [...thoughtOf(message), ...textParts([...texts.value, str(message.refusal)]), ...callsOf(message)],
    },
  ]);
}

/** What a compatible server showed of its reasoning. */
function thoughtOf(message: JsonObject): readonly Part[] {
  const field = ["reasoning_content", "reasoning"].find((name) => str(message[name]) !== "");
  return field === undefined ? [] : [saidMessage({ [field]: str(message[field]) })];
}

function callsOf(message: JsonObject): readonly Part[] {
  const calls: Part[] = listOf(message.tool_calls).map(({ id, function: fn, custom }) => {
    if (isObject(custom)) return callPart(str(id), str(custom.name), { input: str(custom.input) });
    return isObject(fn) ? callPart(str(id), str(fn.name), readArgs(str(fn.arguments), false)) : callPart(str(id), "", {});
  });
  const { function_call: legacy } = message;
  if (isObject(legacy)) calls.push(callPart(str(legacy.name), str(legacy.name), readArgs(str(legacy.arguments), false)));
  return calls;
}

function readTool(tool: JsonObject): readonly ToolDefinition[] {
  const { function: fn, custom } = tool;
  if (isObject(custom)) return toolOf(custom.name, custom.description, freeText);
  return isObject(fn) ? readFunction(fn) : [];
}

function readFunction(fn: JsonObject): readonly ToolDefinition[] {
  return toolOf(fn.name, fn.description, fn.parameters);
}

function readFormat(format: Json | undefined): Json | undefined {
  if (!isObject(format)) return undefined;
  if (format.type === "json_object") return { type: "object" };
  return isObject(format.json_schema) ? format.json_schema.schema : undefined;
}
