/**
 * Values: what passes take and give. A path goes through objects by name and through lists item by item.
 *   PRG-3.1  A path through a list gives all its items' parts in one flat list; a path to nothing gives nothing.
 */
import { isObject, type Json } from "../lib/json.ts";

export type Values = ReadonlyMap<string, Json>;

/** The value at `extract.facts`; undefined where there is none. */
export function pick(values: Values, path: string): Json | undefined {
  const [root = "", ...rest] = path.split(".");
  let value = values.get(root);
  for (const key of rest) value = step(value, key);
  return value;
}

export function step(value: Json | undefined, key: string): Json | undefined {
  if (Array.isArray(value)) {
    if (key === "length") return value.length;
    const items = (value as readonly Json[]).flatMap((item) => {
      const part = step(item, key);
      return part === undefined ? [] : Array.isArray(part) ? (part as readonly Json[]) : [part];
    });
    return items;
  }
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A text that claims to stand somewhere. */
export interface Cited {
  readonly text: string;
  readonly path: string;
  readonly line: number;
  readonly to: number;
}

/** Every object with a text, a path and a line, wherever it stands in the value. */
export function citedIn(value: Json | undefined): Cited[] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(citedIn);
  if (!isObject(value)) return [];
  const { text, path, line, to } = value;
  const own =
    typeof text === "string" && typeof path === "string" && typeof line === "number"
      ? [{ text, path, line, to: typeof to === "number" ? to : line }]
      : [];
  return [...own, ...Object.values(value).flatMap(citedIn)];
}

/** Nothing in it: no text, no number, no item. */
export function isEmpty(value: Json): boolean {
  if (value === null || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isObject(value)) return false;
  return Object.values(value).every((field) => isEmpty(field));
}
