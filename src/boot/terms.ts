/**
 * Terms: what a project's settings say as far as trust goes: what they restrict, what they permit, and what they start or reach.
 *   BOO-25.1  widenings() names everything by which one version asks for more than another: a limit raised or gone, a deny or ask gone, an allow new,
 *             a server, provider, CPU or credential for a host new or changed, a policy file gone; rulesWidened() the same of a Cedar file: a permit new, a forbid gone.
 *   BOO-25.2  A version that only restricts widens nothing; what widens nothing over what widens nothing widens nothing.
 *   BOO-25.3  Under a version that widens nothing no call is allowed that was not allowed before.
 *   BOO-25.4  Terms are plain JSON, hold no value of an environment or header, and are read back as they were or not at all.
 */
import type { Digest } from "../lib/hash.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical, isObject, type Json } from "../lib/json.ts";
import { plural } from "../lib/plural.ts";
import type { ConfigFile, McpEntry, ModelEntry } from "./config-file.ts";

export interface Terms {
  /** By the names of the settings: `budget.costUsd`. */
  readonly limits: Readonly<Record<string, number>>;
  readonly deny: readonly string[];
  readonly ask: readonly string[];
  readonly allow: readonly string[];
  /** `cpu`, `models.NAME`, `mcp.NAME`, `egress.HOST`. */
  readonly reaches: Readonly<Record<string, Reach>>;
  /** The Cedar files that are named, by path, each with the digests of its rules' texts. */
  readonly files: Readonly<Record<string, Rules>>;
}

/** What is started or reached: as a person reads it, and a digest of all of it. */
export interface Reach {
  readonly shown: string;
  readonly digest: Digest;
}

export interface Rules {
  readonly permits: readonly Digest[];
  readonly forbids: readonly Digest[];
}

export const noRules: Rules = { permits: [], forbids: [] };

export const noTerms: Terms = { limits: {}, deny: [], ask: [], allow: [], reaches: {}, files: {} };

/** The workspace's files that a server's command names. */
export type FilesOf = (entry: McpEntry) => readonly (readonly [path: string, digest: Digest])[];

/** The Cedar files by name alone: what they say is asked of Cedar. */
export function termsOf(file: ConfigFile, filesOf: FilesOf): Terms {
  const texts = (list: readonly { readonly value: string }[]): readonly string[] => list.map(({ value }) => value);
  const cpu = file.cpu === null ? [] : [["cpu", reachOf(file.cpu.value, file.cpu.value)] as const];
  const models = [...file.models].map(([name, { value }]) => [`models.${name}`, modelReach(value)] as const);
  const egress = [...file.egress].map(([host, { value }]) => {
    return [`egress.${host}`, reachOf(`${value.header} from ${value.keyEnv}`, value)] as const;
  });
  return {
    limits: Object.fromEntries([...file.numbers].map(([key, { value }]) => [key, value])),
    deny: texts(file.policy.deny),
    ask: texts(file.policy.ask),
    allow: texts(file.policy.allow),
    reaches: { ...Object.fromEntries([...cpu, ...models, ...egress]), ...serverReaches(new Map(unplaced(file.mcp)), filesOf) },
    files: Object.fromEntries(file.policy.files.map(({ value }) => [value, noRules])),
  };
}

export function serverReaches(servers: ReadonlyMap<string, McpEntry>, filesOf: FilesOf): Terms["reaches"] {
  return Object.fromEntries(
    [...servers].map(([name, entry]) => {
      const files = filesOf(entry);
      return [`mcp.${name}`, reachOf(describeServer(entry), files.length === 0 ? entry : { entry, files })];
    }),
  );
}

/** One line each, for a person. Empty: whoever trusted `accepted` has trusted `now`. What Cedar files say is rulesWidened()'s. */
export function widenings(accepted: Terms, now: Terms): readonly string[] {
  return [
    ...limitsWidened(accepted, now),
    ...missing(accepted.deny, now.deny).map((entry) => `policy.deny ${entry} is gone`),
    ...missing(accepted.ask, now.ask).map((entry) => `policy.ask ${entry} is gone`),
    ...missing(now.allow, accepted.allow).map((entry) => `policy.allow ${entry} is new`),
    ...reachesWidened(accepted.reaches, now.reaches),
    ...missing(Object.keys(accepted.files), Object.keys(now.files)).map((file) => `policy.files ${file} is gone`),
  ];
}

/** A rule is its text: whoever changes a word of it asks anew. */
export function rulesIn(rules: readonly { readonly effect: "permit" | "forbid"; readonly text: string }[]): Rules {
  const of = (effect: "permit" | "forbid"): readonly Digest[] =>
    rules.filter((rule) => rule.effect === effect).map((rule) => sha256(rule.text));
  return { permits: of("permit"), forbids: of("forbid") };
}

/** By what a Cedar file asks for more; null: by nothing. */
export function rulesWidened(accepted: Rules, now: Rules): string | null {
  const added = missing(now.permits, accepted.permits).length;
  const gone = missing(accepted.forbids, now.forbids).length;
  const words = [
    ...(added > 0 ? [`permits more, by ${plural(added, "rule")}`] : []),
    ...(gone > 0 ? [`forbids less, by ${plural(gone, "rule")}`] : []),
  ];
  return words.length === 0 ? null : words.join(" and ");
}

/** What stands in a settings file's MCP entry but for values that may be secret. */
export function describeServer(entry: McpEntry): string {
  const set = [...Object.keys(entry.env), ...Object.keys(entry.headers)].map((name) => `${name}=(set)`);
  return [...set, entry.url ?? "", entry.command ?? "", ...entry.args].filter((word) => word !== "").join(" ");
}

/** null where the text is not what these terms were written as. */
export function readTerms(json: Json | undefined): Terms | null {
  if (!isObject(json)) return null;
  const { limits, deny, ask, allow, reaches, files } = json;
  if (![deny, ask, allow].every(isTexts)) return null;
  const numbers = isObject(limits) && Object.values(limits).every((value) => typeof value === "number");
  const reached =
    isObject(reaches) &&
    Object.values(reaches).every((one) => isObject(one) && typeof one["shown"] === "string" && typeof one["digest"] === "string");
  const ruled =
    isObject(files) && Object.values(files).every((one) => isObject(one) && isTexts(one["permits"]) && isTexts(one["forbids"]));
  /** Every field was just looked at. */
  return numbers && reached && ruled ? (json as unknown as Terms) : null;
}

function limitsWidened(accepted: Terms, now: Terms): readonly string[] {
  return Object.entries(accepted.limits).flatMap(([key, was]) => {
    const is = now.limits[key];
    if (is !== undefined && is <= was) return [];
    return [is === undefined ? `${key} is gone, it was ${was}` : `${key} is ${is}, it was ${was}`];
  });
}

/** A server that is gone reaches nothing, and a credential that is gone goes nowhere. A provider or CPU that is gone leaves the choice to the machine, which is another one. */
function reachesWidened(accepted: Terms["reaches"], now: Terms["reaches"]): readonly string[] {
  const added = Object.entries(now).flatMap(([name, { shown, digest }]) => {
    const was = accepted[name];
    if (was?.digest === digest) return [];
    if (was === undefined) return [`${name} is new: ${shown}`];
    return [
      was.shown === shown ? `${name} changed in what it runs or is given: ${shown}` : `${name} is ${shown}, it was ${was.shown}`,
    ];
  });
  const gone = Object.entries(accepted).flatMap(([name, { shown }]) =>
    now[name] === undefined && !/^(?:mcp|egress)\./.test(name) ? [`${name} is gone, it was ${shown}`] : [],
  );
  return [...added, ...gone];
}

/** What the first list has and the second has not. */
function missing(from: readonly string[], among: readonly string[]): readonly string[] {
  const known = new Set(among);
  return [...new Set(from)].filter((entry) => !known.has(entry));
}

function unplaced<T>(map: ReadonlyMap<string, { readonly value: T }>): readonly (readonly [string, T])[] {
  return [...map].map(([name, { value }]) => [name, value]);
}

function modelReach({ baseUrl, keyEnv }: ModelEntry): Reach {
  const [address, key] = [baseUrl?.value ?? null, keyEnv?.value ?? null];
  return reachOf(`${address ?? "its own address"}, key from ${key ?? "its own variable"}`, { address, key });
}

function reachOf(shown: string, all: unknown): Reach {
  return { shown, digest: sha256(canonical(all)) };
}

function isTexts(json: Json | undefined): boolean {
  return Array.isArray(json) && json.every((one) => typeof one === "string");
}
