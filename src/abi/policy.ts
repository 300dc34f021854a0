/** Policy: the question the trap asks and the answer it gets. Written in Cedar; the compiled index and Cedar itself both answer it. */
import type { Json, JsonObject } from "../lib/json.ts";

/** `platform` holds the shipped defaults; then `organisation > project > user > process`. A deny in any scope wins. */
export const scopes = ["platform", "organisation", "project", "user", "process"] as const;
export type PolicyScope = (typeof scopes)[number];

export interface EntityRef {
  readonly type: string;
  readonly id: string;
}

export interface PolicyEntity extends EntityRef {
  readonly attrs: JsonObject;
  /** All ancestors, transitively. */
  readonly parents: readonly EntityRef[];
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
}

export interface PolicyEngine {
  readonly name: "compiled" | "cedar";
  /** SHA-256 over the policy sources in load order. */
  readonly digest: string;
  decide(request: PolicyRequest): Decision;
  rule(id: RuleId): RuleSource | undefined;
}
