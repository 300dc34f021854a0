/**
 * Refusals: the calls that were not let through, with the stage that refused and the rule; read from the journal.
 *   CLI-11.2  A person reads what was refused and why; the next step that the message ends with is the process's, and is left out. JSON has it.
 *   CLI-11.1  The stage follows from the error: schema, capability, policy, budget, or a person.
 */
import type { Entry, Intent } from "../abi/entry.ts";
import type { Errno, SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import { callsOf } from "../kernel/table.ts";
import type { Json } from "../lib/json.ts";
import { shownRule, type Lookup, type ShownRule } from "./waiting.ts";

export type Stage = "schema" | "capability" | "policy" | "budget" | "limit" | "person";

export interface Decided {
  readonly call: string;
  readonly pid: Pid;
  readonly step: number;
  readonly name: string;
  readonly args: Json;
  readonly intent: Intent;
}

export interface Refusal {
  readonly call: string;
  readonly pid: Pid;
  readonly name: string;
  readonly args: Json;
  readonly stage: Stage;
  readonly error: SysError;
  readonly rules: readonly ShownRule[];
}

/** Every call an entry decides on. */
export function decidedBy(entry: Entry): readonly Decided[] {
  if (entry.kind === "call") {
    const { id, pid, name, args, intent } = entry;
    return [{ call: id, pid, step: Number(id.split(".")[2] ?? 0), name, args, intent }];
  }
  if (entry.kind !== "turn") return [];
  return callsOf(entry.parts).flatMap((part, n) => {
    const intent = entry.intents[n];
    const { pid, step } = entry;
    return intent === undefined ? [] : [{ call: `${pid}.${step}.${n}`, pid, step, name: part.name, args: part.args, intent }];
  });
}

export function refusalsBy(entry: Entry, lookup: Pick<Lookup, "rule">): readonly Refusal[] {
  return decidedBy(entry).flatMap(({ call, pid, name, args, intent }) => {
    const { error } = intent;
    if (error === undefined) return [];
    return [
      { call, pid, name, args, stage: stageOf(error.errno), error, rules: intent.rules.map((rule) => shownRule(rule, lookup)) },
    ];
  });
}

export function stageOf(errno: Errno): Stage {
  switch (errno) {
    case "EINVAL":
    case "ENOSYS":
      return "schema";
    case "EACCES":
      return "capability";
    case "EDQUOT":
      return "budget";
    case "E2BIG":
      return "limit";
    default:
      return "policy";
  }
}

/** The message of an error that a process was given. House messages read `what: why; next step`. */
export function forPerson({ message }: SysError): string {
  const next = message.lastIndexOf("; ");
  return next === -1 ? message : message.slice(0, next);
}

/** Arguments as one line of JSON, for a list. */
export function argsLine(args: Json): string {
  const text = JSON.stringify(args);
  return text.length <= 160 ? text : `${text.slice(0, 159)}…`;
}
