/**
 * Shelf: the rules of one action, laid out by their keys; and entity tables for `==` and `in`.
 *   POL-7.2  each() visits every rule one of whose keys is a fact of the request, and every rule without a key.
 */
import type { EntityRef } from "../../abi/policy.ts";
import { Affixes } from "./affixes.ts";
import type { Actor, Scene } from "./operators.ts";
import type { IndexKey, KeyList, Subject } from "./keys.ts";
import { keyOf, type Fields, type Key } from "./value.ts";

/** Values by entity: `exact` for the entity itself, `group` for it and all that is in it. */
export class EntityTable<T> {
  readonly #exact = new Map<string, Map<string, T>>();
  readonly #group = new Map<string, Map<string, T>>();

  get size(): number {
    return this.#exact.size + this.#group.size;
  }

  at(op: "is" | "in", ref: EntityRef, make: () => T): T {
    const table = op === "is" ? this.#exact : this.#group;
    return obtain(
      obtain(table, ref.type, () => new Map<string, T>()),
      ref.id,
      make,
    );
  }

  each(actor: Actor, visit: (value: T) => void): void {
    const { type, id } = actor.value;
    const exact = this.#exact.get(type)?.get(id);
    if (exact !== undefined) visit(exact);
    if (this.#group.size === 0) return;
    const own = this.#group.get(type)?.get(id);
    if (own !== undefined) visit(own);
    for (const parent of actor.parents) {
      const group = this.#group.get(parent.type)?.get(parent.id);
      if (group !== undefined) visit(group);
    }
  }
}

/** What is known about one attribute. */
interface Slot<T> {
  readonly subject: Subject;
  readonly name: string;
  readonly equal: Map<Key, T[]>;
  readonly member: Map<Key, T[]>;
  prefix: Affixes<T> | null;
  suffix: Affixes<T> | null;
}

export class Shelf<T> {
  readonly #unkeyed: T[] = [];
  readonly #slots: Slot<T>[] = [];
  readonly #principals = new EntityTable<T[]>();
  readonly #resources = new EntityTable<T[]>();

  add(keys: KeyList, value: T): void {
    if (keys.length === 0) this.#unkeyed.push(value);
    for (const key of keys) this.#addKey(key, value);
  }

  each(scene: Scene, visit: (values: readonly T[]) => void): void {
    if (this.#unkeyed.length > 0) visit(this.#unkeyed);
    if (this.#principals.size > 0) this.#principals.each(scene.principal, visit);
    if (this.#resources.size > 0) this.#resources.each(scene.resource, visit);
    for (const slot of this.#slots) eachOfSlot(slot, fieldsOf(scene, slot.subject), visit);
  }

  #addKey(key: IndexKey, value: T): void {
    switch (key.op) {
      case "is":
      case "in": {
        const table = key.subject === "principal" ? this.#principals : this.#resources;
        table.at(key.op, { type: key.name, id: key.key }, () => []).push(value);
        return;
      }
      case "equal":
      case "member":
        obtain(this.#slot(key.subject, key.name)[key.op], key.key, () => [] as T[]).push(value);
        return;
      case "prefix":
      case "suffix": {
        const slot = this.#slot(key.subject, key.name);
        const affixes = (slot[key.op] ??= new Affixes(key.op));
        affixes.add(key.key, value);
      }
    }
  }

  #slot(subject: Subject, name: string): Slot<T> {
    const found = this.#slots.find((slot) => slot.subject === subject && slot.name === name);
    if (found !== undefined) return found;
    const made: Slot<T> = { subject, name, equal: new Map(), member: new Map(), prefix: null, suffix: null };
    this.#slots.push(made);
    return made;
  }
}

function eachOfSlot<T>(slot: Slot<T>, fields: Fields, visit: (values: readonly T[]) => void): void {
  const value = Object.hasOwn(fields, slot.name) ? fields[slot.name] : undefined;
  if (value === undefined) return;
  if (typeof value === "object") {
    if (value.kind !== "set" || slot.member.size === 0) return;
    for (const key of value.members.keys()) {
      const values = slot.member.get(key);
      if (values !== undefined) visit(values);
    }
    return;
  }
  const values = slot.equal.size > 0 ? slot.equal.get(keyOf(value)) : undefined;
  if (values !== undefined) visit(values);
  if (typeof value !== "string") return;
  slot.prefix?.each(value, visit);
  slot.suffix?.each(value, visit);
}

function fieldsOf(scene: Scene, subject: Subject): Fields {
  return subject === "context" ? scene.context : scene[subject].attrs;
}

export function obtain<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
