/** Policy: the question the trap asks and the answer it gets. Written in Cedar; the compiled index and Cedar itself both answer it. */
import type { Json, JsonObject } from "../lib/json.ts";
import type { Finding } from "./finding.ts";

/** `platform` holds the shipped defaults; then `organisation > project > user > process`. A deny in any scope wins. */
export const scopes = ["platform", "organisation", "project", "user", "process"] as const;
export type PolicyScope = (typeof scopes)[number];

export interface EntityRef {
  readonly type: string;
  readonly id: string;
}

export interface PolicyEntity extends EntityRef {
  readonly attrs: JsonObject;
  /** All ancestors, transitively: those of a parent that is itself part of the request are listed here too. */
  readonly parents: readonly EntityRef[];
  readonly tags?: JsonObject;
}

/** One authorisation question, in Cedar's terms. */
export interface PolicyRequest {
  readonly principal: PolicyEntity;
  readonly action: PolicyEntity;
  readonly resource: PolicyEntity;
  readonly context: { readonly [key: string]: Json };
}

export type RuleId = string;

export type Verb = "allow" | "ask" | "deny";

export interface Decision {
  readonly verb: Verb;
  /** The rules that decided; empty means default deny. */
  readonly rules: readonly RuleId[];
}

/** Where a rule stands, for `why` and for errors. */
export interface RuleSource {
  readonly id: RuleId;
  readonly scope: PolicyScope;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly effect: "permit" | "forbid";
  /** The question of a permit annotated `@ask("…")`; null where it needs no person. */
  readonly ask: string | null;
  /** The annotation `@reason("…")`: why the rule exists, for whoever is refused. */
  readonly reason: string | null;
}

/** One file of policies as it was read. Files load in this order. */
export interface PolicyText {
  readonly scope: PolicyScope;
  readonly file: string;
  readonly text: string;
  /** For generated text: the line of the first source for each policy in turn. */
  readonly lines?: readonly number[];
}

/** A rule with Cedar's JSON form of it (EST), which is what the engine compiles. */
export interface PolicyRule extends RuleSource {
  readonly policy: JsonObject;
}

/** Parsed, checked policies: plain data, to be cached under `key`. */
export interface PolicySet {
  /** SHA-256 over sources, schema and Cedar's version: equal keys mean an equal set. */
  readonly key: string;
  /** SHA-256 over the sources in load order. */
  readonly digest: string;
  readonly rules: readonly PolicyRule[];
  /** What Cedar's validator warns of, such as a rule that can never apply. */
  readonly warnings: readonly Finding[];
}

/** For `why`: the decision, and the rules whose evaluation erred and which therefore took no part. */
export interface Explanation {
  readonly decision: Decision;
  readonly erred: readonly RuleId[];
}

export interface PolicyEngine {
  readonly name: "compiled" | "cedar";
  /** SHA-256 over the policy sources in load order. */
  readonly digest: string;
  /** Microseconds; never throws. A request that Cedar has no values for is denied by no rule. */
  decide(request: PolicyRequest): Decision;
  /** Looks at every rule: slow, and only for a person. */
  explain(request: PolicyRequest): Explanation;
  rule(id: RuleId): RuleSource | undefined;
}

/**
 * The verb of the satisfied rules: a forbid denies; no permit denies; a permit that asks makes the call wait for a person.
 * A shipped (platform) question yields to a plain permit of another scope, so that a workspace can settle it once.
 */
export function verdictOf(permits: readonly RuleSource[], forbids: readonly RuleSource[]): Decision {
  if (forbids.length > 0) return { verb: "deny", rules: idsOf(forbids) };
  if (permits.length === 0) return defaultDeny;
  const settled = permits.some((rule) => rule.ask === null && rule.scope !== "platform");
  const asks = permits.some((rule) => rule.ask !== null && !(settled && rule.scope === "platform"));
  return { verb: asks ? "ask" : "allow", rules: idsOf(permits) };
}

export const defaultDeny: Decision = { verb: "deny", rules: [] };

function idsOf(rules: readonly RuleSource[]): readonly RuleId[] {
  return rules.map((rule) => rule.id).sort();
}
