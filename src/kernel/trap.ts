/**
 * Trap: decide on a call before it happens: schema, capability, policy. There is no other way to act; what it lets through still has to
 * fit the budget when it is performed.
 *   TRP-2.1  The order is fixed, schema, capability, policy; the first refusal answers, and nothing later is asked.
 *   TRP-2.2  A call without a deciding permit is refused: deny is the default.
 *   TRP-2.3  Of several questions of one call, and of several calls that a guest's tool stands for, the worst answer counts: deny before ask before allow.
 *   TRP-2.4  A refusal says which stage refused, why, and what the process may do instead.
 */
import { sysError, type Errno, type SysError } from "../abi/errno.ts";
import type { CallSpec, StandsFor } from "../abi/call.ts";
import type { Intent } from "../abi/entry.ts";
import { limits } from "../abi/limits.ts";
import type { PolicyEngine, PolicyRequest, Decision, PolicyEntity } from "../abi/policy.ts";
import type { Manifest } from "../abi/process.ts";
import { isObject, tooDeep, type Json, type JsonObject } from "../lib/json.ts";
import { compileCapabilities, type Capabilities } from "../security/capability.ts";
import { principalOf, questionsOf } from "../security/question.ts";
import type { CallTable, Registered } from "./calls.ts";
import type { Proc } from "./table.ts";

/** What the trap knows of a program; shared by all processes of one manifest. */
interface Subject {
  readonly principal: PolicyEntity;
  readonly capabilities: Capabilities;
}

export class Trap {
  readonly #calls: CallTable;
  readonly #policy: PolicyEngine;
  readonly #subjects = new WeakMap<Manifest, Subject>();

  constructor(calls: CallTable, policy: PolicyEngine) {
    this.#calls = calls;
    this.#policy = policy;
  }

  holds(manifest: Manifest, name: string): boolean {
    return this.#subject(manifest).capabilities.mayHold(name);
  }

  decide(proc: Proc, name: string, args: Json): Intent {
    const registered = this.#calls.get(name);
    if (registered === undefined) return this.#unknown(proc, name);
    if (!isObject(args)) return no("EINVAL", `${name} takes an object of arguments, not ${JSON.stringify(args)?.slice(0, 80)}`);
    const misfit = tooDeep(args, limits.jsonDepthMax) ? "the arguments are nested too deeply" : registered.check(args);
    if (misfit !== null) return no("EINVAL", `${name}: ${misfit}; correct the arguments and call again`);
    return this.#authorise(proc, registered, args);
  }

  /**
   * On a guest's own tool, which stands for these calls and is performed by the guest in its sandbox: capability and policy, as for the calls
   * themselves. Their arguments are only those that are privileged, so there is no schema; one that is missing or cannot be one is refused.
   */
  judge(proc: Proc, calls: readonly StandsFor[]): Intent {
    let worst: Intent = { verb: "allow", rules: [] };
    for (const call of calls) {
      const intent = this.#judge(proc, call);
      if (isWorse(intent, worst)) worst = intent;
    }
    return worst;
  }

  #judge(proc: Proc, { name, args }: StandsFor): Intent {
    const registered = this.#calls.get(name);
    if (registered === undefined) return no("ENOSYS", `this machine has no call ${name}, so nothing says what the tool may do`);
    for (const role of privileged(registered.spec)) {
      const value = args[role];
      const several = Array.isArray(value) && value.every((item) => typeof item === "string");
      if (typeof value !== "string" && !several) return no("EINVAL", `${name}: ${role} is missing, or is no text`);
    }
    return this.#authorise(proc, registered, args);
  }

  #authorise(proc: Proc, registered: Registered, args: JsonObject): Intent {
    const { spec, action } = registered;
    const subject = this.#subject(proc.manifest);
    const missing = subject.capabilities.refuse(spec, args);
    if (missing !== null) return no("EACCES", missing);
    const questions = questionsOf(spec, action, args, {
      principal: subject.principal,
      outputs: proc.manifest.outputs,
      label: proc.label,
    });
    if (!questions.ok) return { verb: "deny", rules: [], error: questions.error };
    const decision = this.#worst(questions.value);
    if (decision.verb === "deny") return { ...decision, error: this.#denial(registered, decision) };
    return spec.effect === "pure" || spec.effect === "read" ? decision : { ...decision, effect: spec.effect };
  }

  #worst(questions: readonly PolicyRequest[]): Decision {
    let worst: Decision | null = null;
    for (const question of questions) {
      const decision = this.#policy.decide(question);
      if (worst === null || isWorse(decision, worst)) worst = decision;
    }
    return worst ?? { verb: "deny", rules: [] };
  }

  #denial(registered: Registered, decision: Decision): SysError {
    const { name, effect } = registered.spec;
    const rule = decision.rules[0] === undefined ? undefined : this.#policy.rule(decision.rules[0]);
    const because = rule?.reason === null || rule === undefined ? "" : ` (${rule.reason})`;
    const why =
      rule === undefined
        ? `no rule permits this ${effect} call`
        : `rule ${rule.id} of the ${rule.scope} policy forbids it${because}`;
    return sysError("EPERM", `${name} was refused: ${why}; go on without it, or say in your result what you could not do`);
  }

  #unknown(proc: Proc, name: string): Intent {
    const held = this.#calls.tools((call) => this.holds(proc.manifest, call)).map((tool) => tool.name);
    return no("ENOSYS", `there is no call ${JSON.stringify(name).slice(0, 80)}; yours are ${held.join(", ")}`);
  }

  #subject(manifest: Manifest): Subject {
    const known = this.#subjects.get(manifest);
    if (known !== undefined) return known;
    const subject = { principal: principalOf(manifest.name), capabilities: compileCapabilities(manifest.calls) };
    this.#subjects.set(manifest, subject);
    return subject;
  }
}

/** The arguments that policy must see. */
function privileged({ input, roles }: CallSpec): readonly string[] {
  const required = Array.isArray(input["required"]) ? (input["required"] as readonly Json[]) : [];
  return Object.keys(roles).filter((name) => required.includes(name) && /^(?:path|host|command)$/.test(roles[name] ?? ""));
}

const rank = { allow: 0, ask: 1, deny: 2 } as const;

/** The first of equals stays, but an effect counts more than none. */
function isWorse(intent: Intent, than: Intent): boolean {
  const more = rank[intent.verb] - rank[than.verb];
  return more > 0 || (more === 0 && intent.effect !== undefined && than.effect === undefined);
}

function no(errno: Errno, message: string): Intent {
  return { verb: "deny", rules: [], error: sysError(errno, message) };
}
