/** MCP results: what a tool gave, as one bounded untrusted text. Rules: mcp.ts. */
import type { CallValue } from "../../abi/call.ts";
import { limits } from "../../abi/limits.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** Text blocks as they are, anything else as a line that says what it is; structured content only where no text repeats it. */
export function readResult(server: string, tool: string, result: JsonObject): CallValue {
  const blocks = Array.isArray(result.content) ? (result.content as readonly Json[]).filter(isObject) : [];
  const texts = blocks.map(blockText).filter((text) => text !== "");
  const text =
    texts.length > 0 ? texts.join("\n") : result.structuredContent === undefined ? "" : JSON.stringify(result.structuredContent);
  const failed = result.isError === true ? { failed: true } : {};
  return {
    value: { ...failed, text: boundText(text) },
    source: `mcp.${server}.${tool}`,
    label: { integrity: "untrusted", confidentiality: "workspace" },
  };
}

/** Cut at the bound, and said to be. */
export function boundText(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= limits.mcpTextBytesMax) return text;
  const head = new TextDecoder().decode(Buffer.from(text).subarray(0, limits.mcpTextBytesMax));
  return `${head.replace(/\ufffd$/, "")}\n(cut off: ${bytes - limits.mcpTextBytesMax} more bytes)`;
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
