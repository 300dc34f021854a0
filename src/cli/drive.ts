/**
 * Drive: go on with processes until each has ended or waits for a person, and show how it goes.
 *   CLI-7.1  Processes that wait hold up nobody else: it comes to an end only once nothing more can move.
 *   CLI-7.2  On a terminal the person is asked, one question at a time; without one the process stays parked, and how to answer it is told.
 *   CLI-7.3  An interrupt ends it at once, and leaves every process where it is.
 */
import type { Entry } from "../abi/entry.ts";
import type { ExitStatus, Pid } from "../abi/process.ts";
import type { Machine } from "../boot/boot.ts";
import { summaryOf } from "../kernel/summary.ts";
import type { Table } from "../kernel/table.ts";
import { answerAtKeyboard } from "./answer.ts";
import type { Interrupt } from "./interrupt.ts";
import { unless } from "./interrupt.ts";
import { isInteractive, type Io } from "./io.ts";
import { openKeyboard } from "./term/keyboard.ts";
import { many } from "./term/format.ts";
import { progress, type Progress, type ProgressLine } from "./term/progress.ts";
import { treeOf } from "./workspace.ts";

export interface Driven {
  /** How the roots ended, for those that have. */
  readonly ended: ReadonlyMap<Pid, ExitStatus>;
  /** Processes that wait for a person. */
  readonly parked: readonly Pid[];
}

/** `putOff` are processes whose question the person has seen and left open. */
export async function drive(
  machine: Machine,
  roots: readonly Pid[],
  interrupt: Interrupt,
  io: Io,
  putOff: readonly Pid[] = [],
): Promise<Driven> {
  const interactive = isInteractive(io);
  const later = new Set<Pid>(putOff);
  for (;;) {
    const shown = show(machine, roots, io);
    const settled = await unless(interrupt, rest(machine, roots, interactive ? later : null));
    shown.finish();
    if (settled === null || !interactive) break;
    const next = parkedIn(machine.kernel.recorder.table, roots).find((pid) => !later.has(pid));
    if (next === undefined) break;
    const keyboard = openKeyboard(io.input);
    const answer = await unless(interrupt, answerAtKeyboard(machine, next, keyboard, io));
    keyboard.close();
    // The question stands there unanswered: what follows begins on a line of its own.
    if (answer === null) io.err.write("\n");
    if (answer === null) break;
    if (answer === "later") later.add(next);
  }
  const { table } = machine.kernel.recorder;
  const ended = roots.flatMap((pid) => {
    const exit = table.procs.get(pid)?.exit;
    return exit === null || exit === undefined ? [] : [[pid, exit] as const];
  });
  return { ended: new Map(ended), parked: parkedIn(table, roots) };
}

/**
 * Resolves when every root has ended or nothing in its tree can move, or, while `later` is given, as soon as somebody waits
 * who is not put off.
 */
function rest(machine: Machine, roots: readonly Pid[], later: ReadonlySet<Pid> | null): Promise<true> {
  const { kernel } = machine;
  const { table } = kernel.recorder;
  return new Promise((resolve) => {
    const settled = (): boolean => {
      if (kernel.recorder.failure !== null || kernel.panicked !== null) return true;
      if (later !== null && parkedIn(table, roots).some((pid) => !later.has(pid))) return true;
      return roots.every((pid) => isAtRest(table, pid));
    };
    const finish = (): void => {
      stop();
      resolve(true);
    };
    let looking = false;
    // The fold is complete when listeners are told; looking a moment later lets a chain of entries pass first.
    const stop = kernel.on(() => {
      if (looking) return;
      looking = true;
      setImmediate(() => {
        looking = false;
        if (settled()) finish();
      });
    });
    // A log that fails writes no entry that would tell.
    for (const pid of roots) void Promise.resolve(kernel.wait(pid)).then(() => (settled() ? finish() : undefined));
    if (settled()) finish();
  });
}

function isAtRest(table: Table, root: Pid): boolean {
  return treeOf(table, root).every((proc) => {
    const { state } = summaryOf(table, proc);
    return (
      state === "zombie" || state === "parked" || (state === "waiting" && proc.children.some((pid) => hasParked(table, pid)))
    );
  });
}

function hasParked(table: Table, pid: Pid): boolean {
  return treeOf(table, pid).some((proc) => proc.state === "parked");
}

function parkedIn(table: Table, roots: readonly Pid[]): readonly Pid[] {
  return roots.flatMap((root) => treeOf(table, root).flatMap((proc) => (proc.state === "parked" ? [proc.pid] : [])));
}

/** Progress on standard error until finish(). */
function show(machine: Machine, roots: readonly Pid[], io: Io): Pick<Progress, "finish"> {
  if (io.quiet || (io.json && io.err.isTTY !== true)) return { finish: () => {} };
  const bar = progress({ screen: io.err, env: io.world.env, colours: io.errColours, clock: io.clock, host: io.host });
  const live = io.err.isTTY === true;
  const { table } = machine.kernel.recorder;
  let due = true;
  const update = (): void => {
    due = true;
    bar.update(roots.flatMap((root) => (live ? liveLines(table, root) : [plainLine(table, root)])));
  };
  const stop = machine.kernel.on((entry) => {
    if (!due || !tells(entry)) return;
    due = false;
    setImmediate(update);
  });
  update();
  return {
    finish: () => {
      stop();
      bar.finish();
    },
  };
}

function tells(entry: Entry): boolean {
  return (
    entry.kind === "spawn" || entry.kind === "turn" || entry.kind === "exit" || entry.kind === "evict" || entry.kind === "park"
  );
}

function liveLines(table: Table, root: Pid): readonly ProgressLine[] {
  const tree = treeOf(table, root);
  const [head] = tree;
  if (head === undefined) return [];
  const evicted = tree.reduce((sum, proc) => sum + proc.pagesEvicted, 0);
  const refused = tree.reduce((sum, proc) => sum + proc.refused, 0);
  const words = [
    `${head.manifest.name} (pid ${root})`,
    ...stageOf(table, root),
    ...(tree.length > 1 ? [many(tree.length - 1, "agent")] : []),
    ...(evicted > 0 ? [`${many(evicted, "page")} out`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
  ];
  const own: ProgressLine = { key: String(root), label: words.join(" · "), costUsd: head.spend.costUsd };
  const children = tree.slice(1).filter((proc) => proc.state !== "zombie");
  return [own, ...children.map((proc) => ({ key: String(proc.pid), label: agentLabel(table, proc.pid) }))];
}

function agentLabel(table: Table, pid: Pid): string {
  const proc = table.procs.get(pid);
  if (proc === undefined) return "";
  const share = Math.round((100 * proc.windowTokens) / Math.max(1, proc.windowTokensMax));
  const state = proc.state === "parked" ? "waits for you" : `step ${proc.step}`;
  const subject = subjectOf(proc.goal);
  return [`  ${proc.manifest.name}${subject === "" ? "" : ` ${subject}`}`, state, `window ${share} %`].join(" · ");
}

/** What an agent of a pass works on: the document or item in its goal. */
export function subjectOf(goal: unknown): string {
  const input = field(goal, "input");
  if (typeof input !== "object" || input === null) return "";
  for (const value of Object.values(input)) {
    const named = field(value, "path") ?? field(value, "heading");
    if (typeof named === "string") return named;
  }
  return "";
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** The pass of the newest agent, in the name the runner gives it: `brief/extract`. */
function stageOf(table: Table, root: Pid): readonly string[] {
  const proc = table.procs.get(root);
  const newest = proc === undefined ? undefined : table.procs.get(proc.children.at(-1) ?? 0);
  const pass = newest?.manifest.name.split("/").at(-1);
  return pass === undefined ? [] : [pass];
}

/** In a pipe: a line for each new pass, and how many agents have finished, once a second at most. */
function plainLine(table: Table, root: Pid): ProgressLine {
  const tree = treeOf(table, root);
  const [head] = tree;
  const name = `${head?.manifest.name ?? "process"} (pid ${root})`;
  const costUsd = head?.spend.costUsd ?? 0;
  if (tree.length === 1) return { key: String(root), label: name, costUsd };
  const done = tree.slice(1).filter((proc) => proc.state === "zombie").length;
  return {
    key: String(root),
    label: [name, ...stageOf(table, root)].join(" · "),
    done,
    what: done === 1 ? "agent done" : "agents done",
    costUsd,
  };
}
