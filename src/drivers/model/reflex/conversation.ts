/**
 * Conversation: what the messages of a request say about the work so far. A fold over the window and nothing else, so that the same
 * request gives the same reply, before a restart and after it.
 *   CPU-6.1  What was noted is known, whether or not the page it came from is still in the window.
 *   CPU-6.2  A refused or failed read ends that document and is remembered by its reason.
 */
import type { CallPart, Message, ResultPart } from "../../../abi/message.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { parseChunk, firstCarry, type Chunk } from "./chunk.ts";
import type { DocumentRef, Goal } from "./goal.ts";
import { isNoteArgs, noteKey, parseNote, type Note } from "./notes.ts";

/** How far the reading of one document has come. */
export interface Progress {
  readonly document: DocumentRef;
  readonly notes: readonly Note[];
  /** Read and not noted yet. */
  readonly fresh: Chunk | null;
  /** A page whose text left the window before it was noted. */
  readonly lost: string | null;
  /** Why it cannot be read. */
  readonly refused: string | null;
}

export interface Conversation {
  readonly documents: readonly Progress[];
  /** The folders' listings, as the results show them; null while not listed. */
  readonly listings: ReadonlyMap<string, string | null>;
  /** `fs.read inbox/a.png: EINVAL: …` */
  readonly refusals: readonly string[];
  /** Why task.done was refused, or null. */
  readonly misfit: string | null;
  /** mem.note is not held or did not work. */
  readonly notesRefused: boolean;
}

interface Read {
  readonly path: string;
  readonly from: number;
  readonly until: number | null;
  readonly ok: boolean;
  readonly text: string;
  readonly page: string;
}

interface Facts {
  readonly notes: Map<string, Note>;
  /** By document and first line; the latest one that shows its text counts. */
  readonly reads: Map<string, Read>;
  readonly listings: Map<string, string | null>;
  readonly refusals: string[];
  readonly recalled: Set<string>;
  misfit: string | null;
  notesRefused: boolean;
}

/** The notes of a message; see GoalMemo. */
export type NoteMemo = WeakMap<Message, readonly Note[]>;

export function conversationOf(messages: readonly Message[], goal: Goal, memo: NoteMemo): Conversation {
  const facts: Facts = {
    notes: new Map(),
    reads: new Map(),
    listings: new Map(),
    refusals: [],
    recalled: new Set(),
    misfit: null,
    notesRefused: false,
  };
  const calls = new Map<string, CallPart>();
  for (const message of messages) {
    if (message.role === "assistant") {
      for (const part of message.parts) if (part.type === "call") calls.set(part.id, part);
      for (const note of notesIn(message, memo)) facts.notes.set(noteKey(note), note);
    } else if (message.role === "tool") {
      for (const part of message.parts) if (part.type === "result") addResult(facts, part, calls.get(part.id));
    }
  }
  const documents = allDocuments(goal, facts).map((document) => progressOf(document, facts));
  const { listings, refusals, misfit, notesRefused } = facts;
  return { documents, listings, refusals, misfit, notesRefused };
}

/** Notes stand in the arguments of mem.note and, where that call is not held, in the reply's text. */
function notesIn(message: Message, memo: NoteMemo): readonly Note[] {
  const known = memo.get(message);
  if (known !== undefined) return known;
  const found: Note[] = [];
  for (const part of message.parts) {
    const text =
      part.type === "text"
        ? part.text
        : part.type === "call" && part.name === "mem.note" && isNoteArgs(part.args)
          ? part.args.text
          : null;
    const note = text === null ? null : parseNote(text);
    if (note !== null) found.push(note);
  }
  memo.set(message, found);
  return found;
}

function addResult(facts: Facts, result: ResultPart, call: CallPart | undefined): void {
  const args: JsonObject = isObject(call?.args) ? call.args : {};
  const path = typeof args["path"] === "string" ? args["path"] : "";
  if (!result.ok && result.name !== "task.done")
    facts.refusals.push(`${result.name}${path === "" ? "" : ` ${path}`}: ${result.text}`);
  switch (result.name) {
    case "fs.read":
      return addRead(facts, result, args, path);
    case "fs.list":
      facts.listings.set(path, result.ok ? result.text : null);
      return;
    case "mem.read":
      return addRecall(facts, result, args);
    case "mem.note":
      if (!result.ok) facts.notesRefused = true;
      return;
    case "task.done":
      if (!result.ok) facts.misfit = result.text;
      return;
    default:
  }
}

function addRead(facts: Facts, result: ResultPart, args: JsonObject, path: string): void {
  const from = typeof args["from"] === "number" ? args["from"] : 1;
  const until = typeof args["to"] === "number" ? args["to"] : null;
  facts.reads.set(noteKey({ path, from }), { path, from, until, ok: result.ok, text: result.text, page: result.page });
}

/** A page brought back stands in for the read it came from. */
function addRecall(facts: Facts, result: ResultPart, args: JsonObject): void {
  const page = args["page"];
  if (typeof page !== "string") return;
  facts.recalled.add(page);
  for (const [key, read] of facts.reads) {
    if (read.page === page && result.ok) facts.reads.set(key, { ...read, text: result.text });
  }
}

function allDocuments(goal: Goal, facts: Facts): readonly DocumentRef[] {
  if (goal.documents.length > 0) return goal.documents;
  return goal.folders.flatMap((folder) => listed(folder, facts.listings.get(folder) ?? "")).slice(0, documentsMax);
}

const documentsMax = 500;
const linesPerReadOfListed = 60;

/** Paths in a listing: JSON with `path` fields, or a path a line. */
function listed(folder: string, text: string): DocumentRef[] {
  const paths = [...text.matchAll(/"path":\s*"((?:[^"\\]|\\.)+)"[^{}]*?"type":\s*"file"/g)].map((match) => match[1] ?? "");
  const plain = paths.length > 0 ? paths : text.split("\n").filter((line) => /^\S+\.\w+$/.test(line.trim()));
  return plain.map((path) => ({
    path: path.startsWith(`${folder}/`) ? path.trim() : `${folder}/${path.trim()}`,
    from: 1,
    to: null,
    linesPerRead: linesPerReadOfListed,
  }));
}

const stubMark = /^\[page (\S+) evicted: /;

function progressOf(document: DocumentRef, facts: Facts): Progress {
  const notes: Note[] = [];
  let at = document.from;
  for (;;) {
    const note = facts.notes.get(noteKey({ path: document.path, from: at }));
    if (note === undefined || note.next <= at) break;
    notes.push(note);
    at = note.next;
  }
  const read = facts.reads.get(noteKey({ path: document.path, from: at }));
  const base = { document, notes, fresh: null, lost: null, refused: null };
  if (read === undefined) return base;
  if (!read.ok) return { ...base, refused: read.text };
  const evicted = stubMark.exec(read.text)?.[1];
  if (evicted !== undefined) {
    if (facts.recalled.has(evicted)) return { ...base, refused: `page ${evicted} could not be brought back` };
    return { ...base, lost: evicted };
  }
  return { ...base, fresh: parseChunk(read.text, document.path, at, read.until) };
}

/** The first line still to be read, or null when the document is read to its end. */
export function nextLine(progress: Progress): number | null {
  const note = progress.notes.at(-1);
  if (note === undefined) return progress.document.from;
  const end = Math.min(progress.document.to ?? note.of, note.of);
  return note.next > end ? null : note.next;
}

export function carryOf(progress: Progress): Note["carry"] {
  return progress.notes.at(-1)?.carry ?? firstCarry;
}
