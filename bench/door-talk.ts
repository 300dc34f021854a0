/**
 * What the trial's upstream makes of a request, whatever format it came in: a reply that follows from it, so that a client can tell a right one from a wrong one.
 * It says what it was told to say, calls the tool whose name it is reminded of, fills a schema, and keeps to bounds and stop sequences.
 */
import { isObject, parseJson, type Json, type JsonObject } from "../src/lib/json.ts";

export interface Tool {
  readonly name: string;
  readonly schema: Json;
}

export interface Talk {
  readonly system: string;
  /** The newest words of the user, and what all turns said. */
  readonly user: string;
  readonly all: string;
  readonly images: number;
  /** What the newest turn told of the results of calls; null: it is no such turn. */
  readonly results: string | null;
  readonly tools: readonly Tool[];
  readonly choice: "auto" | "none" | "any" | { readonly tool: string };
  readonly several: boolean;
  /** `true`: any JSON object. */
  readonly schema: Json;
  readonly tokensMax: number | null;
  readonly stops: readonly string[];
}

export interface Said {
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly args: Json }[];
  readonly end: "end" | "calls" | "length" | "stop";
  readonly stop: string | null;
}

const cities = /\b(?:Paris|London|Tokyo|Berlin|Oslo)\b/g;

export function replyTo(talk: Talk): Said {
  const calls = callsOf(talk);
  if (calls.length > 0) return { text: "", calls, end: "calls", stop: null };
  const schema = talk.schema ?? toldSchema(talk.system);
  const text = schema === null ? wordsFor(talk) : JSON.stringify(filled(schema, talk.user));
  const found = talk.stops
    .map((stop) => ({ stop, at: text.indexOf(stop) }))
    .filter(({ at }) => at >= 0)
    .toSorted((a, b) => a.at - b.at)[0];
  const kept = found === undefined ? text : text.slice(0, found.at);
  const tokens = kept.match(/\s*\S{1,4}/g) ?? [];
  if (talk.tokensMax !== null && tokens.length > talk.tokensMax)
    return { text: tokens.slice(0, talk.tokensMax).join(""), calls: [], end: "length", stop: null };
  return { text: kept, calls: [], end: found === undefined ? "end" : "stop", stop: found?.stop ?? null };
}

/** A model does what it is told in words, too. */
function toldSchema(system: string): Json {
  return parseJson(/JSON Schema: (\{.*\})/s.exec(system)?.[1] ?? "null") ?? null;
}

function callsOf({ tools, choice, several, user, results }: Talk): Said["calls"] {
  if (choice === "none" || results !== null) return [];
  const reminded = tools.filter(({ name }) => words(name).some((word) => user.toLowerCase().includes(word)));
  const tool =
    typeof choice === "object"
      ? tools.find(({ name }) => name === choice.tool)
      : (reminded[0] ?? (choice === "any" ? tools[0] : undefined));
  if (tool === undefined) return [];
  const places = [...new Set(user.match(cities) ?? [])];
  const hints = several && places.length > 1 ? places : [places[0] ?? user];
  return hints.map((hint) => ({ name: tool.name, args: filled(tool.schema, hint) }));
}

function words(name: string): readonly string[] {
  return name.toLowerCase().match(/[a-z]{4,}/g) ?? [];
}

function wordsFor({ system, user, all, images, results }: Talk): string {
  const asked = /exactly:? ["“]?([^"”\n]+?)["”]?\.?$/i.exec(user)?.[1];
  const name = /my name is (\w+)/i.exec(all)?.[1];
  const told =
    results !== null
      ? `The tool said: ${results}`
      : images > 0
        ? `I see ${images} image(s).`
        : asked !== undefined
          ? asked
          : /my name\?/i.test(user) && name !== undefined
            ? `Your name is ${name}.`
            : `You said: ${user}`;
  return /upper case/i.test(system) ? told.toUpperCase() : told;
}

/** A value that fits the schema. */
function filled(schema: Json, hint: string): Json {
  if (!isObject(schema)) return { answer: hint };
  if (schema["const"] !== undefined) return schema["const"];
  if (Array.isArray(schema["enum"])) return schema["enum"][0] as Json;
  const either = [schema["anyOf"], schema["oneOf"]].find(Array.isArray) as readonly Json[] | undefined;
  if (either !== undefined) return filled(either[0] ?? null, hint);
  const type = String(Array.isArray(schema["type"]) ? schema["type"][0] : (schema["type"] ?? "object")).toLowerCase();
  if (type === "array") return [filled(schema["items"] ?? {}, hint)];
  if (type === "integer" || type === "number") return Number(/\d+/.exec(hint)?.[0] ?? 1);
  if (type === "boolean") return true;
  if (type === "string") return hint;
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const fields = Object.entries(properties).map(([name, property]): [string, Json] => [name, filled(property, hint)]);
  return fields.length === 0 && schema["additionalProperties"] !== false ? { answer: hint } : Object.fromEntries(fields);
}

export function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4));
}

/** Text of a content that is text or blocks, and how many of the blocks are images. */
export function contentOf(content: Json | undefined): { readonly text: string; readonly images: number } {
  if (typeof content === "string") return { text: content, images: 0 };
  const blocks = (Array.isArray(content) ? (content as readonly Json[]) : []).filter(isObject);
  const text = blocks.map((block) => (typeof block["text"] === "string" ? block["text"] : "")).join("");
  return { text, images: blocks.filter(isImage).length };
}

function isImage(block: JsonObject): boolean {
  return block["type"] === "image" || block["type"] === "image_url" || block["type"] === "input_image" || "inlineData" in block;
}
