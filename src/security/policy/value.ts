/**
 * Value: Cedar's values as the engine holds them, and how they are read, compared and found in sets.
 * `undefined` in place of a value means that the evaluation erred; no exception is thrown.
 *   POL-2.1  Values of different types are unequal; sets are equal in any order and count duplicates once; records and entities by content.
 *   POL-2.2  A value Cedar has no type for (null, a fraction, an integer beyond 2^53, a lone surrogate) is refused, never rounded.
 */
import type { EntityRef } from "../../abi/policy.ts";
import type { Json } from "../../lib/json.ts";
import { construct } from "./extension.ts";

/** A long is a number where that is exact, else a bigint: one form per value, so `===` compares. */
export type Long = number | bigint;

export interface EntityValue extends EntityRef {
  readonly kind: "entity";
}
export interface SetValue {
  readonly kind: "set";
  readonly members: ReadonlyMap<Key, Value>;
}
export interface RecordValue {
  readonly kind: "record";
  readonly fields: Fields;
}
export interface IpValue {
  readonly kind: "ip";
  readonly version: 4 | 6;
  readonly address: bigint;
  readonly prefix: number;
}
/** `amount` counts ten-thousandths, milliseconds since 1970, or milliseconds; always within 64 bits. */
export interface AmountValue {
  readonly kind: "decimal" | "datetime" | "duration";
  readonly amount: bigint;
}

export type Fields = { readonly [name: string]: Value };
export type Value = boolean | Long | string | EntityValue | SetValue | RecordValue | IpValue | AmountValue;
export type Key = string | number | boolean | bigint;

const depthMax = 64;

export function entity(ref: EntityRef): EntityValue {
  return { kind: "entity", type: ref.type, id: ref.id };
}

export function setOf(values: readonly Value[]): SetValue {
  const members = new Map<Key, Value>();
  for (const value of values) members.set(keyOf(value), value);
  return { kind: "set", members };
}

export function equals(left: Value, right: Value): boolean {
  if (left === right) return true;
  return typeof left === "object" && typeof right === "object" && left.kind === right.kind && keyOf(left) === keyOf(right);
}

/** One key per value: a plain string stands for itself, everything composite for its canonical text behind a NUL. */
export function keyOf(value: Value): Key {
  if (typeof value === "string") return value.startsWith("\0") ? `\0s${value}` : value;
  if (typeof value !== "object") return value;
  switch (value.kind) {
    case "entity":
      return `\0e${JSON.stringify([value.type, value.id])}`;
    case "set":
      return `\0[${[...value.members.keys()].map(keyText).sort().join(",")}]`;
    case "record":
      return `\0{${Object.keys(value.fields).sort().map(fieldText(value.fields)).join(",")}}`;
    case "ip":
      return `\0i${value.version}:${value.address}/${value.prefix}`;
    case "decimal":
    case "datetime":
    case "duration":
      return `\0${value.kind}:${value.amount}`;
  }
}

/** Reads a JSON value with Cedar's escapes `__entity` and `__extn`; undefined where Cedar has no such value. */
export function readValue(json: Json, depth = 0): Value | undefined {
  switch (typeof json) {
    case "boolean":
      return json;
    case "string":
      return json.isWellFormed() ? json : undefined;
    case "number":
      return readLong(json);
    case "object":
      if (json === null || depth > depthMax) return undefined;
      return Array.isArray(json) ? readSet(json, depth) : readObject(json as { readonly [key: string]: Json }, depth);
    default:
      return undefined;
  }
}

function readLong(json: number): number | undefined {
  if (!Number.isSafeInteger(json)) return undefined;
  return json === 0 ? 0 : json;
}

function readSet(items: readonly Json[], depth: number): SetValue | undefined {
  const values: Value[] = [];
  for (const item of items) {
    const value = readValue(item, depth + 1);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return setOf(values);
}

function readObject(json: { readonly [key: string]: Json }, depth: number): Value | undefined {
  if (Object.hasOwn(json, "__entity")) return readEntity(json["__entity"]);
  if (Object.hasOwn(json, "__extn")) return readExtension(json["__extn"]);
  if (Object.hasOwn(json, "__expr")) return undefined;
  const fields: Record<string, Value> = Object.create(null) as Record<string, Value>;
  for (const name of Object.keys(json)) {
    const field = json[name];
    if (field === undefined) continue;
    const value = name.isWellFormed() ? readValue(field, depth + 1) : undefined;
    if (value === undefined) return undefined;
    fields[name] = value;
  }
  return { kind: "record", fields };
}

function readEntity(json: Json | undefined): EntityValue | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { type, id } = json as { readonly [key: string]: Json };
  return typeof type === "string" && typeof id === "string" ? entity({ type, id }) : undefined;
}

function readExtension(json: Json | undefined): Value | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { fn, arg } = json as { readonly [key: string]: Json };
  return typeof fn === "string" && typeof arg === "string" ? construct(fn, arg) : undefined;
}

function keyText(key: Key): string {
  return typeof key === "string" ? JSON.stringify(key) : String(key);
}

function fieldText(fields: Fields): (name: string) => string {
  return (name) => {
    const value = fields[name];
    return `${JSON.stringify(name)}:${value === undefined ? "" : keyText(keyOf(value))}`;
  };
}
