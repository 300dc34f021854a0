/**
 * Alike: a stream tells most of its events again and again with another text. What was the same twice is read the third time without being parsed.
 *   HRD-7.1  Only an event is read so whose bytes are those of the ones before it but for the inside of one string, and that inside is UTF-8 without
 *            quote, escape or control byte: then it is the same JSON but for that string.
 *   HRD-7.2  Which string that is, is proved by parsing the event with another text in its place; a stream that has none costs a few tries.
 */
import { isObject, parsePlainJson, type Json } from "../lib/json.ts";
import type { Frame } from "./frames.ts";

export interface Likeness {
  /** The event that begins there, if it is like the ones before; null: it has to be read as any. */
  at(chunk: Uint8Array, from: number): { readonly event: string; readonly data: Json; readonly end: number } | null;
  /** An event that was read as any. */
  saw(frame: Frame): void;
}

interface Template {
  readonly event: string;
  readonly before: Buffer;
  readonly after: Buffer;
  /** With the probe where the text goes. */
  readonly body: Json;
  readonly path: readonly (string | number)[];
}

/** Of a stream in which they differ in more than one place, as by a number, each is tried in vain. */
const triesMax = 6;
const probe = "a text that stands nowhere else: 5f1c2c9a";
/** One event name and one line of data, told as every server tells them. */
const plainFrame = /^(?:event: ?[\w.]+\n)?data: ?$/;

export function likeness(bytesMax: number): Likeness {
  let template: Template | null = null;
  let last: Frame | null = null;
  let tries = 0;

  return {
    at(chunk, from) {
      if (template === null) return null;
      const { event, before, after, body, path } = template;
      if (!stands(before, chunk, from)) return null;
      const start = from + before.length;
      const stop = throughText(chunk, start);
      const end = stop + after.length;
      if (end - from > bytesMax || !stands(after, chunk, stop)) return null;
      const text = textOf(chunk, start, stop);
      return text === null ? null : { event, data: withText(body, path, text), end };
    },
    saw(frame) {
      template = null;
      if (
        tries < triesMax &&
        last?.data != null &&
        frame.data !== null &&
        last.event === frame.event &&
        last.data !== frame.data
      ) {
        tries += 1;
        template = templateOf(last.data, frame.data, frame);
        if (template !== null) tries = 0;
      }
      last = frame;
    },
  };
}

function templateOf(one: string, other: string, { event, raw }: Frame): Template | null {
  if (!raw.endsWith(`${other}\n\n`)) return null;
  const head = raw.slice(0, raw.length - other.length - 2);
  if (!plainFrame.test(head)) return null;
  let same = 0;
  while (same < one.length && one[same] === other[same]) same += 1;
  const open = other.lastIndexOf('"', same - 1);
  const close = other.indexOf('"', same);
  if (open < 0 || close < 0) return null;
  const before = other.slice(0, open + 1);
  const after = other.slice(close);
  const body = parsePlainJson(before + probe + after);
  const path = body === undefined ? null : pathOf(body);
  if (body === undefined || path === null) return null;
  return { event, before: Buffer.from(head + before), after: Buffer.from(`${after}\n\n`), body, path };
}

/** Where the probe is; null where it is no text of its own. */
function pathOf(value: Json): readonly (string | number)[] | null {
  if (value === probe) return [];
  const entries: readonly (readonly [string | number, Json])[] = Array.isArray(value)
    ? [...(value as readonly Json[]).entries()]
    : isObject(value)
      ? Object.entries(value).map(([key, child]) => [key, child ?? null] as const)
      : [];
  for (const [key, child] of entries) {
    const path = pathOf(child);
    if (path !== null) return [key, ...path];
  }
  return null;
}

function withText(value: Json, path: readonly (string | number)[], text: string, depth = 0): Json {
  const key = path[depth];
  if (key === undefined) return text;
  if (Array.isArray(value))
    return (value as readonly Json[]).with(
      Number(key),
      withText((value as readonly Json[])[Number(key)] ?? null, path, text, depth + 1),
    );
  const object = isObject(value) ? value : {};
  return { ...object, [key]: withText(object[key] ?? null, path, text, depth + 1) };
}

/** Byte by byte: for so few a call out of the engine takes longer. */
function stands(bytes: Uint8Array, chunk: Uint8Array, from: number): boolean {
  if (from + bytes.length > chunk.length) return false;
  for (let n = 0; n < bytes.length; n += 1) if (bytes[n] !== chunk[from + n]) return false;
  return true;
}

/** null: it is no UTF-8. */
function textOf(chunk: Uint8Array, from: number, to: number): string | null {
  const bytes = chunk instanceof Buffer ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  for (let at = from; at < to; at += 1) {
    if ((bytes[at] ?? 0) >= 0x80) return utf8Of(bytes.subarray(from, to));
  }
  return bytes.toString("latin1", from, to);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8Of(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

function throughText(chunk: Uint8Array, from: number): number {
  let at = from;
  for (
    let byte = chunk[at];
    byte !== undefined && byte >= 0x20 && byte !== 0x22 && byte !== 0x5c && byte !== 0x7f;
    byte = chunk[at]
  )
    at += 1;
  return at;
}
