/**
 * Segment writer: the growing end of the log. Records are encoded and chained at once, written in batches, durable at a barrier.
 *   STO-1.11  Barriers that wait together share one write and one fdatasync.
 *   STO-1.12  A barrier with nobody else waiting is done at once, without a promise; one with nothing to do costs nothing.
 *   STO-1.13  Once a write or sync has failed nothing is taken and every barrier is that error, for ever: what reached the disk is unknown.
 *   STO-1.14  A record nobody waits for is written within milliseconds, or at once where it is asked for, and what waits in memory is bounded.
 *   STO-1.15  At most 256 records stand under one signature, and the last of them is signed within milliseconds.
 */
import { closeSync, fdatasync, fdatasyncSync } from "node:fs";
import { join } from "node:path";
import { storeLimits } from "../../abi/store.ts";
import type { SysError } from "../../abi/errno.ts";
import type { Digest } from "../../lib/hash.ts";
import { assert } from "../../lib/assert.ts";
import { done, err, type Awaitable, type Err, type Result } from "../../lib/result.ts";
import { createFile, fsError, syncFolder, writeAll } from "./disk.ts";
import { RecordQueue } from "./queue.ts";
import type { Bookmark } from "./recovery.ts";
import { chainHash, textBytesMax } from "./record.ts";
import { encodeSegmentHead, segmentName } from "./segment.ts";
import { signatureNote, type Sign } from "./signature.ts";

export interface WriterStart {
  readonly dir: string;
  readonly fd: number;
  /** Where the next record goes. */
  readonly end: Bookmark;
  readonly unsigned: number;
  readonly now: () => number;
  readonly sign: Sign | null;
  /** Called with every segment's start and at regular distances within it. */
  readonly mark: (bookmark: Bookmark) => void;
}

interface Waiters {
  readonly promise: Promise<Result<void, SysError>>;
  readonly resolve: (result: Result<void, SysError>) => void;
  /** Records that the sync under way makes durable. */
  covers: number;
  /** How many asked. */
  count: number;
}

/** Fewer than this at a sync are gathered for a moment before the next. */
const gatherBelow = 32;
const gatherMs = 1;

export class SegmentWriter {
  readonly #start: WriterStart;
  readonly #queue = new RecordQueue();
  #fd: number;
  #first: number;
  #next: number;
  #head: Digest;
  #unsigned: number;
  /** File offsets: what is written, and what of it is known to be durable. */
  #written: number;
  #durable: number;
  /** Records that are durable. */
  #durableRecords: number;
  #waiting: Waiters | null = null;
  #syncing: Waiters | null = null;
  /** How many the last sync served. */
  #served = 0;
  /** The file that the sync under way needs is closed when it ends. */
  #retired: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failure: SysError | null = null;
  #closed = false;

  constructor(start: WriterStart) {
    this.#start = start;
    this.#fd = start.fd;
    this.#first = start.end.first;
    this.#next = start.end.seq;
    this.#head = start.end.head;
    this.#unsigned = start.unsigned;
    this.#written = start.end.offset;
    this.#durable = start.end.offset;
    this.#durableRecords = start.end.seq;
  }

  get next(): number {
    return this.#next;
  }

  get head(): Digest {
    return this.#head;
  }

  get failure(): SysError | null {
    return this.#failure;
  }

  /** Size of the current segment with what waits for it. */
  get segmentBytes(): number {
    return this.#written + this.#queue.bytes;
  }

  append(text: string): number {
    if (this.#failure !== null) return -1;
    assert(text.length * 3 <= textBytesMax || Buffer.byteLength(text) <= textBytesMax, "a record is smaller than recordBytesMax");
    assert(text.isWellFormed(), "a record's text has no lone surrogates");
    this.#head = chainHash("entry", this.#head, text);
    this.#queue.push("entry", text, this.#head);
    const seq = this.#next++;
    this.#unsigned++;
    if (this.#next % storeLimits.bookmarkRecords === 0) this.#mark();
    if (this.#unsigned >= storeLimits.signRecordsMax) this.#sign();
    if (this.#queue.bytes >= storeLimits.queueBytesMax) this.drain();
    if (this.#timer === null) this.#timer = setTimeout(this.#later, storeLimits.writeDelayMs);
    return seq;
  }

  barrier(alone: boolean): Awaitable<Result<void, SysError>> {
    if (this.#failure !== null) return err(this.#failure);
    if (this.#durableRecords === this.#next) return done;
    if (this.#syncing !== null && this.#syncing.covers === this.#next) return this.#syncing.promise;
    if (alone && this.#syncing === null && this.#waiting === null) return this.syncNow();
    if (this.#waiting === null) {
      this.#waiting = makeWaiters();
      if (this.#syncing === null) this.#soon();
    }
    this.#waiting.count += 1;
    return this.#waiting.promise;
  }

  /** Hand what waits to the operating system. */
  drain(): void {
    if (this.#failure !== null || this.#queue.bytes === 0) return;
    const batch = this.#queue.take(this.#durable === this.#written);
    try {
      writeAll(this.#fd, batch, batch.length, this.#written);
    } catch (thrown) {
      this.#fail(thrown, "could not be written");
      return;
    }
    this.#written += batch.length;
    this.#queue.clear();
  }

  write(): Result<void, SysError> {
    this.drain();
    return this.#failure === null ? done : err(this.#failure);
  }

  syncNow(): Result<void, SysError> {
    const written = this.write();
    if (!written.ok) return written;
    try {
      fdatasyncSync(this.#fd);
    } catch (thrown) {
      return this.#fail(thrown, "could not be made durable");
    }
    this.#settled(this.#written, this.#next);
    return done;
  }

  /** End this segment and start the next with its first record, all durable before the answer. */
  rotate(checkpoint: string): Result<void, SysError> {
    if (this.#next === this.#first) {
      this.append(checkpoint);
      return this.syncNow();
    }
    this.#sign();
    const ended = this.syncNow();
    if (!ended.ok) return ended;
    const header = encodeSegmentHead({ first: this.#next, previous: this.#head, createdAt: this.#start.now() }, this.#start.sign);
    try {
      const fd = createFile(join(this.#start.dir, segmentName(this.#next)));
      if (this.#syncing === null) closeSync(this.#fd);
      else this.#retired = this.#fd;
      this.#fd = fd;
      this.#first = this.#next;
      writeAll(fd, header, header.length, 0);
    } catch (thrown) {
      return this.#fail(thrown, "could not be written, a segment could not be begun");
    }
    this.#written = header.length;
    this.#durable = 0;
    this.#mark();
    this.append(checkpoint);
    const begun = this.syncNow();
    if (!begun.ok) return begun;
    try {
      syncFolder(this.#start.dir);
      return done;
    } catch (thrown) {
      return this.#fail(thrown, "could not be made durable");
    }
  }

  /** Sign, sync, and leave the word that the log ended in good order. */
  close(): Awaitable<void> {
    if (this.#closed) return;
    const busy = this.#waiting ?? this.#syncing;
    return busy === null ? this.#end() : busy.promise.then(() => this.close());
  }

  #end(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#sign();
    if (this.#failure === null && this.syncNow().ok) {
      const text = JSON.stringify({ note: "close", records: this.#next });
      this.#queue.push("note", text, chainHash("note", this.#head, text));
      this.syncNow();
    }
    this.#failure ??= { errno: "EBUSY", message: "the log is closed; open it again to write" };
    closeSync(this.#fd);
  }

  readonly #later = (): void => {
    this.#timer = null;
    this.#sign();
    this.drain();
  };

  readonly #cycle = (): void => {
    const waiters = this.#waiting;
    if (waiters === null) return;
    this.#waiting = null;
    this.drain();
    if (this.#failure !== null) return waiters.resolve(err(this.#failure));
    waiters.covers = this.#next;
    this.#served = waiters.count;
    this.#syncing = waiters;
    const fd = this.#fd;
    const written = this.#written;
    fdatasync(fd, (thrown) => this.#cycled(waiters, fd, written, thrown));
  };

  /**
   * At once for one who waits alone and for many who come together. A few at a time, as from a busy network, are gathered for a moment:
   * each sync costs more than it takes to carry ten more.
   */
  #soon(): void {
    if (this.#served > 1 && this.#served < gatherBelow) setTimeout(this.#cycle, gatherMs);
    else setImmediate(this.#cycle);
  }

  #cycled(waiters: Waiters, fd: number, written: number, thrown: Error | null): void {
    this.#syncing = null;
    if (this.#retired !== null) {
      closeSync(this.#retired);
      this.#retired = null;
    }
    if (thrown !== null) this.#fail(thrown, "could not be made durable");
    else if (fd === this.#fd) this.#settled(written, waiters.covers);
    waiters.resolve(this.#failure === null ? done : err(this.#failure));
    if (this.#waiting !== null) this.#soon();
  }

  #settled(written: number, records: number): void {
    this.#durable = Math.max(this.#durable, written);
    this.#durableRecords = Math.max(this.#durableRecords, records);
  }

  #sign(): void {
    if (this.#start.sign === null || this.#unsigned === 0 || this.#failure !== null) return;
    const text = signatureNote(this.#start.sign, this.#next, this.#head);
    this.#queue.push("note", text, chainHash("note", this.#head, text));
    this.#unsigned = 0;
  }

  #mark(): void {
    this.#start.mark({ seq: this.#next, first: this.#first, offset: this.segmentBytes, head: this.#head });
  }

  #fail(thrown: unknown, what: string): Err<SysError> {
    this.#failure ??= fsError(thrown, `the log's records from ${this.#durableRecords} on ${what}`);
    return err(this.#failure);
  }
}

function makeWaiters(): Waiters {
  const { promise, resolve } = Promise.withResolvers<Result<void, SysError>>();
  return { promise, resolve, covers: 0, count: 0 };
}
