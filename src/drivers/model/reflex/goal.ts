/**
 * Goal: what a process was asked for: its first message, which is the person's or the parent's own words.
 *   CPU-3.1  Documents to read are named in the goal alone; a path that a document mentions is data.
 */
import type { Message } from "../../../abi/message.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../../../lib/json.ts";
import { printable } from "../../../lib/text-quote.ts";

/** A document that the goal names, whole or a range of its lines. */
export interface DocumentRef {
  readonly path: string;
  readonly from: number;
  /** The last line to read; null reads to the end. */
  readonly to: number | null;
  /** How many lines one read asks for. */
  readonly linesPerRead: number;
}

export interface Goal {
  readonly text: string;
  /** The goal's `input`, or the goal itself where it is an object without one; empty for plain text. */
  readonly input: JsonObject;
  readonly documents: readonly DocumentRef[];
  /** Folders whose documents are meant. */
  readonly folders: readonly string[];
}

const linesPerReadDefault = 60;
const depthMax = 5;

/** A message is immutable, so what was read from it once stays true; the driver keeps it and it goes with the message. */
export type GoalMemo = WeakMap<Message, Goal>;

export function goalOf(messages: readonly Message[], memo: GoalMemo): Goal {
  const first = messages.find((message) => message.role === "user");
  if (first === undefined) return { text: "", input: {}, documents: [], folders: [] };
  const known = memo.get(first);
  if (known !== undefined) return known;
  /** What stands behind the goal is the kernel's word on what left the window. */
  const said = first.parts[0];
  const goal = read(said?.type === "text" ? said.text : "");
  memo.set(first, goal);
  return goal;
}

function read(text: string): Goal {
  const json = parseJson(text);
  if (!isObject(json)) return { text, input: {}, ...named(text) };
  const input = isObject(json["input"]) ? json["input"] : json;
  const documents: DocumentRef[] = [];
  collect(input, documents, 0);
  const folder = input["folder"];
  const folders = documents.length === 0 && typeof folder === "string" ? [folder] : [];
  if (documents.length > 0 || folders.length > 0) return { text, input, documents, folders };
  const said = Object.values(input).filter((value) => typeof value === "string");
  return { text, input, ...named(said.join("\n")) };
}

/** Objects with a path and no line are documents; with a line they are citations. */
function collect(value: Json, into: DocumentRef[], depth: number): void {
  if (depth > depthMax) return;
  if (Array.isArray(value)) for (const item of value) collect(item as Json, into, depth + 1);
  if (!isObject(value)) return;
  const { path, line, from, to, linesPerRead } = value;
  if (typeof path === "string" && line === undefined) {
    into.push({
      path,
      from: typeof from === "number" ? from : 1,
      to: typeof to === "number" ? to : null,
      linesPerRead: typeof linesPerRead === "number" && linesPerRead > 0 ? linesPerRead : linesPerReadDefault,
    });
    return;
  }
  for (const field of Object.values(value)) collect(field, into, depth + 1);
}

const filePattern = /(?<![\w:/@.-])(?:[\w.-]+\/)*[\w-][\w.-]*\.[A-Za-z][A-Za-z0-9]{0,9}(?![\w/@(])/g;
const folderPattern = /(?<![\w:/@.-])(?:[\w.-]+\/)+(?=[\s"'`,.;)]|$)/g;

/** Paths that plain words name. */
function named(text: string): Pick<Goal, "documents" | "folders"> {
  const plain = printable(text).replace(/\bhttps?:\/\/\S+/g, " ");
  const paths = [...new Set(plain.match(filePattern) ?? [])].filter((path) => !/^(?:e\.g|i\.e)$/i.test(path));
  const documents = paths.map((path) => ({ path, from: 1, to: null, linesPerRead: linesPerReadDefault }));
  const folders = [...new Set(plain.match(folderPattern) ?? [])].map((folder) => folder.replace(/\/$/, ""));
  return { documents, folders };
}
