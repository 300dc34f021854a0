/**
 * Responses: OpenAI's API in its stateless form (`store: false`, everything sent each time).
 * Source: OpenAI API reference, Responses.
 *   MOD-7.1  Reasoning items come back to OpenAI verbatim and in place, encrypted content included.
 *   MOD-7.2  A contract of the reply is `text.format`, strict where the schema allows it.
 *   MOD-7.3  Requests with one head share a prompt cache key, so they meet in the provider's cache.
 */
import type { Message, OpaquePart, Part, ToolDefinition } from "../abi/message.ts";
import { sha256 } from "../lib/hash.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Dialect } from "./dialect.ts";
import {
  bodyOf,
  callNames,
  contractOf,
  hasText,
  headCache,
  imageUrl,
  isStrict,
  joinCache,
  objectArgs,
  onceFor,
  openaiCalls,
  wireName,
} from "./parts.ts";
import { readResponse, responseReader, responsesDialectName } from "./responses-reply.ts";

export interface ResponsesOptions {
  readonly effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | null;
}

interface Head {
  readonly text: string;
  readonly nameOf: (wire: string) => string;
}

export function responsesDialect(options: ResponsesOptions): Dialect {
  const items = joinCache(onceFor((message: Message) => itemsOf(message)));
  const headOf = headCache(makeHead);

  return {
    body(request, stream) {
      const fields = [
        `"model":${JSON.stringify(request.model)}`,
        headOf(request).text,
        `"max_output_tokens":${request.outputTokensMax}`,
      ];
      if (request.tools.length > 0) fields.push(...openaiCalls(request, responsesTool));
      if (request.output !== null) fields.push(`"text":{"format":${textFormat(request.output)}}`);
      if (options.effort != null) fields.push(`"reasoning":{"effort":"${options.effort}"}`);
      fields.push(`"store":false,"include":["reasoning.encrypted_content"]`);
      if (stream) fields.push(`"stream":true`);
      return bodyOf(`{${fields.join(",")},"input":[`, items(request.messages), "]}");
    },
    reply: (body, request) => readResponse(body, request, headOf(request).nameOf),
    reader: (request, onDelta) => responseReader(request, headOf(request).nameOf, onDelta),
  };
}

function makeHead(system: string, tools: readonly ToolDefinition[]): Head {
  const wire = tools.map(
    (tool) =>
      `{"type":"function","name":${JSON.stringify(wireName(tool.name))},"description":${JSON.stringify(tool.description)},"parameters":${JSON.stringify(tool.input)},"strict":false}`,
  );
  const fields = hasText(system) ? [`"instructions":${JSON.stringify(system)}`] : [];
  if (wire.length > 0) fields.push(`"tools":[${wire.join(",")}]`);
  fields.push(`"prompt_cache_key":"${sha256(fields.join(",")).slice(0, 32)}"`);
  return { text: fields.join(","), nameOf: callNames(tools) };
}

function responsesTool(name: string): string {
  return `{"type":"function","name":${JSON.stringify(name)}}`;
}

function textFormat(output: JsonObject): string {
  const { schema } = contractOf(output);
  return `{"type":"json_schema","name":"reply","schema":${JSON.stringify(schema)},"strict":${isStrict(schema)}}`;
}

function itemsOf(message: Message): string {
  return (
    message.parts.some(({ type }) => type === "image") ? [...message.parts.filter(isResult), shown(message)] : message.parts
  )
    .map((part) => item(message, part))
    .filter((text) => text !== "")
    .join(",");
}

function isResult({ type }: Part): boolean {
  return type === "result";
}

/** Words and images of one turn stand in one item. */
function shown({ parts }: Message): OpaquePart {
  const content = parts.flatMap((part): readonly JsonObject[] => {
    if (part.type === "image") return [{ type: "input_image", detail: "auto", image_url: imageUrl(part) }];
    return part.type === "text" && hasText(part.text) ? [{ type: "input_text", text: part.text }] : [];
  });
  return { type: "opaque", dialect: responsesDialectName, value: { role: "user", content } };
}

function item(message: Message, part: Part): string {
  switch (part.type) {
    case "text":
      return hasText(part.text)
        ? `{"role":"${message.role === "assistant" ? "assistant" : "user"}","content":${JSON.stringify(part.text)}}`
        : "";
    case "call":
      return `{"type":"function_call","call_id":${JSON.stringify(part.id)},"name":${JSON.stringify(wireName(part.name))},"arguments":${JSON.stringify(objectArgs(part.args))}}`;
    case "result":
      return `{"type":"function_call_output","call_id":${JSON.stringify(part.id)},"output":${JSON.stringify(part.text)}}`;
    case "image":
      return "";
    case "opaque":
      return part.dialect === responsesDialectName ? JSON.stringify(part.value) : "";
  }
}
