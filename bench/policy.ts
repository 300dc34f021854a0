/**
 * Policy bench: one decision with reasons at 10 to 10,000 rules in four scopes, the compile, and Cedar itself beside it.
 * The rules are what people write: paths by prefix, suffix and name, commands, hosts, programs, some of them forbids and questions.
 */
import { assert } from "../src/lib/assert.ts";
import { prng, type Prng } from "../src/lib/prng.ts";
import type { PolicyEngine, PolicyEntity, PolicyRequest, PolicyScope, PolicySet, PolicyText } from "../src/abi/policy.ts";
import { cedarEngine, parseUnchecked } from "../src/drivers/policy/cedar.ts";
import { compilePolicies } from "../src/security/policy/engine.ts";
import { atMost, quantile, told, type BenchOptions, type Measure } from "./measure.ts";

const sizes = [10, 100, 1_000, 10_000] as const;
const fourScopes: readonly PolicyScope[] = ["organisation", "project", "user", "process"];
const pathCalls = ["fs.read", "fs.write", "fs.edit", "fs.list", "fs.search"];
const requestsCount = 2_048;
const batch = 16;

export async function run(_options: BenchOptions): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const size of sizes) {
    const set = rules(size);
    const compileMs = quantile(
      [1, 2, 3].map(() => elapsedMs(() => compilePolicies(set))),
      0.5,
    );
    const compiled = compilePolicies(set);
    assert(compiled.ok, "the bench's rules compile");
    const requests = requestsFor(size);
    const micros = decisionTimes(compiled.value, requests, 12);
    const p50 = quantile(micros, 0.5);
    const name = `decision, ${size} rules`;
    measures.push(size === 10_000 ? atMost(`${name}, p50`, p50, "µs", 3, "≤ 1") : told(`${name}, p50`, p50, "µs"));
    measures.push(told(`${name}, p99`, quantile(micros, 0.99), "µs"));
    measures.push(
      size === 10_000 ? atMost(`compile, ${size} rules`, compileMs, "ms", 300) : told(`compile, ${size} rules`, compileMs, "ms"),
    );
    if (size <= 1_000) measures.push(...besideCedar(set, compiled.value, requests, p50, size));
  }
  return measures;
}

/** Cedar answers the same requests in the same run; the answers must be the same. */
function besideCedar(
  set: PolicySet,
  compiled: PolicyEngine,
  requests: readonly PolicyRequest[],
  p50: number,
  size: number,
): readonly Measure[] {
  const cedar = cedarEngine(set);
  assert(cedar.ok, "Cedar takes the bench's rules");
  const few = requests.slice(0, size === 1_000 ? 64 : 256);
  const times = few.map((request) => {
    const started = performance.now();
    const decision = cedar.value.decide(request);
    const micros = (performance.now() - started) * 1_000;
    assert(JSON.stringify(decision) === JSON.stringify(compiled.decide(request)), "the engines agree");
    return micros;
  });
  const peer = quantile(times, 0.5);
  return [told(`Cedar, ${size} rules, p50`, peer, "µs"), told(`Cedar ÷ compiled, ${size} rules`, peer / p50, "×")];
}

/** Microseconds of one decision, each sample the mean of a small batch, because the clock is coarse; the first rounds warm up. */
function decisionTimes(engine: PolicyEngine, requests: readonly PolicyRequest[], rounds: number): Float64Array {
  const samples: number[] = [];
  let rulesSeen = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (let at = 0; at + batch <= requests.length; at += batch) {
      const started = performance.now();
      for (let n = at; n < at + batch; n += 1) rulesSeen += engine.decide(requests[n] as PolicyRequest).rules.length;
      if (round >= 4) samples.push(((performance.now() - started) * 1_000) / batch);
    }
  }
  assert(rulesSeen > 0, "some rules decide");
  return Float64Array.from(samples);
}

function elapsedMs(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function rules(count: number): PolicySet {
  const random = prng(count);
  const texts = fourScopes.map((scope, at): PolicyText => {
    const lines = Array.from({ length: Math.ceil((count - at) / fourScopes.length) }, (_, n) =>
      rule(random, n * fourScopes.length + at),
    );
    return { scope, file: `${scope}.cedar`, text: lines.join("\n") };
  });
  const set = parseUnchecked(texts);
  assert(set.ok, "the bench's rules parse");
  assert(set.value.rules.length === count, "as many rules as asked for");
  return set.value;
}

/** Each rule speaks of thing number `n` of its sort, so that a request about it meets one to five rules. */
function rule(random: Prng, n: number): string {
  const call = random.pick(pathCalls);
  switch (n % 10) {
    case 0:
      return `forbid(principal, action, resource) when { context has pathFolded && (context.pathFolded == "private${n}.key" || context.pathFolded like "*/private${n}.key") };`;
    case 1:
      return `@ask("Change the build?") permit(principal, action in Action::"write", resource) when { context has path && context.path like "build/part${n}/*" };`;
    case 2:
      return `permit(principal, action == Action::"net.fetch", resource) when { context has host && context.host == "host${n}.example.com" };`;
    case 3:
      return `permit(principal, action == Action::"shell.run", resource) when { context has command && context.simple && (context.command == "make part${n}" || context.command like "make part${n} *") };`;
    case 4:
      return `forbid(principal, action == Action::"shell.run", resource) when { context has commands && context.commands.contains("make clean${n}") };`;
    case 5:
      return `permit(principal in Program::"program${n}", action in Action::"read", resource) when { context.session };`;
    case 6:
      return `permit(principal, action == Action::"${call}", resource == Path::"docs/page${n}.md");`;
    default:
      return `permit(principal, action == Action::"${call}", resource) when { context has path && context.path like "src/part${n}/*" && !(context.path like "src/part${n}/*/*") };`;
  }
}

function requestsFor(size: number): readonly PolicyRequest[] {
  const random = prng(size + 1);
  return Array.from({ length: requestsCount }, () => requestFor(random, random.below(size)));
}

function requestFor(random: Prng, n: number): PolicyRequest {
  const program = `program${n - (n % 10) + 5}`;
  const common = { reversible: true, session: true, declared: false, integrity: "derived", confidentiality: "workspace" };
  const ask = (call: string, effect: string, type: string, id: string, extra: PolicyRequest["context"]): PolicyRequest => ({
    principal: { type: "Process", id: `${program}/extract`, attrs: { program }, parents: [{ type: "Program", id: program }] },
    action: entity("Action", call, effect),
    resource: entity(type, id),
    context: { effect, ...common, ...extra },
  });
  const kind = random.below(10);
  if (kind === 2)
    return ask("net.fetch", "external", "Host", `host${n}.example.com`, { host: `host${n}.example.com`, method: "GET" });
  if (kind === 3 || kind === 4) {
    const command = `make ${kind === 3 ? "part" : "clean"}${n} -j2`;
    const commands = ["make", command.slice(0, -4), command];
    return ask("shell.run", "write", "Command", command, { command, simple: true, commands });
  }
  const path = random.pick([
    `src/part${n}/index.ts`,
    `docs/page${n}.md`,
    `build/part${n}/out/a.js`,
    `src/part${n}/deep/private${n}.key`,
  ]);
  const call = random.pick(pathCalls);
  const effect = call === "fs.write" || call === "fs.edit" ? "write" : "read";
  return ask(call, effect, "Path", path, { path, pathFolded: path.toLowerCase() });
}

function entity(type: string, id: string, parent?: string): PolicyEntity {
  return { type, id, attrs: {}, parents: parent === undefined ? [] : [{ type, id: parent }] };
}
