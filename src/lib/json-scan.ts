/**
 * JSON scan: read a few values out of a JSON text that passes by in pieces, without keeping the text.
 * At each value the chooser says whether it is skipped, entered or taken; what is taken is parsed, up to a bound.
 *   JSC-1.1  Of a JSON text the taken values are those that JSON.parse gives at their paths, however the bytes are cut.
 *   JSC-1.2  Nothing of what is skipped is kept, and nesting costs nothing below what is entered: memory is bounded by what is taken.
 *   JSC-1.3  A value beyond the bound of its choice is told with the size of its text and without its value; the scan goes on behind it.
 *   JSC-1.4  Where the brackets, strings or taken values of a text are not those of JSON the scan stops, and says so from then on.
 */
import { parseJson, type Json } from "./json.ts";

export type JsonPath = readonly (string | number)[];

/** `takeBytesMax`: give the value out, unless its text has more bytes. */
export type ScanChoice = "skip" | "enter" | { readonly takeBytesMax: number };

export interface ScanEvents {
  /** The path is the scan's own and changes with the next value: copy it to keep it. */
  choose(path: JsonPath): ScanChoice;
  /** `value` is undefined where its text has more bytes than the choice allowed. */
  taken(path: JsonPath, value: Json | undefined, bytes: number): void;
}

export interface JsonScan {
  /** False once the text is known not to be JSON. */
  push(chunk: Uint8Array): boolean;
  /** Whether it was one whole JSON value. */
  end(): boolean;
}

/** A value that is read through without a look at its paths. */
interface Span {
  /** null: skipped. */
  readonly bytesMax: number | null;
  pieces: Buffer[];
  bytes: number;
  depth: number;
  /** Anything but a string, object or array: it ends before what follows it. */
  readonly bare: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openObject = 0x7b;
const closeObject = 0x7d;
const openArray = 0x5b;
const closeArray = 0x5d;

const keyBytesMax = 4_096;

type Want = "value" | "first" | "key" | "colon" | "next" | "end";

export function jsonScan(events: ScanEvents): JsonScan {
  const path: (string | number)[] = [];
  /** What is entered, outermost first: its closing byte. */
  const open: number[] = [];
  let want: Want = "value";
  let span: Span | null = null;
  let key: Buffer[] | null = null;
  let keyBytes = 0;
  let inString = false;
  let escaped = false;
  let broken = false;

  /** The end of the string that the chunk is in: the place behind its quote, or the chunk's end. */
  function throughString(chunk: Uint8Array, from: number): number {
    let at = from;
    if (escaped && at < chunk.length) {
      escaped = false;
      at += 1;
    }
    for (;;) {
      const end = chunk.indexOf(quote, at);
      const odd = backslashesBefore(chunk, at, end < 0 ? chunk.length : end) % 2 === 1;
      if (end < 0) {
        escaped ||= odd;
        return chunk.length;
      }
      at = end + 1;
      if (odd) continue;
      inString = false;
      return at;
    }
  }

  function throughSpan(chunk: Uint8Array, from: number, current: Span): number {
    let at = from;
    let done = false;
    while (at < chunk.length && !done) {
      if (inString) {
        at = throughString(chunk, at);
        done = !inString && current.depth === 0;
        continue;
      }
      const byte = chunk[at] ?? 0;
      if (current.bare) {
        if (byte === comma || byte === closeObject || byte === closeArray || isSpace(byte)) break;
        at += 1;
        continue;
      }
      at += 1;
      if (byte === quote) inString = true;
      else if (byte === openObject || byte === openArray) current.depth += 1;
      else if (byte === closeObject || byte === closeArray) {
        current.depth -= 1;
        done = current.depth === 0;
      }
    }
    keep(chunk, from, at, current);
    if (done || (current.bare && at < chunk.length)) finishSpan(current);
    return at;
  }

  function keep(chunk: Uint8Array, from: number, to: number, current: Span): void {
    current.bytes += to - from;
    if (current.bytesMax === null || to === from) return;
    if (current.bytes > current.bytesMax) current.pieces = [];
    else current.pieces.push(Buffer.from(chunk.subarray(from, to)));
  }

  function finishSpan(current: Span): void {
    span = null;
    want = open.length === 0 ? "end" : "next";
    if (current.bytesMax === null) return;
    if (current.bytes > current.bytesMax) return events.taken(path, undefined, current.bytes);
    const value = parseJson(Buffer.concat(current.pieces).toString("utf8"));
    if (value === undefined) broken = true;
    else events.taken(path, value, current.bytes);
  }

  /** At the first byte of a value. */
  function begin(byte: number): number {
    const choice = events.choose(path);
    if (choice === "enter" && (byte === openObject || byte === openArray)) {
      open.push(byte === openObject ? closeObject : closeArray);
      path.push(byte === openObject ? "" : 0);
      want = byte === openObject ? "key" : "first";
      return 1;
    }
    const structured = byte === openObject || byte === openArray || byte === quote;
    const bytesMax = typeof choice === "object" ? choice.takeBytesMax : null;
    span = { bytesMax, pieces: [], bytes: 0, depth: 0, bare: !structured };
    return 0;
  }

  function close(byte: number): void {
    if (open.pop() !== byte) broken = true;
    path.pop();
    want = open.length === 0 ? "end" : "next";
  }

  function throughKey(chunk: Uint8Array, from: number, pieces: Buffer[]): number {
    const at = throughString(chunk, from);
    keyBytes += at - from;
    if (keyBytes <= keyBytesMax) pieces.push(Buffer.from(chunk.subarray(from, at)));
    if (inString) return at;
    const text = keyBytes <= keyBytesMax ? parseJson(`"${Buffer.concat(pieces).toString("utf8")}`) : "";
    if (typeof text !== "string") broken = true;
    else path[path.length - 1] = text;
    key = null;
    want = "colon";
    return at;
  }

  /** One byte of structure; returns how many were used. */
  function structure(byte: number): number {
    if (isSpace(byte)) return 1;
    if (want === "value" || (want === "first" && byte !== closeArray)) return begin(byte);
    if (want === "first") close(byte);
    else if (want === "key" && byte === quote) {
      inString = true;
      key = [];
      keyBytes = 0;
    } else if (want === "key" && byte === closeObject) close(byte);
    else if (want === "colon" && byte === colon) want = "value";
    else if (want === "next" && byte === comma) {
      const last = path.at(-1);
      if (typeof last === "number") path[path.length - 1] = last + 1;
      want = typeof last === "number" ? "value" : "key";
    } else if (want === "next") close(byte);
    else broken = true;
    return 1;
  }

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length && !broken) {
        if (span !== null) at = throughSpan(chunk, at, span);
        else if (key !== null) at = throughKey(chunk, at, key);
        else at += structure(chunk[at] ?? 0);
      }
      return !broken;
    },
    end() {
      if (span?.bare === true && !broken) finishSpan(span);
      return !broken && want === "end";
    },
  };
}

/** How many stand right before the place, and not before `from`. */
function backslashesBefore(chunk: Uint8Array, from: number, place: number): number {
  let at = place;
  while (at > from && chunk[at - 1] === backslash) at -= 1;
  return place - at;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
