/**
 * Operators: Cedar's operators on two values, and what they ask of a request's entities.
 *   POL-5.3  Long arithmetic is exact within 64 bits and errs beyond.
 */
import type { EntityRef } from "../../abi/policy.ts";
import { isAmount, long } from "./extension.ts";
import { equals, keyOf } from "./value.ts";
import type { EntityValue, Fields, Long, RecordValue, SetValue, Value } from "./value.ts";

/** An entity of the request, with its values read. */
export interface Actor {
  readonly value: EntityValue;
  readonly attrs: Fields;
  readonly tags: Fields;
  readonly parents: readonly EntityRef[];
}

/** One request as expressions see it. */
export interface Scene {
  readonly principal: Actor;
  readonly action: Actor;
  readonly resource: Actor;
  readonly context: Fields;
}

/** Whether `left` is `right` or has it as an ancestor. */
export function isIn(scene: Scene, left: EntityRef, right: EntityRef): boolean {
  if (left.id === right.id && left.type === right.type) return true;
  const actor = actorOf(scene, left);
  return actor !== undefined && actor.parents.some((parent) => parent.id === right.id && parent.type === right.type);
}

export type Binary = (left: Value, right: Value, scene: Scene) => Value | undefined;

/** Both operands are evaluated before; `&&` and `||` are not among these. */
export const binary: Readonly<Record<string, Binary>> = {
  "==": equals,
  "!=": (left, right) => !equals(left, right),
  "<": (left, right) => compare(left, right, (a, b) => a < b),
  "<=": (left, right) => compare(left, right, (a, b) => a <= b),
  ">": (left, right) => compare(left, right, (a, b) => a > b),
  ">=": (left, right) => compare(left, right, (a, b) => a >= b),
  "+": (left, right) =>
    arithmetic(
      left,
      right,
      (a, b) => a + b,
      (a, b) => a + b,
    ),
  "-": (left, right) =>
    arithmetic(
      left,
      right,
      (a, b) => a - b,
      (a, b) => a - b,
    ),
  "*": (left, right) =>
    arithmetic(
      left,
      right,
      (a, b) => a * b,
      (a, b) => a * b,
    ),
  in: entityIn,
  contains: (left, right) => (isSet(left) ? left.members.has(keyOf(right)) : undefined),
  containsAll: (left, right) =>
    isSet(left) && isSet(right) ? [...right.members.keys()].every((key) => left.members.has(key)) : undefined,
  containsAny: (left, right) =>
    isSet(left) && isSet(right) ? [...right.members.keys()].some((key) => left.members.has(key)) : undefined,
  hasTag: (left, right, scene) => {
    if (!isEntity(left) || typeof right !== "string") return undefined;
    const tags = actorOf(scene, left)?.tags;
    return tags !== undefined && Object.hasOwn(tags, right);
  },
  getTag: (left, right, scene) => {
    if (!isEntity(left) || typeof right !== "string") return undefined;
    const tags = actorOf(scene, left)?.tags;
    return tags !== undefined && Object.hasOwn(tags, right) ? tags[right] : undefined;
  },
};

function compare(left: Value, right: Value, test: (a: Long, b: Long) => boolean): boolean | undefined {
  if (isLong(left) && isLong(right)) return test(left, right);
  if (isAmount(left, "datetime") && isAmount(right, "datetime")) return test(left.amount, right.amount);
  if (isAmount(left, "duration") && isAmount(right, "duration")) return test(left.amount, right.amount);
  return undefined;
}

/** Doubles are exact while the result is a safe integer; beyond that the same operation runs on bigints. */
function arithmetic(
  left: Value,
  right: Value,
  small: (a: number, b: number) => number,
  large: (a: bigint, b: bigint) => bigint,
): Long | undefined {
  if (typeof left === "number" && typeof right === "number") {
    const result = small(left, right);
    if (Number.isSafeInteger(result)) return result === 0 ? 0 : result;
  }
  return isLong(left) && isLong(right) ? long(large(BigInt(left), BigInt(right))) : undefined;
}

export function entityIn(left: Value, right: Value, scene: Scene): boolean | undefined {
  if (!isEntity(left)) return undefined;
  if (isEntity(right)) return isIn(scene, left, right);
  if (!isSet(right)) return undefined;
  const groups = [...right.members.values()];
  return groups.every(isEntity) ? groups.some((group) => isIn(scene, left, group)) : undefined;
}

export function actorOf(scene: Scene, ref: EntityRef): Actor | undefined {
  return [scene.principal, scene.action, scene.resource].find(({ value }) => value.id === ref.id && value.type === ref.type);
}

export function isLong(value: Value | undefined): value is Long {
  return typeof value === "number" || typeof value === "bigint";
}

export function isSet(value: Value | undefined): value is SetValue {
  return typeof value === "object" && value.kind === "set";
}

export function isRecord(value: Value | undefined): value is RecordValue {
  return typeof value === "object" && value.kind === "record";
}

export function isEntity(value: Value | undefined): value is EntityValue {
  return typeof value === "object" && value.kind === "entity";
}
