/** MCP results: what a server gave, as one bounded untrusted text, and beside it as it came for clients that take more than text. Rules: mcp.ts. */
import type { CallValue } from "../../abi/call.ts";
import { limits } from "../../abi/limits.ts";
import { isObject, tooLarge, type Json, type JsonObject } from "../../lib/json.ts";
import { visible } from "../../lib/visible.ts";
import type { Answer } from "./mcp-line.ts";

/** The value's `text` is what a model sees; `result`, an object, is not rendered for it. `source` is the call's name. */
export function readAnswer(source: string, answer: Answer): CallValue {
  if (answer.type === "error") {
    const { code, text, data } = answer;
    const told = isObject(data) ? { data } : {};
    return untrusted(source, { failed: true, code, text: boundText(visible(text)), ...told });
  }
  const { result } = answer;
  const failed = result.isError === true ? { failed: true } : {};
  const text = boundText(textOf(result));
  // A text alone says all that there is.
  const kept = isPlain(result, text) || tooLarge(result, limits.mcpResultBytesMax) ? {} : { result };
  return untrusted(source, { ...failed, text, ...kept });
}

/** Cut at the bound, and said to be. */
export function boundText(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= limits.mcpTextBytesMax) return text;
  const head = new TextDecoder().decode(Buffer.from(text).subarray(0, limits.mcpTextBytesMax));
  return `${head.replace(/\ufffd$/, "")}\n(cut off: ${bytes - limits.mcpTextBytesMax} more bytes)`;
}

function untrusted(source: string, value: JsonObject): CallValue {
  return { value, source, label: { integrity: "untrusted", confidentiality: "workspace" } };
}

/** Text blocks as they are, anything else as a line that says what it is; structured content only where no text repeats it. */
function textOf(result: JsonObject): string {
  const texts = blocksOf(result)
    .map(blockText)
    .filter((text) => text !== "");
  if (texts.length > 0) return texts.join("\n");
  const { structuredContent, content: _content, ...rest } = result;
  if (structuredContent !== undefined) return JSON.stringify(structuredContent);
  return Array.isArray(result.content) ? "" : JSON.stringify(rest);
}

function blocksOf(result: JsonObject): readonly JsonObject[] {
  if (Array.isArray(result.content)) return (result.content as readonly Json[]).filter(isObject);
  if (Array.isArray(result.contents))
    return (result.contents as readonly Json[]).filter(isObject).map((resource) => ({ type: "resource", resource }));
  return [];
}

function isPlain(result: JsonObject, text: string): boolean {
  const { content, isError: _isError, resultType, ...others } = result;
  if (!Array.isArray(content) || content.length !== 1 || (resultType !== undefined && resultType !== "complete")) return false;
  const [block] = content as readonly Json[];
  return isObject(block) && Object.keys(block).length === 2 && block.text === text && Object.keys(others).length === 0;
}

function blockText(block: JsonObject): string {
  switch (block.type) {
    case "text":
      return typeof block.text === "string" ? block.text : "";
    case "resource":
      return isObject(block.resource) ? resourceText(block.resource) : "";
    case "resource_link":
      return `(link: ${str(block.uri).slice(0, limits.quoteCharsMax)})`;
    case "image":
    case "audio":
      return `(${str(block.mimeType).slice(0, 100)}, ${base64Bytes(block.data)} bytes: not text)`;
    default:
      return `(a block of a kind daimon does not know)`;
  }
}

function resourceText(resource: JsonObject): string {
  if (typeof resource.text === "string") return resource.text;
  return `(${str(resource.uri).slice(0, limits.quoteCharsMax)}, ${base64Bytes(resource.blob)} bytes: not text)`;
}

function base64Bytes(data: Json | undefined): number {
  return typeof data === "string" ? Math.floor((data.length * 3) / 4) : 0;
}

function str(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
