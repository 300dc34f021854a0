/** Differential: the compiled engine beside Cedar, on generated policy sets and requests. */
import { assert } from "../../../src/lib/assert.ts";
import type { PolicyEngine, PolicyRequest } from "../../../src/abi/policy.ts";
import { cedarEngine, parseUnchecked } from "../../../src/drivers/policy/cedar.ts";
import { compilePolicies } from "../../../src/security/policy/engine.ts";
import { prng, type Prng } from "../../../src/lib/prng.ts";
import { policiesText, request, scopeOf } from "./cases.ts";

export interface Difference {
  readonly seed: number;
  readonly policies: string;
  readonly request: PolicyRequest;
  readonly cedar: string;
  readonly compiled: string;
}

export interface Tally {
  decisions: number;
  allow: number;
  ask: number;
  deny: number;
  erring: number;
  determining: number;
}

export function emptyTally(): Tally {
  return { decisions: 0, allow: 0, ask: 0, deny: 0, erring: 0, determining: 0 };
}

/** One generated policy set, asked `requests` times; null when every answer is the same. */
export function compareOnce(seed: number, requests: number, tally: Tally): Difference | null {
  const random = prng(seed);
  const { policies, cedar, compiled } = engines(random);
  for (let n = 0; n < requests; n += 1) {
    const asked = request(random);
    const expected = cedar.explain(asked);
    const explained = compiled.explain(asked);
    const decided = compiled.decide(asked);
    const difference = { seed, policies, request: asked, cedar: JSON.stringify(expected) };
    if (JSON.stringify(explained) !== difference.cedar) return { ...difference, compiled: JSON.stringify(explained) };
    if (JSON.stringify(decided) !== JSON.stringify(expected.decision))
      return { ...difference, compiled: JSON.stringify(decided) };
    tally.decisions += 1;
    tally[decided.verb] += 1;
    if (expected.erred.length > 0) tally.erring += 1;
    tally.determining += decided.rules.length;
  }
  return null;
}

function engines(random: Prng): { policies: string; cedar: PolicyEngine; compiled: PolicyEngine } {
  const policies = policiesText(random, random.below(8) + 1);
  const set = parseUnchecked([{ scope: scopeOf(random), file: "p", text: policies }]);
  assert(set.ok, `generated policies parse: ${set.ok ? "" : set.error.message}\n${policies}`);
  const compiled = compilePolicies(set.value);
  assert(compiled.ok, `generated policies compile: ${compiled.ok ? "" : compiled.error.message}\n${policies}`);
  const cedar = cedarEngine(set.value);
  assert(cedar.ok, "Cedar takes them");
  return { policies, cedar: cedar.value, compiled: compiled.value };
}
