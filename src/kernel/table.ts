/** Table: the process table as the fold keeps it in memory. Only fold.ts changes it. */
import type { Limits } from "../abi/budget.ts";
import type { CallId } from "../abi/call.ts";
import type { FilesEntry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { SharedFile } from "../abi/files.ts";
import type { Label } from "../abi/label.ts";
import type { Message, Part, ResultPart } from "../abi/message.ts";
import type { StopReason } from "../abi/model.ts";
import type { Page } from "../abi/page.ts";
import type { RuleId, Verb } from "../abi/policy.ts";
import type { ExitStatus, Manifest, ParkReason, Pid } from "../abi/process.ts";
import type { SwapSlot } from "../abi/store.ts";
import { assert } from "../lib/assert.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { canonical, type Json } from "../lib/json.ts";

/** A call that was decided on. It stays here until every call of its turn has a result. */
export interface PendingCall {
  readonly id: CallId;
  /** The model's own id for it; empty for a body's call. */
  readonly modelId: string;
  readonly name: string;
  readonly args: Json;
  verb: Verb;
  /** The plan that a person allowed, where the arguments do not say it all. */
  frozen?: Digest;
  readonly rules: readonly RuleId[];
  result: ResultPart | null;
  page: Page | null;
}

/** What a body's call gave, kept for re-execution. */
export type TapeValue = { readonly value: Json } | { readonly blob: Digest } | { readonly error: SysError };

/** A body's call in the journal: which it was, and what it gave once it has. */
export interface Taped {
  /** SHA-256 of name and arguments: the same call when the body runs again, or the body is not deterministic. */
  readonly call: Digest;
  readonly name: string;
  answer: TapeValue | null;
}

export function callDigest(name: string, args: Json): Digest {
  return sha256(`${name} ${canonical(args)}`);
}

export interface Proc {
  readonly pid: Pid;
  readonly parent: Pid;
  readonly call: CallId | null;
  manifestDigest: Digest;
  manifest: Manifest;
  cpu: string;
  goal: Json;
  readonly session: Pid;
  windowTokensMax: number;
  readonly startedAt: number;
  limits: Limits;
  label: Label;
  weight: number;
  state: "ready" | "parked" | "zombie";
  park: ParkReason | null;
  /** How often it was parked: the number of the park it is in. */
  parks: number;
  /** Set once it was told to end: how. Its exit follows, in this kernel or the next. */
  ending: SysError | null;
  exit: ExitStatus | null;
  exitDigest: Digest | null;
  endedAt: number | null;
  /** The next model step, and for a body the number of calls made. */
  step: number;
  messages: Message[];
  pages: Page[];
  windowTokens: number;
  pagesEvicted: number;
  /** Turns that left its window whole. */
  turnsEvicted: number;
  pending: PendingCall[];
  /** Bodies only. */
  tape: Map<CallId, Taped> | null;
  /** The value of task.done; the process ends once its turn is complete. */
  result: { readonly value: Json } | null;
  refused: number;
  /** Of a guest: why its model failed it the last time, while it has not answered since. */
  trouble: SysError | null;
  /** Tokens spent on models without a known price: the cost shown is only a part. */
  unpricedTokens: number;
  /** Why the last turn stopped, if it had no call: the model says it is finished. */
  finished: StopReason | null;
  /** The step at which it became the program it is. */
  firstStep: number;
  /** Since when its time runs; null while it stands still. */
  runningSince: number | null;
  /** How many at or below it wait for a person: its time stands still until none does. */
  waits: number;
  spend: { costUsd: number; tokens: number; calls: number; timeMs: number };
  /** What it and everything below it may be about to spend. */
  reserved: { costUsd: number; tokens: number; calls: number; timeMs: number };
  /** The part of it that is the process's own model calls: one for each that is under way, of an agent at most one. */
  held: readonly { readonly step: number; readonly costUsd: number; readonly tokens: number }[];
  children: Pid[];
  /** Set while its goal, window and pending calls lie in the swap. */
  swapped: (SwapSlot & { readonly pages: number }) | null;
}

export interface Committed {
  readonly session: Pid;
  readonly safety: Digest;
}

export interface Table {
  readonly procs: Map<Pid, Proc>;
  nextPid: Pid;
  /** Processes that have not ended. */
  live: number;
  /** What processes put into the workspace: by content and by path. */
  readonly produced: Map<Digest, Pid>;
  readonly producedPaths: Map<string, Pid>;
  /** Commits that stand, oldest first. */
  commits: readonly Committed[];
  /** The shared tier, by path below `/shared`. */
  readonly shared: Map<string, SharedFile>;
  /** A commit or rollback that was begun and has no outcome: the next kernel finishes it. */
  unfinished: FilesEntry | null;
  bootDigest: Digest | null;
  boots: number;
  /** When the newest entry was made. */
  at: number;
}

export function emptyTable(): Table {
  return {
    procs: new Map(),
    nextPid: 1,
    live: 0,
    produced: new Map(),
    producedPaths: new Map(),
    commits: [],
    shared: new Map(),
    unfinished: null,
    bootDigest: null,
    boots: 0,
    at: 0,
  };
}

/** The calls of a reply, in order; a call's place here is its N in `PID.STEP.N`. */
export function callsOf(parts: readonly Part[]): readonly Extract<Part, { type: "call" }>[] {
  return parts.filter((part) => part.type === "call");
}

/** A process and the groups above it, nearest first. */
export function* ancestry(table: Table, proc: Proc): Generator<Proc> {
  for (let at: Proc | undefined = proc; at !== undefined; at = table.procs.get(at.parent)) yield at;
}

/** The process an entry is about: it was spawned before, or the log is not ours. */
export function procOf(table: Table, pid: Pid): Proc {
  const proc = table.procs.get(pid);
  assert(proc !== undefined, `pid ${pid} exists`);
  return proc;
}
