/** A hundred rules of a plausible workspace, parsed by Cedar and compiled, with the one that lets the bench's call through among them. */
import type { CallSpec } from "../src/abi/call.ts";
import type { PolicyEngine } from "../src/abi/policy.ts";
import { parsePolicies } from "../src/drivers/policy/cedar.ts";
import { compilePolicies } from "../src/security/policy/engine.ts";
import { policySchema } from "../src/security/policy/schema.ts";
import { specs } from "../src/kernel/calls/specs.ts";

const known = new Map<string, PolicyEngine>();

export function hundredRules(extra: readonly CallSpec[]): PolicyEngine {
  const key = extra.map((spec) => spec.name).join();
  const found = known.get(key) ?? load(extra);
  known.set(key, found);
  return found;
}

function load(extra: readonly CallSpec[]): PolicyEngine {
  const rules = [
    'permit (principal, action in [Action::"pure", Action::"read"], resource);',
    `permit (principal, action == Action::"${extra[0]?.name}", resource) when { context has path && context.path like "out/*" };`,
    ...Array.from({ length: 78 }, (_, n) => {
      return `permit (principal, action in Action::"write", resource) when { context has path && context.path like "area-${n}/*" };`;
    }),
    ...Array.from({ length: 20 }, (_, n) => {
      return `forbid (principal, action in Action::"write", resource) when { context has path && context.path like "secret-${n}/*" };`;
    }),
  ];
  const set = parsePolicies(
    [{ scope: "project", file: "bench.cedar", text: rules.join("\n") }],
    policySchema([...Object.values(specs), ...extra]),
  );
  if (!set.ok) throw new Error(set.error.message);
  const engine = compilePolicies(set.value);
  if (!engine.ok) throw new Error(engine.error.message);
  return engine.value;
}
