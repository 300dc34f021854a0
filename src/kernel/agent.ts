/**
 * Agent: the loop of a process that a model drives: window, model, trap, outcome. It reads all it needs from folded state,
 * so it can be left at any point and entered again by the same or another kernel.
 *   KRN-6.2  A remote model is asked only after the intent to ask is durable.
 *   KRN-6.3  Ending without a call is a claim, not a result: a process with a contract that ends without task.done has failed.
 *   KRN-6.4  A provider that fails parks the process in a named degraded mode; nothing is lost.
 *   KRN-6.6  What another kernel had reserved died with it.
 *   KRN-6.7  A driver that throws has failed like one that says so, and a CPU that is not there is waited for.
 *   KRN-6.5  A process that reaches its step limit ends with EDEADLK.
 */
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { EvictEntry, TurnEntry } from "../abi/entry.ts";
import { limits } from "../abi/limits.ts";
import type { Part } from "../abi/message.ts";
import type { ModelReply, ModelRequest, StopReason, ThinkIo, Usage } from "../abi/model.ts";
import type { ExitStatus, ParkReason } from "../abi/process.ts";
import { Panic } from "../lib/assert.ts";
import { parseJson, tooDeep, tooLarge } from "../lib/json.ts";
import { ok, type Awaitable, type Result } from "../lib/result.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { plan, type TurnSize } from "../memory/reclaim.ts";
import { mayAct, type Core, type Cpu, type Running } from "./core.ts";
import { outputTokensMax, overBudget, reserveUsd, sizeOf } from "./admission.ts";
import { exit } from "./exit.ts";
import { performPending } from "./perform.ts";
import { Halted } from "./recorder.ts";
import { callsOf, type Proc } from "./table.ts";
import { replyText, turnsIn, turnSizes } from "./turns.ts";
import { stub } from "./window.ts";

/** Run until the process parks or ends. */
export async function runAgent(core: Core, proc: Proc, running: Running): Promise<void> {
  while (mayAct(core, proc)) {
    if (proc.pending.length > 0) {
      const performed = performPending({ core, proc, running });
      if (performed instanceof Promise) await performed;
      continue;
    }
    const ended = ending(core, proc);
    if (ended !== null) return exit(core, proc, ended);
    const stepped = step(core, proc, running);
    if (stepped instanceof Promise) await stepped;
  }
}

/** How the process ends now, or null to go on. */
function ending(core: Core, proc: Proc): ExitStatus | null {
  if (proc.result !== null) return { ok: true, value: proc.result.value };
  if (proc.finished !== null) return finalText(core, proc, proc.finished);
  const stepsMax = Math.min(proc.manifest.stepsMax, limits.stepsMax);
  if (proc.step - proc.firstStep < stepsMax) return null;
  const message = `${proc.manifest.name} made ${stepsMax} steps without finishing; give it a smaller task or more steps`;
  return { ok: false, error: sysError("EDEADLK", message) };
}

/** The model ended without a call. What it said counts only where no contract says otherwise. */
function finalText(core: Core, proc: Proc, stop: StopReason): ExitStatus {
  const { name } = proc.manifest;
  if (stop === "length") return fail("E2BIG", `the reply of ${name} was cut at its longest; ask for less at once`);
  if (stop === "refusal") return fail("EPERM", `the model refused to go on with ${name}`);
  const parts = proc.messages.at(-1)?.parts ?? [];
  const text = parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");
  if (proc.manifest.output === null) return { ok: true, value: text };
  if (!core.trap.holds(proc.manifest, "task.done")) return fitting(core, proc, text);
  const said = text === "" ? "nothing" : JSON.stringify(text.slice(0, 200));
  return {
    ok: false,
    error: sysError("EINVAL", `${proc.manifest.name} ended without a result: it called no task.done and said ${said}`),
  };
}

/** Without task.done the reply itself is the result, and has to fit. */
function fitting(core: Core, proc: Proc, text: string): ExitStatus {
  const value = parseJson(text);
  const check = proc.manifest.output === null ? null : core.calls.compile(proc.manifest.output);
  if (value === undefined) return fail("EINVAL", `${proc.manifest.name} ended with a reply that is not JSON`);
  if (check !== null && !check.ok) return fail("ENOEXEC", `the contract of ${proc.manifest.name} is broken: ${check.error}`);
  const misfit = check === null ? null : check.value(value);
  return misfit === null
    ? { ok: true, value }
    : fail("EINVAL", `the reply of ${proc.manifest.name} does not fit its contract: ${misfit}`);
}

/** One model step: make room, reserve, ask, decide, write down. */
function step(core: Core, proc: Proc, running: Running): Awaitable<void> {
  const cpu = core.cpu(proc.cpu);
  if (cpu === null) {
    const message = `there is no CPU ${JSON.stringify(proc.cpu)} here; see "daimon doctor" for those that are`;
    return park(core, proc, { type: "degraded", error: sysError("ENOENT", message), question: `${message}. Try again?` });
  }
  const room = makeRoom(core, proc);
  if (!room.ok) return exit(core, proc, room);
  if (cpu.driver.remote) return thinkRemote(core, proc, running, cpu);
  const parked = overBudget(core, proc, cpu, sizeOf(proc, cpu));
  if (parked !== null) return park(core, proc, parked);
  const reply = think(core, proc, running, cpu);
  if (reply instanceof Promise) return reply.then((answer) => answered(core, proc, cpu, answer));
  return answered(core, proc, cpu, reply);
}

/** Evict below the low mark once the high mark is passed. */
function makeRoom(core: Core, proc: Proc): Result<void, SysError> {
  if (proc.windowTokens <= proc.windowTokensMax * limits.windowHighShare) return ok(undefined);
  const { pages, windowTokens, windowTokensMax, step } = proc;
  const turns = (): readonly TurnSize[] => turnSizes(proc);
  const planned = plan({ pages, turns, windowTokens, windowTokensMax, step, stubTokens: stubTokensMax });
  if (!planned.ok) return planned;
  const leaving = new Set(planned.value.turns);
  const chosen = new Set(planned.value.pages);
  const evicted: EvictEntry["pages"][number][] = [];
  for (const page of pages) {
    if (!page.resident || !(chosen.has(page.id) || leaving.has(page.bornStep))) continue;
    const blob = page.blob ?? core.recorder.putText(JSON.stringify(textOf(proc, page.id)));
    evicted.push({ id: page.id, blob, stubTokens: estimateTokens(stub(page)) });
  }
  const gone = turnsIn(proc.messages)
    .filter((turn) => leaving.has(turn.step))
    .map(({ step: at, reply }) => ({ step: at, blob: core.recorder.putText(JSON.stringify(replyText(reply))) }));
  if (evicted.length === 0 && gone.length === 0) return ok(undefined);
  const entry = { kind: "evict", at: core.clock.now(), pid: proc.pid, pages: evicted } as const;
  core.recorder.record(gone.length === 0 ? entry : { ...entry, turns: gone });
  return ok(undefined);
}

/** An upper bound for planning; each stub's own size is what counts. */
const stubTokensMax = 40;

function textOf(proc: Proc, page: string): string {
  for (const message of proc.messages) {
    for (const part of message.parts) if (part.type === "result" && part.page === page) return part.text;
  }
  return "";
}

async function thinkRemote(core: Core, proc: Proc, running: Running, cpu: Cpu): Promise<void> {
  const { pid, weight, step } = proc;
  const slot = core.slots.take(pid);
  if (slot !== null) await slot;
  const before = proc.spend.tokens;
  try {
    if (!mayAct(core, proc)) return;
    /** Asked now, not before the wait: others have spent meanwhile. */
    const parked = overBudget(core, proc, cpu, sizeOf(proc, cpu));
    if (parked !== null) return park(core, proc, parked);
    const reserveTokens = proc.windowTokens + outputTokensMax(cpu);
    core.recorder.record({
      kind: "think",
      at: core.clock.now(),
      pid,
      step,
      reserveTokens,
      reserveUsd: reserveUsd(cpu, sizeOf(proc, cpu)) ?? 0,
    });
    const durable = await core.recorder.barrier(core.active <= 1);
    if (!durable.ok) throw new Halted(durable.error);
    if (!mayAct(core, proc)) return;
    core.active -= 1;
    const answer = await think(core, proc, running, cpu);
    core.active += 1;
    answered(core, proc, cpu, answer);
  } finally {
    core.slots.give(pid, weight, proc.spend.tokens - before);
  }
}

/** A driver that throws has failed; the process waits for a better day. */
function think(core: Core, proc: Proc, running: Running, cpu: Cpu): Awaitable<Result<ModelReply, SysError>> {
  const failed = (error: unknown): Result<ModelReply, SysError> => {
    if (error instanceof Panic || error instanceof Halted) throw error;
    return fail("EIO", `the driver ${cpu.driver.name} failed`, error instanceof Error ? error.message : "");
  };
  try {
    const answer = cpu.driver.think(request(core, proc, cpu), ioOf(core, proc, running, cpu));
    return answer instanceof Promise ? answer.catch(failed) : answer;
  } catch (error) {
    return failed(error);
  }
}

function request(core: Core, proc: Proc, cpu: Cpu): ModelRequest {
  const { manifest } = proc;
  return {
    model: cpu.model,
    system: manifest.instructions,
    messages: proc.messages,
    tools: core.toolsOf(manifest).definitions,
    outputTokensMax: outputTokensMax(cpu),
    /** With task.done among the tools the contract stands there, and the reply itself stays free. */
    output: core.trap.holds(manifest, "task.done") ? null : manifest.output,
    idempotencyKey: `${proc.pid}.${proc.step}`,
  };
}

/** An in-process model answers at once and needs no signal to be stopped by. */
function ioOf(core: Core, proc: Proc, running: Running, cpu: Cpu): ThinkIo {
  const { onDelta } = core;
  return {
    signal: cpu.driver.remote ? running.signal : null,
    onDelta: onDelta === null ? null : (delta) => onDelta(proc.pid, delta),
  };
}

function answered(core: Core, proc: Proc, cpu: Cpu, answer: Result<ModelReply, SysError>): void {
  /** A process that was stopped meanwhile keeps the reply it has paid for. */
  if (proc.state === "zombie" || core.stopping) return;
  if (answer.ok) return core.recorder.record(turnOf(core, proc, cpu, bounded(answer.value)));
  const { errno, message } = answer.error;
  const passing =
    errno === "EAGAIN" ||
    errno === "EIO" ||
    errno === "ETIMEDOUT" ||
    errno === "EPROTO" ||
    errno === "EDQUOT" ||
    errno === "EACCES";
  if (!passing) return exit(core, proc, fail(errno, message));
  park(core, proc, {
    type: "degraded",
    error: sysError(errno, message),
    question: `${cpu.driver.name} does not answer: ${message}. Try again?`,
  });
}

/** Nothing deeper or larger than the bounds enters the journal: the trap refuses what stands in its place. */
function bounded(reply: ModelReply): ModelReply {
  const parts = reply.parts.slice(0, limits.partsPerReplyMax).map(boundedPart);
  const cut = reply.parts.length - parts.length;
  if (cut > 0) return { ...reply, parts: [...parts, { type: "text", text: `[cut: ${cut} more parts of this reply]` }] };
  return parts.some((part, n) => part !== reply.parts[n]) ? { ...reply, parts } : reply;
}

function boundedPart(part: Part): Part {
  if (part.type === "text") {
    return part.text.length <= limits.argsBytesMax ? part : { ...part, text: `${part.text.slice(0, limits.argsBytesMax)} [cut]` };
  }
  if (part.type !== "call") return part;
  if (tooDeep(part.args, limits.jsonDepthMax)) return { ...part, args: "arguments nested too deeply" };
  return tooLarge(part.args, limits.argsBytesMax) ? { ...part, args: "arguments too large" } : part;
}

function turnOf(core: Core, proc: Proc, cpu: Cpu, reply: ModelReply): TurnEntry {
  const usage = trusted(proc, reply);
  const calls = callsOf(reply.parts);
  const intents = calls.map((call, n) => {
    if (n >= limits.callsPerTurnMax) {
      return {
        verb: "deny" as const,
        rules: [],
        error: sysError("E2BIG", `one reply may hold ${limits.callsPerTurnMax} calls; make the rest in the next`),
      };
    }
    return core.trap.decide(proc, call.name, call.args);
  });
  return {
    kind: "turn",
    at: core.clock.now(),
    pid: proc.pid,
    step: proc.step,
    parts: reply.parts,
    stop: reply.stop,
    usage,
    tokens: usage.reported ? usage.outputTokens : replyTokens(reply),
    costUsd: cpu.cost(usage),
    model: reply.model,
    intents,
  };
}

/** A report of zero for a window that is not empty is not believed: our own count stands in. */
function trusted(proc: Proc, reply: ModelReply): Usage {
  const { usage } = reply;
  if (usage.inputTokens > 0 && (usage.outputTokens > 0 || reply.parts.length === 0)) return usage;
  const inputTokens = usage.inputTokens > 0 ? usage.inputTokens : proc.windowTokens;
  const outputTokens = usage.outputTokens > 0 ? usage.outputTokens : replyTokens(reply);
  return { ...usage, inputTokens, outputTokens, reported: false };
}

function replyTokens(reply: ModelReply): number {
  let tokens = 0;
  for (const part of reply.parts) {
    if (part.type === "text") tokens += estimateTokens(part.text);
    else tokens += estimateTokens(JSON.stringify(part.type === "call" ? part.args : part));
  }
  return tokens;
}

function park(core: Core, proc: Proc, reason: ParkReason): void {
  core.recorder.record({ kind: "park", at: core.clock.now(), pid: proc.pid, reason });
}
