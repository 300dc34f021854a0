/**
 * Answer: put what a process waits for to the person at the keyboard, and give the kernel what they said.
 *   CLI-9.1  A call is shown by the terminal's approval; a budget asks for the new limit, a question for words, the rest for yes or no.
 *   CLI-9.3  What was answered elsewhere meanwhile, or waits for something else now, is told and asked anew: no answer lands on another question.
 *   CLI-9.2  A budget is raised by name and unit, and the raise answers everyone who waits for that budget.
 */
import type { Answer } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Limits } from "../abi/budget.ts";
import type { Pid } from "../abi/process.ts";
import type { Machine } from "../boot/boot.ts";
import { parseCount, parseDuration, parseUsd } from "../boot/units.ts";
import { reviewPlan } from "../boot/workspace-files.ts";
import { ok, type Result } from "../lib/result.ts";
import { printFinding, type Io } from "./io.ts";
import { askApproval, type Keyboard } from "./term/approval.ts";
import { neutralise, neutraliseLine } from "./term/neutralise.ts";
import { approvalRequest, waitingOf, waitWith, type PlanLookup, type Waiting } from "./waiting.ts";
import { personOf } from "./workspace.ts";

export async function answerAtKeyboard(machine: Machine, pid: Pid, keyboard: Keyboard, io: Io): Promise<"answered" | "later"> {
  const { kernel } = machine;
  const proc = kernel.recorder.table.procs.get(pid);
  if (proc === undefined) return "later";
  kernel.recorder.swapIn(proc);
  const waiting = waitingOf(proc, lookupOf(machine));
  if (waiting === null) return "answered";
  const said = await askFor(waiting, machine, keyboard, io);
  if (said === null) return "later";
  const given = answerAll(machine, waiting, { ...said, by: personOf(io) });
  if (given.ok) return "answered";
  printFinding(io, { rule: "CLI-9.1", severity: "error", where: `pid ${pid}`, message: given.error.message });
  const over = given.error.errno === "ESTALE" || given.error.errno === "ENOENT";
  return over ? "answered" : "later";
}

/** What a person says; to which question is the caller's to add. */
export type Said = Omit<Answer, "by" | "park">;

/** A raised budget lets everyone go on who waits for it. */
export function answerAll(
  { kernel }: Machine,
  waiting: Pick<Waiting, "pid" | "park" | "budget">,
  said: Omit<Answer, "park">,
): Result<void, SysError> {
  const others = said.raise === null ? [] : waitWith(kernel.recorder.table.procs.values(), waiting.budget);
  const given = kernel.answer(waiting.pid, { ...said, park: waiting.park });
  if (given.ok) for (const { pid, park } of others) if (pid !== waiting.pid) kernel.answer(pid, { ...said, park });
  return given;
}

export function lookupOf({ kernel, policy, blobs }: Machine): PlanLookup {
  return {
    spec: (name) => kernel.calls.get(name)?.spec,
    rule: (id) => policy.rule(id),
    review: (frozen) => reviewPlan(frozen, blobs, "bounded"),
  };
}

/** What --raise and the keyboard take. */
export function parseRaise(texts: readonly string[]): Result<Partial<Limits>, SysError> {
  const raised: { -readonly [K in keyof Limits]?: number } = {};
  for (const text of texts) {
    const [name = "", value = ""] = text.split("=", 2);
    const limit = limitNames[name];
    const amount = limit === undefined ? null : readLimit(limit, value);
    if (limit === undefined || amount === null)
      return fail("EINVAL", `\`${text.slice(0, 64)}\` raises nothing; write costUsd=2, tokens=2M, calls=500 or time=1h`);
    raised[limit] = amount;
  }
  return ok(raised);
}

const limitNames: Readonly<Record<string, keyof Limits>> = {
  costUsd: "costUsd",
  budget: "costUsd",
  tokens: "tokens",
  calls: "calls",
  timeMs: "timeMs",
  time: "timeMs",
};

function readLimit(limit: keyof Limits, text: string): number | null {
  if (limit === "costUsd") return parseUsd(text);
  return limit === "timeMs" ? (parseDuration(text) ?? parseCount(text)) : parseCount(text);
}

/** Null leaves the process parked. */
async function askFor(waiting: Waiting, machine: Machine, keyboard: Keyboard, io: Io): Promise<Said | null> {
  if (waiting.call !== null && waiting.type !== "question") {
    io.err.write(`${barred(waiting.question)}\n`);
    const request = approvalRequest(waiting, waiting.call, machine.kernel.calls.get(waiting.call.name)?.spec);
    const answer = await askApproval(request, io.err, keyboard, io.errColours);
    if (!answer.ok || answer.value === "later") return null;
    return { allow: answer.value === "allow", text: "", raise: null };
  }
  await keyboard.drain();
  const who = io.errColours.paint("strong", neutraliseLine(`Process ${waiting.pid} (${waiting.program})`));
  io.err.write(`${who} ${waiting.type === "question" ? "asks" : "waits"}:\n${barred(waiting.question)}\n`);
  if (waiting.type === "question") {
    io.err.write("Your answer (empty leaves it parked): ");
    const line = await keyboard.readLine();
    return line === null || line.trim() === "" ? null : { allow: true, text: line, raise: null };
  }
  return waiting.budget === null ? await askYes(keyboard, io) : await askLimit(waiting.budget.limit, keyboard, io);
}

async function askYes(keyboard: Keyboard, io: Io): Promise<Said | null> {
  for (;;) {
    io.err.write("y goes on, n ends the process, l leaves it parked: ");
    const line = await keyboard.readLine();
    const word = line?.trim().toLowerCase();
    if (word === undefined || word === "l" || word === "later") return null;
    if (word === "y" || word === "yes") return { allow: true, text: "", raise: null };
    if (word === "n" || word === "no") return { allow: false, text: "", raise: null };
  }
}

async function askLimit(limit: string, keyboard: Keyboard, io: Io): Promise<Said | null> {
  for (;;) {
    io.err.write(`A new limit for ${limit}, n ends the process, l leaves it parked: `);
    const line = await keyboard.readLine();
    const word = line?.trim() ?? "l";
    if (word === "l" || word === "later") return null;
    if (word === "n" || word === "no") return { allow: false, text: "", raise: null };
    const raise = parseRaise([`${limit}=${word}`]);
    if (raise.ok) return { allow: true, text: "", raise: raise.value };
  }
}

/** Words that are not the kernel's stand behind a bar. */
export function barred(text: string): string {
  return neutralise(text)
    .split("\n")
    .map((line) => `│ ${line}`)
    .join("\n");
}
