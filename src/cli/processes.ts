/**
 * Processes: the process table as rows, for ps and top.
 *   CLI-15.1  Children stand under their parent, in the order of their pids.
 *   CLI-15.2  A process that has not ended is shown as it stands in the journal; without a kernel that is `unfinished`, not running.
 */
import type { ProcessSummary } from "../abi/process.ts";
import { summaryOf } from "../kernel/summary.ts";
import type { Table } from "../kernel/table.ts";
import { formatCount, formatDuration, formatUsd } from "./term/format.ts";
import type { Tone } from "./term/screen.ts";
import type { Cell, Column } from "./term/table.ts";

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

export const columns: readonly Column[] = [
  { title: "PID", align: "right" },
  { title: "PROGRAM", flexMin: 10 },
  { title: "STATE" },
  { title: "STEP", align: "right" },
  { title: "WINDOW", align: "right" },
  { title: "OUT", align: "right" },
  { title: "DENIED", align: "right" },
  { title: "TOKENS", align: "right" },
  { title: "COST", align: "right" },
  { title: "TIME", align: "right" },
  { title: "CPU", flexMin: 6 },
  { title: "NOTE", flexMin: 8 },
];

export function cellsOf({ summary, depth }: Row, running: boolean, now: number): readonly Cell[] {
  const { pid, name, step, windowTokens, windowTokensMax, pagesEvicted, refused, spend, cpu } = summary;
  const time = summary.endedAt === null ? now - summary.startedAt : spend.timeMs;
  const own = depth > 0 ? (name.split("/").at(-1) ?? name) : name;
  const window = summary.kind === "body" ? "" : `${Math.round((100 * windowTokens) / Math.max(1, windowTokensMax))}%`;
  return [
    String(pid),
    `${"  ".repeat(depth)}${own}`,
    stateCell(summary, running),
    String(step),
    window,
    pagesEvicted === 0 ? "" : String(pagesEvicted),
    refused === 0 ? "" : { text: String(refused), tone: "warn" },
    formatCount(spend.tokens),
    formatUsd(spend.costUsd),
    formatDuration(time),
    cpu,
    noteOf(summary),
  ];
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
