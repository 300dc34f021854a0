/**
 * Asked: what of a guest's request matters to the kernel, read while the request passes by unchanged.
 *   ASK-1.1  Model, streaming and output bound are found wherever they stand; what is not there is null.
 *   ASK-1.2  The results of calls are told in order, with the call's own id and their text, whether the format writes them as text or in blocks.
 *   ASK-1.6  Of several bounds on the output the largest counts, and as often as there are to be choices.
 *   ASK-1.3  A result beyond the bound of size or depth is told as cut, and nothing else of a request is kept: a request of any size costs the same memory.
 *   ASK-1.4  Of a result whose id the caller does not wait for nothing is kept at all.
 *   ASK-1.5  Results that name no call the model knows are those of the newest calls of their tool, in order.
 */
import type { Format } from "../abi/upstream.ts";
import { limits } from "../abi/limits.ts";
import { isObject, tooDeep, type Json } from "../lib/json.ts";
import { jsonScan, type JsonPath, type ScanChoice } from "../lib/json-scan.ts";
import { count, str } from "./parts.ts";

export interface GuestResult {
  /** The id that the model gave the call; where it gave none, the tool's name, and `name#2` for the second of one reply. */
  readonly id: string;
  readonly ok: boolean;
  readonly text: string;
  readonly cut: boolean;
}

export interface Asked {
  /** null where the address says it. */
  readonly model: string | null;
  readonly stream: boolean;
  readonly outputTokensMax: number | null;
  /** How many replies are asked for, each with that bound. */
  readonly choices: number;
  readonly results: readonly GuestResult[];
  readonly bytes: number;
}

export interface AskedReader {
  /** False once the body is known not to be JSON. */
  push(chunk: Uint8Array): boolean;
  /** null where the body was not JSON. */
  end(): Asked | null;
}

interface Shape {
  readonly outputTokens: readonly (readonly string[])[];
  readonly choices: readonly string[];
  /** Where the things lie of which some are results; `*` is any place of an array. */
  readonly items: readonly string[];
  /** The fields of such a thing that are looked at; the last is its content. */
  readonly fields: readonly string[];
  /** null: it is no result. */
  read(
    fields: Readonly<Record<string, Json | undefined>>,
  ): { readonly id: string; readonly tool: string | null; readonly ok: boolean; readonly content: Json } | null;
}

const shapes: Readonly<Record<Format, Shape>> = {
  messages: {
    outputTokens: [["max_tokens"]],
    choices: [],
    items: ["messages", "*", "content", "*"],
    fields: ["type", "tool_use_id", "is_error", "content"],
    read: ({ type, tool_use_id: id, is_error: failed, content }) =>
      type === "tool_result" ? { id: str(id), tool: null, ok: failed !== true, content: content ?? "" } : null,
  },
  responses: {
    outputTokens: [["max_output_tokens"]],
    choices: [],
    items: ["input", "*"],
    fields: ["type", "call_id", "output"],
    read: ({ type, call_id: id, output }) =>
      str(type).endsWith("_call_output") ? { id: str(id), tool: null, ok: true, content: output ?? "" } : null,
  },
  chat: {
    outputTokens: [["max_completion_tokens"], ["max_tokens"]],
    choices: ["n"],
    items: ["messages", "*"],
    fields: ["role", "tool_call_id", "content"],
    read: ({ role, tool_call_id: id, content }) =>
      role === "tool" ? { id: str(id), tool: null, ok: true, content: content ?? "" } : null,
  },
  gemini: {
    outputTokens: [["generationConfig", "maxOutputTokens"]],
    choices: ["generationConfig", "candidateCount"],
    items: ["contents", "*", "parts", "*", "functionResponse"],
    fields: ["id", "name", "response"],
    read: ({ id, name, response }) => ({
      id: str(id),
      tool: str(name),
      ok: !(isObject(response) && "error" in response),
      content: responseText(response),
    }),
  },
};

type Ordered<T> = T & { readonly order: number };

/** Calls of one tool in one reply that can be told apart without ids. */
const sameToolMax = 16;

/** Ids and types; none is longer. */
const smallBytesMax = 1_024;

/** `waited`: whether a call of this id has no result yet. `resultBytesMax` bounds what is kept of one result. */
export function askedReader(format: Format, waited: (id: string) => boolean, resultBytesMax: number): AskedReader {
  const shape = shapes[format];
  const contentField = shape.fields.at(-1) ?? "";
  let model: string | null = null;
  let stream = false;
  let outputTokensMax: number | null = null;
  let choices = 1;
  let bytes = 0;
  const results: Ordered<GuestResult>[] = [];
  let order = 0;
  /** By tool, newest last: the history has those of earlier turns, too. */
  const unnamed = new Map<string, Ordered<Omit<GuestResult, "id">>[]>();
  let place = "";
  let fields: Record<string, Json | undefined> = {};
  let cut = false;

  function flush(): void {
    const found = shape.read(fields);
    if (found !== null && isWaited(found)) {
      order += 1;
      const result = { order, ok: found.ok, text: cut ? "" : textOf(found.content), cut };
      if (found.id !== "" && waited(found.id)) results.push({ id: found.id, ...result });
      else if (found.tool !== null) unnamed.set(found.tool, [...(unnamed.get(found.tool) ?? []).slice(1 - sameToolMax), result]);
    }
    fields = {};
    cut = false;
  }

  function isWaited({ id, tool }: { readonly id: string; readonly tool: string | null }): boolean {
    return (id !== "" && waited(id)) || (tool !== null && tool !== "" && waited(tool));
  }

  function takeUnnamed(): void {
    for (const [tool, given] of unnamed) {
      const ids = [tool];
      for (let n = 2; n <= sameToolMax && waited(`${tool}#${n}`); n += 1) ids.push(`${tool}#${n}`);
      const newest = given.slice(-ids.length);
      newest.forEach((result, n) => results.push({ id: ids[n] ?? tool, ...result }));
    }
  }

  function choose(path: JsonPath): ScanChoice {
    const small = { takeBytesMax: smallBytesMax };
    if (path.length === 0) return "enter";
    if (path.length === 1 && (path[0] === "model" || path[0] === "stream")) return small;
    for (const known of [...shape.outputTokens, shape.choices]) {
      if (same(known, path)) return small;
      if (path.length < known.length && same(known.slice(0, path.length), path)) return "enter";
    }
    if (!along(shape.items, path)) return "skip";
    if (path.length <= shape.items.length) return "enter";
    const field = path[shape.items.length];
    if (path.length > shape.items.length + 1 || typeof field !== "string" || !shape.fields.includes(field)) return "skip";
    return field === contentField ? contentChoice(path) : small;
  }

  /** What is known of the thing by now may say already that its content is not wanted. */
  function contentChoice(path: JsonPath): ScanChoice {
    if (place !== placeOf(path)) return { takeBytesMax: resultBytesMax };
    const found = shape.read(fields);
    const known = fields[shape.fields[0] ?? ""] !== undefined;
    if ((found === null && known) || (found !== null && (found.id !== "" || found.tool !== null) && !isWaited(found)))
      return "skip";
    return { takeBytesMax: resultBytesMax };
  }

  function placeOf(path: JsonPath): string {
    return path.slice(0, shape.items.length).join(".");
  }

  const scan = jsonScan({
    choose,
    taken: (path, value, size) => {
      if (path.length === 1 && path[0] === "model") model = typeof value === "string" ? value : null;
      else if (path.length === 1 && path[0] === "stream") stream = value === true;
      else if (shape.outputTokens.some((known) => same(known, path))) outputTokensMax = larger(outputTokensMax, count(value));
      else if (same(shape.choices, path)) choices = larger(choices, count(value)) ?? 1;
      else {
        const here = placeOf(path);
        if (here !== place) {
          flush();
          place = here;
        }
        const field = String(path.at(-1));
        fields[field] = value;
        if (field === contentField && (value === undefined || tooDeep(value, limits.jsonDepthMax))) {
          cut = size > 0;
          fields[field] = "";
        }
      }
    },
  });

  return {
    push(chunk) {
      bytes += chunk.length;
      return scan.push(chunk);
    },
    end() {
      if (!scan.end()) return null;
      flush();
      takeUnnamed();
      const told = results.toSorted((a, b) => a.order - b.order).map(({ order: _, ...result }) => result);
      return { model, stream, outputTokensMax, choices, results: told, bytes };
    },
  };
}

function larger(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

function same(known: readonly string[], path: JsonPath): boolean {
  return known.length === path.length && known.every((step, n) => step === path[n]);
}

/** Whether the path leads towards the things or into one. */
function along(items: readonly string[], path: JsonPath): boolean {
  return items.every((step, n) => n >= path.length || (step === "*" ? typeof path[n] === "number" : path[n] === step));
}

/** Text as it is, of blocks their texts, and of anything else what it is. */
function textOf(content: Json): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return JSON.stringify(content);
  return (content as readonly Json[])
    .map((block) =>
      isObject(block) ? (typeof block["text"] === "string" ? block["text"] : `[${str(block["type"]) || "block"}]`) : str(block),
    )
    .join("\n");
}

/** Gemini's own tools answer with `output` or `error`; what else there is stays JSON. */
function responseText(response: Json | undefined): Json {
  if (!isObject(response)) return response ?? "";
  const { output, error } = response;
  if (typeof error === "string") return error;
  return typeof output === "string" ? output : JSON.stringify(response);
}
