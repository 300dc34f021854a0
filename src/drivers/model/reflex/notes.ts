/**
 * Notes: what reflex keeps of a chunk it has read, as the text of mem.note: a fact a line, so that a person can read it too.
 *   CPU-4.1  parseNote(formatNote(note)) is the note.
 *   CPU-4.2  A note costs about a fifth of the chunk it stands for.
 */
import { isObject, parseJson, type Json } from "../../../lib/json.ts";
import type { Carry } from "../../../lib/text-blocks.ts";
import { factKinds, type FactKind } from "../../../lib/text-facts.ts";

export interface NotedFact {
  readonly text: string;
  readonly line: number;
  readonly to: number;
  readonly kind: FactKind;
  readonly section: string;
}

export interface Flag {
  readonly text: string;
  readonly line: number;
  readonly to: number;
}

export interface Note {
  readonly path: string;
  readonly from: number;
  /** The first line the next read must ask for. */
  readonly next: number;
  /** How many lines the document has. */
  readonly of: number;
  readonly carry: Carry;
  /** Empty where the chunk shows none. */
  readonly title: string;
  readonly facts: readonly NotedFact[];
  readonly flagged: readonly Flag[];
}

export function noteKey(note: Pick<Note, "path" | "from">): string {
  return `${note.path}#L${note.from}`.slice(-128);
}

export function formatNote(note: Note): string {
  const { path, from, next, of, title } = note;
  const head = [path, from, next, of, title, note.carry.section, note.carry.columns, note.carry.open];
  const lines = note.facts.map((fact) => [
    fact.kind,
    fact.line,
    fact.to,
    fact.text,
    fact.section === note.carry.section ? 0 : fact.section,
  ]);
  const flags = note.flagged.map((flag) => ["flagged", flag.line, flag.to, flag.text]);
  return [head, ...lines, ...flags].map((row) => JSON.stringify(row)).join("\n");
}

/** null when the text is no note of ours. */
export function parseNote(text: string): Note | null {
  const [head, ...rows] = text.split("\n").map(parseJson);
  if (!Array.isArray(head)) return null;
  const [path, from, next, of, title, section, columns, open] = head as readonly Json[];
  const numbers = typeof from === "number" && typeof next === "number" && typeof of === "number";
  if (typeof path !== "string" || !numbers || typeof title !== "string" || typeof section !== "string") return null;
  if (!isTexts(columns) || typeof open !== "string") return null;
  const facts: NotedFact[] = [];
  const flagged: Flag[] = [];
  for (const row of rows) {
    if (!Array.isArray(row)) return null;
    const [kind, line, to, quote, under] = row as readonly Json[];
    if (typeof line !== "number" || typeof to !== "number" || typeof quote !== "string") return null;
    if (kind === "flagged") flagged.push({ text: quote, line, to });
    const known = factKinds.find((name) => name === kind);
    if (known !== undefined)
      facts.push({ text: quote, line, to, kind: known, section: typeof under === "string" ? under : section });
  }
  return { path, from, next, of, carry: { section, columns, open }, title, facts, flagged };
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** The whole of a chunk's result value, for callers that only know it is JSON. */
export function isNoteArgs(args: Json): args is { readonly key: string; readonly text: string } {
  return isObject(args) && typeof args["key"] === "string" && typeof args["text"] === "string";
}
