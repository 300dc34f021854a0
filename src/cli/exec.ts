/**
 * daimon exec: any program as a guest process: in a sandbox of its own, on a copy-on-write session, on the person's terminal.
 * Where a kernel runs the workspace already the guest becomes a process of that one, else of a kernel that is started for it.
 *   CLI-40.1  The program is looked up and the plan made before anything is written; without a sandbox nothing is run.
 *   CLI-40.2  Standard streams and the terminal are the program's while it runs; an interrupt at the keyboard is its alone.
 *   CLI-40.3  The exit code is the program's; where daimon ended it, the errno's.
 *   CLI-40.4  Of the person's environment it gets what describes terminal, language and time zone, and no other variable.
 *   CLI-40.5  The last line, on standard error, tells what it cost, what was refused, how many files it changed, and what to type next.
 *   CLI-40.8  Its environment tells it where the net door is, which refuses in words what no rule permits; requests to hosts count as tool calls.
 *   CLI-40.6  SIGTERM and SIGHUP end the program as `daimon kill` does.
 *   CLI-40.7  Several that are started at once all run: whoever comes second waits for the first one's kernel to come up, or to be gone.
 */
import { realpathSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { errnos, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { GuestPlan } from "../abi/sandbox.ts";
import { askForGuest } from "../boot/guest-line.ts";
import type { GuestAsk, GuestReport, HeldGuest, OpenGuest } from "../boot/guests.ts";
import { checkWorkspace } from "../boot/provenance.ts";
import { launchGuest } from "../drivers/sandbox/guest-launch.ts";
import { checkRoot } from "../drivers/sandbox/guest-places.ts";
import { findProgram } from "../drivers/sandbox/guest-program.ts";
import { guestOf } from "../guests/all.ts";
import { proxyEnv } from "../guests/network.ts";
import { ok, type Result } from "../lib/result.ts";
import type { execOptions } from "./guest-commands.ts";
import { note, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { formatDuration, formatUsd, many } from "./term/format.ts";
import { holdTerminal } from "./term/hold.ts";
import { inertJson } from "./term/inert-json.ts";
import type { Screen } from "./term/screen.ts";
import { layoutHere, withMachine } from "./workspace.ts";

export async function run(input: Input<typeof execOptions>, given: Io): Promise<Result<number, SysError>> {
  const io = { ...given, err: direct(given.err) };
  const layout = layoutHere(io);
  const plan = planOf(input.rest, layout.root, io);
  if (!plan.ok) return plan;
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  const ask = askOf(input, io);
  const typed = input.rest[0] ?? "";
  const performed = (held: Result<HeldGuest, SysError>): Promise<Result<number, SysError>> =>
    held.ok ? perform(held.value, plan.value, typed, io) : Promise.resolve(held);
  for (let left = comingTries; ; left -= 1) {
    const opened = await askForGuest(layout.socket, ask, input.options.cpu ?? null);
    if (opened.ok || opened.error.errno !== "ENOENT") return await performed(opened);
    const machine = { up: false };
    const ran = await withMachine(io, { cpu: input.options.cpu, processes: "leave", guestComes: true }, async ({ guests }) => {
      machine.up = true;
      return await performed(await guests.open(ask));
    });
    // Another kernel has the workspace and no socket: it comes up, or it goes.
    if (ran.ok || machine.up || ran.error.errno !== "EBUSY" || left === 0) return ran;
    await new Promise<void>((wake) => void io.clock.after(comingPauseMs, wake));
  }
}

const comingTries = 100;
const comingPauseMs = 50;

/** Straight to the descriptor: Node's stream would make a pipe non-blocking under the program that shares it. */
function direct(screen: Screen): Screen {
  const write = (text: string | Uint8Array): void => {
    try {
      writeSync(2, typeof text === "string" ? Buffer.from(text) : text);
    } catch {
      // Nobody reads it any more.
    }
  };
  return { write, isTTY: screen.isTTY };
}

function planOf([word = "", ...words]: readonly string[], root: string, io: Io): Result<GuestPlan, SysError> {
  const { cwd, env } = io.world;
  const standing = checkRoot(root);
  if (!standing.ok) return standing;
  const home = realOf(io.world.home);
  const program = findProgram(word, { root, cwd, home, path: env["PATH"] ?? "" });
  if (!program.ok) return program;
  const { file, shown, links, path } = program.value;
  return ok({
    argv: [file, ...words],
    root,
    cwd,
    home,
    env: { ...describing(env), PATH: path },
    files: [],
    shown,
    links,
    doors: [],
    memoryBytesMax: limits.guestMemoryBytesMax,
    processesMax: limits.guestProcessesMax,
  });
}

function realOf(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

function describing(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  const told = Object.entries(env).filter(
    (pair): pair is [string, string] =>
      pair[1] !== undefined && /^(?:TERM|COLORTERM|NO_COLOR|LANG|LANGUAGE|LC_[A-Z]+|TZ)$/.test(pair[0]),
  );
  return Object.fromEntries(told);
}

function askOf({ rest, options }: Input<typeof execOptions>, io: Io): GuestAsk {
  return {
    name: basename(rest[0] ?? ""),
    command: rest,
    cwd: io.world.cwd,
    limits: {
      costUsd: options.budget ?? null,
      tokens: options.tokens ?? null,
      calls: options.calls ?? null,
      timeMs: options.time ?? null,
    },
  };
}

/** What the guest needs to find the doors: of the model door as its own file tells, of the net door as every program knows it. */
function atDoors(plan: GuestPlan, { doors, credential }: OpenGuest, typed: string): GuestPlan {
  const [model, net] = doors;
  const place = { home: plan.home, workspace: plan.root, cwd: plan.cwd };
  const { env, files, args } = guestOf(typed).launch({ model: `http://127.0.0.1:${model.port}`, credential }, place);
  const [program = "", ...words] = plan.argv;
  return {
    ...plan,
    doors,
    argv: [program, ...args, ...words],
    env: { ...plan.env, ...proxyEnv(net.port, credential), ...env },
    files: [...plan.files, ...files.map(({ path, text }) => ({ path, content: { text } }))],
  };
}

async function perform(held: HeldGuest, asked: GuestPlan, typed: string, io: Io): Promise<Result<number, SysError>> {
  const { stage } = held.open;
  const plan = atDoors(asked, held.open, typed);
  const release = holdTerminal(io.host);
  const launched = await launchGuest({ plan, stage, streams: ["inherit", "inherit", "inherit"] });
  if (!launched.ok) {
    release(false);
    await held.ended(launched);
    return launched;
  }
  const { end, hold, ended } = launched.value;
  held.orders((order) => (order === "end" ? end() : hold(order === "hold")));
  const stops = ["SIGTERM", "SIGHUP"] as const;
  for (const signal of stops) io.host.on(signal, end);
  const over = await ended;
  for (const signal of stops) io.host.off(signal, end);
  release(!over.ok || over.value.exitCode > signalled);
  const report = await held.ended(over);
  if (!over.ok) return over;
  if (!report.ok) return report;
  const code = codeOf(report.value, over.value.exitCode);
  tell(report.value, code, io);
  return ok(code);
}

/** Exit codes above it tell of a signal. */
const signalled = 128;

function codeOf({ summary: { exit } }: GuestReport, own: number): number {
  return exit === null || exit.ok ? own : errnos[exit.error.errno].exit;
}

function tell({ summary, changes, modelCalls }: GuestReport, code: number, io: Io): void {
  const { pid, name, exit, spend, refused } = summary;
  const next = changes === 0 ? [`daimon log ${pid}`] : [`daimon diff ${pid}`, `daimon commit ${pid}`, `daimon rollback ${pid}`];
  if (io.json) {
    const cost = { usd: spend.costUsd, tokens: spend.tokens, calls: spend.calls, timeMs: spend.timeMs };
    io.err.write(`${inertJson({ pid, program: name, exit: code, status: exit, cost, modelCalls, refused, changes, next })}\n`);
    return;
  }
  const how = exit === null || exit.ok ? `ended with ${code}` : `was ended: ${exit.error.message}`;
  note(io, `${name} (pid ${pid}) ${how}`);
  const cost = `${formatUsd(spend.costUsd)} · ${many(modelCalls, "model call")} · ${many(spend.calls, "tool call")} · ${refused} refused`;
  note(io, `${cost} · ${many(changes, "changed file")} · ${formatDuration(spend.timeMs)} · next: ${next.join(", ")}`);
}
