/**
 * Permits: whether policy could ever let a call through, without a question at hand. For what is offered: a call that no rule permits is always refused.
 *   POL-16.1  It says no only where no permit names the action, a group of it, or all: whoever is permitted by decide() is never told that there is none.
 */
import type { EntityRef, PolicyEntity, PolicyRule } from "../../abi/policy.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { scopeEntity } from "./keys.ts";

export function mayPermit(rules: readonly PolicyRule[], action: PolicyEntity): boolean {
  const names = [action, ...action.parents];
  return rules.some(({ effect, policy }) => effect === "permit" && covers(policy, names));
}

/** The head of a rule in Cedar's JSON form. What is not understood counts as naming it. */
function covers({ action: scope }: JsonObject, names: readonly EntityRef[]): boolean {
  if (!isObject(scope) || scope["op"] === "All") return true;
  const listed = Array.isArray(scope["entities"]) ? (scope["entities"] as readonly Json[]) : [scope["entity"]];
  return listed.some((entity) => {
    const named = scopeEntity(entity);
    return named === undefined || names.some(({ type, id }) => type === named.type && id === named.id);
  });
}
