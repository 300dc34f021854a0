/** What the formats of the trial's upstream share: the shape of one, and small readers of what a client sent. */
import { isObject, type Json, type JsonObject } from "../src/lib/json.ts";
import { tokensOf, type Said, type Talk } from "./door-talk.ts";

export type FormatName = "messages" | "responses" | "chat" | "gemini";

export interface UpstreamFormat {
  /** What is wrong with the request, or null. */
  wrong(body: JsonObject): string | null;
  talk(body: JsonObject): Talk;
  whole(body: JsonObject, said: Said, id: string): JsonObject;
  /** The reply's events, as their `data`; an event is named by its `type` where the format names events. */
  stream(body: JsonObject, said: Said, id: string): readonly JsonObject[];
  /** How an event is put on the wire. */
  frame(event: JsonObject): string;
  readonly last: string;
  error(status: number, message: string): JsonObject;
}

export const list = (value: Json | undefined): readonly JsonObject[] =>
  (Array.isArray(value) ? (value as readonly Json[]) : []).filter(isObject);
export const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
export const number = (value: Json | undefined): number | null => (typeof value === "number" ? value : null);
export const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
export const strings = (value: Json | undefined): readonly string[] =>
  [value ?? []].flat().filter((one): one is string => typeof one === "string");
export const pieces = (whole: string): readonly string[] => whole.match(/[^]{1,8}/gu) ?? [];

export interface Turn {
  readonly role: string;
  readonly text: string;
  readonly images: number;
  readonly result: boolean;
}

export function talkOf(
  turns: readonly Turn[],
  rest: Omit<Talk, "system" | "user" | "all" | "images" | "results">,
  system: string,
): Talk {
  const isSystem = ({ role }: Turn): boolean => role === "system" || role === "developer";
  const said = turns.filter((turn) => !isSystem(turn));
  const last = said.findLastIndex(({ result }) => !result);
  const results = said.slice(last + 1).map((turn) => turn.text);
  const user = said.findLast(({ role, result }) => role === "user" && !result);
  return {
    ...rest,
    system: [system, ...turns.filter(isSystem).map((turn) => turn.text)].join(" "),
    user: user?.text ?? "",
    all: said.map((turn) => turn.text).join("\n"),
    images: user?.images ?? 0,
    results: results.length === 0 ? null : results.join(" "),
  };
}

export function named(event: JsonObject): string {
  return `event: ${text(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
}

export function unnamed(event: JsonObject): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}

export const errorTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

export function writtenTokens({ text: words, calls }: Said): number {
  return tokensOf(words + JSON.stringify(calls));
}
