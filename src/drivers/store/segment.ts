/**
 * Segment: one file of the log, named by its first record. Eight bytes of magic, a header note with what came before, then records.
 *   STO-1.6  A segment's header names its first record and the head before it, so that a chain cannot lose a segment unseen.
 *   STO-1.26  Where records are signed, a segment begins with a signature: no record of it stands before one.
 *   STO-1.7  A closed segment reads the same whether plain or archived; where both are there the plain one counts.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import { emptyHead } from "../../abi/store.ts";
import { isObject, parseJson } from "../../lib/json.ts";
import { ok, type Err, type Result } from "../../lib/result.ts";
import type { Digest } from "../../lib/hash.ts";
import { RecordCursor, type ByteSource } from "./cursor.ts";
import { bufferSource, fileSource, fsCode, fsError, openFile, unpackFile } from "./disk.ts";
import { chainHash, encodeRecord, headerBytes } from "./record.ts";
import { signatureNote, type Sign } from "./signature.ts";

export const magic = Buffer.from("daimon1\n", "latin1");

/** How every checkpoint entry begins, as the journal serialises it. */
export const checkpointStart = '{"kind":"checkpoint"';

export interface SegmentFile {
  readonly first: number;
  readonly name: string;
  readonly archived: boolean;
}

export interface SegmentHead {
  readonly first: number;
  readonly previous: Digest;
  readonly createdAt: number;
}

export interface OpenSegment {
  readonly head: SegmentHead;
  /** Stands on the first record after the header. */
  readonly cursor: RecordCursor;
}

export function segmentName(first: number): string {
  return `${String(first).padStart(12, "0")}.log`;
}

export function hasSegment(dir: string, first: number): boolean {
  const name = segmentName(first);
  return existsSync(join(dir, name)) || existsSync(join(dir, `${name}.zst`));
}

/** In order of their records. A folder that is not there has none. */
export function listSegments(dir: string): Result<readonly SegmentFile[], SysError> {
  const segments = new Map<number, SegmentFile>();
  try {
    for (const name of readdirSync(dir).sort()) {
      const match = /^(\d{12,})\.log(\.zst)?$/.exec(name);
      if (match === null) continue;
      const first = Number(match[1]);
      const archived = match[2] !== undefined;
      if (!archived || !segments.has(first)) segments.set(first, { first, name, archived });
    }
  } catch (thrown) {
    if (fsCode(thrown) === "ENOENT") return ok([]);
    return { ok: false, error: fsError(thrown, "the log's folder cannot be read") };
  }
  return ok([...segments.values()].toSorted((left, right) => left.first - right.first));
}

/** What a segment begins with: the magic, its header and, where records are signed, a signature over what came before. */
export function encodeSegmentHead({ first, previous, createdAt }: SegmentHead, sign: Sign | null): Buffer {
  const header = JSON.stringify({ note: "segment", first, previous, createdAt });
  const signature = sign === null ? "" : signatureNote(sign, first, previous);
  const buffer = Buffer.alloc(magic.length + 2 * headerBytes + (header.length + signature.length) * 3);
  magic.copy(buffer);
  const end = encodeRecord(buffer, magic.length, "note", header, chainHash("note", emptyHead, header));
  if (sign === null) return buffer.subarray(0, end);
  return buffer.subarray(0, encodeRecord(buffer, end, "note", signature, chainHash("note", previous, signature)));
}

/** The bytes of a segment, plain or archived, whichever is there now: an archiver may be at work in another process. */
export function openSource(dir: string, first: number): Result<ByteSource, SysError> {
  const name = segmentName(first);
  try {
    return ok(fileSource(openFile(join(dir, name), "read")));
  } catch (thrown) {
    if (fsCode(thrown) !== "ENOENT") return { ok: false, error: fsError(thrown, `segment ${name} cannot be opened`) };
  }
  try {
    return ok(bufferSource(unpackFile(join(dir, `${name}.zst`))));
  } catch (thrown) {
    const code = fsCode(thrown);
    if (code.startsWith("ZSTD") || code.startsWith("ERR_")) {
      return fail("EUCLEAN", `segment ${name}.zst does not unpack; run "daimon fsck", it says what can still be read`, code);
    }
    return { ok: false, error: fsError(thrown, `segment ${name} cannot be opened`) };
  }
}

/** Open a segment and check its header. A header that is cut off or damaged is EUCLEAN. */
export function openSegment(dir: string, first: number): Result<OpenSegment, SysError> {
  const source = openSource(dir, first);
  if (!source.ok) return source;
  const head = readHead(source.value);
  if (head === null || head.value.first !== first) {
    source.value.close();
    return damaged(first, first, 0, "the segment's header is damaged");
  }
  return ok({ head: head.value, cursor: new RecordCursor(source.value, head.end, head.value.previous) });
}

/** The one wording of damage: which segment, which record, which byte, and what to do. */
export function damaged(first: number, seq: number, offset: number, why: string): Err<SysError> {
  return fail(
    "EUCLEAN",
    `the log is damaged in segment ${segmentName(first)} at record ${seq}, byte ${offset}: ${why}. ` +
      `Records before it are whole; run "daimon fsck" to see what can be saved`,
  );
}

function readHead(source: ByteSource): { readonly value: SegmentHead; readonly end: number } | null {
  const start = Buffer.alloc(magic.length);
  if (source.readAt(start, 0, magic.length, 0) < magic.length || !start.equals(magic)) return null;
  const cursor = new RecordCursor(source, magic.length, emptyHead);
  const step = cursor.next();
  if (step.found !== "record" || step.kind !== "note") return null;
  const note = parseJson(step.text);
  if (!isObject(note) || note["note"] !== "segment") return null;
  const { first, previous, createdAt } = note;
  if (typeof first !== "number" || typeof previous !== "string" || typeof createdAt !== "number") return null;
  return { value: { first, previous, createdAt }, end: cursor.offset };
}
