/**
 * Archive: closed segments compressed, and a damaged end set aside. Both work on files nobody writes any more.
 *   STO-1.22  A segment's original goes only when its archive is durable and has been read back and found equal.
 *   STO-1.23  Setting a damaged end aside keeps every byte of it in a folder of its own, and the log opens again before the damage.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  readFileSync,
  renameSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { fail, type SysError } from "../../abi/errno.ts";
import { ok, type Result } from "../../lib/result.ts";
import { createFile, fsError, makeFolder, openFile, syncFolder, unpackFile, writeAll } from "./disk.ts";
import { listSegments, openSegment, segmentName, type SegmentFile } from "./segment.ts";
import { verifyLog } from "./verify.ts";

export interface Archived {
  readonly segments: readonly string[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** To the Zstandard format (RFC 8878). */
export type Compress = (content: Buffer) => Buffer;

interface Sizes {
  readonly before: number;
  readonly after: number;
}

/** Compress every closed plain segment. The last one is being written and stays; a reader finds the others where they were. */
export function archiveSegments(dir: string, compress: Compress = zstdCompressSync): Result<Archived, SysError> {
  const listed = listSegments(dir);
  if (!listed.ok) return listed;
  const segments: string[] = [];
  let bytesBefore = 0;
  let bytesAfter = 0;
  for (const segment of listed.value.slice(0, -1)) {
    if (segment.archived) continue;
    try {
      const sizes = archiveSegment(dir, segment, compress);
      if (!sizes.ok) return sizes;
      segments.push(segment.name);
      bytesBefore += sizes.value.before;
      bytesAfter += sizes.value.after;
    } catch (thrown) {
      return { ok: false, error: fsError(thrown, `segment ${segment.name} could not be archived, and stays as it is`) };
    }
  }
  return ok({ segments, bytesBefore, bytesAfter });
}

function archiveSegment(dir: string, { name }: SegmentFile, compress: Compress): Result<Sizes, SysError> {
  const plain = join(dir, name);
  const part = join(dir, `${name}.zst.part`);
  const content = readFileSync(plain);
  const packed = compress(content);
  if (existsSync(part)) unlinkSync(part);
  const fd = createFile(part);
  try {
    writeAll(fd, packed, packed.length, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (!unpackFile(part).equals(content)) {
    return fail("EIO", `the archive of ${name} reads back differently, so the original stays; check the disk`);
  }
  renameSync(part, join(dir, `${name}.zst`));
  syncFolder(dir);
  unlinkSync(plain);
  syncFolder(dir);
  return ok({ before: content.length, after: packed.length });
}

export interface SetAside {
  /** The log goes on with this many records. */
  readonly records: number;
  /** Folder within the log's own, with the damaged segment as it was and every later one; null where nothing was damaged. */
  readonly folder: string | null;
}

/** Take the damaged end out of the log. The workspace's lock must be held. Undone by moving the files of the folder back. */
export function setAside(dir: string): Result<SetAside, SysError> {
  const report = verifyLog(dir, null);
  if (!report.ok) return report;
  const { records, findings } = report.value;
  if (!findings.some((finding) => finding.rule === "STO-1.9")) return ok({ records, folder: null });
  const listed = listSegments(dir);
  if (!listed.ok) return listed;
  const holder = listed.value.findLast((segment) => segment.first <= records);
  const folder = freeFolder(dir, records);
  try {
    makeFolder(join(dir, folder));
    const kept = holder === undefined ? null : keepPrefix(dir, folder, holder, records);
    for (const segment of listed.value) {
      if (segment.first > records || (segment === holder && kept === "nothing")) {
        renameSync(join(dir, segment.name), join(dir, folder, segment.name));
      }
    }
    unpackLast(dir);
    syncFolder(join(dir, folder));
    syncFolder(dir);
    return ok({ records, folder });
  } catch (thrown) {
    return { ok: false, error: fsError(thrown, "the damaged part of the log could not be set aside") };
  }
}

/** Copies the segment aside and cuts it behind its last whole record; "nothing" where it holds none before the damage. */
function keepPrefix(dir: string, folder: string, segment: SegmentFile, records: number): "prefix" | "nothing" {
  const opened = openSegment(dir, segment.first);
  if (!opened.ok || records === segment.first) {
    if (opened.ok) opened.value.cursor.close();
    return "nothing";
  }
  const { cursor } = opened.value;
  while (cursor.next().found === "record");
  const end = cursor.offset;
  cursor.close();
  copyFileSync(join(dir, segment.name), join(dir, folder, segment.name), constants.COPYFILE_EXCL);
  syncFile(join(dir, folder, segment.name));
  if (segment.archived) unpackSegment(dir, segment);
  const fd = openFile(join(dir, segmentName(segment.first)), "write");
  try {
    ftruncateSync(fd, end);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return "prefix";
}

/** The log's last segment is written to, so it must be plain. */
function unpackLast(dir: string): void {
  const listed = listSegments(dir);
  const last = listed.ok ? listed.value.at(-1) : undefined;
  if (last?.archived === true) unpackSegment(dir, last);
}

function unpackSegment(dir: string, segment: SegmentFile): void {
  const content = unpackFile(join(dir, segment.name));
  const fd = createFile(join(dir, segmentName(segment.first)));
  try {
    writeAll(fd, content, content.length, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  unlinkSync(join(dir, segment.name));
}

function syncFile(path: string): void {
  const fd = openFile(path, "read");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function freeFolder(dir: string, records: number): string {
  for (let count = 0; ; count++) {
    const name = count === 0 ? `damaged-${records}` : `damaged-${records}-${count}`;
    if (!existsSync(join(dir, name))) return name;
  }
}
