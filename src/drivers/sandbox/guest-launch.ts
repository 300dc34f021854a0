/**
 * Guest launch: one guest in a sandbox of its own, on the terminal or the streams of whoever starts it.
 * bubblewrap is entered through the helper's namespace, where the session is mounted, by the process whose streams the guest gets: descriptors
 * cannot be handed to the helper.
 *   SBX-12.1  Everything the guest started ends with it, and with its launcher, however that ends.
 *   SBX-12.2  Its exit code is passed on, 128 and the number for a signal. A sandbox that could not be made is EIO and nothing was run.
 *   SBX-12.3  An interrupt at the terminal is the guest's alone: it ends neither the sandbox nor the launcher.
 *   SBX-12.4  end() is SIGTERM to every process of the sandbox, and after the grace SIGKILL; hold() lets them all stand still or go on.
 *   SBX-12.5  Processes and memory are bounded by a control group where one can be made, else processes alone by a limit of the kernel's.
 *   SBX-12.6  A guest that fills its session or the disk is ended.
 *   SBX-12.7  Neither the arguments of the sandbox nor the environment of the guest can be read by other users of the host.
 *   SBX-12.8  Where there are doors and no socat, which opens them inside, nothing is run.
 */
import { spawn, type ChildProcess, type IOType } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { constants } from "node:os";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Full, GuestEnd, GuestPlan, GuestStage, RunningGuest } from "../../abi/sandbox.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { installing, isInstalled } from "./bwrap.ts";
import { cgroups, type Cgroup } from "./cgroup.ts";
import { standingAt } from "./covers.ts";
import { watchGrowth } from "./growth.ts";
import { firstWords, guestProfile, type Sent } from "./guest-profile.ts";
import { below, childrenOf, signalTo } from "./process-tree.ts";
import { seccompFilter } from "./seccomp.ts";

export interface LaunchOptions {
  readonly plan: GuestPlan;
  readonly stage: GuestStage;
  /** Standard input, output and error. */
  readonly streams: readonly [IOType | number, IOType | number, IOType | number];
  readonly graceMs?: number;
  /** Folders searched for the system's programs. */
  readonly path?: readonly string[];
}

/** What is handed over beside the three streams. */
const argsFd = 3;
const startedFd = 4;
const seccompFd = 5;
const filesFd = 6;

export async function launchGuest(
  options: LaunchOptions,
): Promise<Result<RunningGuest & { readonly child: ChildProcess }, SysError>> {
  const { plan, stage } = options;
  if (plan.doors.length > 0 && !isInstalled("socat", options.path)) {
    const install = installing("socat");
    return fail(
      "ENOSYS",
      `guests are refused: socat, through which they reach models and tools, is not installed. Install it with: ${install}`,
    );
  }
  const closed = standingAt(stage.root, stage.closed);
  if (closed === null) return fail("EIO", "the guest was not started: the workspace could not be looked at");
  const filter = seccompFilter(process.arch, "guest");
  const view = stage.root.replace(/^\/proc\/\d+\/root/, "");
  const { covers } = stage.helper;
  const profile = guestProfile({ plan, view, closed, covers, seccompFd: filter === null ? null : seccompFd, firstFd: filesFd });
  const contents = profile.sent.map(contentOf);
  const missing = contents.find((content) => !content.ok);
  if (missing !== undefined && !missing.ok) return missing;
  const watch = stage.growth === null ? null : await watchGrowth(stage.growth);
  const group = groupFor(plan);
  const command = [
    ...joining(group),
    ...entering(stage),
    "bwrap",
    "--args",
    String(argsFd),
    ...firstWords(plan, startedFd),
    ...plan.argv,
  ];
  const [program = "", ...words] = command;
  const child = spawn(program, words, {
    stdio: [...options.streams, ...Array.from({ length: filesFd - argsFd + contents.length }, () => "pipe" as const)],
    env: { PATH: helperPath },
    cwd: "/",
  });
  send(child, argsFd, Buffer.from(profile.args.map((arg) => `${arg}\0`).join("")));
  send(child, seccompFd, filter ?? Buffer.alloc(0));
  contents.forEach((content, index) => send(child, filesFd + index, content.ok ? content.value : Buffer.alloc(0)));
  const state: { full: Full | null; timer: NodeJS.Timeout | null } = { full: null, timer: null };
  const end = (): void => {
    if (state.timer !== null || child.exitCode !== null || child.signalCode !== null) return;
    const [first] = childrenOf(child.pid ?? 0);
    const processes = first === undefined ? [] : below(first);
    for (const pid of processes) signalTo(pid, "SIGTERM");
    for (const pid of processes) signalTo(pid, "SIGCONT");
    state.timer = setTimeout(() => kill(child), options.graceMs ?? limits.guestGraceMs);
  };
  const unwatch = watch?.start((full) => {
    state.full ??= full;
    end();
  });
  const ended = over(child).then((result): Result<GuestEnd, SysError> => {
    unwatch?.();
    if (state.timer !== null) clearTimeout(state.timer);
    group?.remove();
    return result.ok ? ok({ exitCode: result.value, full: state.full }) : result;
  });
  return ok({ child, ended, end, hold: (still) => hold(child, still) });
}

const helperPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Into the namespace where the session is mounted. What ignores an interrupt here lets the guest have it (guest-profile.ts). */
function entering({ helper }: GuestStage): readonly string[] {
  const user = helper.userNamespace ? ["--user", "--preserve-credentials"] : [];
  return ["/usr/bin/env", "--ignore-signal=INT,QUIT", "nsenter", "--target", String(helper.pid), ...user, "--mount", "--"];
}

/** The sandbox enters its group by itself before anything of it runs. */
function joining(group: Cgroup | null): readonly string[] {
  if (group === null) return [];
  const script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 126; shift; done; shift; exec "$@"';
  return ["/bin/sh", "-c", script, "sh", ...group.joins, "--"];
}

/** bubblewrap twice, and what runs before the guest. */
const firstProcesses = 4;

function groupFor({ processesMax, memoryBytesMax, doors }: GuestPlan): Cgroup | null {
  if (process.getuid?.() !== 0) return null;
  const group = cgroups(process.pid)?.(`guest-${process.hrtime.bigint()}`) ?? null;
  if (group === null || group.limit(processesMax + firstProcesses + doors.length, memoryBytesMax)) return group;
  group.remove();
  return null;
}

function contentOf({ content }: Sent): Result<Buffer, SysError> {
  if ("text" in content) return ok(Buffer.from(content.text));
  try {
    return ok(readFileSync(content.from));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "unknown error";
    return err({ errno: "ENOENT", message: "a file that the guest needs could not be read; see the cause", cause: code });
  }
}

function send(child: ChildProcess, fd: number, data: Buffer): void {
  const socket = child.stdio[fd] as Socket | null;
  // A sandbox that could not be made reads nothing; its end tells that.
  socket?.on("error", () => undefined);
  socket?.end(data);
}

/** The exit code; or that no program was run, where the byte that all stands did not come. */
function over(child: ChildProcess): Promise<Result<number, SysError>> {
  let started = false;
  const channel = child.stdio[startedFd] as Socket | null;
  channel?.on("error", () => undefined);
  channel?.on("data", () => (started = true));
  /** Nobody holds its other end once the program runs. */
  const told = new Promise<void>((resolve) => channel?.once("close", () => resolve()));
  return new Promise((resolve) => {
    const unmade = "the sandbox could not be set up, so the program was not run; `daimon doctor` tells what is missing";
    child.on("error", (error) => resolve(fail("EIO", unmade, error.message)));
    child.on("exit", (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      void told.then(() => resolve(started || signal !== null ? ok(exitCode) : fail("EIO", unmade, `exit code ${exitCode}`)));
    });
  });
}

/** The first process of the sandbox rather than bubblewrap, which then collects it; the kernel ends the rest of the namespace. */
function kill(child: ChildProcess): void {
  const [first] = childrenOf(child.pid ?? 0);
  if (first === undefined || !signalTo(first, "SIGKILL")) child.kill("SIGKILL");
}

/** Again and again, since what has not stopped yet may start more. */
function hold(child: ChildProcess, still: boolean): void {
  const [first] = childrenOf(child.pid ?? 0);
  if (first === undefined) return;
  const told = new Set<number>();
  for (let round = 0; round < holdRounds; round += 1) {
    const fresh = below(first).filter((pid) => !told.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      told.add(pid);
      signalTo(pid, still ? "SIGSTOP" : "SIGCONT");
    }
  }
}

const holdRounds = 100;
