/**
 * Terms: what of an entry can be searched, the same for every index.
 *   STO-3.1  Searched are an entry's strings, not its field names: `kind` finds nothing, a file's name finds what speaks of it.
 */
import type { StoredEntry } from "../../abi/entry.ts";
import type { IndexQuery } from "../../abi/store.ts";

/** What an index keeps of an entry beside its text. */
export interface Terms {
  readonly pid: number | null;
  /** Call ids (`4.2.0`), the step of a turn (`4.2`), and names of calls. */
  readonly calls: readonly string[];
  readonly words: string;
}

export function termsOf(entry: StoredEntry): Terms {
  const strings: string[] = [];
  collect(entry, strings);
  return { pid: "pid" in entry ? entry.pid : null, calls: [...new Set(callsOf(entry))], words: strings.join("\n") };
}

function callsOf(entry: StoredEntry): string[] {
  switch (entry.kind) {
    case "call":
      return [entry.id, entry.name];
    case "outcome":
      return [entry.id];
    case "spawn":
      return entry.call === null ? [] : [entry.call];
    case "turn":
      return [`${entry.pid}.${entry.step}`, ...entry.parts.flatMap((part) => (part.type === "call" ? [part.name] : []))];
    case "park":
      return "call" in entry.reason ? [entry.reason.call] : [];
    default:
      return [];
  }
}

/** The keys a query's `call` stands for: an id also finds the turn that asked for it. */
export function callKeys(call: string): readonly string[] {
  const turn = /^(\d+\.\d+)\.\d+$/.exec(call)?.[1];
  return turn === undefined ? [call] : [call, turn];
}

/** The pieces of a search between spaces that have a word in them; a piece's words must follow one another. */
export function phrases(text: string): readonly string[] {
  return text.split(/\s+/).filter((piece) => wordsOf(piece).length > 0);
}

/** Words as SQLite's unicode61 tokenizer sees them: letters and digits, case and accents aside. */
export function wordsOf(text: string): string[] {
  return (
    text
      .normalize("NFD")
      .replace(/\p{M}/gu, "")
      .normalize("NFC")
      .toLowerCase()
      .match(/[\p{L}\p{N}\p{Co}]+/gu) ?? []
  );
}

/** A search without a word in it finds nothing, rather than everything. */
export function findsNothing(query: IndexQuery): boolean {
  return query.text !== undefined && phrases(query.text).length === 0;
}

function collect(value: unknown, strings: string[]): void {
  if (typeof value === "string") strings.push(value);
  else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) collect(item, strings);
}
