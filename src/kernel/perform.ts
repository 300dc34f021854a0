/**
 * Perform: carry out what the trap let through, and write down what came of it.
 *   KRN-5.1  Calls that only read run side by side; any other call runs alone and in order.
 *   KRN-5.2  An effect above `read` waits until its intent is durable.
 *   KRN-5.3  After a restart a call without an outcome is handled by its class: pure and idempotent are performed again,
 *            `verify` looks at the world first, and what cannot be known parks the process with the uncertainty named.
 *   KRN-5.5  A call beyond the budget of its process or of a group above parks the process and asks; ending a task, waiting and asking
 *            are always affordable.
 *   KRN-5.6  Whatever happened while a call waited for the disk or the world, a process that was stopped or has ended acts no more.
 *   KRN-5.7  What a person is asked to allow is worked out before they are asked; what would happen must still be that when it is performed,
 *            or they are asked again. What cannot be worked out is the call's error, and nobody is asked.
 *   KRN-5.8  The arguments a person is shown are the arguments performed.
 *   KRN-5.9  What a call gives has the form that it declares, or the outcome is EPROTO with the call's name, and nothing of it is kept.
 *   KRN-5.4  A handler that throws is an EIO outcome of that call; the process goes on.
 */
import type { CallHandler, CallValue, EffectClass, Verdict } from "../abi/call.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { OutcomeEntry } from "../abi/entry.ts";
import type { ParkReason } from "../abi/process.ts";
import { limits } from "../abi/limits.ts";
import { assert, Panic } from "../lib/assert.ts";
import type { Digest } from "../lib/hash.ts";
import type { Json } from "../lib/json.ts";
import { tooDeep } from "../lib/json.ts";
import { ok, type Awaitable, type Result } from "../lib/result.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { overLimits } from "./admission.ts";
import { Context, mayAct, type Core, type Running } from "./core.ts";
import { Halted } from "./recorder.ts";
import type { PendingCall, Proc } from "./table.ts";
import { errorText, excerpt, render } from "./window.ts";

/** One process's calls being carried out. */
export interface Job {
  readonly core: Core;
  readonly proc: Proc;
  readonly running: Running;
}

/** The calls that another kernel may have begun: those that were next, unless the process waits for what they need before they begin. */
export function begun(core: Core, proc: Proc): readonly PendingCall[] {
  const first = proc.pending.find((call) => call.result === null);
  if (first === undefined || first.verb !== "allow" || first.name === "ask") return [];
  const may = proc.park === null || proc.park.type === "stopped" || proc.park.type === "degraded";
  return may ? batchFrom(core, proc, first).filter((call) => needsLook(core, call)) : [];
}

/** Whether a call that may have been made cannot simply be made again. */
function needsLook(core: Core, { name }: PendingCall): boolean {
  const recovery = core.calls.get(name)?.spec.recovery;
  return recovery === "verify" || recovery === "once";
}

/** Carry out the next calls that may go: a batch of reads, or one effect. */
export function performPending(job: Job): Awaitable<unknown> {
  const { core, proc } = job;
  const first = proc.pending.find((call) => call.result === null);
  if (first === undefined) return;
  /** What was begun was admitted then; whether it is done is asked first. */
  const parked = job.running.doubt?.has(first.id) === true ? null : parkFor(core, proc, first);
  if (parked !== null) return ask(job, first, parked);
  const batch = batchFrom(core, proc, first);
  if (batch.every((call) => isRead(effectOf(core, call)))) return performAll(job, batch);
  const durable = core.recorder.barrier(core.active <= 1);
  if (durable instanceof Promise) return durable.then((result) => ifDurable(job, batch, result));
  return ifDurable(job, batch, durable);
}

function ifDurable(job: Job, batch: readonly PendingCall[], result: Result<void, SysError>): Awaitable<unknown> {
  if (!result.ok) throw new Halted(result.error);
  return mayAct(job.core, job.proc) ? performAll(job, batch) : undefined;
}

function park({ core, proc }: Job, reason: ParkReason): void {
  core.recorder.record({ kind: "park", at: core.clock.now(), pid: proc.pid, reason });
}

/** Where the arguments do not say all that would happen, the question names the plan. */
export function ask(job: Job, call: PendingCall, reason: ParkReason): Awaitable<void> {
  const handler = job.core.calls.get(call.name)?.handler;
  if (reason.type !== "approval" || handler?.freeze === undefined) return park(job, reason);
  return freeze(job, call, handler).then((plan) => {
    if (!mayAct(job.core, job.proc)) return;
    return plan.ok ? park(job, { ...reason, frozen: plan.value }) : recordBehind(job, call, plan);
  });
}

/** Recovery takes the outcome of an effect for a proof that the disk had what stands before it, so this one, too, waits for the disk. */
async function recordBehind(job: Job, call: PendingCall, result: Result<never, SysError>): Promise<void> {
  const durable = await job.core.recorder.barrier(false);
  if (!durable.ok) throw new Halted(durable.error);
  if (mayAct(job.core, job.proc)) recordOutcome(job, call, result);
}

async function freeze({ core, running }: Job, call: PendingCall, handler: CallHandler): Promise<Result<Digest, SysError>> {
  const none = fail("EIO", "nothing says what this call would do");
  try {
    return (await handler.freeze?.(call.args as never, new Context(running, call, core.clock.now()))) ?? none;
  } catch (error) {
    return thrown(error);
  }
}

/** A call that waits for a person: for a larger budget, for permission, or because asking is what it does. */
export function parkFor(core: Core, proc: Proc, call: PendingCall): ParkReason | null {
  const over = unmetered.has(call.name) ? null : overLimits(core, proc, call.name);
  if (over !== null) return over;
  if (call.verb === "ask") {
    return { type: "approval", call: call.id, question: `${proc.manifest.name} asks to call ${call.name}` };
  }
  if (call.name !== "ask") return null;
  const question = (call.args as { readonly question?: Json }).question;
  return { type: "question", call: call.id, question: typeof question === "string" ? question : "" };
}

/** What ends a task or waits costs nothing, so that a spent budget can still be reported. */
const unmetered: ReadonlySet<string> = new Set(["task.done", "proc.wait", "ask"]);

/** From the first open call on: all reads up to the next effect, or one effect. */
function batchFrom(core: Core, proc: Proc, first: PendingCall): readonly PendingCall[] {
  if (!isRead(effectOf(core, first))) return [first];
  const batch: PendingCall[] = [];
  for (const call of proc.pending.slice(proc.pending.indexOf(first))) {
    if (call.result !== null) continue;
    if (call.verb !== "allow" || call.name === "ask" || !isRead(effectOf(core, call))) break;
    batch.push(call);
  }
  return batch;
}

function effectOf(core: Core, call: PendingCall): EffectClass {
  return core.calls.get(call.name)?.spec.effect ?? "irreversible";
}

function isRead(effect: EffectClass): boolean {
  return effect === "pure" || effect === "read";
}

function performAll(job: Job, batch: readonly PendingCall[]): Awaitable<unknown> {
  const [first] = batch;
  assert(first !== undefined, "an open call can be carried out, or its process waits");
  if (batch.length === 1) return performOne(job, first);
  const waits: Promise<unknown>[] = [];
  try {
    for (const call of batch) {
      /** Those before it took time; with none left it parks with the rest of the batch still open. */
      if (call !== first && overLimits(job.core, job.proc, call.name) !== null) break;
      const wait = performOne(job, call);
      if (wait instanceof Promise) waits.push(wait);
    }
  } catch (error) {
    /** The others are under way, and whatever becomes of them is nobody's fault any more. */
    void Promise.allSettled(waits);
    throw error;
  }
  return waits.length === 0 ? undefined : Promise.all(waits);
}

function performOne(job: Job, call: PendingCall): Awaitable<OutcomeEntry | null> {
  const { core, running } = job;
  const registered = core.calls.get(call.name);
  if (registered === undefined) {
    return recordOutcome(job, call, fail("ENOSYS", `${call.name} is not offered any more since the restart; go on without it`));
  }
  const context = new Context(running, call, core.clock.now());
  if (running.doubt?.delete(call.id) === true) return verify(job, call, registered.handler, context);
  return carryOut(job, call, registered.handler, context);
}

/** Carry out one call that may be made beside others of its process, for a guest. What came of it; null where it could not act any more. */
export async function performBeside(job: Job, call: PendingCall): Promise<OutcomeEntry | null> {
  const { core, proc } = job;
  if (!isRead(effectOf(core, call))) {
    const durable = await core.recorder.barrier(false);
    if (!durable.ok) throw new Halted(durable.error);
  }
  return mayAct(core, proc) ? await performOne(job, call) : null;
}

export function onlyReads(core: Core, call: PendingCall): boolean {
  return isRead(effectOf(core, call));
}

/** A person's yes holds for what they were shown. */
function carryOut(job: Job, call: PendingCall, handler: CallHandler, context: Context): Awaitable<OutcomeEntry | null> {
  if (call.frozen === undefined) return settle(job, call, attempt(handler, call, context));
  return freeze(job, call, handler).then((plan) => {
    if (!mayAct(job.core, job.proc)) return null;
    if (!plan.ok) return recordOutcome(job, call, plan);
    if (plan.value === call.frozen) return settle(job, call, attempt(handler, call, context));
    const question = `${job.proc.manifest.name} asks again to call ${call.name}: what you allowed has changed since`;
    park(job, { type: "approval", call: call.id, question, frozen: plan.value });
    return null;
  });
}

function settle(job: Job, call: PendingCall, outcome: Awaitable<Result<CallValue, SysError>>): Awaitable<OutcomeEntry | null> {
  if (!(outcome instanceof Promise)) return recordOutcome(job, call, outcome);
  return outcome.then(
    (result) => recordOutcome(job, call, result),
    (error: unknown) => recordOutcome(job, call, thrown(error)),
  );
}

function attempt(handler: CallHandler, call: PendingCall, context: Context): Awaitable<Result<CallValue, SysError>> {
  try {
    /** The trap checked the arguments against the handler's own schema. */
    return handler.perform(call.args as never, context);
  } catch (error) {
    return thrown(error);
  }
}

/** Our own broken invariant and a dead log stop the kernel; anything else is the driver's failure. */
function thrown(error: unknown): Result<never, SysError> {
  if (error instanceof Panic || error instanceof Halted) throw error;
  return fail("EIO", "the call's driver failed; try again, or go on without it", error instanceof Error ? error.message : "");
}

/** Did it happen before the restart? What cannot be known is a person's to settle. */
async function verify(job: Job, call: PendingCall, handler: CallHandler, context: Context): Promise<OutcomeEntry | null> {
  const look = await lookAtTheWorld(handler, call, context);
  /** Still in doubt: whoever performs this call next has to look again. */
  if (!mayAct(job.core, job.proc)) {
    (job.running.doubt ??= new Set()).add(call.id);
    return null;
  }
  if (look.verdict === "happened") return recordOutcome(job, call, ok(look.value));
  /** Then it is a call like any other, and goes the whole way. */
  if (look.verdict === "did-not-happen") return null;
  const question = `${call.name} was under way when the kernel stopped, and ${look.why}. Perform it again?`;
  park(job, { type: "uncertain", call: call.id, question });
  return null;
}

async function lookAtTheWorld(handler: CallHandler, call: PendingCall, context: Context): Promise<Verdict> {
  const unknown = { verdict: "unknown", why: "nothing in the world shows whether it took effect" } as const;
  try {
    return (await handler.verify?.(call.args as never, context)) ?? unknown;
  } catch (error) {
    if (error instanceof Panic || error instanceof Halted) throw error;
    return { verdict: "unknown", why: "the look at the world failed" };
  }
}

/** Killed, gone on as another program, or in a kernel that leaves: then the outcome has no reader here. */
function recordOutcome({ core, proc }: Job, call: PendingCall, result: Result<CallValue, SysError>): OutcomeEntry | null {
  if (!proc.pending.includes(call) || core.stopping) return null;
  const entry = outcomeOf(core, proc, call, result);
  core.recorder.record(entry);
  return entry;
}

export function outcomeOf(core: Core, proc: Proc, call: PendingCall, result: Result<CallValue, SysError>): OutcomeEntry {
  const base = { kind: "outcome", at: core.clock.now(), pid: proc.pid, id: call.id } as const;
  const hasWindow = proc.tape === null;
  if (!result.ok) {
    const error = sysError(result.error.errno, result.error.message.slice(0, limits.errorCharsMax));
    return { ...base, error, tokens: hasWindow ? estimateTokens(errorText(error)) : 0 };
  }
  const { value, source, label } = result.value;
  const fault = tooDeep(value, limits.jsonDepthMax)
    ? `nested deeper than ${limits.jsonDepthMax} levels`
    : misfit(core.calls.get(call.name)?.checkOutput(value) ?? null);
  if (fault !== null) {
    const what = `${call.name} gave a value ${fault}, which is not kept`;
    return outcomeOf(core, proc, call, fail("EPROTO", `${what}; the fault is the tool's, so go on without it`));
  }
  const whole = hasWindow ? render(value) : "";
  const shown = hasWindow ? excerpt(whole, call.id, 0) : "";
  /** What is cut is kept whole in the blob store, for mem.read to read on. */
  const entry: OutcomeEntry = { ...base, ...core.recorder.store(value, shown !== whole), tokens: estimateTokens(shown) };
  return source === undefined && label === undefined ? entry : { ...entry, ...(source && { source }), ...(label && { label }) };
}

function misfit(fault: string | null): string | null {
  return fault === null ? null : `of another form than it declares (${fault})`;
}
