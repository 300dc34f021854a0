/**
 * Engine: decide requests by Cedar's rules in microseconds, from policies compiled to closures behind an index.
 * compilePolicies() takes what parsing gave (Cedar's JSON form); it needs no parser and no Cedar.
 *   POL-1.1  A satisfied forbid denies, whatever permits; where nothing permits, the answer is deny.
 *   POL-1.2  A rule whose evaluation errs takes no part.
 *   POL-1.3  The rules of a decision are those that determined it, sorted: all satisfied forbids, else all satisfied permits.
 *   POL-1.4  A permit annotated @ask makes the verb `ask`; plain Cedar sees the same permit.
 *   POL-1.5  A platform question yields to a plain permit of another scope; no other question yields.
 *   POL-1.6  Decision and rules equal Cedar's on every policy set that loads.
 *   POL-1.7  What the compiler cannot carry exactly is refused at load with the rule's file and line.
 */
import { fail, type SysError } from "../../abi/errno.ts";
import { defaultDeny, verdictOf } from "../../abi/policy.ts";
import type { Decision, EntityRef, Explanation, PolicyEngine, PolicyRequest, PolicyRule, PolicySet } from "../../abi/policy.ts";
import type { RuleId, RuleSource } from "../../abi/policy.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { compileExpression, type Evaluate } from "./expression.ts";
import { keyLists, scopeEntity, type IndexKey, type KeyList } from "./keys.ts";
import { isIn, type Actor, type Scene } from "./operators.ts";
import { readScene } from "./scene.ts";
import { EntityTable, Shelf } from "./shelf.ts";

type Test = (scene: Scene) => boolean;

/** A rule ready to be asked. */
interface Compiled {
  readonly source: PolicyRule;
  readonly at: number;
  readonly permit: boolean;
  /** null: any action. */
  readonly actions: { readonly op: "is" | "in"; readonly refs: readonly EntityRef[] } | null;
  readonly scope: readonly Test[];
  readonly conditions: readonly Evaluate[];
  readonly keys: readonly KeyList[];
}

export function compilePolicies(set: PolicySet): Result<PolicyEngine, SysError> {
  const rules: Compiled[] = [];
  for (const source of set.rules) {
    const rule = compileRule(source, rules.length);
    if (!rule.ok) {
      return fail(
        "ENOEXEC",
        `${source.file}:${source.line}: rule ${source.id} cannot be used: ${rule.error}; rewrite it without that`,
      );
    }
    rules.push(rule.value);
  }
  return ok(new CompiledEngine(set.digest, rules));
}

class CompiledEngine implements PolicyEngine {
  readonly name = "compiled";
  readonly digest: string;
  readonly #rules: readonly Compiled[];
  readonly #byId = new Map<RuleId, PolicyRule>();
  readonly #byAction = new EntityTable<Shelf<Compiled>>();
  readonly #anyAction = new Shelf<Compiled>();
  /** A rule may stand on several shelves; the mark says in which question it was last looked at. */
  readonly #marks: Uint32Array;
  #question = 0;
  #scene: Scene | null = null;
  #permits: PolicyRule[] = [];
  #forbids: PolicyRule[] = [];

  constructor(digest: string, rules: readonly Compiled[]) {
    this.digest = digest;
    this.#rules = rules;
    this.#marks = new Uint32Array(rules.length);
    const counts = countKeys(rules);
    for (const rule of rules) {
      this.#byId.set(rule.source.id, rule.source);
      const keys = rarest(rule.keys, counts, rules.length);
      if (rule.actions === null) this.#anyAction.add(keys, rule);
      for (const ref of rule.actions?.refs ?? []) {
        this.#byAction.at(rule.actions?.op ?? "is", ref, () => new Shelf()).add(keys, rule);
      }
    }
  }

  decide(request: PolicyRequest): Decision {
    const scene = readScene(request);
    if (scene === undefined) return defaultDeny;
    this.#begin(scene);
    this.#anyAction.each(scene, this.#visit);
    this.#byAction.each(scene.action, this.#visitShelf);
    return verdictOf(this.#permits, this.#forbids);
  }

  explain(request: PolicyRequest): Explanation {
    const scene = readScene(request);
    if (scene === undefined) return { decision: defaultDeny, erred: [] };
    const answers = this.#rules.map((rule) => ({ rule, answer: actionFits(rule, scene) && evaluateRule(rule, scene) }));
    const satisfied = answers.filter(({ answer }) => answer === true).map(({ rule }) => rule);
    const erred = answers.filter(({ answer }) => answer === undefined).map(({ rule }) => rule.source.id);
    const [permits, forbids] = [satisfied.filter(({ permit }) => permit), satisfied.filter(({ permit }) => !permit)];
    return { decision: verdictOf(permits.map(sourceOf), forbids.map(sourceOf)), erred: erred.sort() };
  }

  rule(id: RuleId): RuleSource | undefined {
    return this.#byId.get(id);
  }

  #begin(scene: Scene): void {
    if (this.#question === 0xffff_ffff) {
      this.#marks.fill(0);
      this.#question = 0;
    }
    this.#question += 1;
    this.#scene = scene;
    this.#permits = [];
    this.#forbids = [];
  }

  readonly #visitShelf = (shelf: Shelf<Compiled>): void => {
    if (this.#scene !== null) shelf.each(this.#scene, this.#visit);
  };

  /** A permit no longer matters once a forbid holds. */
  readonly #visit = (rules: readonly Compiled[]): void => {
    const scene = this.#scene;
    if (scene === null) return;
    for (const rule of rules) {
      if (this.#marks[rule.at] === this.#question || (rule.permit && this.#forbids.length > 0)) continue;
      this.#marks[rule.at] = this.#question;
      if (evaluateRule(rule, scene) === true) (rule.permit ? this.#permits : this.#forbids).push(rule.source);
    }
  };
}

/** true: satisfied · false: not · undefined: the evaluation erred. The action is the shelf's matter. */
function evaluateRule(rule: Compiled, scene: Scene): boolean | undefined {
  for (const test of rule.scope) if (!test(scene)) return false;
  for (const condition of rule.conditions) {
    const value = condition(scene);
    if (value !== true) return value === false ? false : undefined;
  }
  return true;
}

function actionFits({ actions }: Compiled, scene: Scene): boolean {
  if (actions === null) return true;
  const action = scene.action.value;
  return actions.refs.some((ref) =>
    actions.op === "is" ? ref.type === action.type && ref.id === action.id : isIn(scene, action, ref),
  );
}

function sourceOf(rule: Compiled): PolicyRule {
  return rule.source;
}

function compileRule(source: PolicyRule, at: number): Result<Compiled, string> {
  const { principal, action, resource, conditions } = source.policy;
  const who = compileScope(principal, "principal");
  if (!who.ok) return who;
  const what = compileScope(resource, "resource");
  if (!what.ok) return what;
  const actions = compileActions(action);
  if (!actions.ok) return actions;
  const compiled: Evaluate[] = [];
  const keys = [...who.value.keys, ...what.value.keys];
  for (const clause of Array.isArray(conditions) ? (conditions as readonly Json[]) : []) {
    const { kind, body } = isObject(clause) ? clause : ({} as JsonObject);
    if (kind !== "when" && kind !== "unless") return err("a condition is neither `when` nor `unless`");
    const condition = compileExpression(kind === "when" ? (body ?? null) : { "!": { arg: body ?? null } });
    if (!condition.ok) return condition;
    compiled.push(condition.value);
    if (kind === "when") keys.push(...keyLists(body));
  }
  const scope = [...who.value.tests, ...what.value.tests];
  return ok({ source, at, permit: source.effect === "permit", actions: actions.value, scope, conditions: compiled, keys });
}

function compileActions(json: Json | undefined): Result<Compiled["actions"], string> {
  if (!isObject(json)) return err("its action constraint is not understood");
  if (json["op"] === "All") return ok(null);
  const listed = Array.isArray(json["entities"]) ? (json["entities"] as readonly Json[]) : [json["entity"]];
  const refs = listed.map(scopeEntity).filter((ref) => ref !== undefined);
  if (refs.length !== listed.length || (json["op"] !== "==" && json["op"] !== "in"))
    return err("its action constraint is not understood");
  return ok({ op: json["op"] === "==" ? "is" : "in", refs });
}

interface ScopeTests {
  readonly tests: readonly Test[];
  readonly keys: readonly KeyList[];
}

function compileScope(json: Json | undefined, subject: "principal" | "resource"): Result<ScopeTests, string> {
  const unknown = err(`its ${subject} constraint is not understood; templates are not supported`);
  if (!isObject(json)) return unknown;
  const actor = (scene: Scene): Actor => scene[subject];
  const type = json["entity_type"];
  const within = isObject(json["in"]) ? json["in"] : json;
  const ref = scopeEntity(within["entity"]);
  const key = (op: "is" | "in"): KeyList =>
    ref === undefined ? [] : [{ op, subject, name: ref.type, key: ref.id } satisfies IndexKey];
  const isType: Test = (scene) => actor(scene).value.type === type;
  switch (json["op"]) {
    case "All":
      return ok({ tests: [], keys: [] });
    case "==":
      if (ref === undefined) return unknown;
      return ok({
        tests: [(scene) => actor(scene).value.id === ref.id && actor(scene).value.type === ref.type],
        keys: [key("is")],
      });
    case "in":
      if (ref === undefined) return unknown;
      return ok({ tests: [(scene) => isIn(scene, actor(scene).value, ref)], keys: [key("in")] });
    case "is":
      if (typeof type !== "string") return unknown;
      if (json["in"] === undefined) return ok({ tests: [isType], keys: [] });
      if (ref === undefined) return unknown;
      return ok({ tests: [isType, (scene) => isIn(scene, actor(scene).value, ref)], keys: [key("in")] });
    default:
      return unknown;
  }
}

function countKeys(rules: readonly Compiled[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const rule of rules)
    for (const list of rule.keys) for (const key of list) counts.set(nameOf(key), (counts.get(nameOf(key)) ?? 0) + 1);
  return counts;
}

/** The list whose keys the fewest rules share: the one that is least often looked at in vain. */
function rarest(lists: readonly KeyList[], counts: ReadonlyMap<string, number>, rules: number): KeyList {
  let chosen: KeyList = [];
  let least = rules + 1;
  for (const list of lists) {
    const cost = list.reduce((sum, key) => sum + (counts.get(nameOf(key)) ?? 0), 0);
    if (cost < least) [chosen, least] = [list, cost];
  }
  return chosen;
}

function nameOf({ op, subject, name, key }: IndexKey): string {
  return `${op} ${subject} ${name} ${typeof key} ${String(key)}`;
}
