/**
 * Ledger: a second account of the log, kept apart from the kernel's own fold and much simpler: who was started by whom, with what; what
 * each group has spent and may spend; what was permitted; who was told to end. The invariants are asked of it.
 */
import type { Limits } from "../../src/abi/budget.ts";
import type { CallId } from "../../src/abi/call.ts";
import type { Entry, Intent, OutcomeEntry } from "../../src/abi/entry.ts";
import type { ExitStatus, Manifest, ParkReason, Pid } from "../../src/abi/process.ts";
import type { Verb } from "../../src/abi/policy.ts";
import type { SysError } from "../../src/abi/errno.ts";
import type { Label } from "../../src/abi/label.ts";
import type { BlobDriver, LogDriver } from "../../src/abi/store.ts";
import { foldLog } from "../../src/kernel/recover.ts";
import { foldInput } from "../../src/kernel/recorder.ts";
import { callsOf, emptyTable, type Table } from "../../src/kernel/table.ts";
import type { Digest } from "../../src/lib/hash.ts";
import { join, label } from "../../src/security/labels.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import type { Asking } from "./mind.ts";
import { unmetered } from "./world.ts";

/** A process as the log tells of it. */
export interface Account {
  readonly pid: Pid;
  readonly parent: Pid;
  readonly goals: string[];
  manifest: Manifest;
  /** Model turns, and how many it had when it became the program it is. */
  steps: number;
  firstStep: number;
  readonly clock: Stopwatch;
  /** The least that was ever asked for, and what a person has raised it to. */
  limits: Limits;
  /** The worst of all that entered its window. */
  label: Label;
  /** What it and everything below it has spent. */
  tokens: number;
  costUsd: number;
  /** What its own model call under way may cost. */
  asking: { readonly tokens: number; readonly costUsd: number } | null;
  /** Metered calls of the world that were made, each counted once however often it was made again. */
  readonly made: Set<CallId>;
  park: ParkReason | null;
  /** Set by a kill or a person's no to going on: nothing may be done from here on. */
  doomed: string | null;
  exits: number;
  exit: { readonly status: ExitStatus; readonly digest: Digest; readonly seq: number } | null;
}

interface Call {
  readonly name: string;
  verb: Verb;
  /** The record that permitted it. */
  permit: number;
  /** Its outcome is that it was made. */
  done: boolean;
  /** What a person was shown and allowed. */
  frozen: Digest | null;
}

export class Ledger {
  readonly accounts = new Map<Pid, Account>();
  readonly calls = new Map<CallId, Call>();
  readonly #manifest: (digest: Digest) => Manifest;
  /** When the newest entry was made. */
  #at = 0;

  constructor(manifest: (digest: Digest) => Manifest) {
    this.#manifest = manifest;
  }

  /** All that counts of a log. An entry is noted when the next one is met: a boot says that those before it never counted. */
  read(log: LogDriver, blobs: BlobDriver): Result<Table, SysError> {
    const held: { last: { readonly entry: Entry; readonly seq: number } | null } = { last: null };
    const folded = foldLog({
      log,
      from: 0,
      input: foldInput(blobs),
      start: () => {
        held.last = null;
        this.accounts.clear();
        this.calls.clear();
        this.#at = 0;
        return emptyTable();
      },
      observe: (_, entry, seq) => {
        const { last } = held;
        const isVoid = entry.kind === "boot" && last !== null && (entry.cut ?? Infinity) <= last.seq;
        if (last !== null && !isVoid) this.note(last.entry, last.seq);
        held.last = { entry, seq };
        return true;
      },
    });
    if (!folded.ok) return folded;
    if (held.last !== null) this.note(held.last.entry, held.last.seq);
    return ok(folded.value.table);
  }

  pidOf(goal: string): Pid | null {
    for (const { pid, goals } of this.accounts.values()) if (goals.includes(goal)) return pid;
    return null;
  }

  /** A call by its process's first goal: the same whatever pid the process got. */
  nameOf(id: CallId): string {
    const dot = id.indexOf(".");
    return `${this.accounts.get(Number(id.slice(0, dot)))?.goals[0]}${id.slice(dot)}`;
  }

  callsOf(pid: Pid): readonly string[] {
    return this.accounts.get(pid)?.manifest.calls ?? [];
  }

  /** The process as its model knows it. */
  asking(pid: Pid): Asking | null {
    const account = this.accounts.get(pid);
    if (account === undefined) return null;
    const { goals, manifest, firstStep } = account;
    return { pid, goal: goals.at(-1) ?? "", calls: manifest.calls, step: account.steps - firstStep, firstStep };
  }

  /** The process and the groups above it, nearest first. */
  groups(pid: Pid): Account[] {
    const groups: Account[] = [];
    for (let at = this.accounts.get(pid); at !== undefined; at = this.accounts.get(at.parent)) groups.push(at);
    return groups;
  }

  note(entry: Entry, seq: number): void {
    if (entry.kind === "spawn") return this.#spawned(entry);
    if (entry.kind === "boot") this.#booted(entry.at);
    this.#at = Math.max(this.#at, entry.at);
    if (!("pid" in entry)) return;
    const account = this.accounts.get(entry.pid);
    if (account === undefined) return;
    switch (entry.kind) {
      case "exec":
        account.manifest = this.#manifest(entry.manifest);
        account.goals.push(String(entry.goal));
        account.firstStep = account.steps;
        account.limits = this.#tightened(account);
        return;
      case "think":
        account.asking = { tokens: entry.reserveTokens, costUsd: entry.reserveUsd };
        return;
      case "turn":
        account.asking = null;
        account.steps += 1;
        for (const group of this.groups(entry.pid)) {
          group.tokens += entry.usage.inputTokens + entry.usage.outputTokens;
          group.costUsd += entry.costUsd ?? 0;
        }
        for (const [n, call] of callsOf(entry.parts).entries()) {
          this.#decided(`${entry.pid}.${entry.step}.${n}`, call.name, entry.intents[n], seq);
        }
        return;
      case "call":
        return this.#decided(entry.id, entry.name, entry.intent, seq);
      case "outcome":
        account.label = join(account.label, entry.label ?? label("derived", "workspace"));
        return this.#outcome(entry);
      case "park":
        if (account.park === null) for (const group of this.groups(entry.pid)) group.clock.wait(entry.at);
        account.park = entry.reason;
        if (entry.reason.type !== "stopped") account.asking = null;
        return;
      case "answer":
        return this.#answered(account, entry, seq);
      case "signal":
        if (entry.signal === "kill") this.#doom(entry.pid, `killed by ${entry.by}`);
        if (entry.signal === "continue" && account.park?.type === "stopped") this.#goesOn(account, entry.at);
        return;
      case "exit":
        account.exits += 1;
        account.exit = { status: entry.status, digest: entry.digest, seq };
        if (account.park !== null) this.#goesOn(account, entry.at);
        account.clock.wait(entry.at);
        account.asking = null;
        return;
      default:
        return;
    }
  }

  /** The call's hand is on the world now. */
  made(id: CallId, pid: Pid): void {
    if (unmetered.has(this.calls.get(id)?.name ?? "")) return;
    for (const group of this.groups(pid)) group.made.add(id);
  }

  #goesOn(account: Account, at: number): void {
    account.park = null;
    for (const group of this.groups(account.pid)) group.clock.goOn(at);
  }

  /** Nothing ran between two kernels, and nobody was being asked. */
  #booted(at: number): void {
    for (const account of this.accounts.values()) {
      account.asking = null;
      account.clock.skip(this.#at, at);
    }
  }

  #outcome(entry: OutcomeEntry): void {
    const call = this.calls.get(entry.id);
    if (call !== undefined && entry.error === undefined) call.done = true;
    this.made(entry.id, entry.pid);
  }

  #spawned(entry: Extract<Entry, { kind: "spawn" }>): void {
    const manifest = this.#manifest(entry.manifest);
    this.accounts.set(entry.pid, {
      pid: entry.pid,
      parent: entry.parent,
      goals: [String(entry.goal)],
      manifest,
      steps: 0,
      firstStep: 0,
      clock: new Stopwatch(entry.at),
      limits: manifest.limits,
      label: entry.label,
      tokens: 0,
      costUsd: 0,
      asking: null,
      made: new Set(),
      park: null,
      doomed: null,
      exits: 0,
      exit: null,
    });
  }

  #decided(id: CallId, name: string, intent: Intent | undefined, seq: number): void {
    this.calls.set(id, { name, verb: intent?.verb ?? "deny", permit: seq, done: false, frozen: null });
  }

  /** What is spent, or about to be by those below, is spent: a model asked, a call that was let through and waits for the disk. */
  #tightened({ pid, limits, manifest, tokens, costUsd, made }: Account): Limits {
    const below = [...this.accounts.values()].filter((other) => this.groups(other.pid).some((group) => group.pid === pid));
    const asking = (key: "tokens" | "costUsd"): number => below.reduce((sum, other) => sum + (other.asking?.[key] ?? 0), 0);
    const pids = new Set(below.map((other) => String(other.pid)));
    const waiting = [...this.calls].filter(
      ([id, { verb, done }]) => verb === "allow" && !done && !made.has(id) && pids.has(id.slice(0, id.indexOf("."))),
    );
    const calls = made.size + waiting.length;
    const spent = { tokens: tokens + asking("tokens"), costUsd: costUsd + asking("costUsd"), calls, timeMs: 0 };
    const of = (key: keyof Limits): number | null => {
      const asked = [limits[key], manifest.limits[key]].filter((limit) => limit !== null);
      return asked.length === 0 ? null : Math.max(spent[key], Math.min(...asked));
    };
    return { tokens: of("tokens"), costUsd: of("costUsd"), calls: of("calls"), timeMs: of("timeMs") };
  }

  #answered(account: Account, entry: Extract<Entry, { kind: "answer" }>, seq: number): void {
    const reason = account.park;
    if (reason === null) return;
    this.#goesOn(account, entry.at);
    const call = "call" in reason ? this.calls.get(reason.call) : undefined;
    if (call !== undefined) {
      call.verb = entry.allow ? "allow" : "deny";
      call.permit = seq;
      if (reason.type === "approval") call.frozen = reason.frozen ?? null;
    }
    const ends = reason.type === "budget" || reason.type === "degraded" || reason.type === "stopped";
    if (!entry.allow && ends) this.#doom(entry.pid, "a person said no");
    if (reason.type !== "budget" || !entry.allow) return;
    const group = this.accounts.get(reason.group);
    if (group === undefined) return;
    group.limits = { ...group.limits, ...entry.raise, ...(reason.unpriced === true ? { costUsd: null } : {}) };
  }

  #doom(pid: Pid, why: string): void {
    for (const account of this.accounts.values()) {
      if (this.groups(account.pid).some((group) => group.pid === pid)) account.doomed ??= why;
    }
  }
}

/** How long somebody ran: its time stands still as long as anybody at or below it waits. */
class Stopwatch {
  #ran = 0;
  #since: number;
  #waiting = 0;

  constructor(at: number) {
    this.#since = at;
  }

  wait(at: number): void {
    if (this.#waiting === 0) this.#ran += at - this.#since;
    this.#waiting += 1;
  }

  goOn(at: number): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#since = at;
  }

  /** From the last moment of one kernel to the first of the next. */
  skip(from: number, to: number): void {
    if (this.#waiting > 0) return;
    this.#ran += from - this.#since;
    this.#since = to;
  }

  read(now: number): number {
    return this.#ran + (this.#waiting === 0 ? now - this.#since : 0);
  }
}
