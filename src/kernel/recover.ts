/**
 * Recover: read the log and fold it, from the newest checkpoint on.
 *   KRN-10.1  A checkpoint whose blob is missing or does not match its digest is passed over, and the log is read from its start.
 *   KRN-10.2  A log that is damaged in the middle is not folded past the damage: opening fails with EUCLEAN.
 */
import type { CheckpointEntry, Entry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { BlobDriver, LogDriver } from "../abi/store.ts";
import { ok, type Result } from "../lib/result.ts";
import { apply, type FoldInput } from "./fold.ts";
import { foldInput } from "./recorder.ts";
import { restore, tableDigest } from "./snapshot.ts";
import { emptyTable, type Table } from "./table.ts";

export function recoverTable(log: LogDriver, blobs: BlobDriver): Result<Table, SysError> {
  const input = foldInput(blobs);
  const from = log.resumeFrom;
  const start = from === 0 ? null : checkpointTable(log, blobs, input, from);
  return start === null ? foldFrom(log, emptyTable(), 0, input) : foldFrom(log, start, from + 1, input);
}

function foldFrom(log: LogDriver, table: Table, from: number, input: FoldInput): Result<Table, SysError> {
  for (const record of log.read(from)) {
    if (!record.ok) return record;
    const entry = parseEntry(record.value.text);
    if (entry === null) {
      return fail("EUCLEAN", `record ${record.value.seq} of the journal is not an entry; run "daimon fsck"`);
    }
    apply(table, entry, input);
  }
  return ok(table);
}

export function parseEntry(text: string): Entry | null {
  try {
    /** The chain has shown that these are the bytes this kernel wrote. */
    return JSON.parse(text) as Entry;
  } catch {
    return null;
  }
}

function checkpointTable(log: LogDriver, blobs: BlobDriver, input: FoldInput, from: number): Table | null {
  for (const record of log.read(from)) {
    const entry = record.ok ? parseEntry(record.value.text) : null;
    if (entry?.kind !== "checkpoint") return null;
    return loadCheckpoint(entry, blobs, input);
  }
  return null;
}

export function loadCheckpoint(entry: CheckpointEntry, blobs: BlobDriver, input: Pick<FoldInput, "manifest">): Table | null {
  const saved = blobs.get(entry.blob);
  if (!saved.ok) return null;
  const table = restore(saved.value.toString("utf8"), input);
  return tableDigest(table) === entry.digest ? table : null;
}
