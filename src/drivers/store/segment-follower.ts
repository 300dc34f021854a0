/**
 * Segment follower: a reader's place at the end of a log that another process writes.
 *   STO-1.19  A reader sees new records by looking only at what was added, across segments, and changes nothing.
 */
import type { SysError } from "../../abi/errno.ts";
import { emptyHead, storeLimits } from "../../abi/store.ts";
import { ok, type Result } from "../../lib/result.ts";
import type { RecordCursor } from "./cursor.ts";
import { resume } from "./reader.ts";
import type { Bookmark, Tail } from "./recovery.ts";
import { checkpointStart, damaged, hasSegment, openSegment } from "./segment.ts";

export class SegmentFollower {
  readonly #dir: string;
  readonly #bookmarks: Bookmark[];
  #end: Bookmark;
  /** The end before the last refresh: where its caller reads on. */
  #previous: Bookmark;
  #resumeFrom: number;
  #damage: SysError | null;
  #cursor: RecordCursor | null = null;

  constructor(dir: string, tail: Tail | null, resumeFrom: number) {
    this.#dir = dir;
    this.#bookmarks = [...(tail?.bookmarks ?? [])];
    this.#end = tail?.end ?? { seq: 0, first: 0, offset: 0, head: emptyHead };
    this.#previous = this.#end;
    this.#resumeFrom = resumeFrom;
    this.#damage = tail?.damage ?? null;
  }

  get end(): Bookmark {
    return this.#end;
  }

  get resumeFrom(): number {
    return this.#resumeFrom;
  }

  get bookmarks(): readonly Bookmark[] {
    return this.#previous.offset > 0 ? [...this.#bookmarks, this.#previous] : this.#bookmarks;
  }

  /** How far to read: a sealed log is read on into its damage, so that the reader learns of it. */
  get until(): number {
    return this.#damage === null ? this.#end.seq : Number.POSITIVE_INFINITY;
  }

  refresh(): Result<number, SysError> {
    this.#previous = this.#end;
    while (this.#damage === null) {
      const opened = this.#open();
      if (!opened.ok) return opened;
      if (opened.value === null) return ok(this.#end.seq);
      this.#walk(opened.value);
      const ended = this.#end.seq > this.#end.first && hasSegment(this.#dir, this.#end.seq);
      if (this.#damage === null && !ended) return ok(this.#end.seq);
      this.close();
      if (ended) this.#end = { seq: this.#end.seq, first: this.#end.seq, offset: 0, head: this.#end.head };
    }
    return { ok: false, error: this.#damage };
  }

  close(): void {
    this.#cursor?.close();
    this.#cursor = null;
  }

  /** Null while the segment, or its header, is not there yet. */
  #open(): Result<RecordCursor | null, SysError> {
    if (this.#cursor !== null) return ok(this.#cursor);
    const fresh = this.#end.offset === 0;
    const opened = fresh ? openSegment(this.#dir, this.#end.first) : resume(this.#dir, this.#end);
    if (opened.ok) this.#cursor = opened.value.cursor;
    else if (!fresh || (opened.error.errno !== "EUCLEAN" && opened.error.errno !== "ENOENT")) return opened;
    return ok(this.#cursor);
  }

  #walk(cursor: RecordCursor): void {
    const { first } = this.#end;
    let { seq } = this.#end;
    if (cursor.head !== this.#end.head) return this.#seal(seq, 0, "it does not continue the chain");
    for (;;) {
      const step = cursor.next();
      if (step.found === "bad") return this.#seal(seq, step.offset, step.why);
      if (step.found !== "record") break;
      if (step.kind === "note") continue;
      if (seq === first && step.text.startsWith(checkpointStart)) this.#resumeFrom = seq;
      seq++;
      this.#end = { seq, first, offset: cursor.offset, head: cursor.head };
      if (seq % storeLimits.bookmarkRecords === 0) this.#bookmarks.push(this.#end);
    }
  }

  #seal(seq: number, offset: number, why: string): void {
    this.#damage = damaged(this.#end.first, seq, offset, why).error;
  }
}
