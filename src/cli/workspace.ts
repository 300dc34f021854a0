/**
 * Workspace: how commands reach one: by looking, through the kernel that runs it, or by starting one for a while.
 *   CLI-5.1  A command that looks takes no lock and starts nothing.
 *   CLI-5.2  A kernel that a command started is closed before the command ends, however it ends.
 *   CLI-5.5  A kernel on which guests of other terminals run stays until they have ended, or an interrupt says that they must.
 *   CLI-5.4  Nobody is asked through a socket of a workspace that is not ours.
 *   CLI-5.3  A process is named by its number; anything else is EINVAL, and a number without a process ENOENT.
 */
import { userInfo } from "node:os";
import { fail, type SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import type { Machine } from "../boot/boot.ts";
import { askKernel, type ControlRequest } from "../boot/control.ts";
import type { Inspection } from "../boot/inspect.ts";
import { findRoot, layoutOf, type Layout } from "../boot/layout.ts";
import { checkWorkspace } from "../boot/provenance.ts";
import type { Proc, Table } from "../kernel/table.ts";
import type { Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { interrupts, unless } from "./interrupt.ts";
import { note, printFinding, type Io } from "./io.ts";

export interface StartOptions {
  readonly cpu?: string | undefined;
  readonly policyEngine?: "compiled" | "cedar" | undefined;
  /** Whether unfinished processes go on, or stay where they are while something is done beside them. */
  readonly processes: "resume" | "leave";
  readonly guestComes?: boolean;
}

export function layoutHere(io: Io): Layout {
  return layoutOf(findRoot(io.world.cwd), io.world);
}

export async function look(io: Io): Promise<Result<Inspection, SysError>> {
  const { inspect } = await import("../boot/inspect.ts");
  return inspect(io.world, io.clock);
}

/** Boots, works, and closes, whatever happens on the way. */
export async function withMachine<T>(
  io: Io,
  options: StartOptions,
  work: (machine: Machine) => Promise<Result<T, SysError>>,
): Promise<Result<T, SysError>> {
  const { boot } = await import("../boot/boot.ts");
  const booted = await boot({
    world: io.world,
    clock: io.clock,
    cpu: options.cpu ?? null,
    policyEngine: options.policyEngine ?? "compiled",
    processes: options.processes,
    guestComes: options.guestComes ?? false,
  });
  if (!booted.ok) return booted;
  const machine = booted.value;
  let result: Result<T, SysError>;
  try {
    for (const finding of machine.findings) printFinding(io, finding);
    result = await work(machine);
    await othersEnd(machine, io);
  } finally {
    await machine.close();
  }
  if (machine.kernel.panicked !== null) throw machine.kernel.panicked;
  /** What the last flush could not keep is not done, whatever was said before. */
  const { failure } = machine.kernel.recorder;
  return result.ok && failure !== null ? { ok: false, error: failure } : result;
}

/** Guests of other terminals run on this kernel: it stays for them, until the person has had enough. */
async function othersEnd({ guests }: Machine, io: Io): Promise<void> {
  if (guests.running.length === 0) return;
  note(
    io,
    `process ${guests.running.join(", ")} of another terminal still runs on this kernel, which stays for it; Ctrl-C ends both`,
  );
  const interrupt = interrupts(io.host);
  await unless(interrupt, guests.idle());
  interrupt.close();
}

/** Asks the running kernel; where none runs, starts one that leaves the processes where they are. */
export async function steer(
  io: Io,
  request: ControlRequest,
  alone: (machine: Machine) => Result<void, SysError>,
): Promise<Result<Json, SysError>> {
  const layout = layoutHere(io);
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  const asked = await askKernel(layout.socket, request);
  if (asked.ok || asked.error.errno !== "ENOENT" || (await isRunning(layout))) return asked;
  const { checkJournal } = await import("../boot/stores.ts");
  const there = checkJournal(layout);
  if (!there.ok) return there;
  return await withMachine(io, { processes: "leave" }, (machine) => {
    const acted = alone(machine);
    return Promise.resolve(acted.ok ? ok<Json>(null) : acted);
  });
}

export async function isRunning(layout: Pick<Layout, "socket">): Promise<boolean> {
  const answer = await askKernel(layout.socket, { op: "ping" });
  // One that is too busy to answer runs all the same.
  return answer.ok || answer.error.errno !== "ENOENT";
}

export function parsePid(text: string): Result<Pid, SysError> {
  if (/^[1-9]\d{0,8}$/.test(text)) return ok(Number(text));
  return fail("EINVAL", `\`${text.slice(0, 64)}\` is no process's number; \`daimon ps --all\` lists them`);
}

export function procOf(table: Table, pid: Pid): Result<Proc, SysError> {
  const proc = table.procs.get(pid);
  return proc === undefined ? fail("ENOENT", `there is no process ${pid}; \`daimon ps --all\` lists them`) : ok(proc);
}

/** The process and everything below it, parents first. */
export function treeOf(table: Table, root: Pid): readonly Proc[] {
  const proc = table.procs.get(root);
  return proc === undefined ? [] : [proc, ...proc.children.flatMap((child) => treeOf(table, child))];
}

/** Who answers: the person's own login, for the journal. */
export function personOf(io: Io): string {
  try {
    return userInfo().username;
  } catch {
    return io.world.env["USER"] ?? `uid ${io.world.uid}`;
  }
}
