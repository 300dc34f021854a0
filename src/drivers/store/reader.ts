/**
 * Reader: the records of a log in order, across segments, each checked against the chain.
 *   STO-1.16  Reading yields every record before a damage, then one error that names segment, record and byte, then nothing.
 */
import type { SysError } from "../../abi/errno.ts";
import type { LogRecord } from "../../abi/store.ts";
import { ok, type Result } from "../../lib/result.ts";
import { RecordCursor } from "./cursor.ts";
import type { Bookmark } from "./recovery.ts";
import { checkpointStart, damaged, listSegments, openSegment, openSource, type SegmentFile } from "./segment.ts";

/** As readRecords, with the segments that are there now and the best of the bookmarks. */
export function* readLog(
  dir: string,
  bookmarks: readonly Bookmark[],
  from: number,
  until: number,
): Generator<Result<LogRecord, SysError>, void, void> {
  if (from >= until) return;
  const listed = listSegments(dir);
  if (!listed.ok) return yield listed;
  let near: Bookmark | null = null;
  for (const bookmark of bookmarks) if (bookmark.seq <= from && bookmark.seq >= (near?.seq ?? 0)) near = bookmark;
  yield* readRecords(dir, listed.value, near, from, until);
}

/** The first record of the newest segment that starts with a checkpoint, else 0. */
export function findResume(dir: string, segments: readonly SegmentFile[], records: number): number {
  for (const segment of segments.toReversed()) {
    if (segment.first >= records) continue;
    const first = readRecords(dir, segments, null, segment.first, segment.first + 1).next().value;
    if (first?.ok === true && first.value.text.startsWith(checkpointStart)) return segment.first;
  }
  return 0;
}

/** Records `from` ≤ seq < `until`. `near` is a bookmark at or before `from`, or null to start at the segment's head. */
export function* readRecords(
  dir: string,
  segments: readonly SegmentFile[],
  near: Bookmark | null,
  from: number,
  until: number,
): Generator<Result<LogRecord, SysError>, void, void> {
  const first = segments.findLast((segment) => segment.first <= from)?.first ?? 0;
  const bookmark = near?.first === first ? near : null;
  let seq = bookmark?.seq ?? first;
  let head = bookmark?.head ?? null;
  const path = segments.filter((segment) => segment.first >= first);
  for (const [index, segment] of path.entries()) {
    if (seq >= until) return;
    const resumed = index === 0 && bookmark !== null;
    const opened = resumed ? resume(dir, bookmark) : openSegment(dir, segment.first);
    if (!opened.ok) return yield opened;
    const { cursor } = opened.value;
    try {
      if (!resumed && segment.first !== seq)
        return yield damaged(segment.first, seq, 0, "records before this segment are missing");
      if (head !== null && cursor.head !== head) return yield damaged(segment.first, seq, 0, "it does not continue the chain");
      while (seq < until) {
        const step = cursor.next();
        if (step.found !== "record") {
          if (step.found === "end" && index + 1 < path.length) break;
          return yield damaged(segment.first, seq, step.offset, step.why);
        }
        if (step.kind === "note") continue;
        if (seq >= from) yield ok({ seq, text: step.text, hash: step.hash });
        seq++;
      }
      head = cursor.head;
    } finally {
      cursor.close();
    }
  }
}

export function resume(dir: string, near: Bookmark): Result<{ readonly cursor: RecordCursor }, SysError> {
  const source = openSource(dir, near.first);
  return source.ok ? ok({ cursor: new RecordCursor(source.value, near.offset, near.head) }) : source;
}
