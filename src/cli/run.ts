/**
 * daimon run: a program on this workspace, from its first word to what it delivered.
 * The workspace is found from the working folder (BOO-2.1); what the program reads lies inside it.
 *   CLI-13.1  The program, its inputs and the options are checked before anything is written.
 *   CLI-13.2  The same program with the same inputs goes on where an unfinished run of it stands; nothing is done twice.
 *   CLI-13.3  Processes that an earlier kernel left unfinished go on too, and it is told.
 *   CLI-13.4  Options only tighten: the lower of the program's, the configuration's and the option's limit is in force.
 *   CLI-13.5  --resume starts nothing new, and refuses what only a new run can take.
 *   CLI-13.6  Where an unfinished run is gone on with, each option that changes nothing on it is named.
 */
import type { Limits } from "../abi/budget.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Manifest, Pid } from "../abi/process.ts";
import type { Machine } from "../boot/boot.ts";
import type { FoundProgram } from "../boot/programs.ts";
import { canonical, type JsonObject } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { tighten } from "../scheduler/budget.ts";
import type { runOptions } from "./commands.ts";
import { drive } from "./drive.ts";
import { interrupts, type Interrupt } from "./interrupt.ts";
import { note, print, printFinding, printJson, type Io } from "./io.ts";
import { findProgram, inputsOf } from "./program.ts";
import { exitOf, noteOthers, printReport, reportOf, type Report } from "./report.ts";
import type { Input } from "./term/args.ts";
import { layoutHere, parsePid, procOf, withMachine } from "./workspace.ts";

type Options = Input<typeof runOptions>["options"];

export async function run(input: Input<typeof runOptions>, io: Io): Promise<Result<number, SysError>> {
  const [name, ...words] = input.positionals;
  if (input.options.resume) return await resume(input.positionals, input.options, io);
  if (name === undefined)
    return fail(
      "EINVAL",
      "PROGRAM is missing; `daimon run brief FOLDER` writes a brief of a folder, `daimon help run` tells more",
    );
  const found = await findProgram(name, io);
  if (!found.ok) return found;
  const goal = await inputsOf(found.value.program, words, input.options.input, io);
  if (!goal.ok) return goal;
  return await withInterrupt(io, async (interrupt) => {
    const { cpu, "policy-engine": policyEngine } = input.options;
    return await withMachine(io, { cpu, policyEngine, processes: "resume" }, (machine) =>
      perform(machine, found.value.place, goal.value, { options: input.options, interrupt, io }),
    );
  });
}

async function withInterrupt(
  io: Io,
  work: (interrupt: Interrupt) => Promise<Result<Report, SysError>>,
): Promise<Result<number, SysError>> {
  const interrupt = interrupts(io.host);
  const report = await work(interrupt);
  interrupt.close();
  return report.ok ? ok(printReport(report.value, interrupt.exitCode(), io)) : report;
}

interface Settings {
  readonly options: Options;
  readonly interrupt: Interrupt;
  readonly io: Io;
}

async function perform(machine: Machine, place: string, goal: JsonObject, settings: Settings): Promise<Result<Report, SysError>> {
  const { options, interrupt, io } = settings;
  const found = await machine.programs.find(place);
  if (!found.ok) return found;
  const others = unfinished(machine);
  const before = others.find((pid) => isSame(machine, pid, found.value, goal));
  const pid =
    before === undefined
      ? machine.kernel.spawn({ manifest: manifestOf(found.value, machine, options), goal, parent: 0, call: null })
      : ok(before);
  if (!pid.ok) return pid;
  if (before !== undefined) noteResumed(machine, before, options, io);
  const rest = others.filter((other) => other !== before);
  if (rest.length > 0)
    note(io, `unfinished before and going on too: ${rest.map((other) => describe(machine, other)).join(", ")}`);
  const driven = await drive(machine, [pid.value, ...rest], interrupt, io);
  noteOthers(driven, pid.value, io);
  degraded(machine, io);
  return alive(machine, () => reportOf(machine, pid.value, driven, { resumed: before !== undefined }));
}

/** What it was started with stays: a run half on one CPU and half on another would be neither. */
function noteResumed(machine: Machine, pid: Pid, options: Options, io: Io): void {
  const own = machine.kernel.recorder.table.procs.get(pid)?.cpu ?? "";
  const idle = forNewRuns(options).filter((name) => name !== "input" && !(name === "cpu" && options.cpu === own));
  const kept =
    idle.length === 0
      ? ""
      : ` on ${own}, and ${flags(idle)} ${idle.length === 1 ? "changes" : "change"} nothing; to begin anew, end it first: daimon kill ${pid}`;
  note(io, `process ${pid} is an unfinished run of this; it goes on where it stood${kept}`);
}

/** The options given that a process takes when it starts, and never again. */
function forNewRuns(options: Options): readonly (keyof Options)[] {
  return (["cpu", "budget", "tokens", "calls", "time", "window", "input"] as const).filter((name) => options[name] !== undefined);
}

function flags(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(", ");
}

/** A log that failed under the run is the error, not the report. */
function alive(machine: Machine, report: () => Report): Result<Report, SysError> {
  const { failure } = machine.kernel.recorder;
  return failure === null ? ok(report()) : { ok: false, error: failure };
}

/** Processes without a parent that have not ended. */
function unfinished(machine: Machine): readonly Pid[] {
  const { procs } = machine.kernel.recorder.table;
  return [...procs.values()].filter((proc) => proc.state !== "zombie" && !procs.has(proc.parent)).map((proc) => proc.pid);
}

function isSame(machine: Machine, pid: Pid, { bodyName }: FoundProgram, goal: JsonObject): boolean {
  const proc = machine.kernel.recorder.table.procs.get(pid);
  if (proc === undefined || proc.manifest.instructions !== bodyName) return false;
  machine.kernel.recorder.swapIn(proc);
  return canonical(proc.goal) === canonical(goal);
}

function manifestOf({ program, bodyName }: FoundProgram, { config }: Machine, options: Options): Manifest {
  const asked: Limits = {
    costUsd: options.budget ?? null,
    tokens: options.tokens ?? null,
    calls: options.calls ?? null,
    timeMs: options.time ?? null,
  };
  const windows = [options.window, config.windowTokens].filter((tokens) => tokens !== undefined && tokens !== null);
  return {
    name: program.name,
    version: program.version,
    kind: "body",
    instructions: bodyName,
    cpu: options.cpu ?? null,
    calls: program.calls,
    output: null,
    limits: tighten(tighten(program.limits, config.limits), asked),
    windowTokens: windows.length === 0 ? null : Math.min(...windows),
    stepsMax: limits.stepsMax,
    outputs: program.outputs,
    ...(program.follows === "own" ? { follows: program.follows } : {}),
  };
}

function describe(machine: Machine, pid: Pid): string {
  const proc = machine.kernel.recorder.table.procs.get(pid);
  return `${proc?.manifest.name ?? "process"} (pid ${pid})`;
}

/** What the machine cannot do as it should, told once the processes have needed it. */
function degraded(machine: Machine, io: Io): void {
  const finding = machine.sessions.degraded;
  if (finding !== null) printFinding(io, finding);
}

async function resume(words: readonly string[], options: Options, io: Io): Promise<Result<number, SysError>> {
  const [name, surplus] = words;
  const only = name === undefined ? ok(null) : parsePid(name);
  if (!only.ok) return only;
  if (surplus !== undefined)
    return fail(
      "EINVAL",
      `--resume goes on with one process or with all, not with \`${surplus.slice(0, 64)}\` too; leave it out`,
    );
  const idle = forNewRuns(options);
  if (idle.length > 0)
    return fail(
      "EINVAL",
      `--resume starts nothing new, and ${flags(idle)} can only be given to a new run; leave it out, raise a spent limit with \`daimon approve PID:N --raise\`, or end the run with \`daimon kill PID\` and begin anew`,
    );
  const { checkJournal } = await import("../boot/stores.ts");
  const there = checkJournal(layoutHere(io));
  if (!there.ok) return there;
  const interrupt = interrupts(io.host);
  const reports = await withMachine(io, { policyEngine: options["policy-engine"], processes: "resume" }, async (machine) => {
    const waiting = only.value === null ? ok(unfinished(machine)) : rootOf(machine, only.value);
    if (!waiting.ok) return waiting;
    const pids = waiting.value;
    const driven = await drive(machine, pids, interrupt, io);
    degraded(machine, io);
    return ok(pids.map((pid) => reportOf(machine, pid, driven, { resumed: true })));
  });
  interrupt.close();
  return reports.ok ? ok(printAll(reports.value, interrupt.exitCode(), io)) : reports;
}

function rootOf(machine: Machine, pid: Pid): Result<readonly Pid[], SysError> {
  const proc = procOf(machine.kernel.recorder.table, pid);
  if (!proc.ok) return proc;
  if (proc.value.state === "zombie") return fail("ENOENT", `process ${pid} has ended; \`daimon log ${pid}\` tells how`);
  return ok([pid]);
}

/** The worst exit code of all: whoever scripts this wants to know that something is left. */
function printAll(reports: readonly Report[], interrupted: number | null, io: Io): number {
  if (reports.length === 0) {
    if (io.json) printJson(io, { resumed: [] });
    else print(io, "nothing is unfinished here");
    return 0;
  }
  for (const report of reports) printReport(report, interrupted, io);
  return Math.max(...reports.map((report) => exitOf(report, interrupted)));
}
