/**
 * Recovery: what the last segment holds after a stop, and whether its end is torn or damaged.
 * A power cut leaves bytes missing: the file ends early, or blocks of zeros stand where data never arrived, and only after the last
 * barrier. Anything else that does not fit its hash is damage, and so is anything before a settled record.
 *   STO-1.8  A torn tail is cut at the last whole record, and how much was cut is told.
 *   STO-1.25  The newest signature of the last segment is told, and only where it names the records and the head before it.
 *   STO-1.9  Damage is never cut: the log is sealed there, and opening it for writing is EUCLEAN.
 */
import type { SysError } from "../../abi/errno.ts";
import { emptyHead, storeLimits } from "../../abi/store.ts";
import type { Digest } from "../../lib/hash.ts";
import { ok, type Result } from "../../lib/result.ts";
import { RecordCursor, type ByteSource, type CursorStop } from "./cursor.ts";
import { decodeHead, headerBytes, isMark } from "./record.ts";
import { damaged, magic, openSegment, openSource, type SegmentFile } from "./segment.ts";
import { parseSignature, type SignatureNote } from "./signature.ts";

/** Where a record begins, so that a reader need not start at the segment's head. */
export interface Bookmark {
  readonly seq: number;
  /** The segment, by its first record. */
  readonly first: number;
  readonly offset: number;
  readonly head: Digest;
}

export interface Tail {
  readonly first: number;
  /** After the last whole record: where the next one goes. */
  readonly end: Bookmark;
  readonly bookmarks: readonly Bookmark[];
  /** Entries since the last signature. */
  readonly unsigned: number;
  /** The newest signature in the segment; null where there is none, or where it is not of this place. */
  readonly signature: SignatureNote | null;
  readonly tornBytes: number;
  readonly damage: SysError | null;
  /** Segments after `first` that a crash left before their first record was whole. */
  readonly unborn: readonly SegmentFile[];
}

/** Null for a log with no segment at all. */
export function readTail(dir: string, segments: readonly SegmentFile[]): Result<Tail | null, SysError> {
  const unborn: SegmentFile[] = [];
  let tornBytes = 0;
  let damage: SysError | null = null;
  for (const segment of segments.toReversed()) {
    const tail = readSegmentTail(dir, segment.first, unborn.length > 0);
    if (!tail.ok) return tail;
    tornBytes += tail.value.tornBytes;
    damage = tail.value.damage ?? damage;
    if (tail.value.end.offset > 0 && (tail.value.end.seq > segment.first || damage !== null)) {
      return ok({ ...tail.value, tornBytes, damage, unborn });
    }
    unborn.unshift(segment);
  }
  if (unborn.length === 0) return ok(null);
  return ok({ first: 0, end: noRecord(0), bookmarks: [], unsigned: 0, signature: null, tornBytes, damage, unborn });
}

/** A segment that another one follows was durable as a whole before: nothing in it is torn. */
function readSegmentTail(dir: string, first: number, followed: boolean): Result<Tail, SysError> {
  const opened = openSegment(dir, first);
  if (!opened.ok) return opened.error.errno === "EUCLEAN" ? unreadableHead(dir, first, opened.error) : opened;
  const { cursor } = opened.value;
  const walk = walkSegment(cursor, first, opened.value.head.previous);
  cursor.close();
  const end: Bookmark = { seq: walk.seq, first, offset: walk.stop.offset, head: cursor.head };
  const { bookmarks, unsigned } = walk;
  const common = { first, end, bookmarks, unsigned, signature: placed(walk.signed), unborn: [] };
  if (walk.stop.found === "end") return ok({ ...common, tornBytes: 0, damage: null });

  const source = openSource(dir, first);
  if (!source.ok) return source;
  const size = source.value.size();
  const torn = !followed && isTorn(source.value, walk.stop);
  source.value.close();
  if (torn) return ok({ ...common, tornBytes: size - walk.stop.offset, damage: null });
  return ok({ ...common, tornBytes: 0, damage: damaged(first, walk.seq, walk.stop.offset, walk.stop.why).error });
}

function walkSegment(cursor: RecordCursor, first: number, previous: Digest) {
  const bookmarks: Bookmark[] = [{ seq: first, first, offset: cursor.offset, head: previous }];
  let seq = first;
  let unsigned = 0;
  let signed: Signed | null = null;
  for (;;) {
    const step = cursor.next();
    if (step.found !== "record") return { seq, unsigned, signed, bookmarks, stop: step };
    if (step.kind === "note") {
      if (!step.text.startsWith('{"note":"signature"')) continue;
      unsigned = 0;
      signed = { text: step.text, records: seq, head: cursor.head };
      continue;
    }
    seq++;
    unsigned++;
    if (seq % storeLimits.bookmarkRecords === 0) bookmarks.push({ seq, first, offset: cursor.offset, head: cursor.head });
  }
}

/** A signature as it was met: after so many records, with this head. */
interface Signed {
  readonly text: string;
  readonly records: number;
  readonly head: Digest;
}

/** One copied from another log, or from another place of this one, says nothing about what is before it. */
function placed(signed: Signed | null): SignatureNote | null {
  const note = signed === null ? null : parseSignature(signed.text);
  return note?.records === signed?.records && note?.head === signed?.head ? note : null;
}

/** A header that is not whole: a rotation was interrupted, or the file is damaged. */
function unreadableHead(dir: string, first: number, error: SysError): Result<Tail, SysError> {
  const source = openSource(dir, first);
  if (!source.ok) return source;
  const size = source.value.size();
  const stop = stopInHead(source.value, size);
  const torn = stop !== null && isTorn(source.value, stop);
  source.value.close();
  const common = { first, end: noRecord(first), bookmarks: [], unsigned: 0, signature: null, unborn: [] };
  return ok({ ...common, tornBytes: torn ? size : 0, damage: torn ? null : error });
}

/** Where a header stops being whole; null where it is whole and says something else. */
function stopInHead(source: ByteSource, size: number): CursorStop | null {
  const start = Buffer.alloc(Math.min(size, magic.length));
  source.readAt(start, 0, start.length, 0);
  if (!start.equals(magic.subarray(0, start.length))) return { found: "bad", offset: 0, why: "no segment begins here" };
  if (size <= magic.length) return { found: "short", offset: 0, why: "the header is cut off" };
  const step = new RecordCursor(source, magic.length, emptyHead).next();
  return step.found === "record" ? null : step;
}

/** Offset 0 stands for a segment without a header. */
function noRecord(first: number): Bookmark {
  return { seq: first, first, offset: 0, head: emptyHead };
}

const blockBytes = 512;

/** Whether missing data explains the stop: nothing after it was ever durable, and bytes are absent or blocks of zeros. */
function isTorn(source: ByteSource, stop: CursorStop): boolean {
  const rest = Buffer.alloc(source.size() - stop.offset);
  source.readAt(rest, 0, rest.length, stop.offset);
  if (hasSettled(rest)) return false;
  return stop.found === "short" || hasZeros(rest, stop.offset);
}

/** A later record that was written after a barrier: then what comes before it had been durable. */
function hasSettled(rest: Buffer): boolean {
  for (let at = 1; at + headerBytes <= rest.length; at++) {
    const head = isMark(rest[at] ?? 0) ? decodeHead(rest, at) : null;
    if (head?.settled === true && isFramed(rest, at + headerBytes + head.textBytes)) return true;
  }
  return false;
}

/** A record found by its check alone must end where the file ends or another begins. */
function isFramed(rest: Buffer, end: number): boolean {
  if (end >= rest.length - 8) return end <= rest.length;
  return decodeHead(rest, end) !== null;
}

/** Zeros where data never arrived: from the stop on, for a whole block, or up to the end. No text and no hash looks like that. */
function hasZeros(rest: Buffer, offset: number): boolean {
  const few = 8;
  if (rest.length < few) return false;
  if (isZero(rest, 0, few) || isZero(rest, rest.length - few, rest.length)) return true;
  const aligned = (blockBytes - (offset % blockBytes)) % blockBytes;
  for (let at = aligned; at + blockBytes <= rest.length; at += blockBytes) {
    if (isZero(rest, at, at + blockBytes)) return true;
  }
  return false;
}

function isZero(buffer: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (buffer[at] !== 0) return false;
  return true;
}
