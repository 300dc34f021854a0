/**
 * Scene: a request with its values read once, for the expressions to look at.
 *   POL-6.1  A request with a value Cedar has no type for, or with one entity described in two ways, is no scene and therefore denied.
 */
import type { PolicyEntity, PolicyRequest } from "../../abi/policy.ts";
import { canonical, type Json } from "../../lib/json.ts";
import type { Actor, Scene } from "./operators.ts";
import { entity, readValue, type Fields, type Value } from "./value.ts";

const none: Fields = Object.freeze(Object.create(null) as Fields);

export function readScene(request: PolicyRequest): Scene | undefined {
  const { principal, action, resource } = request;
  if (contradict(principal, action) || contradict(principal, resource) || contradict(action, resource)) return undefined;
  const context = readContext(request.context);
  const first = readActor(principal);
  const second = readActor(action);
  const third = readActor(resource);
  if (context === undefined || first === undefined || second === undefined || third === undefined) return undefined;
  return { principal: first, action: second, resource: third, context };
}

function contradict(a: PolicyEntity, b: PolicyEntity): boolean {
  return a.id === b.id && a.type === b.type && a !== b && canonical(a) !== canonical(b);
}

function readActor(source: PolicyEntity): Actor | undefined {
  const attrs = readFields(source.attrs);
  const tags = source.tags === undefined ? none : readFields(source.tags);
  if (attrs === undefined || tags === undefined || !source.id.isWellFormed()) return undefined;
  return { value: entity(source), attrs, tags, parents: source.parents };
}

function readContext(json: PolicyRequest["context"]): Fields | undefined {
  if (Object.hasOwn(json, "__entity") || Object.hasOwn(json, "__extn") || Object.hasOwn(json, "__expr")) return undefined;
  return readFields(json);
}

/** The object itself where every value is a plain one, which spares the copy on the hot path. */
function readFields(json: { readonly [key: string]: Json }): Fields | undefined {
  let copy: Record<string, Value> | undefined;
  for (const name in json) {
    if (!name.isWellFormed()) return undefined;
    const field = json[name];
    if (typeof field === "boolean" || (typeof field === "string" && field.isWellFormed())) continue;
    if (field === undefined) {
      copy ??= copyOf(json);
      delete copy[name];
      continue;
    }
    const value = readValue(field);
    if (value === undefined) return undefined;
    if (value === field) continue;
    copy ??= copyOf(json);
    copy[name] = value;
  }
  return copy ?? (json as Fields);
}

function copyOf(json: { readonly [key: string]: Json }): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, json);
}
