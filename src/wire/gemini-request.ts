/** Gemini requests: what a guest asks of Google's generateContent, in the one internal form; its model stands in the address. Rules: requests.ts. */
import type { Part, ToolDefinition } from "../abi/message.ts";
import type { CallControl } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestRequest } from "./guest-format.ts";
import { callIds, geminiDialectName } from "./gemini-reply.ts";
import { callPart, count, listOf, str } from "./parts.ts";
import { callControl, cannotSay, imageFrom, readAll, requestOf, resultPart, textParts, toolOf, type Turn } from "./requests.ts";

export function geminiRequest(body: Json): Result<GuestRequest, string> {
  if (!isObject(body) || !Array.isArray(body.contents)) return err("it has no contents");
  if (isObject(body.generationConfig) && (count(body.generationConfig.candidateCount) ?? 1) > 1)
    return err("it asks for several choices, which a model of another format does not give; ask without");
  const turns = readAll(listOf(body.contents), readContent);
  if (!turns.ok) return turns;
  const head = body.systemInstruction ?? body.system_instruction;
  const config = isObject(body.generationConfig) ? body.generationConfig : {};
  const declared = listOf(body.tools).flatMap((tool) => listOf(tool.functionDeclarations ?? tool.function_declarations));
  return ok(
    requestOf({
      model: str(body.model),
      system: typeof head === "string" ? [head] : listOf(isObject(head) ? head.parts : undefined).map(({ text }) => str(text)),
      turns: turns.value,
      tools: declared.flatMap(readTool),
      outputTokensMax: count(config.maxOutputTokens),
      output: config.responseJsonSchema ?? plainSchema(config.responseSchema) ?? jsonOnly(config),
      calls: readMode(body.toolConfig ?? body.tool_config),
      stops: config.stopSequences,
    }),
  );
}

function readMode(toolConfig: Json | undefined): CallControl | null {
  const calling = isObject(toolConfig) ? (toolConfig.functionCallingConfig ?? toolConfig.function_calling_config) : undefined;
  if (!isObject(calling)) return null;
  const names = Array.isArray(calling.allowedFunctionNames) ? calling.allowedFunctionNames : [];
  if (calling.mode === "NONE") return callControl("none", true);
  if (calling.mode !== "ANY") return null;
  return callControl(names.length === 1 ? { tool: str(names[0] as Json) } : "any", true);
}

function jsonOnly(config: JsonObject): Json | undefined {
  return config.responseMimeType === "application/json" ? { type: "object" } : undefined;
}

function readContent(content: JsonObject): Result<readonly Turn[], string> {
  const wire = listOf(content.parts);
  const ids = callIds(wire);
  const parts = readAll([...wire.entries()], ([n, part]) => readPart(part, ids[n] ?? "", content.role === "model"));
  return parts.ok ? ok([{ assistant: content.role === "model", parts: parts.value }]) : parts;
}

function readPart(part: JsonObject, id: string, assistant: boolean): Result<readonly Part[], string> {
  const { functionCall: call, functionResponse: response } = part;
  if (isObject(call)) return ok([callPart(id, str(call.name), call.args ?? {})]);
  if (isObject(response)) return readResponse(response);
  if (typeof part.text === "string" && part.thought !== true) return ok(textParts([part.text]));
  const image = isObject(part.inlineData) ? imageFrom(part.inlineData.mimeType, part.inlineData.data) : null;
  if (image !== null && !assistant) return ok([image]);
  if (assistant) return ok([{ type: "opaque", dialect: geminiDialectName, value: part }]);
  return cannotSay(Object.keys(part).find((field) => isObject(part[field])) ?? "");
}

function readResponse({ id, name, response, parts }: JsonObject): Result<readonly Part[], string> {
  if (listOf(parts).length > 0) return cannotSay("functionResponse.parts");
  const { output, error } = isObject(response) ? response : {};
  const told = error ?? output ?? response ?? "";
  const text = typeof told === "string" ? told : JSON.stringify(told);
  return ok([resultPart(str(id) === "" ? str(name) : str(id), str(name), text, error === undefined)]);
}

function readTool(tool: JsonObject): readonly ToolDefinition[] {
  return toolOf(tool.name, tool.description, tool.parametersJsonSchema ?? plainSchema(tool.parameters));
}

/** Google's own kind of schema names its types in capitals; what it has besides says the same in JSON Schema. */
function plainSchema(schema: Json | undefined): Json | undefined {
  if (Array.isArray(schema)) return (schema as readonly Json[]).map((item) => plainSchema(item) ?? null);
  if (!isObject(schema)) return schema;
  const fields = Object.entries(schema).map(([field, value]): readonly [string, Json] => {
    if (field === "type" && typeof value === "string") return [field, value.toLowerCase()];
    if (field === "properties" && isObject(value)) return [field, mapValues(value)];
    return field === "items" || field === "anyOf" ? [field, plainSchema(value) ?? null] : [field, value];
  });
  return Object.fromEntries(fields);
}

function mapValues(properties: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, plainSchema(value) ?? null]));
}
