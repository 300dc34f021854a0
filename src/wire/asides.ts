/**
 * Asides: what is said of a model where no provider of the guest's format is there to be asked, because a model of another format answers instead.
 *   WRT-7.1  A count of tokens is our own, an estimate, in the words of each format.
 *   WRT-7.2  The models that there are is the one that answers, in the words of each format; asked for by name it is told alone.
 */
import type { Format } from "../abi/upstream.ts";
import type { JsonObject } from "../lib/json.ts";

export function tokenCount(format: Format, tokens: number): JsonObject {
  if (format === "gemini") return { totalTokens: tokens };
  return format === "messages" ? { input_tokens: tokens } : { object: "response.input_tokens", input_tokens: tokens };
}

/** `alone`: it was asked for by its name. */
export function modelList(format: Format, model: string, alone: boolean): JsonObject {
  const entry = entries[format](model);
  if (alone) return entry;
  if (format === "gemini") return { models: [entry] };
  if (format === "messages") return { data: [entry], has_more: false, first_id: model, last_id: model };
  return { object: "list", data: [entry] };
}

const openai = (id: string): JsonObject => ({ id, object: "model", created: 0, owned_by: "daimon" });

const entries: Readonly<Record<Format, (model: string) => JsonObject>> = {
  messages: (id) => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }),
  responses: openai,
  chat: openai,
  gemini: (id) => ({
    name: `models/${id}`,
    displayName: id,
    supportedGenerationMethods: ["generateContent", "streamGenerateContent", "countTokens"],
  }),
};
