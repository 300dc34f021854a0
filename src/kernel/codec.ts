/**
 * Codec: an entry as text. What is large in it lies in the blob store; in its place stands `large`, its digest.
 *   KRN-17.1  decode(encode(entry)) equals the entry, however large its parts are.
 *   KRN-17.2  A record's size is bounded whatever a model or a program says: only what is small stays in it.
 */
import type { CallEntry, Entry, ExecEntry, ExitEntry, Moved, SpawnEntry, StoredEntry, TurnEntry } from "../abi/entry.ts";
import { limits } from "../abi/limits.ts";
import type { Part } from "../abi/message.ts";
import { assert } from "../lib/assert.ts";
import type { Digest } from "../lib/hash.ts";
import type { Json } from "../lib/json.ts";

type Put = (text: string) => Digest;
type Read = (blob: Digest) => Json;

export function encode(entry: Entry, put: Put): string {
  const text = JSON.stringify(entry);
  if (text.length <= limits.inlineBytesMax) return text;
  const stored = moved(entry, put);
  return stored === entry ? text : JSON.stringify(stored);
}

/** null when the text is no entry. */
export function decode(text: string): StoredEntry | null {
  try {
    /** The chain has shown that these are the bytes a kernel wrote. Nothing is dropped from them: the fold saw every key. */
    return JSON.parse(text) as StoredEntry;
  } catch {
    return null;
  }
}

/** The entry with what was moved back in its place. */
export function whole(entry: StoredEntry, read: Read): Entry {
  switch (entry.kind) {
    case "turn":
      return entry.parts.some(isMoved)
        ? { ...entry, parts: entry.parts.map((part) => wholePart(part, read)) }
        : (entry as TurnEntry);
    case "call":
      return isMoved(entry) ? back<CallEntry>(entry, "args", read) : entry;
    case "spawn":
      return isMoved(entry) ? back<SpawnEntry>(entry, "goal", read) : entry;
    case "exec":
      return isMoved(entry) ? back<ExecEntry>(entry, "goal", read) : entry;
    case "exit":
      return isMoved(entry.status) ? { ...entry, status: back<Value>(entry.status, "value", read) } : (entry as ExitEntry);
    default:
      return entry;
  }
}

/** The digests of what was moved. */
export function movedFrom(entry: StoredEntry): readonly Digest[] {
  if (entry.kind === "turn") return entry.parts.flatMap((part) => (isMoved(part) ? [part.large] : []));
  if (entry.kind === "exit") return isMoved(entry.status) ? [entry.status.large] : [];
  return isMoved(entry) ? [entry.large] : [];
}

type Value = Extract<ExitEntry["status"], { ok: true }>;

function moved(entry: Entry, put: Put): StoredEntry {
  switch (entry.kind) {
    case "turn":
      return { ...entry, parts: entry.parts.map((part) => movedPart(part, put)) };
    case "call":
      return move(entry, "args", put);
    case "spawn":
    case "exec":
      return move<SpawnEntry | ExecEntry, "goal">(entry, "goal", put);
    case "exit":
      return entry.status.ok ? { ...entry, status: move(entry.status, "value", put) } : entry;
    default:
      return entry;
  }
}

const fieldOf = { image: "source", text: "text", call: "args", opaque: "value", result: "text" } as const;

function movedPart(part: Part, put: Put): Part | Moved<Part> {
  return move(part, fieldOf[part.type] as keyof Part, put);
}

function wholePart(part: Part | Moved<Part>, read: Read): Part {
  return isMoved(part) ? back<Part>(part, fieldOf[part.type], read) : part;
}

function move<T extends object, F extends keyof T>(holder: T, field: F, put: Put): T | Moved<T> {
  assert(!isMoved(holder), "what is written down was not moved before");
  const text = JSON.stringify(holder[field]);
  if (text.length <= limits.inlineBytesMax) return holder;
  const { [field]: _, ...rest } = holder;
  /** Exactly the one field is gone. */
  return { ...rest, large: put(text) } as unknown as Moved<T>;
}

function back<T extends object>(holder: Moved<T>, field: string, read: Read): T {
  const { large, ...rest } = holder;
  return { ...rest, [field]: read(large) } as unknown as T;
}

function isMoved<T extends object>(holder: T): holder is Extract<T, { readonly large: Digest }> {
  return "large" in holder;
}
