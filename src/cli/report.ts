/**
 * Report: what a run delivered, paged, was refused and cost, with the digests that prove it and what to type next.
 *   CLI-12.1  Every number comes from the journal and the process table of this workspace, and every command named works as it stands.
 *   CLI-12.2  The exit code is 0 for a run that ended well, the errno's for one that failed, 75 while it waits for a person, 128 and the
 *             signal's number after an interrupt.
 *   CLI-12.3  A link that stands where an output should be is not followed: nothing of what it leads to is shown or measured.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { errnos } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { ExitStatus, Pid } from "../abi/process.ts";
import type { Machine } from "../boot/boot.ts";
import { summaryOf } from "../kernel/summary.ts";
import { readBytes } from "../boot/read.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { entryOf } from "./entries.ts";
import { lookupOf } from "./answer.ts";
import { subjectOf, type Driven } from "./drive.ts";
import { gapRows } from "./gaps.ts";
import { hanging, printField } from "./field.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { argsLine, forPerson, refusalsBy, type Refusal } from "./refusals.ts";
import { formatBytes, formatCount, formatDuration, formatUsd, many } from "./term/format.ts";
import { neutralise, neutraliseLine } from "./term/neutralise.ts";
import { columnsOf } from "./term/screen.ts";
import { wrap } from "./term/width.ts";
import { answerHint, waitingOf, type Waiting } from "./waiting.ts";
import { treeOf } from "./workspace.ts";

export interface Report {
  readonly pid: Pid;
  readonly program: string;
  readonly cpu: string;
  readonly resumed: boolean;
  /** Null while it has not ended. */
  readonly status: ExitStatus | null;
  /** What stands in the workspace because of it; `changed` is false for an output that stood there already as it is now. */
  readonly delivered: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly digest: Digest | null;
    readonly changed: boolean;
  }[];
  readonly paged: { readonly pages: number; readonly tokens: number; readonly processes: number };
  readonly refused: readonly (Refusal & { readonly process: string; readonly about: string })[];
  readonly waiting: readonly Waiting[];
  readonly cost: { readonly usd: number; readonly tokens: number; readonly calls: number; readonly timeMs: number };
  readonly processes: number;
  readonly journal: { readonly entries: number; readonly head: Digest };
  readonly boot: { readonly digest: Digest };
  readonly next: readonly string[];
  /** The folder of the workspace; not printed. */
  readonly root: string;
}

export interface ReportOptions {
  readonly resumed: boolean;
}

/** While the machine is still up. */
export function reportOf(machine: Machine, pid: Pid, driven: Driven, { resumed }: ReportOptions): Report {
  const { kernel, log, layout } = machine;
  const { table } = kernel.recorder;
  const lookup = lookupOf(machine);
  const tree = treeOf(table, pid);
  const [head] = tree;
  const told = readJournal(machine, new Set(tree.map((proc) => proc.pid)));
  for (const proc of tree) kernel.recorder.swapIn(proc);
  const waiting = tree.flatMap((proc) => waitingOf(proc, lookup) ?? []);
  const spend = head === undefined ? { costUsd: 0, tokens: 0, calls: 0, timeMs: 0 } : summaryOf(table, head).spend;
  const named = told.refused.map((refusal) => {
    const proc = table.procs.get(refusal.pid);
    return { ...refusal, process: proc?.manifest.name ?? "", about: told.subjects.get(refusal.pid) ?? "" };
  });
  const status = driven.ended.get(pid) ?? null;
  return {
    pid,
    program: head?.manifest.name ?? "",
    cpu: head?.cpu ?? "",
    resumed,
    status,
    delivered: deliveredBy(told, status?.ok === true ? (head?.manifest.outputs ?? []) : [], layout.root),
    paged: { pages: told.pages, tokens: told.tokens, processes: told.evictors },
    refused: named,
    waiting,
    cost: { usd: spend.costUsd, tokens: spend.tokens, calls: spend.calls, timeMs: spend.timeMs },
    processes: tree.length,
    journal: { entries: log.next, head: log.head },
    boot: { digest: machine.digest },
    next: nextOf(pid, status, named, waiting, told.delivered.length > 0),
    root: layout.root,
  };
}

function deliveredBy(told: Told, outputs: readonly string[], root: string): Report["delivered"] {
  const changed = told.delivered.map(({ path, digest }) => ({ path, digest, bytes: sizeOf(join(root, path)), changed: true }));
  const same = outputs.flatMap((path) => {
    if (told.delivered.some((one) => one.path === path)) return [];
    const read = readBytes(join(root, path), limits.fileBytesMax);
    if (!read.ok || read.value.length === 0) return [];
    return [{ path, digest: sha256(read.value), bytes: read.value.length, changed: false }];
  });
  return [...changed, ...same];
}

interface Told {
  readonly refused: readonly Refusal[];
  readonly delivered: readonly { readonly path: string; readonly digest: Digest | null }[];
  readonly pages: number;
  readonly tokens: number;
  readonly evictors: number;
  /** What each process worked on. */
  readonly subjects: ReadonlyMap<Pid, string>;
}

/** One walk over the journal for what the folded table does not keep. */
function readJournal(machine: Machine, pids: ReadonlySet<Pid>): Told {
  const lookup = lookupOf(machine);
  const refused: Refusal[] = [];
  const delivered = new Map<string, Digest | null>();
  const sizes = new Map<string, number>();
  const evictors = new Set<Pid>();
  const subjects = new Map<Pid, string>();
  let pages = 0;
  let tokens = 0;
  for (const record of machine.log.read(0)) {
    if (!record.ok) break;
    const entry = entryOf(record.value.text, machine.blobs);
    if (!("pid" in entry) || !pids.has(entry.pid)) continue;
    refused.push(...refusalsBy(entry, lookup));
    if (entry.kind === "spawn" || entry.kind === "exec") subjects.set(entry.pid, subjectOf(entry.goal));
    if (entry.kind === "outcome") sizes.set(entry.id, entry.tokens);
    if (entry.kind === "files" && entry.phase === "outcome") {
      /** A folder has no content on either side; what is in it is what was delivered. */
      const files = entry.changes.filter(({ from, to }) => from !== null || to !== null);
      for (const { path, to } of files) if (entry.act === "commit") delivered.set(path, to);
      if (entry.act === "rollback") for (const { path } of entry.changes) delivered.delete(path);
    }
    if (entry.kind !== "evict") continue;
    evictors.add(entry.pid);
    pages += entry.pages.length;
    for (const page of entry.pages) tokens += Math.max(0, (sizes.get(page.id) ?? 0) - page.stubTokens);
  }
  const files = [...delivered].map(([path, digest]) => ({ path, digest }));
  return { refused, delivered: files, pages, tokens, evictors: evictors.size, subjects };
}

function nextOf(
  pid: Pid,
  status: ExitStatus | null,
  refused: readonly Refusal[],
  waiting: readonly Waiting[],
  delivered: boolean,
): readonly string[] {
  const [first] = refused;
  if (status === null) {
    return [
      ...waiting.slice(0, 3).map((one) => `daimon approve ${one.id}`),
      `daimon run --resume ${pid}`,
      `daimon ps`,
      `daimon log ${pid}`,
    ];
  }
  return [
    ...(first === undefined ? [] : [`daimon why ${first.call}`]),
    `daimon log ${pid}`,
    `daimon replay ${pid}`,
    ...(delivered ? [`daimon rollback ${pid}`] : [`daimon diff ${pid}`]),
    "daimon ps --all",
  ];
}

/** Prints the report; returns the exit code. `interrupted` is the code of the signal that came. */
export function printReport(report: Report, interrupted: number | null, io: Io): number {
  const code = exitOf(report, interrupted);
  if (io.json) {
    const { root: _, ...shown } = report;
    printJson(io, { ...shown, exit: code });
    return code;
  }
  printHead(report, interrupted, io);
  const { paged, refused, cost } = report;
  const rows: (readonly [string, string])[] = [
    ...report.delivered.map(
      ({ path, bytes, changed }) =>
        ["delivered", `${neutraliseLine(path)} (${formatBytes(bytes)}${changed ? "" : ", unchanged"})`] as const,
    ),
    ...gapRows(report.status),
    [
      "paged",
      paged.pages === 0
        ? "nothing: it all fitted the windows"
        : `${many(paged.pages, "page")}, ${formatCount(paged.tokens)} tokens, out of ${many(paged.processes, "window")}`,
    ],
    ["refused", refused.length === 0 ? "nothing" : many(refused.length, "call")],
  ];
  printRows(rows, io);
  for (const refusal of refused.slice(0, refusedMax)) printRefusal(refusal, io);
  if (refused.length > refusedMax) print(io, `            and ${refused.length - refusedMax} more: daimon why ${report.pid}`);
  printRows(
    [
      [
        "cost",
        `${formatUsd(cost.usd)} · ${formatCount(cost.tokens)} tokens · ${many(cost.calls, "call")} · ${many(report.processes, "process", "processes")} · ${formatDuration(cost.timeMs)} · on ${report.cpu}`,
      ],
      ["journal", `${report.journal.entries} entries, head ${report.journal.head}`],
      ["boot", report.boot.digest],
    ],
    io,
  );
  if (io.quiet) return code;
  print(io, "\nnext:");
  for (const command of report.next) io.out.write(`  ${io.colours.paint("name", neutraliseLine(command))}\n`);
  return code;
}

const refusedMax = 8;
const headLinesMax = 18;

function printHead(report: Report, interrupted: number | null, io: Io): void {
  const { status, program, pid } = report;
  const who = `${program} (pid ${pid})`;
  if (status?.ok === true) {
    const file = report.delivered.find(({ path }) => /\.(?:md|txt)$/.test(path));
    if (file !== undefined && !io.quiet) printExcerpt(join(report.root, file.path), file.path, io);
    else if (report.delivered.length === 0) print(io, JSON.stringify(status.value, null, 2));
    return print(io, `${who} is done${report.resumed ? ", going on where it stood" : ""}`);
  }
  if (status !== null) {
    const { errno, message } = status.error;
    print(io, `${who} failed`);
    return printRows([["error", `${errno} ${message}`]], io);
  }
  if (interrupted !== null)
    return print(io, `${who} was interrupted; nothing is lost, and it goes on with: daimon run --resume ${pid}`);
  print(io, `${who} waits for a person`);
  for (const one of report.waiting) {
    printRows(
      [
        ["waits", `process ${one.pid}: ${one.question}`],
        ...(one.call === null || one.type === "question"
          ? []
          : [["call", `${one.call.name} ${argsLine(one.call.args)} · risk ${one.risk}`] as const]),
        ["answer", answerHint(one)],
      ],
      io,
    );
  }
}

function printExcerpt(file: string, name: string, io: Io): void {
  // Whatever stands there now: a link is not followed to show what it leads to.
  const read = readBytes(file, limits.fileBytesMax);
  if (!read.ok) return;
  const lines = read.value.toString("utf8").trimEnd().split("\n");
  io.out.write(`${io.colours.paint("dim", `── ${neutraliseLine(name)} ──`)}\n`);
  const width = columnsOf(io.out);
  // On a terminal a link's target is in the way: its text names the line already.
  const rows = width === null ? lines : lines.map((line) => line.replaceAll(/\]\([^()\s]*\)/g, "]"));
  for (const line of rows.slice(0, headLinesMax)) {
    const safe = neutralise(line);
    for (const row of width === null ? [safe] : wrap(safe, width)) io.out.write(`${row}\n`);
  }
  const more = lines.length - headLinesMax;
  io.out.write(`${io.colours.paint("dim", more > 0 ? `── and ${many(more, "more line")} ──` : "──")}\n\n`);
}

function printRefusal(refusal: Report["refused"][number], io: Io): void {
  const about = refusal.about === "" ? "" : ` reading ${refusal.about}`;
  printField(io, "", neutraliseLine(`${refusal.call}  ${refusal.name} ${argsLine(refusal.args)}`));
  const why = `${refusal.process}${about} · ${refusal.stage} · ${refusal.error.errno}: ${forPerson(refusal.error)}`;
  const rules = refusal.rules
    .slice(0, 2)
    .map(({ file, line, reason }) => `rule ${file}:${line}${reason === null ? "" : ` ${reason}`}`);
  for (const text of [why, ...rules]) io.out.write(`${" ".repeat(14)}${hanging(io, neutraliseLine(text), 14)}\n`);
}

function printRows(rows: readonly (readonly [string, string])[], io: Io): void {
  for (const [name, text] of rows) printField(io, name, text);
}

export function exitOf(report: Pick<Report, "status">, interrupted: number | null): number {
  if (report.status?.ok === true) return 0;
  if (report.status !== null) return errnos[report.status.error.errno].exit;
  return interrupted ?? errnos.EAGAIN.exit;
}

function sizeOf(file: string): number {
  return lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** A line for each other process that was gone on with. */
export function noteOthers(driven: Driven, main: Pid, io: Io): void {
  for (const [pid, status] of driven.ended) {
    if (pid !== main) note(io, `process ${pid}, unfinished before, ${status.ok ? "is done" : `failed: ${status.error.message}`}`);
  }
}
