/**
 * Guest: what the doors do for a process whose program is somebody else's. The program keeps its own window and makes its own calls; the kernel
 * admits each request to a model, decides on each call the model proposes before the program sees it, and takes what the program says its calls
 * gave. Several requests of one guest may be under way.
 *   GST-1.1  A request is admitted within the budget of the guest and every group above; without room it waits for a person.
 *   GST-1.2  The intent to ask is written before a request leaves, and its reservation is settled by its own reply. A reply's calls are told once
 *            intent and reply are durable; its text may be heard before, since nothing that leaves the machine can follow from a text alone.
 *   GST-1.3  Of the calls of a reply those that policy asks about wait for a person one after the other; the rest are decided at once.
 *   GST-1.4  What a call gave is believed once, and only of a call that was allowed; it is untrusted text and taints the guest.
 *   GST-1.5  A guest that was ended, and one whose kernel leaves, asks and acts no more.
 *   GST-1.6  A request that the model fails gives back its reservation, and what was generated until then is paid for by our own count; a reply that
 *            comes when the guest has ended is paid for, too.
 *   GST-1.7  What a guest calls through the tool door goes through the trap, the budget and the journal like any call; reads run side by side,
 *            and what changes something runs alone.
 *   GST-1.9  weigh() says what the trap would decide now and records nothing, so that who remembers an answer sees whether it still holds.
 *   GST-1.10  What a door refuses by itself is a refused call in the journal, and nobody is asked.
 *   GST-1.8  A guest that gets nowhere waits for a person before it asks the model again.
 */
import type { CallId, StandsFor } from "../abi/call.ts";
import type { Intent, OutcomeEntry } from "../abi/entry.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Exchange } from "../abi/gate.ts";
import type { ModelReply, Usage } from "../abi/model.ts";
import type { Label } from "../abi/label.ts";
import type { RuleId, Verb } from "../abi/policy.ts";
import type { ExitStatus, ParkReason, Pid } from "../abi/process.ts";
import { canonical, type Json } from "../lib/json.ts";
import { done, ok, type Err, type Result } from "../lib/result.ts";
import { isStalled, wentOn, type Rounds } from "../scheduler/progress.ts";
import { label } from "../security/labels.ts";
import { overBudget, type Priced } from "./admission.ts";
import { mayAct, type Core, type Running } from "./core.ts";
import { exit } from "./exit.ts";
import { answered, refusal, saidIn, stalled } from "./guest-words.ts";
import { ask, onlyReads, parkFor, performBeside, type Job } from "./perform.ts";
import { Proposed } from "./proposed.ts";
import { callsOf, type PendingCall, type Proc } from "./table.ts";
import { excerpt, render } from "./window.ts";

/** What a guest's own tool stands for: calls of the table, with the arguments that policy looks at. None: it touches nothing but the guest. */
export type Mapping = (name: string, args: Json) => readonly StandsFor[];

export interface Asking {
  readonly model: Priced;
  /** What the request weighs, by our own count. */
  readonly windowTokens: number;
  readonly outputTokensMax: number;
}

/** A request that was admitted, and whose intent outlives this kernel. */
export interface Ticket extends Asking {
  readonly step: number;
}

/** What a call gave a guest. */
export interface Given {
  readonly value: Json;
  /** As a model sees it: cut to size, with the call that reads on. */
  readonly text: string;
}

/** What would be decided on a call now, and how the guest is labelled. */
export interface Weighed {
  readonly verb: Verb;
  /** That decided; none: nothing permits it. */
  readonly rules: readonly RuleId[];
  readonly label: Label;
}

/** What becomes of a call of the reply. */
export interface Verdict {
  readonly id: CallId;
  readonly modelId: string;
  /** null: it may be made. */
  readonly refused: SysError | null;
}

export function openGuest(core: Core, proc: Proc, running: Running, map: Mapping): Result<GuestProcess, SysError> {
  if (proc.manifest.kind !== "guest") return fail("EINVAL", `process ${proc.pid} is no guest`);
  return ok(new GuestProcess({ core, proc, running }, map));
}

export class GuestProcess {
  readonly pid: Pid;
  readonly #job: Job;
  readonly #core: Core;
  readonly #proc: Proc;
  readonly #map: Mapping;
  /** What its calls gave since the model's last reply, and what came of the newest rounds. Not state: a new kernel watches anew. */
  #saw = "";
  #rounds: Rounds = [];
  readonly #proposed = new Proposed();

  constructor(job: Job, map: Mapping) {
    this.pid = job.proc.pid;
    this.#job = job;
    this.#core = job.core;
    this.#proc = job.proc;
    this.#map = map;
  }

  /** Waits for as long as a person needs to make room. */
  async admit(asking: Asking): Promise<Result<Ticket, SysError>> {
    const { recorder, clock } = this.#core;
    const { model, windowTokens, outputTokensMax } = asking;
    if (recorder.failure !== null) return { ok: false, error: recorder.failure };
    for (;;) {
      const free = await this.#free();
      if (!free.ok) return free;
      const parked = isStalled(this.#rounds) ? stalled(this.#proc) : overBudget(this.#core, this.#proc, model, asking);
      if (parked === null) break;
      const answered = await this.#ask(parked);
      if (!answered.ok) return answered;
      if (parked.type === "degraded") this.#rounds = [];
    }
    const { step } = this.#proc;
    const most = counted(windowTokens, outputTokensMax);
    recorder.record({
      kind: "think",
      at: clock.now(),
      pid: this.pid,
      step,
      reserveTokens: windowTokens + outputTokensMax,
      reserveUsd: model.cost(most) ?? 0,
      windowTokens,
    });
    const written = recorder.write(clock);
    return written.ok ? ok({ ...asking, step }) : written;
  }

  /** The model answered: what of its calls may be made. */
  async settle(ticket: Ticket, reply: ModelReply): Promise<Result<readonly Verdict[], SysError>> {
    const { recorder, clock } = this.#core;
    if (this.#core.stopping) return this.#gone();
    if (this.#proc.state === "zombie") {
      const gone = this.#gone();
      this.#pay(ticket, reply.usage, reply.model, gone.error);
      return gone;
    }
    const calls = callsOf(reply.parts);
    this.#rounds = wentOn(this.#rounds, this.#saw, saidIn(reply));
    this.#saw = "";
    const intents = calls.map((call, n) => this.#decide(call.name, call.args, n));
    recorder.record({
      kind: "turn",
      at: clock.now(),
      pid: this.pid,
      step: ticket.step,
      parts: reply.parts,
      stop: reply.stop,
      usage: reply.usage,
      tokens: reply.usage.outputTokens,
      costUsd: ticket.model.cost(reply.usage),
      model: reply.model,
      intents,
    });
    if (calls.length > 0) {
      /** The guest makes its calls itself, as soon as it reads of them. */
      const durable = await recorder.barrier(false);
      if (!durable.ok) return durable;
    } else recorder.soon(clock);
    const verdicts: Verdict[] = [];
    for (const [n, call] of calls.entries()) {
      const id = `${this.pid}.${ticket.step}.${n}`;
      const intent = intents[n];
      const [as] = intent?.as ?? [];
      const refused = intent?.verb === "ask" ? await this.#permission(id, as?.name ?? call.name) : ok(intent?.error ?? null);
      if (!refused.ok) return refused;
      if (intent?.verb === "ask" && refused.value === null && as?.again === true) this.#remember(id, as.name, call.args);
      verdicts.push({ id, modelId: call.id, refused: refused.value });
    }
    return ok(verdicts);
  }

  /** The model failed the request, or broke off after it had generated so much. `asked`: it had begun to answer, so its input is paid for, too. */
  lost(ticket: Ticket, error: SysError, asked: boolean, outputTokens: number): void {
    if (this.#core.stopping) return;
    this.#pay(ticket, counted(asked ? ticket.windowTokens : 0, outputTokens), ticket.model.model, error);
  }

  #pay(ticket: Ticket, usage: Usage, model: string, error: SysError): void {
    this.#core.recorder.record({
      kind: "turn",
      at: this.#core.clock.now(),
      pid: this.pid,
      step: ticket.step,
      parts: [],
      stop: "end",
      usage,
      tokens: usage.outputTokens,
      costUsd: ticket.model.cost(usage),
      model,
      intents: [],
      error: sysError(error.errno, error.message.slice(0, limits.errorCharsMax)),
    });
  }

  /** A call of the table, made through the tool door. Waits for as long as a person needs to allow it. `exchange`: the client's request that it answers. */
  async call(name: string, args: Json, exchange: Exchange | null = null): Promise<Result<Given, SysError>> {
    const free = await this.#free();
    if (!free.ok) return free;
    const id = `${this.pid}.${this.#proc.step}.0`;
    const { exchanges } = this.#job.running.abreast;
    if (exchange !== null) exchanges.set(id, exchange);
    return await this.#make(id, name, args).finally(() => exchanges.delete(id));
  }

  async #make(id: CallId, name: string, args: Json): Promise<Result<Given, SysError>> {
    const { recorder, trap, clock } = this.#core;
    const intent = this.#proposed.settled(trap.decide(this.#proc, name, args), name, args);
    recorder.record({ kind: "call", at: clock.now(), pid: this.pid, id, name, args, intent });
    if (intent.error !== undefined) return { ok: false, error: intent.error };
    const call = this.#proc.pending.find((pending) => pending.id === id);
    if (call === undefined) return this.#gone();
    for (;;) {
      const may = await this.#permit(call);
      if (!may.ok) return may;
      if (call.result !== null) return answered(call);
      const beside = onlyReads(this.#core, call);
      const outcome = beside ? await this.#perform(call) : await this.#job.running.abreast.effect.take(() => this.#perform(call));
      if (outcome !== null) return this.#given(outcome);
      const goesOn = await this.#free();
      if (!goesOn.ok) return goesOn;
    }
  }

  /** An error: the guest acts no more. One that waits for a person is weighed as before. */
  weigh(name: string, args: Json): Result<Weighed, SysError> {
    if (this.#core.stopping || this.#proc.state === "zombie") return this.#gone();
    const { verb, rules } = this.#core.trap.decide(this.#proc, name, args);
    return ok({ verb, rules, label: this.#proc.label });
  }

  refused(name: string, args: Json, error: SysError): void {
    if (this.#core.stopping || this.#proc.state === "zombie") return;
    this.#deny(name, args, { verb: "deny", rules: [], error });
  }

  #deny(name: string, args: Json, intent: Intent): void {
    const id = `${this.pid}.${this.#proc.step}.0`;
    this.#core.recorder.record({ kind: "call", at: this.#core.clock.now(), pid: this.pid, id, name, args, intent });
  }

  /** Whether a call of this id was allowed and has given nothing yet. */
  awaits(modelId: string): boolean {
    return this.#open(modelId) !== undefined;
  }

  /** What the guest says a call gave. One that is not awaited says nothing. */
  gave(modelId: string, outcome: { readonly ok: boolean; readonly text: string }): void {
    const call = this.#open(modelId);
    if (call === undefined || this.#proc.state === "zombie" || this.#core.stopping) return;
    this.#saw = (this.#saw + outcome.text).slice(-limits.guestResultBytesMax);
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
      ...this.#proposed.close(call.id),
    });
  }

  /** An allowed call that the guest never heard of. */
  unmade(modelId: string): void {
    const call = this.#open(modelId);
    if (call === undefined || this.#proc.state === "zombie" || this.#core.stopping) return;
    this.#proposed.close(call.id);
    const error = sysError("ECANCELED", "not made: another call of the same reply was refused");
    this.#core.recorder.record({ kind: "outcome", at: this.#core.clock.now(), pid: this.pid, id: call.id, error, tokens: 0 });
  }

  /** What the guest's hook says it is about to call. null: that was proposed by a model and allowed, or is nobody else's business. */
  reported(name: string, args: Json, modelId: string | null): SysError | null {
    if (this.#proc.state === "zombie" || this.#core.stopping) return this.#gone().error;
    const as = this.#map(name, args);
    if (as.length === 0) return null;
    const open = this.#proc.pending.filter((call) => call.modelId !== "" && call.verb === "allow" && call.result === null);
    if (this.#proposed.tells(open, (call) => this.#map(call.name, call.args), as, modelId)) return null;
    const error = sysError("EPERM", `${name} was refused: no model proposed this call at the model door and was allowed it`);
    const large = canonical(args).length > limits.guestResultBytesMax;
    this.#deny(name, large ? {} : args, { verb: "deny", rules: [], as, error });
    return error;
  }

  ended(status: ExitStatus): void {
    if (!this.#core.stopping) exit(this.#core, this.#proc, status);
  }

  /** Asks a person for what the call needs. */
  #permit(call: PendingCall): Promise<Result<void, SysError>> {
    if (parkFor(this.#core, this.#proc, call) === null) return Promise.resolve(done);
    return this.#job.running.abreast.question.take(async () => {
      const free = await this.#free();
      const reason = free.ok ? parkFor(this.#core, this.#proc, call) : null;
      if (reason === null) return free;
      await ask(this.#job, call, reason);
      return await this.#free();
    });
  }

  #perform(call: PendingCall): Promise<OutcomeEntry | null> {
    return mayAct(this.#core, this.#proc) ? performBeside(this.#job, call) : Promise.resolve(null);
  }

  #given({ id, error, value, blob }: OutcomeEntry): Result<Given, SysError> {
    if (error !== undefined) return { ok: false, error };
    const whole = blob === undefined ? (value ?? null) : this.#core.recorder.value(blob);
    return ok({ value: whole, text: excerpt(render(whole), id, 0) });
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
    const [first] = as;
    if (first?.again === true) return { ...this.#core.trap.decide(this.#proc, first.name, args), as };
    return { ...this.#core.trap.judge(this.#proc, as), as };
  }

  /** Where what would happen has to be worked out first, the question at the tool door is the one that shows it. */
  #remember(id: CallId, name: string, args: Json): void {
    if (this.#core.calls.get(name)?.handler.freeze === undefined) this.#proposed.allow(id, name, args);
  }

  /** null: a person allowed it. */
  #permission(id: CallId, name: string): Promise<Result<SysError | null, SysError>> {
    return this.#job.running.abreast.question.take(async () => {
      const call = this.#proc.pending.find((pending) => pending.id === id);
      if (call === undefined) return this.#gone();
      const asked = await this.#park({
        type: "approval",
        call: id,
        question: `${this.#proc.manifest.name} asks to call ${name}`,
      });
      if (!asked.ok) return asked;
      if (call.verb === "allow") return ok(null);
      return ok(refusal(call));
    });
  }

  #ask(reason: ParkReason): Promise<Result<void, SysError>> {
    return this.#job.running.abreast.question.take(() => this.#park(reason));
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

  #gone(): Err<SysError> {
    if (this.#core.stopping) return fail("EAGAIN", `process ${this.pid} waits for the next kernel; try again`);
    const why = this.#proc.ending?.message ?? "it has ended";
    return fail("ECANCELED", `process ${this.pid} was ended: ${why}`);
  }
}

function counted(inputTokens: number, outputTokens: number): Usage {
  return { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reported: false };
}
