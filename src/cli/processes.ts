/**
 * Processes: the process table as rows, for ps and top.
 *   CLI-15.1  Children stand under their parent, in the order of their pids.
 *   CLI-15.5  On a terminal of 60 columns or more it is a table still: what tells least stays away.
 *   CLI-15.2  A process that has not ended is shown as it stands in the journal; without a kernel that is `unfinished`, not running.
 */
import type { ProcessSummary } from "../abi/process.ts";
import { summaryOf } from "../kernel/summary.ts";
import type { Table } from "../kernel/table.ts";
import { formatCount, formatDuration, formatUsd } from "./term/format.ts";
import type { Palette, Tone } from "./term/screen.ts";
import { table, type Cell, type Column } from "./term/table.ts";

export interface Row {
  readonly summary: ProcessSummary;
  readonly depth: number;
}

/** Parents before their children. */
export function rowsOf(table: Table, all: boolean): readonly Row[] {
  const shown = [...table.procs.values()].filter((proc) => all || proc.state !== "zombie");
  const pids = new Set(shown.map((proc) => proc.pid));
  const below = new Map<number, typeof shown>();
  for (const proc of shown) {
    const parent = pids.has(proc.parent) ? proc.parent : 0;
    below.set(parent, [...(below.get(parent) ?? []), proc]);
  }
  const walk = (parent: number, depth: number): readonly Row[] =>
    (below.get(parent) ?? []).flatMap((proc) => [{ summary: summaryOf(table, proc), depth }, ...walk(proc.pid, depth + 1)]);
  return walk(0, 0);
}

/** A column, from which width of the terminal on it is shown, and what stands in it. */
interface ProcessColumn extends Column {
  readonly from: number;
  cell(row: Row, running: boolean, now: number): Cell;
}

const columns: readonly ProcessColumn[] = [
  { title: "PID", align: "right", from: 0, cell: ({ summary }) => String(summary.pid) },
  { title: "PROGRAM", flexMin: 10, from: 0, cell: nameCell },
  { title: "STATE", from: 0, cell: ({ summary }, running) => stateCell(summary, running) },
  { title: "STEP", align: "right", from: 90, cell: ({ summary }) => String(summary.step) },
  { title: "WINDOW", align: "right", from: 70, cell: ({ summary }) => windowOf(summary) },
  { title: "OUT", align: "right", from: 100, cell: ({ summary }) => countOf(summary.pagesEvicted) },
  { title: "DENIED", align: "right", from: 80, cell: ({ summary }) => ({ text: countOf(summary.refused), tone: "warn" }) },
  { title: "TOKENS", align: "right", from: 60, cell: ({ summary }) => formatCount(summary.spend.tokens) },
  { title: "COST", align: "right", from: 0, cell: ({ summary }) => formatUsd(summary.spend.costUsd) },
  { title: "TIME", align: "right", from: 0, cell: timeCell },
  { title: "CPU", flexMin: 6, from: 110, cell: ({ summary }) => summary.cpu },
  { title: "NOTE", flexMin: 6, from: 0, cell: ({ summary }) => noteOf(summary) },
];

/** The processes as a table. On a narrow terminal the columns that tell least stay away; in a pipe (width null) all are there. */
export function processTable(
  rows: readonly Row[],
  running: boolean,
  now: number,
  width: number | null,
  colours: Palette,
): string {
  const shown = columns.filter((column) => width === null || width >= column.from);
  const cells = rows.map((row) => shown.map((column) => column.cell(row, running, now)));
  return table(cells, shown, width, colours);
}

function nameCell({ summary, depth }: Row): Cell {
  const own = depth > 0 ? (summary.name.split("/").at(-1) ?? summary.name) : summary.name;
  return `${"  ".repeat(depth)}${own}`;
}

function windowOf({ kind, windowTokens, windowTokensMax }: ProcessSummary): string {
  return kind === "body" ? "" : `${Math.round((100 * windowTokens) / Math.max(1, windowTokensMax))}%`;
}

function countOf(count: number): string {
  return count === 0 ? "" : String(count);
}

function timeCell({ summary }: Row, _running: boolean, now: number): Cell {
  return formatDuration(summary.endedAt === null ? now - summary.startedAt : summary.spend.timeMs);
}

export function stateOf(summary: ProcessSummary, running: boolean): string {
  if (summary.exit !== null) return summary.exit.ok ? "done" : "failed";
  if (summary.state === "ready") return running ? "running" : "unfinished";
  return summary.state;
}

function stateCell(summary: ProcessSummary, running: boolean): Cell {
  const text = stateOf(summary, running);
  const tone = tones[text];
  return tone === undefined ? text : { text, tone };
}

const tones: Readonly<Record<string, Tone>> = { running: "good", done: "dim", failed: "bad", parked: "warn", unfinished: "warn" };

function noteOf({ park, exit }: ProcessSummary): string {
  if (park !== null) return park.question;
  return exit === null || exit.ok ? "" : `${exit.error.errno} ${exit.error.message}`;
}
