/**
 * Json: the value form everything that is journaled has.
 *   LIB-1.2  parseJson() throws nothing, and its objects have no key `__proto__`, however it was spelled.
 *   LIB-1.3  parsePlainJson() takes no text that has such a key.
 *   LIB-1.1  canonical() gives one text per value: keys sorted by code unit, no white space.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** JSON Schema 2020-12, as data. */
export type JsonSchema = JsonObject;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One text per value, for digests. Keys with undefined values are left out, as in JSON. */
export function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${canonical(field)}`);
  }
  return `{${fields.join(",")}}`;
}

/** Whether a value nests deeper than this. It looks no further than that, so that a hostile depth costs nothing and cannot end a recursion. */
export function tooDeep(value: Json, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const child of Array.isArray(value) ? (value as readonly Json[]) : Object.values(value)) {
    if (tooDeep(child, levels - 1)) return true;
  }
  return false;
}

/** Whether a value's text is longer than this, by a count that stops there. */
export function tooLarge(value: Json, charsMax: number): boolean {
  let left = charsMax;
  const walk = (item: Json): boolean => {
    left -= typeof item === "string" ? item.length + 2 : 4;
    if (left < 0) return true;
    if (typeof item !== "object" || item === null) return false;
    if (Array.isArray(item)) return (item as readonly Json[]).some(walk);
    for (const [key, child] of Object.entries(item as JsonObject)) {
      left -= key.length + 3;
      if (walk(child)) return true;
    }
    return false;
  };
  return walk(value);
}

/** Parse text from outside: no exception, no prototype keys. */
export function parseJson(text: string): Json | undefined {
  return parse(text, () => undefined);
}

/** The same for what somebody else reads as well, who may heed such a key: a text that has one is none. */
export function parsePlainJson(text: string): Json | undefined {
  return parse(text, () => {
    throw new SyntaxError("a key that changes what its object is");
  });
}

function parse(text: string, prototypeKey: () => undefined): Json | undefined {
  try {
    /** A reviver makes parsing several times slower, and the key it looks for can only be spelled in these ways. */
    if (!/__proto__|\\u00/.test(text)) return JSON.parse(text) as Json;
    return JSON.parse(text, (key, value: unknown) => (key === "__proto__" ? prototypeKey() : value)) as Json;
  } catch {
    return undefined;
  }
}
