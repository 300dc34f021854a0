/**
 * Recover: read the log and fold it, from the newest checkpoint on.
 *   KRN-10.1  A checkpoint whose blob is missing or does not match its digest is passed over, and the log is read from its start.
 *   KRN-10.2  A log that is damaged in the middle is not folded past the damage: opening fails with EUCLEAN.
 *   KRN-10.3  A power cut can keep a record and lose its payload, both written after the last barrier. Such a record and all behind it
 *             never counted: the next boot entry says so, and every later fold leaves them out.
 *   KRN-10.6  A payload missing from before an effect, a reply or a checkpoint that waited for the disk is damage too: it was durable once.
 *   KRN-10.5  An entry of a newer version is refused by its name.
 *   KRN-10.4  A payload missing from before a boot is damage, not a power cut: EUCLEAN.
 */
import { entryKinds, type CheckpointEntry, type Entry, type Intent, type StoredEntry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { BlobDriver, LogDriver } from "../abi/store.ts";
import type { Digest } from "../lib/hash.ts";
import { ok, type Result } from "../lib/result.ts";
import { decode, whole } from "./codec.ts";
import { apply, type FoldInput } from "./fold.ts";
import { foldInput, MissingBlob } from "./recorder.ts";
import { restore, tableDigest } from "./snapshot.ts";
import { emptyTable, type Table } from "./table.ts";

export interface Recovered {
  readonly table: Table;
  /** The seq from which the tail never counted; the boot entry must carry it. */
  readonly cut: number | null;
}

export function recoverTable(log: LogDriver, blobs: BlobDriver): Result<Recovered, SysError> {
  const input = foldInput(blobs);
  const from = log.resumeFrom;
  const checkpoint = (): Table | null => (from === 0 ? null : checkpointTable(log, blobs, input, from));
  if (checkpoint() === null) return foldLog({ log, from: 0, start: emptyTable, input });
  return foldLog({ log, from: from + 1, start: () => checkpoint() ?? emptyTable(), input });
}

export interface FoldLog {
  readonly log: LogDriver;
  readonly from: number;
  /** A fresh table, and a fresh observer with it: a fold can have to begin again. */
  start(): Table;
  readonly input: FoldInput;
  /** Sees each entry that counts before it is applied; false stops the fold there. */
  observe?(table: Table, entry: Entry, seq: number): boolean;
}

interface VoidRange {
  readonly from: number;
  readonly until: number;
}

/** Folds what counts. A boot that declares a tail void, met after that tail was folded, makes the fold begin again without it. */
export function foldLog(fold: FoldLog): Result<Recovered, SysError> {
  const voids: VoidRange[] = [];
  for (;;) {
    const pass = foldPass(fold, voids);
    if (!pass.ok || "table" in pass.value) return pass as Result<Recovered, SysError>;
    voids.push(pass.value);
  }
}

function foldPass(fold: FoldLog, voids: readonly VoidRange[]): Result<Recovered | VoidRange, SysError> {
  const table = fold.start();
  let lost: Lost | null = null;
  for (const record of fold.log.read(fold.from)) {
    if (!record.ok) return record;
    const { seq, text } = record.value;
    if (voids.some((range) => seq >= range.from && seq < range.until)) continue;
    const stored = decode(text);
    if (stored === null) return fail("EUCLEAN", `record ${seq} of the journal is not an entry; run "daimon fsck"`);
    if (!knownKinds.has(stored.kind)) return newer(seq, stored.kind);
    const entry = complete(stored, fold.input);
    if (entry?.kind === "boot" && entry.cut !== undefined && !voids.some((range) => range.until === seq)) {
      /** Content met again has the same digest: a payload that was missing then can be there now, and the void records before it fold. */
      if (lost === null || lost.at > entry.cut) return ok({ from: entry.cut, until: seq });
      if (lost.at === entry.cut) lost = null;
    }
    if (lost !== null) {
      if (stored.kind === "boot" || lost.behind.provenBy(stored)) return damaged(lost.at);
      continue;
    }
    if (entry !== null && fold.observe?.(table, entry, seq) === false) break;
    if (entry === null || !applied(table, entry, fold.input)) lost = { at: seq, behind: new Durable() };
  }
  return ok({ table, cut: lost?.at ?? null });
}

/** The first record whose payload is missing, and what the records behind it prove. */
interface Lost {
  readonly at: number;
  readonly behind: Durable;
}

/** What stands behind a missing payload, and shows that the disk had it: something that began only after a barrier. */
class Durable {
  readonly #begun = new Set<string>();

  provenBy(entry: StoredEntry): boolean {
    switch (entry.kind) {
      case "think":
        this.#begun.add(`think ${entry.pid}`);
        return false;
      case "turn": {
        const calls = entry.parts.filter((part) => part.type === "call");
        calls.forEach((_, n) => this.#begin(`${entry.pid}.${entry.step}.${n}`, entry.intents[n]));
        return this.#begun.has(`think ${entry.pid}`);
      }
      case "call":
        this.#begin(entry.id, entry.intent);
        return false;
      case "outcome":
        return this.#begun.has(entry.id);
      case "files":
        if (entry.phase === "intent") this.#begun.add(`files ${entry.pid}`);
        return entry.phase === "outcome" && this.#begun.has(`files ${entry.pid}`);
      default:
        return entry.kind === "checkpoint";
    }
  }

  #begin(id: string, intent: Intent | undefined): void {
    if (intent?.effect !== undefined) this.#begun.add(id);
  }
}

const knownKinds: ReadonlySet<string> = new Set(entryKinds);

function newer(seq: number, kind: string): Result<never, SysError> {
  return fail(
    "EUCLEAN",
    `record ${seq} of the journal is of a kind this version does not know (${String(kind)}); use the newer daimon that wrote it`,
  );
}

function damaged(seq: number): Result<never, SysError> {
  return fail(
    "EUCLEAN",
    `a payload of journal record ${seq} is missing or damaged; "daimon fsck" names it and what can be saved`,
  );
}

/** null when a payload is missing. */
function complete(stored: StoredEntry, input: FoldInput): Entry | null {
  try {
    return whole(stored, (blob) => input.value(blob));
  } catch (error) {
    if (error instanceof MissingBlob) return null;
    throw error;
  }
}

/** False when a payload is missing; the table is then as it was before the entry. */
function applied(table: Table, entry: Entry, input: FoldInput): boolean {
  if (!readLater(entry).every((blob) => input.has(blob))) return false;
  try {
    apply(table, entry, input);
    return true;
  } catch (error) {
    if (error instanceof MissingBlob) return false;
    throw error;
  }
}

/** Payloads that the fold only names: a body asks for its results when it runs again, a model for the pages that left. */
function readLater(entry: Entry): readonly Digest[] {
  if (entry.kind === "outcome") return entry.blob === undefined ? [] : [entry.blob];
  if (entry.kind === "share") return entry.file === null ? [] : [entry.file.blob];
  return entry.kind === "evict" ? [...entry.pages, ...(entry.turns ?? [])].map(({ blob }) => blob) : [];
}

function checkpointTable(log: LogDriver, blobs: BlobDriver, input: FoldInput, from: number): Table | null {
  for (const record of log.read(from)) {
    const entry = record.ok ? decode(record.value.text) : null;
    return entry?.kind === "checkpoint" ? loadCheckpoint(entry, blobs, input) : null;
  }
  return null;
}

export function loadCheckpoint(entry: CheckpointEntry, blobs: BlobDriver, input: Pick<FoldInput, "manifest">): Table | null {
  const saved = blobs.get(entry.blob);
  if (!saved.ok) return null;
  try {
    const table = restore(saved.value.toString("utf8"), input);
    return tableDigest(table) === entry.digest ? table : null;
  } catch (error) {
    if (error instanceof MissingBlob) return null;
    throw error;
  }
}
