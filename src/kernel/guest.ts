/**
 * Guest: what the doors do for a process whose program is somebody else's. The program keeps its own window and makes its own calls; the kernel
 * admits each request to a model, decides on each call the model proposes before the program sees it, and takes what the program says its calls
 * gave. Several requests of one guest may be under way.
 *   GST-1.1  A request is admitted within the budget of the guest and every group above; without room it waits for a person.
 *   GST-1.2  A request leaves only when the intent to ask is durable, and its reservation is settled by its own reply.
 *   GST-1.3  Of the calls of a reply those that policy asks about wait for a person one after the other; the rest are decided at once.
 *   GST-1.4  What a call gave is believed once, and only of a call that was allowed; it is untrusted text and taints the guest.
 *   GST-1.5  A guest that was ended, and one whose kernel leaves, asks and acts no more.
 */
import type { CallId } from "../abi/call.ts";
import type { Intent } from "../abi/entry.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { ModelReply } from "../abi/model.ts";
import type { ExitStatus, ParkReason, Pid } from "../abi/process.ts";
import type { Json } from "../lib/json.ts";
import { done, ok, type Result } from "../lib/result.ts";
import { Turn } from "../lib/turn.ts";
import { label } from "../security/labels.ts";
import { overBudget } from "./admission.ts";
import { mayAct, type Core, type Cpu } from "./core.ts";
import { exit } from "./exit.ts";
import { callsOf, type PendingCall, type Proc } from "./table.ts";

/** A guest's own tool as a call of the table, on which policy decides; null is a tool that touches nothing but the guest. */
export type Mapping = (name: string, args: Json) => { readonly name: string; readonly args: Json } | null;

export interface Asking {
  readonly cpu: Cpu;
  /** What the request weighs, by our own count. */
  readonly windowTokens: number;
  readonly outputTokensMax: number;
}

/** A request that was admitted. */
export interface Ticket {
  readonly step: number;
  readonly cpu: Cpu;
}

/** What becomes of a call of the reply. */
export interface Verdict {
  readonly id: CallId;
  readonly modelId: string;
  /** null: it may be made. */
  readonly refused: SysError | null;
}

export function openGuest(core: Core, proc: Proc, map: Mapping): Result<GuestProcess, SysError> {
  if (proc.manifest.kind !== "guest") return fail("EINVAL", `process ${proc.pid} is no guest`);
  return ok(new GuestProcess(core, proc, map));
}

export class GuestProcess {
  readonly pid: Pid;
  readonly #core: Core;
  readonly #proc: Proc;
  readonly #map: Mapping;
  /** A process waits for one answer at a time. */
  readonly #question = new Turn();

  constructor(core: Core, proc: Proc, map: Mapping) {
    this.pid = proc.pid;
    this.#core = core;
    this.#proc = proc;
    this.#map = map;
  }

  /** Waits for as long as a person needs to make room. */
  async admit(asking: Asking): Promise<Result<Ticket, SysError>> {
    const { recorder, clock } = this.#core;
    const { cpu, windowTokens, outputTokensMax } = asking;
    for (;;) {
      const free = await this.#free();
      if (!free.ok) return free;
      const parked = overBudget(this.#core, this.#proc, cpu, { windowTokens, outputTokensMax });
      if (parked === null) break;
      const answered = await this.#ask(parked);
      if (!answered.ok) return answered;
    }
    const { step } = this.#proc;
    const usage = {
      inputTokens: windowTokens,
      outputTokens: outputTokensMax,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reported: false,
    };
    recorder.record({
      kind: "think",
      at: clock.now(),
      pid: this.pid,
      step,
      reserveTokens: windowTokens + outputTokensMax,
      reserveUsd: cpu.cost(usage) ?? 0,
      windowTokens,
    });
    const durable = await recorder.barrier(false);
    if (!durable.ok) return durable;
    return mayAct(this.#core, this.#proc) ? ok({ step, cpu }) : this.#gone();
  }

  /** The model answered: what of its calls may be made. */
  async settle(ticket: Ticket, reply: ModelReply): Promise<Result<readonly Verdict[], SysError>> {
    if (this.#proc.state === "zombie" || this.#core.stopping) return this.#gone();
    const calls = callsOf(reply.parts);
    const intents = calls.map((call, n) => this.#decide(call.name, call.args, n));
    this.#core.recorder.record({
      kind: "turn",
      at: this.#core.clock.now(),
      pid: this.pid,
      step: ticket.step,
      parts: reply.parts,
      stop: reply.stop,
      usage: reply.usage,
      tokens: reply.usage.outputTokens,
      costUsd: ticket.cpu.cost(reply.usage),
      model: reply.model,
      intents,
    });
    const verdicts: Verdict[] = [];
    for (const [n, call] of calls.entries()) {
      const id = `${this.pid}.${ticket.step}.${n}`;
      const intent = intents[n];
      const refused =
        intent?.verb === "ask" ? await this.#permission(id, intent.as?.name ?? call.name) : ok(intent?.error ?? null);
      if (!refused.ok) return refused;
      verdicts.push({ id, modelId: call.id, refused: refused.value });
    }
    return ok(verdicts);
  }

  /** Whether a call of this id was allowed and has given nothing yet. */
  awaits(modelId: string): boolean {
    return this.#open(modelId) !== undefined;
  }

  /** What the guest says a call gave. One that is not awaited says nothing. */
  gave(modelId: string, outcome: { readonly ok: boolean; readonly text: string }): void {
    const call = this.#open(modelId);
    if (call === undefined || this.#proc.state === "zombie" || this.#core.stopping) return;
    const { recorder, clock } = this.#core;
    const untrusted = label("untrusted", "workspace");
    const stored = recorder.store({ ok: outcome.ok, text: outcome.text }, false);
    recorder.record({
      kind: "outcome",
      at: clock.now(),
      pid: this.pid,
      id: call.id,
      ...stored,
      tokens: 0,
      label: untrusted,
      source: call.name,
    });
  }

  ended(status: ExitStatus): void {
    if (!this.#core.stopping) exit(this.#core, this.#proc, status);
  }

  #open(modelId: string): PendingCall | undefined {
    return this.#proc.pending.find((call) => call.modelId === modelId && call.verb === "allow" && call.result === null);
  }

  #decide(name: string, args: Json, n: number): Intent {
    if (n >= limits.callsPerTurnMax) {
      const error = sysError("E2BIG", `one reply may hold ${limits.callsPerTurnMax} calls; make the rest in the next`);
      return { verb: "deny", rules: [], error };
    }
    const as = this.#map(name, args);
    if (as === null) return { verb: "allow", rules: [] };
    return { ...this.#core.trap.decide(this.#proc, as.name, as.args), as };
  }

  /** null: a person allowed it. */
  #permission(id: CallId, name: string): Promise<Result<SysError | null, SysError>> {
    return this.#question.take(async () => {
      const call = this.#proc.pending.find((pending) => pending.id === id);
      if (call === undefined) return this.#gone();
      const asked = await this.#park({
        type: "approval",
        call: id,
        question: `${this.#proc.manifest.name} asks to call ${name}`,
      });
      if (!asked.ok) return asked;
      if (call.verb === "allow") return ok(null);
      return ok(sysError("EPERM", call.result?.text ?? "a person refused this call"));
    });
  }

  #ask(reason: ParkReason): Promise<Result<void, SysError>> {
    return this.#question.take(() => this.#park(reason));
  }

  async #park(reason: ParkReason): Promise<Result<void, SysError>> {
    if (!mayAct(this.#core, this.#proc)) return this.#gone();
    this.#core.recorder.record({ kind: "park", at: this.#core.clock.now(), pid: this.pid, reason });
    return await this.#free();
  }

  /** Once nothing is asked of a person. */
  async #free(): Promise<Result<void, SysError>> {
    while (this.#proc.state === "parked" && !this.#core.stopping) await this.#core.answered(this.pid);
    return mayAct(this.#core, this.#proc) ? done : this.#gone();
  }

  #gone(): Result<never, SysError> {
    return fail("ECANCELED", `process ${this.pid} ${this.#core.stopping ? "waits for the next kernel" : "was ended"}`);
  }
}
