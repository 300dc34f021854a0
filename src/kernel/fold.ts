/**
 * Fold: apply one journal entry to the process table. All state comes from here, live, at recovery and in replay alike.
 *   KRN-1.1  The fold reads nothing but the table, the entry and the blobs it names: the same log gives the same table.
 *   KRN-1.2  A turn's results enter the window together and in the order of its calls, whatever order they arrived in.
 *   KRN-1.3  A refused call is a result: the model reads why, and what it may do instead.
 *   KRN-1.4  A process's label is the join of everything that entered its window; eviction does not wash it.
 *   KRN-1.5  What a process spends, every group above it spends.
 */
import { sysError, type SysError } from "../abi/errno.ts";
import type {
  AnswerEntry,
  CallEntry,
  Entry,
  FilesEntry,
  Intent,
  OutcomeEntry,
  ParkEntry,
  ShareEntry,
  SignalEntry,
  ThinkEntry,
  TurnEntry,
  ExitEntry,
} from "../abi/entry.ts";
import type { CallId } from "../abi/call.ts";
import type { ResultPart } from "../abi/message.ts";
import type { Page } from "../abi/page.ts";
import type { Manifest, Pid } from "../abi/process.ts";
import { assert, unreachable } from "../lib/assert.ts";
import type { Digest } from "../lib/hash.ts";
import { isObject, type Json } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { applyEvict } from "./fold-evict.ts";
import { applyExec, applySpawn } from "./fold-spawn.ts";
import { goOn, newKernel, standStill, stopTime } from "./fold-time.ts";
import { join, label as labelOf } from "../security/labels.ts";
import { ancestry, callDigest, callsOf, procOf, type PendingCall, type Proc, type Table, type TapeValue } from "./table.ts";
import { refusedToGoOn } from "./reasons.ts";
import { errorText, excerpt, render } from "./window.ts";

/** How the fold reads what an entry names by digest. */
export interface FoldInput {
  value(blob: Digest): Json;
  manifest(digest: Digest): Manifest;
  has(blob: Digest): boolean;
  /** Brings a swapped-out process back before it changes. */
  load?(proc: Proc): void;
}

const derived = labelOf("derived", "workspace");

export function apply(table: Table, entry: Entry, input: FoldInput): void {
  if ("pid" in entry) load(table, entry.pid, input);
  if (entry.kind === "boot") newKernel(table, entry.at);
  change(table, entry, input);
  /** Last: an entry whose payload is missing does not count, and has changed nothing. */
  table.at = Math.max(table.at, entry.at);
}

function change(table: Table, entry: Entry, input: FoldInput): void {
  switch (entry.kind) {
    case "boot":
      table.bootDigest = entry.digest;
      table.boots += 1;
      /** What another kernel had reserved for a model call died with it. */
      for (const proc of table.procs.values()) release(table, proc);
      return;
    case "spawn":
      return applySpawn(table, entry, input);
    case "exec":
      return applyExec(table, entry, input);
    case "think":
      return applyThink(table, entry);
    case "turn":
      return applyTurn(table, entry);
    case "call":
      return applyCall(table, entry);
    case "outcome":
      return applyOutcome(table, entry, input);
    case "evict":
      return applyEvict(table, entry);
    case "park":
      return applyPark(table, entry);
    case "answer":
      return applyAnswer(table, entry);
    case "signal":
      return applySignal(table, entry);
    case "weight":
      procOf(table, entry.pid).weight = entry.weight;
      return;
    case "exit":
      return applyExit(table, entry);
    case "files":
      return applyFiles(table, entry);
    case "share":
      return applyShare(table, entry);
    case "checkpoint":
      return;
    default:
      return unreachable(entry);
  }
}

function load(table: Table, pid: Pid, input: FoldInput): void {
  const proc = table.procs.get(pid);
  if (proc !== undefined && proc.swapped !== null) input.load?.(proc);
}

/** A commit's intent counts as produced: after a crash its files may stand in the workspace without an outcome. */
function applyFiles(table: Table, entry: FilesEntry): void {
  if (entry.phase === "intent") {
    table.unfinished = entry;
    if (entry.act === "commit") recordProduced(table, entry);
    return;
  }
  table.unfinished = null;
  const { safety, pid } = entry;
  if (safety === null) return;
  const others = table.commits.filter((commit) => commit.safety !== safety || commit.session !== pid);
  table.commits = entry.act === "commit" ? [...others, { session: pid, safety }] : others;
}

function recordProduced(table: Table, entry: FilesEntry): void {
  for (const { path, to } of entry.changes) {
    if (to === null) continue;
    table.produced.set(to, entry.pid);
    table.producedPaths.set(path, entry.pid);
  }
}

/** What is shared is an artefact: put where instructions are looked for, it is none. */
function applyShare(table: Table, { path, file, pid, at }: ShareEntry): void {
  if (file === null) return void table.shared.delete(path);
  table.shared.set(path, { ...file, by: pid, at });
  table.produced.set(file.blob, pid);
}

function applyThink(table: Table, entry: ThinkEntry): void {
  const proc = procOf(table, entry.pid);
  const { step, reserveTokens: tokens, reserveUsd: costUsd } = entry;
  if (isGuest(proc)) {
    proc.step = step + 1;
    proc.windowTokens = entry.windowTokens ?? proc.windowTokens;
  } else release(table, proc);
  proc.held = [...proc.held, { step, tokens, costUsd }];
  reserve(table, proc, tokens, costUsd);
}

function reserve(table: Table, proc: Proc, tokens: number, costUsd: number): void {
  for (const group of ancestry(table, proc)) {
    group.reserved.tokens += tokens;
    group.reserved.costUsd += costUsd;
  }
}

/** The process's own reservations, here and in every group above: all of them, or that of one step. */
function release(table: Table, proc: Proc, step: number | null = null): void {
  const gone = step === null ? proc.held : proc.held.filter((held) => held.step === step);
  if (gone.length === 0) return;
  proc.held = proc.held.filter((held) => !gone.includes(held));
  for (const { tokens, costUsd } of gone) reserve(table, proc, -tokens, -costUsd);
}

/** A guest has several requests under way, and its window is its own. */
function isGuest(proc: Proc): boolean {
  return proc.manifest.kind === "guest";
}

function applyTurn(table: Table, entry: TurnEntry): void {
  const proc = procOf(table, entry.pid);
  const calls = callsOf(entry.parts);
  assert(calls.length === entry.intents.length, "every call of a turn has an intent");
  spendTurn(table, proc, entry, entry.intents.filter((intent) => !comesAgain(intent)).length);
  proc.trouble = entry.error ?? null;
  if (!isGuest(proc)) {
    proc.messages.push({ role: "assistant", parts: entry.parts, tokens: entry.tokens });
    proc.windowTokens += entry.tokens;
    proc.finished = calls.length === 0 ? entry.stop : null;
    proc.step = entry.step + 1;
  }
  for (const [n, part] of calls.entries()) {
    const id = `${proc.pid}.${entry.step}.${n}`;
    addPending(proc, { id, modelId: part.id, name: part.name, args: part.args }, entry.intents[n]);
  }
  settleAny(proc);
}

/** It is counted where it is made. */
function comesAgain({ as = [] }: Intent): boolean {
  return as.some(({ again }) => again === true);
}

function spendTurn(table: Table, proc: Proc, entry: TurnEntry, calls: number): void {
  const tokens = entry.usage.inputTokens + entry.usage.outputTokens;
  release(table, proc, isGuest(proc) ? entry.step : null);
  for (const group of ancestry(table, proc)) {
    group.spend.tokens += tokens;
    group.spend.costUsd += entry.costUsd ?? 0;
    if (entry.costUsd === null) group.unpricedTokens += tokens;
    group.spend.calls += calls;
  }
}

function applyCall(table: Table, entry: CallEntry): void {
  const proc = procOf(table, entry.pid);
  for (const group of ancestry(table, proc)) group.spend.calls += 1;
  proc.step += 1;
  proc.tape?.set(entry.id, { call: callDigest(entry.name, entry.args), name: entry.name, answer: null });
  addPending(proc, { id: entry.id, modelId: "", name: entry.name, args: entry.args }, entry.intent);
  settleTape(proc);
}

function addPending(proc: Proc, call: Pick<PendingCall, "id" | "modelId" | "name" | "args">, intent: Intent | undefined): void {
  assert(intent !== undefined, "a call has an intent");
  const pending: PendingCall = { ...call, verb: intent.verb, rules: intent.rules, result: null, page: null };
  if (intent.error !== undefined) refuse(proc, pending, intent.error);
  proc.pending.push(pending);
}

function refuse(proc: Proc, pending: PendingCall, error: SysError): void {
  pending.result = result(pending, false, errorText(error));
  proc.refused += 1;
  answerTape(proc, pending.id, { error });
}

function answerTape(proc: Proc, id: CallId, answer: TapeValue): void {
  const taped = proc.tape?.get(id);
  if (taped !== undefined) taped.answer = answer;
}

function applyOutcome(table: Table, entry: OutcomeEntry, input: FoldInput): void {
  const proc = procOf(table, entry.pid);
  const pending = proc.pending.find((call) => call.id === entry.id);
  assert(pending !== undefined, `outcome ${entry.id} has its intent`);
  if (proc.manifest.kind === "agent") applyAgentOutcome(proc, pending, entry, input);
  else applyBodyOutcome(proc, pending, entry);
  /** What a guest was shown cut it may read on. */
  if (isGuest(proc) && entry.blob !== undefined) proc.pages.push(pageOf(pending, entry, proc.step - 1, false));
  proc.label = join(proc.label, entry.label ?? derived);
}

function applyBodyOutcome(proc: Proc, pending: PendingCall, entry: OutcomeEntry): void {
  const taped: TapeValue =
    entry.error !== undefined
      ? { error: entry.error }
      : entry.blob === undefined
        ? { value: entry.value ?? null }
        : { blob: entry.blob };
  answerTape(proc, entry.id, taped);
  pending.result = result(pending, entry.error === undefined, typeof entry.value === "string" ? entry.value : "");
  settleTape(proc);
}

function applyAgentOutcome(proc: Proc, pending: PendingCall, entry: OutcomeEntry, input: FoldInput): void {
  if (entry.error !== undefined) {
    pending.result = result(pending, false, errorText(entry.error));
  } else {
    const value = entry.blob === undefined ? (entry.value ?? null) : input.value(entry.blob);
    pending.result = result(pending, true, excerpt(render(value), entry.id, 0));
    takeEffect(proc, pending, value);
  }
  pending.page = pageOf(pending, entry, proc.step - 1, true);
  settle(proc);
}

function pageOf(call: PendingCall, entry: OutcomeEntry, bornStep: number, resident: boolean): Page {
  return {
    id: entry.id,
    source: entry.source ?? `call ${entry.id}`,
    kind: call.name === "mem.note" ? "note" : "result",
    tokens: entry.tokens,
    label: entry.label ?? derived,
    pin: "none",
    resident,
    bornStep,
    blob: entry.blob ?? null,
  };
}

/** The calls whose whole effect is a change of the process itself. */
function takeEffect(proc: Proc, pending: PendingCall, value: Json): void {
  if (pending.name === "task.done") proc.result = { value };
  if (pending.name !== "mem.pin" || !isObject(pending.args)) return;
  const id = pending.args["page"];
  proc.pages = proc.pages.map((page) => (page.id === id ? { ...page, pin: "fact" } : page));
}

function result(pending: PendingCall, ok: boolean, text: string): ResultPart {
  return { type: "result", id: pending.modelId, name: pending.name, ok, text, page: pending.id };
}

/** When every call of the turn has its result, all of them enter the window as one message. */
function settle(proc: Proc): void {
  if (proc.pending.length === 0) return;
  const parts: ResultPart[] = [];
  for (const call of proc.pending) {
    if (call.result === null) return;
    parts.push(call.result);
  }
  let tokens = 0;
  for (const call of proc.pending) {
    tokens += call.page?.tokens ?? estimateTokens(call.result?.text ?? "");
    if (call.page !== null) proc.pages.push(call.page);
  }
  proc.messages.push({ role: "tool", parts, tokens });
  proc.windowTokens += tokens;
  proc.pending = [];
}

function settleAny(proc: Proc): void {
  if (proc.manifest.kind === "agent") settle(proc);
  else settleTape(proc);
}

/** A body and a guest have no window here: its settled calls only leave the pending list. */
function settleTape(proc: Proc): void {
  proc.pending = proc.pending.filter((call) => call.result === null);
}

function applyPark(table: Table, entry: ParkEntry): void {
  const proc = procOf(table, entry.pid);
  assert(proc.state !== "zombie", "a process that has ended is not parked");
  /** A model call that is under way at a stop is paid for; what it was given comes back with its turn, or with what it does next. */
  if (entry.reason.type !== "stopped" && !isGuest(proc)) release(table, proc);
  if (proc.state === "ready") standStill(table, proc, entry.at);
  proc.state = "parked";
  proc.park = entry.reason;
  proc.parks += 1;
}

function applyAnswer(table: Table, entry: AnswerEntry): void {
  const proc = procOf(table, entry.pid);
  const reason = proc.park;
  assert(reason !== null && entry.park === proc.parks, "an answer has its question");
  goOn(table, proc, entry.at);
  proc.state = "ready";
  proc.park = null;
  if (!entry.allow) proc.ending = refusedToGoOn(reason, entry.text);
  if (reason.type === "budget" && entry.raise !== null) raise(table, reason.group, entry);
  if (reason.type === "budget" && reason.unpriced === true && entry.allow) lift(table, reason.group);
  if (reason.type !== "approval" && reason.type !== "uncertain") return;
  const pending = proc.pending.find((call) => call.id === reason.call);
  assert(pending !== undefined, "a parked call is pending");
  if (entry.allow) {
    pending.verb = "allow";
    if (reason.type === "approval" && reason.frozen !== undefined) pending.frozen = reason.frozen;
  } else {
    const why = entry.text === "" ? "" : `: ${entry.text}`;
    refuse(proc, pending, sysError("EPERM", `a person refused this call${why}; go on without it, or ask for something else`));
  }
  settleAny(proc);
}

function raise(table: Table, group: Pid, entry: AnswerEntry): void {
  const proc = procOf(table, group);
  proc.limits = { ...proc.limits, ...entry.raise };
}

/** Without a price there is no limit in dollars to keep. */
function lift(table: Table, group: Pid): void {
  const proc = procOf(table, group);
  proc.limits = { ...proc.limits, costUsd: null };
}

function applySignal(table: Table, entry: SignalEntry): void {
  const proc = procOf(table, entry.pid);
  if (entry.signal === "kill") proc.ending = sysError("ECANCELED", `killed by ${entry.by}`);
  if (entry.signal !== "continue" || proc.park?.type !== "stopped") return;
  goOn(table, proc, entry.at);
  proc.state = "ready";
  proc.park = null;
}

/** A zombie keeps what wait() and ps need; its goal and its window lie in the log. */
function applyExit(table: Table, entry: ExitEntry): void {
  const proc = procOf(table, entry.pid);
  release(table, proc);
  stopTime(table, proc, entry.at);
  table.live -= 1;
  proc.state = "zombie";
  proc.park = null;
  proc.exit = entry.status;
  proc.exitDigest = entry.digest;
  proc.endedAt = entry.at;
  proc.goal = null;
  proc.result = null;
  proc.messages = [];
  proc.pages = [];
  proc.pending = [];
  proc.tape = null;
}
