/**
 * Fs text: the text of a file, by its lines. A text is mostly read window by window, so what was read of a file is kept while the file stands.
 *   FIL-13.9  Reading a text in windows reads and digests its file once, not once a window; a file that changed is read anew.
 *   FIL-13.10  What is kept of files is bounded in bytes; the text that was read longest ago goes first.
 */
import { isUtf8 } from "node:buffer";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Files } from "../../abi/files.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { plural } from "../../lib/plural.ts";
import { ok, type Result } from "../../lib/result.ts";

export interface Text {
  readonly data: Buffer;
  readonly digest: Digest;
}

/** A text and where its lines begin. */
export interface Lines extends Text {
  /** The offset of each line's first byte, and of the end. */
  readonly starts: Uint32Array;
}

/** The files of a session or tier that are read, and no more of it. */
export type Readable = Pick<Files, "pid" | "read" | "state">;

interface Kept {
  readonly state: string;
  readonly lines: Lines;
}

export class Texts {
  readonly #bytesMax: number;
  /** By session and path; the one used last comes last. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  async read(files: Readable, path: string): Promise<Result<Lines, SysError>> {
    // Asked before the read: what changes in between is not taken for what was read.
    const state = await files.state(path);
    if (!state.ok) return state;
    const key = `${files.pid}:${path}`;
    const known = this.#take(key);
    if (known?.state === state.value) {
      this.#keep(key, known);
      return ok(known.lines);
    }
    const text = await readText(files, path);
    if (!text.ok) return text;
    const lines = { ...text.value, starts: startsOf(text.value.data) };
    this.#keep(key, { state: state.value, lines });
    return ok(lines);
  }

  #take(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept !== undefined) this.#bytes -= sizeOf(kept);
    this.#kept.delete(key);
    return kept;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept);
    this.#bytes += sizeOf(kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#take(oldest);
    }
  }
}

function sizeOf({ lines }: Kept): number {
  return lines.data.byteLength + lines.starts.byteLength;
}

export async function readText(files: Pick<Files, "read">, path: string): Promise<Result<Text, SysError>> {
  const data = await files.read(path);
  if (!data.ok) return data;
  const type = binaryType(data.value);
  if (type !== null)
    return fail("EINVAL", `${path} is not text but ${type} of ${plural(data.value.length, "byte")}; it cannot be read as lines`);
  return ok({ data: data.value, digest: sha256(data.value) });
}

export function lineCount({ starts }: Lines): number {
  return starts.length - 1;
}

/** The line `n`, which counts from 1, without its end. */
export function lineOf({ data, starts }: Lines, n: number): string {
  let end = starts[n] ?? 0;
  if (data[end - 1] === newline) end -= 1;
  if (data[end - 1] === carriageReturn) end -= 1;
  return data.toString("utf8", starts[n - 1], end);
}

const newline = 10;
const carriageReturn = 13;

/** A last line without an end is a line, and what follows the last end is none. */
function startsOf(data: Buffer): Uint32Array {
  const starts = [0];
  for (let at = data.indexOf(newline); at !== -1; at = data.indexOf(newline, at + 1)) starts.push(at + 1);
  if (starts.at(-1) !== data.length) starts.push(data.length);
  return Uint32Array.from(starts);
}

const signatures: readonly (readonly [string, string])[] = [
  ["89504e47", "a PNG image"],
  ["ffd8ff", "a JPEG image"],
  ["47494638", "a GIF image"],
  ["25504446", "a PDF document"],
  ["504b0304", "a ZIP archive"],
  ["1f8b", "a gzip archive"],
  ["7f454c46", "an ELF program"],
  ["53514c69746520666f726d6174", "an SQLite database"],
];

/** What the bytes are when they are not UTF-8 text. */
function binaryType(data: Buffer): string | null {
  const head = data.toString("hex", 0, 16);
  const known = signatures.find(([magic]) => head.startsWith(magic));
  if (known !== undefined) return known[1];
  if (data.includes(0)) return "binary data";
  return isUtf8(data) ? null : "text in another encoding than UTF-8, or binary data,";
}
