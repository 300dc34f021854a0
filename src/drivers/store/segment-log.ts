/**
 * Segment log: the journal on disk, append-only, hash-chained, in segment files. Who may write is decided by the workspace's lock.
 *   STO-1.17  Opening reads the last segment only; a checkpoint at a segment's start spares a boot everything before it.
 *   STO-1.27  A log whose newest signature its opener does not accept is refused before anything of it is changed.
 *   STO-1.18  A segment that a crash left without a whole record is removed, and the log goes on where it was.
 */
import { closeSync, ftruncateSync, fdatasyncSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { emptyHead, type LogDriver, type LogState } from "../../abi/store.ts";
import { ok, type Result } from "../../lib/result.ts";
import { createFile, fsError, makeFolder, openFile, syncFolder, writeAll } from "./disk.ts";
import { findResume, readLog } from "./reader.ts";
import { readTail, type Bookmark, type Tail } from "./recovery.ts";
import { encodeSegmentHead, listSegments, segmentName, type SegmentFile } from "./segment.ts";
import { SegmentFollower } from "./segment-follower.ts";
import { SegmentWriter } from "./segment-writer.ts";
import type { Sign, SignatureNote } from "./signature.ts";

export interface SegmentLogOptions {
  /** The folder of the segments; made where it is missing. */
  readonly dir: string;
  /** Milliseconds since 1970, for the segments' headers. */
  readonly now: () => number;
  readonly sign?: Sign;
  /** Asked about a log with records: the newest signature of its last segment, if it stands for what is before it. An error refuses the log. */
  readonly accept?: (signature: SignatureNote | null) => Result<void, SysError>;
  readonly segmentBytesMax?: number;
  readonly readOnly?: boolean;
}

export interface SegmentLog extends LogDriver {
  /** What opening found. */
  readonly state: LogState;
  /** Why the log takes nothing more; null while it does. */
  readonly failure: SysError | null;
  /** Reader only: look for records added by the writer; returns how many there are now. EUCLEAN where they do not fit. */
  refresh(): Result<number, SysError>;
}

/** EUCLEAN where a log opened for writing is damaged; a reader opens it and gets the error where the damage is. */
export function openSegmentLog(options: SegmentLogOptions): Result<SegmentLog, SysError> {
  const listed = listSegments(options.dir);
  if (!listed.ok) return listed;
  const tail = readTail(options.dir, listed.value);
  if (!tail.ok) return tail;
  const accepted = tail.value === null || tail.value.end.seq === 0 ? undefined : options.accept?.(tail.value.signature);
  if (accepted?.ok === false) return accepted;
  if (options.readOnly === true) return ok(openReader(options.dir, listed.value, tail.value));
  if (tail.value !== null && tail.value.damage !== null) return { ok: false, error: tail.value.damage };
  try {
    return openWriter(options, listed.value, tail.value);
  } catch (thrown) {
    return { ok: false, error: fsError(thrown, "the log cannot be opened for writing") };
  }
}

function openWriter(options: SegmentLogOptions, listed: readonly SegmentFile[], tail: Tail | null): Result<SegmentLog, SysError> {
  const { dir, now } = options;
  const last = listed.find((segment) => segment.first === tail?.first);
  if (last?.archived === true && tail?.end.offset !== 0) {
    return fail(
      "EUCLEAN",
      `segment ${last.name} is archived but is the log's last; unpack it with "zstd -d" and run "daimon fsck"`,
    );
  }
  makeFolder(dir);
  for (const segment of tail?.unborn ?? []) unlinkSync(join(dir, segment.name));
  const { fd, end } = tail === null || tail.end.offset === 0 ? begin(options) : reopen(dir, tail);
  syncFolder(dir);

  const bookmarks: Bookmark[] = [...(tail?.bookmarks ?? []), end];
  const unsigned = tail?.unsigned ?? 0;
  const writer = new SegmentWriter({ dir, fd, end, unsigned, now, sign: options.sign ?? null, mark: (at) => bookmarks.push(at) });
  const state: LogState = { records: end.seq, head: end.head, tornBytes: tail?.tornBytes ?? 0, damage: null };
  const bytesMax = options.segmentBytesMax ?? limits.segmentBytesMax;
  let resumeFrom = findResume(dir, listed, end.seq);
  return ok({
    name: "segments",
    state,
    get next() {
      return writer.next;
    },
    get head() {
      return writer.head;
    },
    get failure() {
      return writer.failure;
    },
    get resumeFrom() {
      return resumeFrom;
    },
    get rotateDue() {
      return writer.segmentBytes >= bytesMax;
    },
    append: (text) => writer.append(text),
    write: () => writer.write(),
    barrier: (alone) => writer.barrier(alone),
    read(from) {
      writer.drain();
      return readLog(dir, bookmarks, from, writer.next);
    },
    rotate(checkpoint) {
      const seq = writer.next;
      const rotated = writer.rotate(checkpoint);
      if (!rotated.ok) return rotated;
      resumeFrom = seq;
      return ok(seq);
    },
    refresh: () => ok(writer.next),
    close: () => writer.close(),
  });
}

/** The first segment of an empty log. */
function begin({ dir, now, sign }: SegmentLogOptions): { readonly fd: number; readonly end: Bookmark } {
  const header = encodeSegmentHead({ first: 0, previous: emptyHead, createdAt: now() }, sign ?? null);
  const fd = createFile(join(dir, segmentName(0)));
  try {
    writeAll(fd, header, header.length, 0);
    fdatasyncSync(fd);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
  return { fd, end: { seq: 0, first: 0, offset: header.length, head: emptyHead } };
}

/** Cut what is torn, durably, before anything is written after it; then everything that was read is durable too. */
function reopen(dir: string, tail: Tail): { readonly fd: number; readonly end: Bookmark } {
  const fd = openFile(join(dir, segmentName(tail.first)), "write");
  try {
    if (tail.tornBytes > 0) ftruncateSync(fd, tail.end.offset);
    fdatasyncSync(fd);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
  return { fd, end: tail.end };
}

function openReader(dir: string, listed: readonly SegmentFile[], tail: Tail | null): SegmentLog {
  const follower = new SegmentFollower(dir, tail, findResume(dir, listed, tail?.end.seq ?? 0));
  const { end } = follower;
  return {
    name: "segments",
    state: { records: end.seq, head: end.head, tornBytes: tail?.tornBytes ?? 0, damage: tail?.damage ?? null },
    get next() {
      return follower.end.seq;
    },
    get head() {
      return follower.end.head;
    },
    failure: null,
    get resumeFrom() {
      return follower.resumeFrom;
    },
    rotateDue: false,
    append: () => -1,
    write: refuse,
    barrier: refuse,
    read: (from) => readLog(dir, follower.bookmarks, from, follower.until),
    rotate: refuse,
    refresh: () => follower.refresh(),
    close: () => follower.close(),
  };
}

function refuse(): Result<never, SysError> {
  return fail("EROFS", "the log is open for reading only; open it for writing, which takes the workspace's lock");
}
