/**
 * Feed: bring an index up to its log.
 *   STO-3.5  An index of another log, or of records that were cut, is cleared and fed from the first record on.
 */
import type { SysError } from "../../abi/errno.ts";
import { emptyHead, type IndexDriver, type LogDriver, type LogRecord } from "../../abi/store.ts";
import { ok, type Result } from "../../lib/result.ts";

/** Adds what the index lacks, so many records at a time; returns how many it holds then. The log must be durable. */
export function feedIndex(index: IndexDriver, log: LogDriver, batchRecords = 1_000): Result<number, SysError> {
  if (!isOf(index, log)) index.clear();
  let batch: LogRecord[] = [];
  for (const record of log.read(index.next)) {
    if (!record.ok) {
      index.add(batch);
      return record;
    }
    batch.push(record.value);
    if (batch.length < batchRecords) continue;
    index.add(batch);
    batch = [];
  }
  index.add(batch);
  return ok(index.next);
}

function isOf(index: IndexDriver, log: LogDriver): boolean {
  if (index.next === 0) return index.head === emptyHead;
  if (index.next > log.next) return false;
  for (const last of log.read(index.next - 1)) return last.ok && last.value.hash === index.head;
  return false;
}
