/**
 * Snapshot: the process table as text, for checkpoints and for the digest a replay must reproduce.
 *   KRN-2.1  restore(serialise(table)) equals the table.
 *   KRN-2.2  A process's digest covers its folded state but for wall-clock times and what it waits for or has reserved at the moment, so that
 *            an undisturbed and a resumed run agree.
 */
import type { SharedFile } from "../abi/files.ts";
import type { Page } from "../abi/page.ts";
import { assert } from "../lib/assert.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import type { FoldInput } from "./fold.ts";
import type { Proc, Table } from "./table.ts";

/** SHA-256 of a process's state. */
export function digestOf(proc: Proc): Digest {
  assert(proc.swapped === null, "a digest covers the whole process");
  const { tokens, costUsd, calls } = proc.spend;
  const tape = proc.tape === null ? null : [...proc.tape];
  return sha256(
    JSON.stringify([
      [
        proc.pid,
        proc.parent,
        proc.manifestDigest,
        proc.cpu,
        proc.session,
        proc.step,
        proc.refused,
        proc.pagesEvicted,
        proc.turnsEvicted,
      ],
      [proc.goal, proc.label, proc.windowTokens, proc.messages, proc.pages.map(pageRow), proc.pending, proc.result],
      [tokens, costUsd, calls, proc.children, tape],
      [proc.state, proc.limits, proc.weight, proc.windowTokensMax, proc.finished, proc.firstStep, proc.unpricedTokens],
    ]),
  );
}

/** A page's whole state as one short text: a window has hundreds, and this runs at every exit. */
function pageRow({ id, tokens, pin, resident, bornStep, blob, kind, label, source }: Page): string {
  return `${id} ${tokens} ${pin} ${resident} ${bornStep} ${blob} ${kind} ${label.integrity} ${label.confidentiality} ${source}`;
}

/** SHA-256 over all processes: a zombie by its exit digest and status, a live one by its state. */
export function tableDigest(table: Table): Digest {
  const rows = [...table.procs.values()].map((proc) => [proc.pid, proc.exitDigest ?? digestOf(proc), proc.exit]);
  return sha256(
    JSON.stringify([table.nextPid, rows, [...table.shared].map(([path, { blob, label, by }]) => [path, blob, label, by])]),
  );
}

type Kept = "nextPid" | "live" | "commits" | "unfinished" | "bootDigest" | "boots" | "at";

interface SavedTable extends Pick<Table, Kept> {
  readonly version: 1;
  readonly produced: readonly (readonly [Digest, number])[];
  readonly producedPaths: readonly (readonly [string, number])[];
  readonly shared: readonly (readonly [string, SharedFile])[];
  readonly procs: readonly (Omit<Proc, "manifest" | "tape"> & { readonly tape: readonly [string, unknown][] | null })[];
}

/** No process may be swapped out. */
export function serialise(table: Table): string {
  const { nextPid, live, commits, unfinished, bootDigest, boots, at } = table;
  const produced = [...table.produced];
  const producedPaths = [...table.producedPaths];
  const shared = [...table.shared];
  const procs = [...table.procs.values()].map((proc) => {
    const { manifest: _, ...rest } = proc;
    return { ...rest, tape: proc.tape === null ? null : [...proc.tape] };
  });
  return JSON.stringify({
    version: 1,
    nextPid,
    live,
    commits,
    unfinished,
    bootDigest,
    boots,
    at,
    produced,
    producedPaths,
    shared,
    procs,
  });
}

/** The text must come from serialise(); the caller has checked its digest. */
export function restore(text: string, input: Pick<FoldInput, "manifest">): Table {
  const saved = JSON.parse(text) as SavedTable;
  const procs = new Map<number, Proc>();
  for (const row of saved.procs) {
    const tape = row.tape === null ? null : new Map(row.tape as [string, never][]);
    procs.set(row.pid, { ...row, manifest: input.manifest(row.manifestDigest), tape });
  }
  const { nextPid, live, commits, unfinished, bootDigest, boots, at } = saved;
  const produced = new Map(saved.produced);
  const producedPaths = new Map(saved.producedPaths);
  const shared = new Map(saved.shared);
  return { procs, nextPid, live, commits, shared, unfinished, bootDigest, boots, at, produced, producedPaths };
}
