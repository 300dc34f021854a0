/**
 * Invariants: what must hold at every record and at every touch of the world, asked of the ledger and of the kernel's table. Each answer
 * is a sentence about what is broken, or nothing.
 */
import type { Entry } from "../../src/abi/entry.ts";
import type { Limits } from "../../src/abi/budget.ts";
import type { Pid } from "../../src/abi/process.ts";
import type { BlobDriver, LogDriver } from "../../src/abi/store.ts";
import type { Recorder } from "../../src/kernel/recorder.ts";
import { foldLog, recoverTable } from "../../src/kernel/recover.ts";
import { foldInput } from "../../src/kernel/recorder.ts";
import { serialise } from "../../src/kernel/snapshot.ts";
import { emptyTable, type Table } from "../../src/kernel/table.ts";
import type { Label } from "../../src/abi/label.ts";
import { join } from "../../src/security/labels.ts";
import { attenuates } from "../../src/security/capability.ts";
import type { Account, Ledger } from "./ledger.ts";
import { forbidden, type Performed } from "./world.ts";

/** At a record, after the ledger and the kernel have taken it. */
export function atRecord(entry: Entry, ledger: Ledger): string | null {
  switch (entry.kind) {
    case "think":
      return overTime(entry.pid, entry.at, ledger) ?? overSpent(entry.pid, ledger, true);
    case "turn":
      return overSpent(entry.pid, ledger, false);
    case "exit":
      return endedBadly(entry.pid, ledger);
    case "spawn":
      return labelledBetter(entry.pid, ledger) ?? holdsMore(entry.pid, ledger);
    case "exec":
      return holdsMore(entry.pid, ledger);
    default:
      return null;
  }
}

/** Before a call of the world is performed. `durable` counts the records that are. */
export function atCall({ name, effect, args, context }: Performed, ledger: Ledger, durable: number): string | null {
  const { id, pid, frozen } = context;
  const what = `${name} ${id}`;
  const intent = ledger.calls.get(id);
  const held = ledger.callsOf(pid);
  if (name === forbidden) return `${what} is performed, and no policy permits it`;
  if (!held.includes(name) && !held.includes("w.*")) return `${what} is performed, and process ${pid} does not hold it`;
  if (!(Number.isInteger(args.n) && Number(args.n) >= 0)) return `${what} is performed with arguments that do not fit it`;
  if (intent === undefined) return `${what} is performed without an intent`;
  if (intent.verb !== "allow") return `${what} is performed, and its verdict is ${intent.verb}`;
  if (frozen !== intent.frozen) return `${what} is performed with another plan than a person allowed`;
  if (effect !== "read" && intent.permit >= durable) return `${what} is performed before its intent or permit is durable`;
  const acting = mayAct(pid, ledger);
  if (acting !== null) return `${what} is performed by ${acting}`;
  /** An effect has waited for the disk since it was admitted. */
  const late = effect === "read" ? overTime(pid, context.now, ledger) : null;
  if (late !== null) return late;
  ledger.made(id, pid);
  for (const group of ledger.groups(pid)) {
    const { calls } = group.limits;
    if (calls !== null && group.made.size > calls)
      return `${what} is call ${group.made.size} of process ${group.pid}, which may make ${calls}`;
  }
  return null;
}

export interface Thought {
  readonly pid: Pid;
  readonly now: number;
  /** The record of the intent to ask; null where none is needed. */
  readonly intentAt: number | null;
  /** What the window holds, and what it may. */
  readonly tokens: number;
  readonly tokensMax: number;
}

/** Before the model is asked for a process. */
export function atThought({ pid, now, intentAt, tokens, tokensMax }: Thought, ledger: Ledger, durable: number): string | null {
  const acting = mayAct(pid, ledger);
  if (acting !== null) return `the model is asked for ${acting}`;
  if (tokens > tokensMax) return `the model is asked for process ${pid} with ${tokens} tokens in a window of ${tokensMax}`;
  if (intentAt === null) return overTime(pid, now, ledger);
  return intentAt < durable ? null : `a remote model is asked for process ${pid} before the intent is durable`;
}

function mayAct(pid: Pid, ledger: Ledger): string | null {
  const account = ledger.accounts.get(pid);
  if (account === undefined) return `process ${pid}, which the log does not have`;
  if (account.exit !== null) return `process ${pid}, which has ended`;
  if (account.doomed !== null) return `process ${pid}, which was told to end (${account.doomed})`;
  return account.park === null ? null : `process ${pid}, which is parked (${account.park.type})`;
}

function overTime(pid: Pid, now: number, ledger: Ledger): string | null {
  const late = ledger.groups(pid).find(({ limits, clock }) => limits.timeMs !== null && clock.read(now) > limits.timeMs);
  return late === undefined ? null : `process ${pid} acts when the time of process ${late.pid} is over`;
}

/** What is spent, and with `asking` what is about to be, against every limit above. */
function overSpent(pid: Pid, ledger: Ledger, asking: boolean): string | null {
  for (const group of ledger.groups(pid)) {
    const about = asking
      ? [...ledger.accounts.values()].filter((other) => other.asking !== null && below(other, group, ledger))
      : [];
    for (const key of ["tokens", "costUsd"] as const) {
      const max = group.limits[key];
      const spent = group[key] + about.reduce((sum, other) => sum + (other.asking?.[key] ?? 0), 0);
      if (max !== null && spent > max + tiny) return `process ${pid} brings process ${group.pid} to ${spent} ${key} of ${max}`;
    }
  }
  return null;
}

/** Dollars are added in another order here than in the kernel. */
const tiny = 1e-9;

function below(account: Account, group: Account, ledger: Ledger): boolean {
  return ledger.groups(account.pid).includes(group);
}

function endedBadly(pid: Pid, ledger: Ledger): string | null {
  if ((ledger.accounts.get(pid)?.exits ?? 0) > 1) return `process ${pid} ended twice`;
  const left = [...ledger.accounts.values()].find(({ parent, exit }) => parent === pid && exit === null);
  return left === undefined ? null : `process ${pid} ended before process ${left.pid} below it`;
}

function labelledBetter(pid: Pid, ledger: Ledger): string | null {
  const [child, parent] = ledger.groups(pid);
  if (parent?.exit) return `process ${pid} is started by process ${parent.pid}, which has ended`;
  if (child === undefined || parent === undefined || isSame(join(child.label, parent.label), child.label)) return null;
  return `process ${pid} is labelled better than its parent`;
}

function holdsMore(pid: Pid, ledger: Ledger): string | null {
  const [child, parent] = ledger.groups(pid);
  if (child === undefined || parent === undefined) return null;
  const more = attenuates(parent.manifest.calls, child.manifest.calls);
  if (more !== null) return `process ${pid} holds ${more}, and its parent does not`;
  const outputs = child.manifest.outputs.filter((path) => !parent.manifest.outputs.includes(path));
  return outputs.length === 0 ? null : `process ${pid} may deliver ${outputs.join()}, and its parent may not`;
}

/** The live table is the fold of the log, from its start and from its newest checkpoint. */
export function wholeTable(recorder: Recorder, log: LogDriver, blobs: BlobDriver, ledger: Ledger): string | null {
  const scratch = foldLog({ log, from: 0, start: emptyTable, input: foldInput(blobs) });
  const recovered = recoverTable(log, blobs);
  if (!scratch.ok || !recovered.ok) return "the log does not fold";
  return sameTable(recorder, scratch.value.table, ledger) ?? sameTable(recorder, recovered.value.table, ledger);
}

/** Its sums add up, and agree with the ledger's. */
export function sameTable(recorder: Recorder, folded: Table, ledger: Ledger): string | null {
  return serialise(folded) === textOf(recorder) ? sums(recorder.table, ledger) : "the live table is not the fold of the log";
}

/** Who is swapped out comes in for it, and goes out again. */
function textOf(recorder: Recorder): string {
  const away = [...recorder.table.procs.values()].filter((proc) => proc.swapped !== null);
  for (const proc of away) recorder.swapIn(proc);
  const text = serialise(recorder.table);
  for (const proc of away) recorder.swapOut(proc);
  return text;
}

function sums(table: Table, ledger: Ledger): string | null {
  const live = [...table.procs.values()].filter((proc) => proc.state !== "zombie").length;
  if (table.live !== live) return `${live} processes live and the table counts ${table.live}`;
  for (const proc of table.procs.values()) {
    const account = ledger.accounts.get(proc.pid);
    if (account === undefined) return `process ${proc.pid} is not in the log`;
    if (proc.spend.tokens !== account.tokens)
      return `process ${proc.pid} has spent ${account.tokens} tokens, not ${proc.spend.tokens}`;
    if (Math.abs(proc.spend.costUsd - account.costUsd) > tiny)
      return `process ${proc.pid} has not spent ${proc.spend.costUsd} USD`;
    if (!isSame(proc.label, account.label)) return `process ${proc.pid} has the label ${JSON.stringify(proc.label)}`;
    const limit = keys.find((key) => (proc.limits[key] ?? Infinity) > (account.limits[key] ?? Infinity));
    if (limit !== undefined) return `process ${proc.pid} may spend ${proc.limits[limit]} ${limit}, not ${account.limits[limit]}`;
    const held = [...table.procs.values()].filter((other) => ledger.groups(other.pid).includes(account));
    const reserved = held.reduce((sum, other) => sum + other.held.reduce((own, { tokens }) => own + tokens, 0), 0);
    if (proc.reserved.tokens !== reserved)
      return `process ${proc.pid} has ${proc.reserved.tokens} tokens reserved, and ${reserved} are held`;
  }
  return null;
}

function isSame(a: Label, b: Label): boolean {
  return a.integrity === b.integrity && a.confidentiality === b.confidentiality;
}

const keys = ["tokens", "costUsd", "calls", "timeMs"] as const satisfies readonly (keyof Limits)[];
