/**
 * Verify: read a whole log, every segment from the first, and say what is wrong with it; and read what can be read of a damaged one.
 *   STO-1.20  Verification finds a changed, missing, reordered or cut record, a signature that does not fit its key, and a segment
 *            that does not begin with one.
 *   STO-1.21  Salvage reads on after a damage: it yields each gap, then the records behind it, saying whether the chain holds for them.
 */
import type { KeyObject } from "node:crypto";
import type { Finding } from "../../abi/finding.ts";
import type { SysError } from "../../abi/errno.ts";
import { emptyHead } from "../../abi/store.ts";
import type { Digest } from "../../lib/hash.ts";
import { ok, type Err, type Result } from "../../lib/result.ts";
import type { RecordCursor } from "./cursor.ts";
import { readTail } from "./recovery.ts";
import { chainHash, decodeHead, headerBytes, isMark, type RecordHead } from "./record.ts";
import { damaged, listSegments, openSegment, openSource, type SegmentFile } from "./segment.ts";
import { isSigned, parseSignature } from "./signature.ts";

export interface LogReport {
  readonly segments: number;
  /** Records that are whole and chained from the first on. */
  readonly records: number;
  readonly head: Digest;
  readonly signatures: number;
  /** Records under the last signature that fits; without a key, under the last one written. */
  readonly signedRecords: number;
  readonly tornBytes: number;
  /** Empty for a log in good order. The first error is where it is sealed. */
  readonly findings: readonly Finding[];
}

/** Every record against the chain, every signature against the key (when there is one). */
export function verifyLog(dir: string, publicKey: KeyObject | null): Result<LogReport, SysError> {
  const listed = listSegments(dir);
  if (!listed.ok) return listed;
  const tally: Tally = { records: 0, head: emptyHead, signatures: 0, signedRecords: 0, tornBytes: 0, findings: [] };
  for (const segment of listed.value) {
    const broken = verifySegment(dir, segment, publicKey, tally);
    if (broken === null) continue;
    const tail = readTail(dir, listed.value);
    if (!tail.ok) return tail;
    // What stops the walk in the last segment may be no more than an unfinished write.
    const torn = tail.value !== null && tail.value.damage === null && tail.value.end.seq === tally.records;
    if (torn) tally.tornBytes = tail.value.tornBytes;
    tally.findings.push(torn ? tornFinding(tally) : broken);
    break;
  }
  return ok({ segments: listed.value.length, ...tally });
}

interface Tally {
  records: number;
  head: Digest;
  signatures: number;
  signedRecords: number;
  tornBytes: number;
  readonly findings: Finding[];
}

/** What ends the chain in this segment, or null. */
function verifySegment(dir: string, segment: SegmentFile, key: KeyObject | null, tally: Tally): Finding | null {
  const { first, name } = segment;
  const broken = (offset: number, why: string): Finding =>
    damageFinding(`${name}:${offset}`, damaged(first, tally.records, offset, why));
  if (first !== tally.records) return broken(0, `records ${tally.records} to ${first - 1} are missing`);
  const opened = openSegment(dir, first);
  if (!opened.ok) return damageFinding(name, opened);
  const { cursor } = opened.value;
  try {
    if (cursor.head !== tally.head) return broken(0, "it does not continue the chain");
    let signed = false;
    for (;;) {
      const step = cursor.next();
      if (step.found === "end") return null;
      if (step.found !== "record") return broken(step.offset, step.why);
      if (step.kind === "entry") {
        if (!signed && key !== null) tally.findings.push(unsignedFinding(`${name}:${step.offset}`));
        signed = true;
        tally.records++;
        tally.head = step.hash;
      } else if (step.text.startsWith('{"note":"signature"')) {
        signed = true;
        verifySignature(`${name}:${step.offset}`, step.text, key, tally);
      }
    }
  } finally {
    cursor.close();
  }
}

function verifySignature(where: string, text: string, key: KeyObject | null, tally: Tally): void {
  tally.signatures++;
  const note = parseSignature(text);
  const fits =
    note !== null && note.records === tally.records && note.head === tally.head && (key === null || isSigned(note, key));
  if (fits) tally.signedRecords = tally.records;
  else {
    const message = `the signature over the first ${tally.records} records does not fit; someone else signed, or the key is another one`;
    tally.findings.push({ rule: "STO-1.20", severity: "error", where, message });
  }
}

/** The signature that stands in front of a segment's records says whose they are, also where the end was not signed in time. */
function unsignedFinding(where: string): Finding {
  const message = "no signature stands before the records of this segment; they are not of this key's holder";
  return { rule: "STO-1.20", severity: "error", where, message };
}

function damageFinding(where: string, { error: { message } }: Err<SysError>): Finding {
  return {
    rule: "STO-1.9",
    severity: "error",
    where,
    message,
    fix: "set the damaged part aside and go on with the records before it",
  };
}

function tornFinding({ records, tornBytes }: Tally): Finding {
  const message = `${tornBytes} bytes of an unfinished write stand behind ${records} whole records, left by a crash; nothing in them was acknowledged`;
  return { rule: "STO-1.8", severity: "info", where: `record ${records}`, message, fix: "the next start cuts them" };
}

export type Salvaged =
  | {
      readonly found: "record";
      readonly segment: string;
      readonly offset: number;
      /** Null behind a gap whose number of records is unknown. */
      readonly seq: number | null;
      readonly text: string;
      readonly hash: Digest;
      /** Whether its hash was checked against the record before it; the first one behind a gap has none. */
      readonly chained: boolean;
    }
  | { readonly found: "gap"; readonly segment: string; readonly offset: number; readonly bytes: number; readonly why: string };

/** Everything readable of a log, in order. */
export function* salvage(dir: string): Generator<Salvaged, void, void> {
  const listed = listSegments(dir);
  if (!listed.ok) return;
  for (const segment of listed.value) yield* salvageSegment(dir, segment);
}

function* salvageSegment(dir: string, segment: SegmentFile): Generator<Salvaged, void, void> {
  const { first, name } = segment;
  const source = openSource(dir, first);
  if (!source.ok) return yield { found: "gap", segment: name, offset: 0, bytes: 0, why: source.error.message };
  const bytes = Buffer.alloc(source.value.size());
  source.value.readAt(bytes, 0, bytes.length, 0);
  source.value.close();

  const opened = openSegment(dir, first);
  let previous: Digest | null = null;
  let seq: number | null = null;
  let at = 0;
  if (opened.ok) {
    previous = opened.value.head.previous;
    seq = first;
    at = startOf(opened.value.cursor);
  } else {
    at = findRecord(bytes, 0);
    yield { found: "gap", segment: name, offset: 0, bytes: at, why: opened.error.message };
  }
  while (at < bytes.length) {
    const head = headAt(bytes, at);
    const end = at + headerBytes + (head?.textBytes ?? 0);
    const text = head === null ? "" : bytes.toString("utf8", at + headerBytes, end);
    const hash = bytes.toString("hex", at + 8, at + headerBytes);
    const whole = head !== null && (previous === null || chainHash(head.kind, previous, text) === hash);
    if (!whole) {
      const next = head === null ? findRecord(bytes, at + 1) : end;
      yield {
        found: "gap",
        segment: name,
        offset: at,
        bytes: next - at,
        why: head === null ? "no record begins here" : "a record is damaged",
      };
      // A record whose frame is whole is one record; the next one may still fit the hash it carried.
      seq = head === null || seq === null ? null : seq + (head.kind === "entry" ? 1 : 0);
      if (head?.kind !== "note") previous = head === null ? null : recoverHash(bytes, next, hash);
      at = next;
      continue;
    }
    if (head.kind === "entry") {
      yield { found: "record", segment: name, offset: at, seq, text, hash, chained: previous !== null };
      previous = hash;
      if (seq !== null) seq++;
    }
    at = end;
  }
}

function startOf(cursor: RecordCursor): number {
  cursor.close();
  return cursor.offset;
}

/** The hash that a damaged record carried, if the next record confirms it; else the chain starts again there. */
function recoverHash(bytes: Buffer, at: number, hash: Digest): Digest | null {
  const head = headAt(bytes, at);
  if (head === null) return null;
  const text = bytes.toString("utf8", at + headerBytes, at + headerBytes + head.textBytes);
  return chainHash(head.kind, hash, text) === bytes.toString("hex", at + 8, at + headerBytes) ? hash : null;
}

function headAt(bytes: Buffer, at: number): RecordHead | null {
  if (at + headerBytes > bytes.length) return null;
  const head = decodeHead(bytes, at);
  return head !== null && at + headerBytes + head.textBytes <= bytes.length ? head : null;
}

function findRecord(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++) if (isMark(bytes[at] ?? 0) && headAt(bytes, at) !== null) return at;
  return bytes.length;
}
