/**
 * Entry: what the journal holds. Process state is the fold of these, and of nothing else.
 *   ABI-2.1  Every entry is plain JSON; parse(serialise(entry)) equals the entry.
 */
import type { Digest } from "../lib/hash.ts";
import type { Json } from "../lib/json.ts";
import type { CallId, EffectClass, StandsFor } from "./call.ts";
import type { SysError } from "./errno.ts";
import type { Label } from "./label.ts";
import type { Part } from "./message.ts";
import type { StopReason, Usage } from "./model.ts";
import type { PageId } from "./page.ts";
import type { Verb, RuleId } from "./policy.ts";
import type { ExitStatus, ParkReason, Pid, Signal } from "./process.ts";
import type { Limits } from "./budget.ts";

export interface BootStep {
  /** `config:project`, `policy:.daimon/policy/project.cedar`, `instructions:AGENTS.md`, `program:brief`, `calls`. */
  readonly name: string;
  readonly digest: Digest;
  readonly ms: number;
}

/** The kernel booted; everything it trusts was measured, in this order. */
export interface BootEntry {
  readonly kind: "boot";
  readonly at: number;
  readonly version: string;
  readonly digest: Digest;
  readonly policy: Digest;
  readonly steps: readonly BootStep[];
  /** A power cut lost a payload: the records from this seq up to here never counted. */
  readonly cut?: number;
}

export interface SpawnEntry {
  readonly kind: "spawn";
  readonly at: number;
  readonly pid: Pid;
  readonly parent: Pid;
  /** The call that asked for it; null when a person did. */
  readonly call: CallId | null;
  /** The manifest's digest in the blob store. */
  readonly manifest: Digest;
  readonly cpu: string;
  /** Its task, in the user's or the parent's words; an agent's first message. */
  readonly goal: Json;
  /** The head of its window: instructions, goal and the calls it is offered. */
  readonly headTokens: number;
  readonly label: Label;
  readonly session: Pid;
  readonly weight: number;
  readonly windowTokensMax: number;
}

/** A process goes on as another program: a new manifest, goal and window; the same pid, parent, children, session, label and spend. */
export interface ExecEntry {
  readonly kind: "exec";
  readonly at: number;
  readonly pid: Pid;
  readonly manifest: Digest;
  readonly cpu: string;
  readonly goal: Json;
  /** The head of its window: instructions, goal and the calls it is offered. */
  readonly headTokens: number;
  readonly windowTokensMax: number;
}

/** A remote model is about to be asked; the reservation stands until the turn settles it. */
export interface ThinkEntry {
  readonly kind: "think";
  readonly at: number;
  readonly pid: Pid;
  readonly step: number;
  readonly reserveTokens: number;
  readonly reserveUsd: number;
  /** What the request of a guest weighs; an agent's window is known. */
  readonly windowTokens?: number;
}

/** What the trap decided about one call. A refused call carries its error and needs no outcome. */
export interface Intent {
  readonly verb: Verb;
  readonly rules: readonly RuleId[];
  /** Of a guest's own tool: the calls it stands for, on which was decided, with the arguments that policy looked at. */
  readonly as?: readonly StandsFor[];
  /** A person allowed it as this call, in which a guest's model proposed it. */
  readonly answered?: CallId;
  /** What it does to the world; absent when it only reads. An effect begins only when its intent is durable. */
  readonly effect?: EffectClass;
  readonly error?: SysError;
}

/** The model answered, and the trap decided on each call of the answer. Durable before any effect above `read`. */
export interface TurnEntry {
  readonly kind: "turn";
  readonly at: number;
  readonly pid: Pid;
  readonly step: number;
  readonly parts: readonly Part[];
  readonly stop: StopReason;
  readonly usage: Usage;
  readonly tokens: number;
  /** null when the model's price is not known. */
  readonly costUsd: number | null;
  readonly model: string;
  /** One for each call part, in order. */
  readonly intents: readonly Intent[];
  /** Of a guest: the model failed it, or broke off, and this is what it had generated until then. */
  readonly error?: SysError;
}

/** A body's call. `id` counts within the process, so re-execution meets the same ids. */
export interface CallEntry {
  readonly kind: "call";
  readonly at: number;
  readonly pid: Pid;
  readonly id: CallId;
  readonly name: string;
  readonly args: Json;
  readonly intent: Intent;
}

/** What a call gave. Small values are inline, larger ones in the blob store. */
export interface OutcomeEntry {
  readonly kind: "outcome";
  readonly at: number;
  readonly pid: Pid;
  readonly id: CallId;
  readonly value?: Json;
  readonly blob?: Digest;
  readonly error?: SysError;
  /** What the result takes of the window, after it was cut to size. */
  readonly tokens: number;
  /** Where the text came from; the call itself when absent. */
  readonly source?: string;
  /** `derived`, `workspace` when absent. */
  readonly label?: Label;
  /** Of a guest's own call: its hook told of it before it was made. */
  readonly hooked?: true;
}

/** Pages left the window as one batch, and where that was not enough whole turns; each text lies in the blob store. */
export interface EvictEntry {
  readonly kind: "evict";
  readonly at: number;
  readonly pid: Pid;
  readonly pages: readonly { readonly id: PageId; readonly blob: Digest; readonly stubTokens: number }[];
  /** Turns that left with their results; `blob` holds the reply's words and calls. */
  readonly turns?: readonly { readonly step: number; readonly blob: Digest }[];
}

export interface ParkEntry {
  readonly kind: "park";
  readonly at: number;
  readonly pid: Pid;
  readonly reason: ParkReason;
}

/** A person's answer: to an approval, a question, a spent budget, an uncertainty. */
export interface Answer {
  /** Which of the process's parks it answers, counted from 1: `parks` of what was shown. */
  readonly park: number;
  readonly by: string;
  readonly allow: boolean;
  readonly text: string;
  readonly raise: Partial<Limits> | null;
}

export interface AnswerEntry extends Answer {
  readonly kind: "answer";
  readonly at: number;
  readonly pid: Pid;
}

export interface SignalEntry {
  readonly kind: "signal";
  readonly at: number;
  readonly pid: Pid;
  readonly signal: Signal;
  readonly by: string;
}

export interface WeightEntry {
  readonly kind: "weight";
  readonly at: number;
  readonly pid: Pid;
  readonly weight: number;
}

export interface ExitEntry {
  readonly kind: "exit";
  readonly at: number;
  readonly pid: Pid;
  readonly status: ExitStatus;
  /** SHA-256 of the process's folded state at exit: what a replay must reproduce. */
  readonly digest: Digest;
}

/**
 * A session's changes were put into the workspace, or the workspace back as it was; or the session was set aside whole, or brought back. A commit
 * with `steps` undoes a rollback.
 */
export interface FilesEntry {
  readonly kind: "files";
  readonly at: number;
  /** The owner of the session. */
  readonly pid: Pid;
  readonly act: "commit" | "rollback" | "stash" | "unstash";
  readonly phase: "intent" | "outcome";
  readonly changes: readonly { readonly path: string; readonly from: Digest | null; readonly to: Digest | null }[];
  /** The manifest in the blob store: what stood there, and the steps. Of a rollback, that of the commit it undoes; of a commit made again, the first one's. */
  readonly safety: Digest | null;
  /** The steps, of an intent whose safety copy is another act's. */
  readonly steps?: Digest;
  /** The folder in `.daimon/quarantine`; of an outcome only where the session was moved. */
  readonly stash?: string;
}

/** A file was put into the shared tier by a process, or taken out of it by a person, whose pid is 0. */
export interface ShareEntry {
  readonly kind: "share";
  readonly at: number;
  readonly pid: Pid;
  /** Below `/shared`. */
  readonly path: string;
  /** null: it is taken out. */
  readonly file: { readonly blob: Digest; readonly bytes: number; readonly label: Label } | null;
}

/** The whole table, so that a boot need not read what came before. */
export interface CheckpointEntry {
  readonly kind: "checkpoint";
  readonly at: number;
  readonly blob: Digest;
  readonly digest: Digest;
}

export type Entry =
  | BootEntry
  | SpawnEntry
  | ExecEntry
  | ThinkEntry
  | TurnEntry
  | CallEntry
  | OutcomeEntry
  | EvictEntry
  | ParkEntry
  | AnswerEntry
  | SignalEntry
  | WeightEntry
  | ExitEntry
  | FilesEntry
  | ShareEntry
  | CheckpointEntry;

/** What was large of it lies in the blob store: a part's text or arguments, a call's arguments, a goal, a result. */
export type Moved<T> = T extends unknown ? Omit<T, "text" | "args" | "value" | "goal"> & { readonly large: Digest } : never;

/** An entry as the journal holds it. */
export type StoredEntry =
  | Exclude<Entry, TurnEntry | ExitEntry>
  | Moved<CallEntry | SpawnEntry | ExecEntry>
  | (Omit<TurnEntry, "parts"> & { readonly parts: readonly (Part | Moved<Part>)[] })
  | (Omit<ExitEntry, "status"> & { readonly status: ExitStatus | Moved<Extract<ExitStatus, { ok: true }>> });

export type EntryKind = Entry["kind"];

const kinds: Readonly<Record<EntryKind, true>> = {
  boot: true,
  spawn: true,
  exec: true,
  think: true,
  turn: true,
  call: true,
  outcome: true,
  evict: true,
  park: true,
  answer: true,
  signal: true,
  weight: true,
  exit: true,
  files: true,
  share: true,
  checkpoint: true,
};

export const entryKinds = Object.keys(kinds) as readonly EntryKind[];
