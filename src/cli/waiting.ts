/**
 * Waiting: what a process waits for, with all a person needs to decide: call, arguments, where they came from, rule, risk.
 *   CLI-8.1  Risk is high where the effect cannot be undone, where any effect follows text by others, and where a commit brings what can run,
 *            what tools obey or what cannot be shown; low for what only reads.
 *   CLI-8.2  A value's origin is told as the label of everything the process has read, with the documents by others among it named.
 */
import type { CallSpec, EffectClass } from "../abi/call.ts";
import type { Label } from "../abi/label.ts";
import type { RuleId, RuleSource } from "../abi/policy.ts";
import type { ParkReason, Pid } from "../abi/process.ts";
import type { PendingCall, Proc } from "../kernel/table.ts";
import type { SysError } from "../abi/errno.ts";
import type { Review } from "../files/review.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { canonical, isObject, type Json } from "../lib/json.ts";
import type { Result } from "../lib/result.ts";
import type { ApprovalRequest } from "./term/approval.ts";

/** How specs and rules are looked up: in a live machine, or in a preview. */
export interface Lookup {
  spec(name: string): CallSpec | undefined;
  rule(id: RuleId): RuleSource | undefined;
}

export interface PlanLookup extends Lookup {
  /** What a frozen plan would do, bounded. */
  review(frozen: Digest): Result<Review, SysError>;
}

export interface WaitingCall {
  readonly id: string;
  readonly name: string;
  readonly args: Json;
  readonly effect: EffectClass;
  readonly reversible: boolean;
  readonly rules: readonly ShownRule[];
  /** What a commit would do, bounded, or why that cannot be told; null for any other call. */
  readonly changes: Result<Review, SysError> | null;
  /** SHA-256 over name, arguments and plan. */
  readonly digest: Digest;
}

export interface ShownRule {
  readonly id: RuleId;
  readonly scope: string;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** Of several permits for one call only some may ask; null for a rule that today's policy does not have. */
  readonly does: "asks" | "permits" | "forbids" | null;
  readonly reason: string | null;
}

export interface Waiting {
  /** `PID:N`: the Nth time the process waits. An answer names it, so that it cannot land on another question. */
  readonly id: string;
  readonly pid: Pid;
  /** N of the id. */
  readonly park: number;
  readonly program: string;
  readonly type: ParkReason["type"];
  readonly question: string;
  /** The spent limit and whose it is; null but for a budget. */
  readonly budget: { readonly limit: string; readonly group: Pid } | null;
  readonly call: WaitingCall | null;
  readonly label: Label;
  /** Documents and pages by others that the process has read. */
  readonly untrusted: readonly string[];
  readonly risk: "low" | "medium" | "high";
  /** What the agent said last; null when it said nothing. */
  readonly words: string | null;
}

/** Null when the process waits for nobody. */
export function waitingOf(proc: Proc, lookup: PlanLookup): Waiting | null {
  const { park } = proc;
  if (park === null) return null;
  const id = "call" in park ? park.call : null;
  const pending = proc.pending.find((call) => call.id === id);
  const frozen = park.type === "approval" ? park.frozen : undefined;
  const call = pending === undefined ? null : callOf(pending, frozen ?? null, lookup);
  const untrusted = untrustedOf(proc);
  return {
    id: `${proc.pid}:${proc.parks}`,
    pid: proc.pid,
    park: proc.parks,
    program: proc.manifest.name,
    type: park.type,
    question: park.question,
    budget: park.type === "budget" && park.unpriced !== true ? { limit: park.limit, group: park.group } : null,
    call,
    label: proc.label,
    untrusted,
    risk: riskOf(call, proc.label),
    words: wordsOf(proc),
  };
}

export function shownRule(id: RuleId, lookup: Pick<Lookup, "rule">): ShownRule {
  const rule = lookup.rule(id);
  if (rule === undefined) return { id, scope: "?", file: "?", line: 0, text: "", does: null, reason: null };
  const { scope, file, line, text, effect, reason, ask } = rule;
  const does = effect === "forbid" ? "forbids" : ask === null ? "permits" : "asks";
  return { id, scope, file, line, text, does, reason: reason ?? ask };
}

/** `platform.cedar:12  permit (…)` */
export function ruleLine(rule: ShownRule): string {
  return rule.text === "" ? `${rule.id} (not in today's policy)` : `${rule.file}:${rule.line} ${rule.text.trim()}`;
}

export function approvalRequest(waiting: Waiting, call: WaitingCall, spec: CallSpec | undefined): ApprovalRequest {
  const args = isObject(call.args) ? Object.entries(call.args) : [["arguments", call.args] as const];
  return {
    id: call.id,
    pid: waiting.pid,
    program: waiting.program,
    call: call.name,
    effect: call.effect,
    reversible: call.reversible,
    args: args.map(([name, value]) => ({
      name,
      role: spec?.roles[name] ?? "option",
      value: typeof value === "string" ? value : JSON.stringify(value, null, 2),
    })),
    source: `All of it comes from ${readWords(waiting)}.`,
    untrusted: waiting.untrusted,
    changes: call.changes === null ? null : { review: call.changes, more: `daimon diff ${waiting.id}` },
    rules: call.rules.map((rule) => ({ does: rule.does ?? "asks", line: ruleLine(rule) })),
    words: waiting.words,
    digest: call.digest,
  };
}

/** `the process, after reading text by others (inbox/offer.md)` */
export function sourceWords({ label, untrusted }: Pick<Waiting, "label" | "untrusted">): string {
  const named = untrusted.slice(0, 3).join(", ");
  const more = untrusted.length > 3 ? ` and ${untrusted.length - 3} more` : "";
  if (untrusted.length > 0) return `the process, after reading text by others (${named}${more})`;
  return readWords({ label, untrusted });
}

/** The same without a name in it: names are words of others. */
function readWords({ label, untrusted }: Pick<Waiting, "label" | "untrusted">): string {
  return label.integrity === "untrusted" || untrusted.length > 0
    ? "the process, after reading text by others"
    : "the process, which has read no text by others";
}

/** Everyone who waits for the same spent limit of the same group: one raise serves them all. */
export function waitWith(procs: Iterable<Proc>, budget: Waiting["budget"]): readonly Pick<Waiting, "pid" | "park">[] {
  if (budget === null) return [];
  return [...procs].flatMap(({ pid, park, parks }) =>
    park?.type === "budget" && park.limit === budget.limit && park.group === budget.group ? [{ pid, park: parks }] : [],
  );
}

/** The command that answers. */
export function answerHint({ id, type, budget }: Pick<Waiting, "id" | "type" | "budget">): string {
  if (type === "question") return `daimon approve ${id} --text "…"`;
  if (budget !== null) return `daimon approve ${id} --raise ${budget.limit}=VALUE, or --no`;
  return `daimon approve ${id} --yes, or --no`;
}

function callOf(pending: PendingCall, frozen: Digest | null, lookup: PlanLookup): WaitingCall {
  const spec = lookup.spec(pending.name);
  return {
    id: pending.id,
    name: pending.name,
    args: pending.args,
    // Of a call nobody here knows the worst is assumed.
    effect: spec?.effect ?? "irreversible",
    reversible: spec?.reversible ?? false,
    rules: pending.rules.map((rule) => shownRule(rule, lookup)),
    changes: frozen === null ? null : lookup.review(frozen),
    digest: sha256(`${pending.name} ${canonical(pending.args)}${frozen === null ? "" : ` ${frozen}`}`),
  };
}

export function untrustedOf(proc: Proc): readonly string[] {
  const sources = proc.pages
    .filter((page) => page.label.integrity === "untrusted")
    .map((page) => page.source.replace(/#.*$/, ""));
  return [...new Set(sources)];
}

function riskOf(call: WaitingCall | null, label: Label): Waiting["risk"] {
  if (call === null || call.effect === "pure" || call.effect === "read") return "low";
  if (call.effect === "irreversible" || !call.reversible) return "high";
  if (call.changes !== null && !(call.changes.ok && call.changes.value.steps.every(({ marks }) => marks.length === 0)))
    return "high";
  return label.integrity === "untrusted" ? "high" : "medium";
}

function wordsOf(proc: Proc): string | null {
  const last = proc.messages.findLast((message) => message.role === "assistant");
  const words = last?.parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n") ?? "";
  return words.trim() === "" ? null : words;
}
