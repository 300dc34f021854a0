/**
 * Keys: which plain facts about a request a condition needs in order to hold.
 * A rule holds only if every top-level conjunct of its `when` is true, so each conjunct alone is a sound index key.
 *   POL-7.1  A rule that is satisfied by a request has at least one key of each of its key lists among the request's facts.
 */
import { isObject, type Json } from "../../lib/json.ts";
import { chainOf } from "./chain.ts";
import { runsOf, type PatternElement } from "./like.ts";
import { keyOf, readValue, type Key } from "./value.ts";

export type Subject = "principal" | "resource" | "context";

/** `equal`, `member`, `prefix` and `suffix` speak of an attribute; `is` and `in` of the entity itself, with `key` its id. */
export type IndexKey =
  | { readonly op: "equal" | "member"; readonly subject: Subject; readonly name: string; readonly key: Key }
  | { readonly op: "prefix" | "suffix"; readonly subject: Subject; readonly name: string; readonly key: string }
  | { readonly op: "is" | "in"; readonly subject: "principal" | "resource"; readonly name: string; readonly key: string };

/** Alternatives: one of them must be a fact of the request. */
export type KeyList = readonly IndexKey[];

const alternativesMax = 512;

/** The key lists of a condition that must be true. */
export function keyLists(expression: Json | undefined): readonly KeyList[] {
  if (!isObject(expression)) return [];
  const operator = Object.keys(expression)[0] ?? "";
  const body = expression[operator];
  if (!isObject(body)) return [];
  const { left, right } = body;
  switch (operator) {
    case "&&":
      return chainOf("&&", expression).flatMap((operand) => keyLists(operand));
    case "||":
      return either(chainOf("||", expression));
    case "==":
      return equalKeys(left, right) ?? equalKeys(right, left) ?? [];
    case "in":
      return entityKeys(left, right);
    case "like":
      return likeKeys(left, body["pattern"]);
    case "contains":
      return containsKeys(left, right);
    case ".":
      return attributeKeys(expression, true);
    case "!":
      return attributeKeys(body["arg"], false);
    default:
      return [];
  }
}

/** One list of each operand's best; an operand without any makes the whole unknowable. */
function either(operands: readonly (Json | undefined)[]): readonly KeyList[] {
  const all: IndexKey[] = [];
  for (const operand of operands) {
    const list = best(keyLists(operand));
    if (list === undefined || all.length + list.length > alternativesMax) return [];
    all.push(...list);
  }
  return [all];
}

/** The list that looks the most selective without having seen the other rules. */
function best(lists: readonly KeyList[]): KeyList | undefined {
  return lists.toSorted((a, b) => weightOf(b) - weightOf(a))[0];
}

function weightOf(list: KeyList): number {
  return Math.min(
    ...list.map(({ op, key }) =>
      typeof key === "boolean" ? 1 : op === "prefix" || op === "suffix" ? 2 + key.length / 1_000 : 4,
    ),
  );
}

interface Attribute {
  readonly subject: Subject;
  readonly name: string;
}

function attributeOf(expression: Json | undefined): Attribute | undefined {
  const body = isObject(expression) ? expression["."] : undefined;
  if (!isObject(body) || typeof body["attr"] !== "string") return undefined;
  const subject = isObject(body["left"]) ? body["left"]["Var"] : undefined;
  return subject === "principal" || subject === "resource" || subject === "context" ? { subject, name: body["attr"] } : undefined;
}

/** Only plain literals are keys; entities, sets and the like are left to the evaluation. */
function literalOf(expression: Json | undefined): Key | undefined {
  const value = isObject(expression) && Object.hasOwn(expression, "Value") ? readValue(expression["Value"] ?? null) : undefined;
  return value === undefined || typeof value === "object" ? undefined : keyOf(value);
}

function equalKeys(left: Json | undefined, right: Json | undefined): readonly KeyList[] | undefined {
  const attribute = attributeOf(left);
  const key = literalOf(right);
  if (attribute !== undefined && key !== undefined) return [[{ op: "equal", ...attribute, key }]];
  const variable = variableOf(left);
  const ref = entityOf(right);
  return variable === undefined || ref === undefined
    ? undefined
    : [[{ op: "is", subject: variable, name: ref.type, key: ref.id }]];
}

function entityKeys(left: Json | undefined, right: Json | undefined): readonly KeyList[] {
  const variable = variableOf(left);
  if (variable === undefined) return [];
  const members = isObject(right) && Array.isArray(right["Set"]) ? (right["Set"] as readonly Json[]) : [right];
  if (members.length > alternativesMax) return [];
  const refs = members.map(entityOf);
  const keys = refs.flatMap((ref): IndexKey[] =>
    ref === undefined ? [] : [{ op: "in", subject: variable, name: ref.type, key: ref.id }],
  );
  return keys.length === members.length && keys.length > 0 ? [keys] : [];
}

function likeKeys(left: Json | undefined, pattern: Json | undefined): readonly KeyList[] {
  const attribute = attributeOf(left);
  if (attribute === undefined || !Array.isArray(pattern)) return [];
  const runs = runsOf(pattern as readonly PatternElement[]);
  const first = runs[0] ?? "";
  if (runs.length === 1) return [[{ op: "equal", ...attribute, key: keyOf(first) }]];
  const last = runs.at(-1) ?? "";
  const lists: KeyList[] = [];
  if (first !== "") lists.push([{ op: "prefix", ...attribute, key: first }]);
  if (last !== "") lists.push([{ op: "suffix", ...attribute, key: last }]);
  return lists;
}

function containsKeys(left: Json | undefined, right: Json | undefined): readonly KeyList[] {
  const set = attributeOf(left);
  const member = literalOf(right);
  if (set !== undefined && member !== undefined) return [[{ op: "member", ...set, key: member }]];
  const attribute = attributeOf(right);
  const items = isObject(left) && Array.isArray(left["Set"]) ? (left["Set"] as readonly Json[]) : [];
  if (attribute === undefined || items.length === 0 || items.length > alternativesMax) return [];
  const keys = items.map(literalOf);
  if (keys.includes(undefined)) return [];
  return [keys.flatMap((key): IndexKey[] => (key === undefined ? [] : [{ op: "equal", ...attribute, key }]))];
}

function attributeKeys(expression: Json | undefined, key: boolean): readonly KeyList[] {
  const attribute = attributeOf(expression);
  return attribute === undefined ? [] : [[{ op: "equal", ...attribute, key }]];
}

function variableOf(expression: Json | undefined): "principal" | "resource" | undefined {
  const variable = isObject(expression) ? expression["Var"] : undefined;
  return variable === "principal" || variable === "resource" ? variable : undefined;
}

function entityOf(expression: Json | undefined): { type: string; id: string } | undefined {
  const value = isObject(expression) && Object.hasOwn(expression, "Value") ? readValue(expression["Value"] ?? null) : undefined;
  return typeof value === "object" && value.kind === "entity" ? value : undefined;
}

/** The entity of a scope constraint, in either of its two JSON forms. */
export function scopeEntity(json: Json | undefined): { type: string; id: string } | undefined {
  if (!isObject(json)) return undefined;
  const inner = json["__entity"];
  const { type, id } = isObject(inner) ? inner : json;
  return typeof type === "string" && typeof id === "string" ? { type, id } : undefined;
}
