/**
 * Guests: somebody else's programs as processes of this kernel. The kernel opens the process and its session, and is told how the program ended; who
 * runs it, here or in another terminal, is its launcher.
 *   BOO-40.1  A guest is a process before it runs: its spawn is durable, its session is open, and without a sandbox it is refused.
 *   BOO-40.2  What a signal, an answer or a spent time makes of the process, its launcher is told: hold still, go on, end.
 *   BOO-40.3  When its time is spent the guest is ended; time in which it waits for a person does not count.
 *   BOO-40.4  How it ended is journaled with its exit code; a guest whose launcher is gone is ended with that as the reason, by this kernel or the next.
 *   BOO-40.6  Each guest has a credential of its own at the doors, which ends with it; a net door of its own; and where there is something behind it a tool
 *             door of its own, which close with it.
 *   BOO-40.5  What it changed is looked at as soon as it has ended, so that a commit knows what each file was before.
 */
import type { Limits } from "../abi/budget.ts";
import type { Clock } from "../abi/clock.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { ExitStatus, Manifest, Pid, ProcessSummary } from "../abi/process.ts";
import type { GuestDoor, GuestEnd, GuestStage, SandboxDriver } from "../abi/sandbox.ts";
import type { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { timeOf } from "../kernel/fold-time.ts";
import { guestOf } from "../guests/all.ts";
import { standsFor } from "../guests/guest.ts";
import type { GuestProcess, Mapping } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { Halted } from "../kernel/recorder.ts";
import { summaryOf } from "../kernel/summary.ts";
import type { Proc } from "../kernel/table.ts";
import { canonical } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { tighten } from "../scheduler/budget.ts";
import type { Config } from "./config.ts";
import type { GuestTools } from "./guest-tools.ts";
import type { OpenModelDoor } from "./model-door.ts";
import type { OpenNetDoor } from "./net-door.ts";
import type { Sessions } from "./sessions.ts";
import type { OpenToolDoor } from "./tool-door.ts";

/** What a launcher asks for. */
export interface GuestAsk {
  readonly name: string;
  /** Program and arguments as they were typed, for the journal. */
  readonly command: readonly string[];
  /** Absolute: where it starts, and where its relative paths begin. */
  readonly cwd: string;
  readonly limits: Limits;
}

export interface GuestDoors {
  readonly model: GuestDoor;
  /** null: there is nothing behind it. */
  readonly tools: GuestDoor | null;
  readonly net: GuestDoor;
}

/** What it needs to start the program. */
export interface OpenGuest {
  readonly pid: Pid;
  readonly stage: GuestStage;
  readonly doors: GuestDoors;
  /** What it shows at every door. */
  readonly credential: string;
}

/** hold: all of it stands still · go: it goes on · end: it is over. */
export type Order = "hold" | "go" | "end";

export interface GuestReport {
  readonly summary: ProcessSummary;
  /** Files that it changed and nobody has committed. */
  readonly changes: number;
  /** How often it asked a model; its steps count its calls at the tool door, too. */
  readonly modelCalls: number;
}

/** A guest in the hands of its launcher, wherever the kernel is. */
export interface HeldGuest {
  readonly open: OpenGuest;
  /** What has to happen now and from now on. */
  orders(listen: (order: Order) => void): void;
  /** An error: the program was never run. */
  ended(end: Result<GuestEnd, SysError>): Promise<Result<GuestReport, SysError>>;
}

export interface Guests {
  open(ask: GuestAsk): Promise<Result<HeldGuest, SysError>>;
  /** Its launcher is gone. */
  lost(pid: Pid): void;
  /** Those that have not ended. */
  readonly running: readonly Pid[];
  /** Resolves when there are none. */
  idle(): Promise<void>;
  /** No door of theirs is open any more. */
  close(): Promise<void>;
}

export interface GuestDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly sandbox: SandboxDriver;
  readonly helper: ZygoteClient;
  readonly kernel: () => Kernel | null;
  /** The workspace, by its absolute path. */
  readonly root: string;
  /** Opened when the first guest comes. */
  modelDoor(): Promise<Result<OpenModelDoor, SysError>>;
  /** One for each guest, which shows this credential at it. */
  netDoor(guest: GuestProcess, credential: string): Promise<Result<OpenNetDoor, SysError>>;
  readonly tools: GuestTools;
}

/** A guest at the doors, until it ends. */
interface Place {
  modelCalls: number;
  readonly leave: () => Promise<void>;
}
type Places = Map<Pid, Place>;

/** Where the doors are inside every sandbox. */
const modelPort = 4141;
const toolPort = 4142;
const netPort = 4143;

/** What every guest may hold; policy says what of it is permitted. */
export const guestCalls: readonly string[] = ["*"];

const down = fail("EIO", "the kernel is not up");

export function openGuests(deps: GuestDeps): Guests {
  const running = new Set<Pid>();
  const places: Places = new Map();
  const waiting = new Set<() => void>();
  const leave = (pid: Pid): Promise<void> => {
    const left = places.get(pid)?.leave() ?? Promise.resolve();
    places.delete(pid);
    return left;
  };
  const done = (pid: Pid): void => {
    running.delete(pid);
    void leave(pid);
    if (running.size > 0) return;
    for (const tell of waiting) tell();
    waiting.clear();
  };
  return {
    async open(ask) {
      const kernel = deps.kernel();
      if (kernel === null) return down;
      const opened = await open(ask, kernel, deps, places);
      if (!opened.ok) return opened;
      running.add(opened.value.pid);
      return ok(held(opened.value, kernel, deps, places, done));
    },
    lost: (pid) => {
      const kernel = deps.kernel();
      if (kernel !== null) endLost(kernel, pid);
      done(pid);
    },
    get running() {
      return [...running];
    },
    idle: () => (running.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.add(resolve))),
    close: async () => {
      await Promise.all([...places.keys()].map(leave));
    },
  };
}

/** At a boot no guest of an earlier kernel has a launcher that speaks to this one. */
export function endAllLost(kernel: Kernel): void {
  for (const proc of kernel.recorder.table.procs.values()) {
    if (proc.manifest.kind === "guest" && proc.state !== "zombie") endLost(kernel, proc.pid);
  }
}

function endLost(kernel: Kernel, pid: Pid): void {
  journal(kernel, pid, {
    ok: false,
    error: sysError("ECANCELED", "its launcher ended, and the program with it; its changes are kept"),
  });
}

/** One that was ended before keeps its reason. */
function journal(kernel: Kernel, pid: Pid, status: ExitStatus): void {
  const guest = kernel.guest(pid, () => []);
  try {
    if (guest.ok) guest.value.ended(status);
  } catch (error) {
    // A log that takes no more is told by the next barrier, and the next kernel ends the guest.
    if (!(error instanceof Halted)) throw error;
  }
}

async function open(ask: GuestAsk, kernel: Kernel, deps: GuestDeps, places: Places): Promise<Result<OpenGuest, SysError>> {
  const [usable, door] = await Promise.all([deps.sandbox.available(), deps.modelDoor()]);
  if (!usable.ok) return usable;
  if (!door.ok) return door;
  const helper = await deps.helper.start();
  if (!helper.ok) return helper;
  const pid = kernel.spawn({
    manifest: guestManifest(ask.name, tighten(deps.config.limits, ask.limits)),
    goal: { command: shortened(ask.command) },
    parent: 0,
    call: null,
  });
  if (!pid.ok) return pid;
  const stage = await stageOf(pid.value, deps.sessions);
  if (!stage.ok) {
    journal(kernel, pid.value, stage);
    return stage;
  }
  const durable = await kernel.recorder.barrier(false);
  if (!durable.ok) return durable;
  const guest = kernel.guest(pid.value, meaningOf(ask, deps));
  if (!guest.ok) return guest;
  const seat = door.value.seat(guest.value);
  const { credential } = seat;
  const own = await ownDoors(deps, guest.value, credential);
  if (!own.ok) {
    seat.leave();
    journal(kernel, pid.value, own);
    return own;
  }
  const { net, tools } = own.value;
  const place: Place = {
    modelCalls: 0,
    leave: async () => {
      off();
      seat.leave();
      await Promise.all([net.close(), tools?.close()]);
    },
  };
  const off = kernel.on((entry) => {
    if (entry.kind === "think" && entry.pid === pid.value) place.modelCalls += 1;
  });
  places.set(pid.value, place);
  const { userNamespace, covers } = helper.value;
  return ok({
    pid: pid.value,
    stage: { ...stage.value, helper: { pid: helper.value.pid, userNamespace, covers } },
    doors: {
      model: { socket: door.value.socket, port: modelPort },
      tools: tools === null ? null : { socket: tools.socket, port: toolPort },
      net: { socket: net.socket, port: netPort },
    },
    credential,
  });
}

interface OwnDoors {
  readonly net: OpenNetDoor;
  readonly tools: OpenToolDoor | null;
}

/** Both, or neither stays open. */
async function ownDoors(deps: GuestDeps, guest: GuestProcess, credential: string): Promise<Result<OwnDoors, SysError>> {
  const net = await deps.netDoor(guest, credential);
  if (!net.ok) return net;
  const tools = await deps.tools.open(guest.pid, guest, credential);
  if (tools.ok) return ok({ net: net.value, tools: tools.value });
  await net.value.close();
  return tools;
}

/** What the guest's own tools stand for. */
function meaningOf({ command, cwd }: GuestAsk, { root, tools }: GuestDeps): Mapping {
  const guest = guestOf(command[0] ?? "");
  const place = { home: "", workspace: root, cwd };
  return (name, args) => standsFor(guest, place, tools.atDoor, name, args);
}

async function stageOf(pid: Pid, sessions: Sessions): Promise<Result<Omit<GuestStage, "helper">, SysError>> {
  const session = await sessions.open(pid);
  return session.ok ? await session.value.stage() : session;
}

/** Of a program that is not ours, whatever door it comes through. */
export function guestManifest(name: string, bounds: Limits): Manifest {
  return {
    name,
    version: "0",
    kind: "guest",
    instructions: canonical({ guest: name }),
    cpu: null,
    calls: guestCalls,
    output: null,
    limits: bounds,
    windowTokens: null,
    stepsMax: limits.stepsMax,
    outputs: [],
  };
}

/** A prompt given as an argument may be long, and the journal is not where it is kept. */
function shortened(command: readonly string[]): readonly string[] {
  let left: number = limits.guestCommandCharsMax;
  return command.flatMap((word) => {
    const kept = word.slice(0, Math.max(0, left));
    left -= word.length;
    return kept === "" && word !== "" ? [] : [kept === word ? word : `${kept}…`];
  });
}

function held(open: OpenGuest, kernel: Kernel, deps: GuestDeps, places: Places, done: (pid: Pid) => void): HeldGuest {
  const { pid } = open;
  let stop = (): void => {};
  return {
    open,
    orders: (listen) => {
      stop = watch(kernel, pid, deps.clock, listen);
    },
    ended: async (end) => {
      stop();
      const session = await deps.sessions.open(pid);
      const changes = session.ok ? await session.value.changes() : session;
      journal(kernel, pid, statusOf(end));
      const durable = await kernel.recorder.barrier(false);
      const modelCalls = places.get(pid)?.modelCalls ?? 0;
      done(pid);
      if (!durable.ok) return durable;
      const { table } = kernel.recorder;
      const proc = table.procs.get(pid);
      if (proc === undefined) return fail("ENOENT", `there is no process ${pid}`);
      return ok({ summary: summaryOf(table, proc), changes: changes.ok ? changes.value.length : 0, modelCalls });
    },
  };
}

function statusOf(end: Result<GuestEnd, SysError>): ExitStatus {
  if (!end.ok) return end;
  const { exitCode, full } = end.value;
  if (full === null) return { ok: true, value: { exitCode } };
  const next = "what it wrote is kept: commit what is worth it, or roll it back";
  if (full === "disk") return fail("ENOSPC", `the disk was almost full, so the program was ended; ${next}`);
  return fail("EDQUOT", `its changes would take more of the disk than a session may, so the program was ended; ${next}`);
}

/** Looks at the process after each entry that may have changed it, and at the time when it would be spent. */
function watch(kernel: Kernel, pid: Pid, clock: Clock, listen: (order: Order) => void): () => void {
  let last: Order = "go";
  let cancel = (): void => {};
  const look = (): void => {
    cancel();
    const proc = kernel.recorder.table.procs.get(pid);
    if (proc === undefined) return;
    const leftMs = timeLeft(proc, clock.now());
    if (leftMs !== null && leftMs <= 0) return journal(kernel, pid, { ok: false, error: spent(proc) });
    if (leftMs !== null) cancel = clock.after(Math.min(leftMs, timerMsMax), look);
    const order = orderOf(proc);
    if (order !== last) listen(order);
    last = order;
  };
  const off = kernel.on((entry) => {
    if ("pid" in entry && entry.pid === pid) look();
  });
  look();
  return () => {
    off();
    cancel();
  };
}

/** What a timer of Node's can count to. */
const timerMsMax = 2 ** 31 - 1;

function orderOf(proc: Proc): Order {
  if (proc.state === "zombie") return "end";
  return proc.park?.type === "stopped" ? "hold" : "go";
}

/** null: it has no end, or stands still. */
function timeLeft(proc: Proc, now: number): number | null {
  const max = proc.limits.timeMs;
  return max === null || proc.runningSince === null ? null : max - timeOf(proc, now);
}

function spent(proc: Proc): SysError {
  const seconds = Math.round((proc.limits.timeMs ?? 0) / 100) / 10;
  return sysError(
    "ETIMEDOUT",
    `${proc.manifest.name} has used the ${seconds} s it may; its changes are kept. Give it more with --time`,
  );
}
