/**
 * Archive: closed segments compressed. Nobody writes them any more.
 *   STO-1.22  A segment's original goes only when its archive is durable and has been read back and found equal.
 */
import { closeSync, existsSync, fsyncSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { fail, type SysError } from "../../abi/errno.ts";
import { ok, type Result } from "../../lib/result.ts";
import { createFile, fsError, syncFolder, unpackFile, writeAll } from "./disk.ts";
import { listSegments, type SegmentFile } from "./segment.ts";

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
