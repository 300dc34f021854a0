/**
 * Damage: where a log stops being whole, and a segment cut there. Both work on files nobody writes any more.
 *   STO-1.23  A log cut where its damage begins, without the segments after it, opens again with every record before the damage.
 *   STO-1.28  A segment is exchanged for its beginning at once, and only when all of it lies durable elsewhere: a crash leaves the one or the other.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { SysError } from "../../abi/errno.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { ok, type Result } from "../../lib/result.ts";
import { createFile, openFile, syncFolder, unpackFile, writeAll } from "./disk.ts";
import { listSegments, openSegment } from "./segment.ts";
import { verifyLog } from "./verify.ts";

export interface LogDamage {
  /** Whole records, all before the damage. */
  readonly records: number;
  /** The segment with the last whole record, which is the log's last from now on; null where there is none. */
  readonly cut: SegmentCut | null;
  /** File names of the segments after it. */
  readonly rest: readonly string[];
}

export interface SegmentCut {
  /** Of the file, plain or archived. */
  readonly name: string;
  /** How much of its content is whole, and the digest of that. */
  readonly bytes: number;
  readonly digest: Digest;
}

/** Null for a log without damage; a torn end is none, for the next start cuts it. */
export function findDamage(dir: string): Result<LogDamage | null, SysError> {
  const report = verifyLog(dir, null);
  if (!report.ok) return report;
  const { records, findings } = report.value;
  if (!findings.some((finding) => finding.rule === "STO-1.9")) return ok(null);
  const listed = listSegments(dir);
  if (!listed.ok) return listed;
  const last = listed.value.findLast((segment) => segment.first < records);
  const rest = listed.value.filter((segment) => segment.first >= records).map((segment) => segment.name);
  if (last === undefined) return ok({ records, cut: null, rest });
  const opened = openSegment(dir, last.first);
  if (!opened.ok) return opened;
  const { cursor } = opened.value;
  while (cursor.next().found === "record");
  cursor.close();
  const bytes = cursor.offset;
  return ok({
    records,
    cut: { name: last.name, bytes, digest: sha256(contentOf(join(dir, last.name)).subarray(0, bytes)) },
    rest,
  });
}

/** Leaves the first bytes of a segment, plain, for the log's last segment is written to; `aside` gets the file as it was. */
export function cutSegment(file: string, aside: string, bytes: number): void {
  const beginning = contentOf(file).subarray(0, bytes);
  copyThrough(file, `${aside}.part`);
  renameSync(`${aside}.part`, aside);
  syncFolder(dirname(aside));
  const part = `${plainOf(file)}.part`;
  rmSync(part, { force: true });
  const fd = createFile(part);
  try {
    writeAll(fd, beginning, beginning.length, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(part, plainOf(file));
  syncFolder(dirname(file));
  if (plainOf(file) !== file) rmSync(file);
}

/** Puts back what cutSegment() took, also after a crash in the middle of either; a segment that was never cut stays as it is. */
export function uncutSegment(file: string, aside: string, digest: Digest): void {
  if (existsSync(aside)) {
    copyThrough(aside, `${file}.part`);
    renameSync(`${file}.part`, file);
  }
  // Beside an archive the plain segment counts, so it goes; last, for until then it is all there is of the log's end.
  if (plainOf(file) !== file && existsSync(file) && isOf(plainOf(file), digest)) rmSync(plainOf(file));
  syncFolder(dirname(file));
  rmSync(aside, { force: true });
}

/** Does the log still end where it was cut? Files of `own` may stand after it: what the same repair moves, or will put back. */
export function endsAt(file: string, aside: string, digest: Digest, own: ReadonlySet<string>): boolean {
  const plain = plainOf(file);
  const later = readdirSync(dirname(file)).filter(
    (name) => /^\d{12,}\.log(?:\.zst)?$/.test(name) && name > `${basename(plain)}.zst`,
  );
  if (later.some((name) => !own.has(name))) return false;
  return isOf(plain, digest) || isOf(file, sha256(readFileSync(aside)));
}

function isOf(file: string, digest: Digest): boolean {
  return existsSync(file) && sha256(readFileSync(file)) === digest;
}

function plainOf(file: string): string {
  return file.endsWith(".zst") ? file.slice(0, -".zst".length) : file;
}

function contentOf(file: string): Buffer {
  return file.endsWith(".zst") ? unpackFile(file) : readFileSync(file);
}

/** With its mode, and durable. */
function copyThrough(from: string, to: string): void {
  rmSync(to, { force: true });
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  const fd = openFile(to, "read");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
