/**
 * Record: the bytes of one record in a segment.
 * Mark (1 byte), length (3), check (4), hash (32), then the text in UTF-8. The marks are bytes that UTF-8 never holds, so that a reader
 * finds the next record after a damaged one; the check is a bijection of mark and length, so that no single damaged byte of them passes.
 *   STO-1.1  A record's hash is SHA-256 over the previous record's hash, as hexadecimal digits, and its text: `printf %s%s PREVIOUS TEXT | sha256sum`.
 *   STO-1.2  A note (segment header, signature, close) has a hash of its own form, takes no seq and leaves the chain as it is.
 *   STO-1.3  A settled record says that every byte before it was durable when it was written.
 */
import { sha256, type Digest } from "../../lib/hash.ts";

export const headerBytes = 40;

/** The length field has 24 bits. */
export const textBytesMax = 0xff_ffff;

export type RecordKind = "entry" | "note";

const marks = { entry: 0xf8, note: 0xfa } as const;
const settledBit = 0x01;

export function chainHash(kind: RecordKind, previous: Digest, text: string): Digest {
  return sha256(kind === "entry" ? previous + text : `${previous}note ${text}`);
}

/** Writes one record at `at` and returns where it ends. The caller has made room for 40 bytes and three for each UTF-16 unit. */
export function encodeRecord(target: Buffer, at: number, kind: RecordKind, text: string, hash: Digest): number {
  const length = target.write(text, at + headerBytes, "utf8");
  writeHead(target, at, ((marks[kind] << 24) | length) >>> 0);
  target.write(hash, at + 8, 32, "hex");
  return at + headerBytes + length;
}

/** Mark an encoded record as settled, just before it is written. */
export function settle(target: Buffer, at: number): void {
  writeHead(target, at, (target.readUInt32BE(at) | (settledBit << 24)) >>> 0);
}

export interface RecordHead {
  readonly kind: RecordKind;
  readonly settled: boolean;
  readonly textBytes: number;
}

/** The first eight bytes of a record, or null where there is none. */
export function decodeHead(source: Buffer, at: number): RecordHead | null {
  const word = source.readUInt32BE(at);
  if (source.readUInt32BE(at + 4) !== checkOf(word)) return null;
  const mark = word >>> 24;
  const kind = kindOf(mark & ~settledBit);
  return kind === null ? null : { kind, settled: (mark & settledBit) !== 0, textBytes: word & textBytesMax };
}

export function isMark(byte: number): boolean {
  return kindOf(byte & ~settledBit) !== null;
}

function kindOf(mark: number): RecordKind | null {
  if (mark === marks.entry) return "entry";
  return mark === marks.note ? "note" : null;
}

function writeHead(target: Buffer, at: number, word: number): void {
  target.writeUInt32BE(word, at);
  target.writeUInt32BE(checkOf(word), at + 4);
}

/** An odd factor and an exclusive or are each one to one, and zeros do not check. */
function checkOf(word: number): number {
  return (Math.imul(word, 0x9e37_79b1) ^ 0xda13_05ee) >>> 0;
}
