/**
 * Requests: a guest's request as a request in the one internal form, for a model of another format than the guest speaks.
 *   REQ-1.1  Texts, calls and their results come in the order they stand in, results under the name of their call; what one provider alone understands stays opaque.
 *   REQ-1.9  An image comes as its bytes or as the address that the guest gave, beside the words that it stands with; one in a call's result stands behind it.
 *   REQ-1.2  What has no internal form, as a document, fails the request by its name: nothing that a guest says is left out.
 *   REQ-1.3  A word of the system in the middle of a conversation stays there as text.
 *   REQ-1.4  A tool that only its own provider can describe is left out, since no other model could call it.
 *   REQ-1.5  The output bound and the schema of the reply are the guest's own.
 *   REQ-1.6  A driver of any format can send the request on.
 *   REQ-1.7  Whether the model is to call, what, and how many at once, is the guest's own word in every format.
 *   REQ-1.8  What would be answered with less than was asked for, as a second choice or the odds of each token, fails the request by its name.
 */
import { limits } from "../abi/limits.ts";
import type { ImagePart, Message, Part, ResultPart, ToolDefinition } from "../abi/message.ts";
import type { CallControl } from "../abi/model.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestRequest } from "./guest-format.ts";
import { listOf, str, tokensOf } from "./parts.ts";

/** One entry of a guest's conversation. */
export interface Turn {
  readonly assistant: boolean;
  readonly parts: readonly Part[];
}

/** `output`: the schema of the reply; `outputTokensMax`: null where the guest leaves it to the provider. */
export interface Read {
  readonly model: string;
  readonly system: readonly string[];
  readonly turns: readonly Turn[];
  readonly tools: readonly ToolDefinition[];
  readonly outputTokensMax: number | null;
  readonly output: Json | undefined;
  readonly calls: CallControl | null;
  readonly stops: Json | undefined;
}

export function requestOf(read: Read): GuestRequest {
  const names = new Map<string, string>();
  for (const { parts } of read.turns) for (const part of parts) if (part.type === "call") names.set(part.id, part.name);
  const named = (part: Part): Part =>
    part.type === "result" && part.name === "" ? { ...part, name: names.get(part.id) ?? "" } : part;
  const messages = read.turns
    .filter(({ parts }) => parts.length > 0)
    .map(({ assistant, parts }): Message => {
      const role = assistant ? "assistant" : parts.every((part) => part.type === "result") ? "tool" : "user";
      return { role, parts: parts.map(named), tokens: tokensOf(parts) };
    });
  return {
    model: read.model,
    system: read.system.filter((text) => text !== "").join("\n\n"),
    messages,
    tools: read.tools,
    outputTokensMax: read.outputTokensMax ?? limits.remoteOutputTokensMax,
    output: isObject(read.output) ? read.output : null,
    idempotencyKey: "",
    ...(read.calls !== null && { calls: read.calls }),
    stopSequences: [read.stops ?? []].flat().filter((text): text is string => typeof text === "string" && text !== ""),
  };
}

/** null where it says nothing but what holds without it. */
export function callControl(choice: CallControl["choice"], several: boolean): CallControl | null {
  return choice === "auto" && several ? null : { choice, several };
}

/** Each entry as what it means, up to the first that means nothing here. */
export function readAll<T, R>(
  entries: readonly T[],
  read: (entry: T) => Result<readonly R[], string>,
): Result<readonly R[], string> {
  const all: R[] = [];
  for (const entry of entries) {
    const one = read(entry);
    if (!one.ok) return one;
    all.push(...one.value);
  }
  return ok(all);
}

export function cannotSay(type: Json | undefined): Result<never, string> {
  return err(
    `it holds a part of type ${JSON.stringify(str(type).slice(0, 40))}, which a model of another format cannot be given; ask a model of this format`,
  );
}

/** A content that is text, or blocks that are; `field` of which type holds a block's text. */
export function textsOf(content: Json | undefined, fields: Readonly<Record<string, string>>): Result<readonly string[], string> {
  if (content == null) return ok([]);
  if (typeof content === "string") return ok([content]);
  return readAll(listOf(content), (block) => {
    const field = fields[str(block.type)];
    return field === undefined ? cannotSay(block.type) : ok([str(block[field])]);
  });
}

/** A content that is text, or blocks that are text or images; `imageOf` is null for a block that is none that can be shown elsewhere. */
export function partsOf(
  content: Json | undefined,
  fields: Readonly<Record<string, string>>,
  imageOf: (block: JsonObject) => ImagePart | null,
): Result<readonly Part[], string> {
  if (content == null || typeof content === "string") return ok(textParts([content ?? ""]));
  return readAll(listOf(content), (block) => {
    const field = fields[str(block.type)];
    if (field !== undefined) return ok(textParts([str(block[field])]));
    const image = imageOf(block);
    return image === null ? cannotSay(block.type) : ok([image]);
  });
}

/** null: it is no image, or none of its bytes are there. */
export function imageFrom(mediaType: Json | undefined, data: Json | undefined): ImagePart | null {
  if (!/^image\/[\w.+-]+$/.test(str(mediaType)) || !/^[A-Za-z0-9+/]+={0,2}$/.test(str(data))) return null;
  return { type: "image", source: { mediaType: str(mediaType), data: str(data) } };
}

/** An address of the network, or one that holds the bytes itself. */
export function imageAt(address: Json | undefined): ImagePart | null {
  const url = str(address);
  if (/^https?:\/\//i.test(url)) return { type: "image", source: { url } };
  const comma = url.indexOf(";base64,");
  if (!url.startsWith("data:") || comma < 0) return null;
  return imageFrom(url.slice("data:".length, comma), url.slice(comma + ";base64,".length));
}

/** The text of a call's result, and the images that came with it. */
export function resultWith(parts: readonly Part[], result: (text: string) => Part): readonly Part[] {
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  return [result(texts.join("\n")), ...parts.filter(({ type }) => type === "image")];
}

export function textParts(texts: readonly string[]): readonly Part[] {
  return texts.filter((text) => text !== "").map((text) => ({ type: "text", text }));
}

/** The page is for the kernel to name. */
export function resultPart(id: string, name: string, text: string, succeeded: boolean): ResultPart {
  return { type: "result", id, name, ok: succeeded, text, page: "" };
}

export function toolOf(
  name: Json | undefined,
  description: Json | undefined,
  input: Json | undefined,
): readonly ToolDefinition[] {
  return str(name) === ""
    ? []
    : [{ name: str(name), description: str(description), input: isObject(input) ? input : { type: "object" } }];
}

/** The input of a tool whose argument is free text. */
export const freeText: JsonObject = {
  type: "object",
  properties: { input: { type: "string" } },
  required: ["input"],
  additionalProperties: false,
};
