/**
 * Memory log: the log without a disk, for tests and simulation. What would survive a power cut is kept apart from what would not,
 * and a write can be made to fail.
 *   STO-1.24  A crash keeps every record before the last barrier, some of the later ones in order, and never part of one.
 */
import { sysError, type SysError } from "../../abi/errno.ts";
import { emptyHead, type LogDriver, type LogRecord, type LogState } from "../../abi/store.ts";
import { assert } from "../../lib/assert.ts";
import { done, err, ok, type Awaitable, type Result } from "../../lib/result.ts";
import { checkpointStart } from "./segment.ts";
import { chainHash } from "./record.ts";

/** What a power cut leaves: open the next log with it. */
export interface LogImage {
  readonly texts: readonly string[];
  /** First records of segments. */
  readonly segments: readonly number[];
  /** Bytes of the record that was being written. */
  readonly tornBytes: number;
}

export interface MemoryLogOptions {
  readonly image?: LogImage;
  readonly segmentBytesMax?: number;
  /** Writing record number N since opening fails, as on a full disk; the log then refuses everything. */
  readonly failWrite?: number;
  /** Answer every barrier later, as a log on disk does when several wait. */
  readonly asynchronous?: boolean;
}

export interface MemoryLog extends LogDriver {
  readonly state: LogState;
  readonly failure: SysError | null;
  /** `chance` gives numbers from 0 to below 1: how much of what was not yet durable survives. The log itself takes nothing more. */
  crash(chance: () => number): LogImage;
}

export function openMemoryLog(options: MemoryLogOptions = {}): MemoryLog {
  const records: LogRecord[] = [];
  const segments = [...(options.image?.segments ?? [0])];
  let head = emptyHead;
  let failure: SysError | null = null;
  let durable = 0;
  let segmentBytes = 0;
  const push = (text: string): number => {
    head = chainHash("entry", head, text);
    segmentBytes += text.length;
    return records.push({ seq: records.length, text, hash: head }) - 1;
  };
  for (const text of options.image?.texts ?? []) push(text);
  durable = records.length;
  const opened = durable;
  const failing = options.failWrite === undefined ? Number.POSITIVE_INFINITY : opened + options.failWrite;

  const write = (): Result<void, SysError> => {
    if (failure === null && records.length > failing) {
      durable = Math.max(durable, failing);
      failure = sysError(
        "ENOSPC",
        `the log's records from ${durable} on could not be written: the disk is full; free some space and start again`,
      );
    }
    return failure === null ? done : err(failure);
  };
  const settle = (): Result<void, SysError> => {
    const written = write();
    if (written.ok) durable = records.length;
    return written;
  };
  const resume = (): number => segments.findLast((first) => records[first]?.text.startsWith(checkpointStart)) ?? 0;
  return {
    name: "memory",
    state: { records: opened, head, tornBytes: options.image?.tornBytes ?? 0, damage: null },
    get next() {
      return records.length;
    },
    get head() {
      return head;
    },
    get failure() {
      return failure;
    },
    get resumeFrom() {
      return resume();
    },
    get rotateDue() {
      return segmentBytes >= (options.segmentBytesMax ?? Number.POSITIVE_INFINITY);
    },
    append(text) {
      if (failure !== null) return -1;
      assert(text.isWellFormed(), "a record's text has no lone surrogates");
      return push(text);
    },
    /** Here only the power ends a process, so that a crash keeps of it what it likes. */
    write,
    barrier(): Awaitable<Result<void, SysError>> {
      const settled = settle();
      return options.asynchronous === true ? Promise.resolve(settled) : settled;
    },
    *read(from) {
      const until = records.length;
      for (const record of records.slice(from, until)) yield ok(record);
    },
    rotate(checkpoint) {
      const ended = settle();
      if (!ended.ok) return ended;
      segments.push(records.length);
      segmentBytes = 0;
      const seq = push(checkpoint);
      const begun = settle();
      return begun.ok ? ok(seq) : begun;
    },
    crash(chance) {
      const written = Math.min(records.length, failing);
      const kept = durable + Math.floor(chance() * (written - durable + 1));
      const torn = records[kept];
      const tornBytes = torn === undefined ? 0 : Math.floor(chance() * Buffer.byteLength(torn.text));
      failure ??= sysError("EIO", "the machine lost power; open the log again with what is left");
      const texts = records.slice(0, kept).map((record) => record.text);
      return { texts, segments: segments.filter((first) => first === 0 || first < kept), tornBytes };
    },
    close() {
      settle();
      failure ??= sysError("EBUSY", "the log is closed; open it again to write");
    },
  };
}
