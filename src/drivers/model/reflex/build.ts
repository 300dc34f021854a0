/**
 * Build: make a value of a schema from what was read and what the goal brought. Every word comes from there.
 *   CPU-7.1  A value is quoted, selected, classified or counted, never made up; where nothing fits, the property is left out.
 *   CPU-7.3  Facts of which none leads and no kind or topic holds any stand in the first group: what was found is not lost.
 *   CPU-7.2  When a required part cannot be had the whole value is refused, with the name of that part.
 */
import { isObject, type Json, type JsonObject, type JsonSchema } from "../../../lib/json.ts";
import { corpusOf, cosine, vectorOf } from "../../../lib/stats.ts";
import { amounts, dates, factKinds, hasVerb, isRowText, leansBack, names, type FactKind } from "../../../lib/text-facts.ts";
import { byDate, bySource, rankFacts, topics, type Fact } from "../../../lib/text-rank.ts";
import { terms } from "../../../lib/text.ts";
import type { Flag } from "./notes.ts";
import { hintOf, hintOfName, type ExtractKind, type Hint, type Order } from "./hints.ts";

/** All that a value may be made of. */
export interface Material {
  readonly facts: readonly Fact[];
  readonly flagged: readonly (Flag & { readonly path: string })[];
  readonly titles: readonly { readonly path: string; readonly title: string }[];
  readonly refusals: readonly string[];
  readonly input: JsonObject;
  /** What the reader asks about. */
  readonly focus: string;
}

/** The value, or the name of the part that could not be had. */
export type Built = { readonly value: Json } | { readonly missing: string };

const itemsMaxDefault = 8;
const alikeMax = 0.72;

export function build(schema: JsonSchema, material: Material, name: string): Built {
  if ("const" in schema) return { value: schema["const"] ?? null };
  const hint = hintOf(schema);
  if (hint !== null) return fromHint(hint, schema, material, name);
  if (Array.isArray(schema["enum"])) return classify(schema, material, name);
  const type = typeOf(schema);
  if (type === "object") return object(schema, material, name);
  if (type === "array") return fromName(schema, material, name);
  if (type === "string") return text(hintOfName(name) ?? "facts", material, name);
  if (type === "integer" || type === "number") return number(schema, material, name);
  if (type === "null") return { value: null };
  if ("default" in schema) return { value: schema["default"] ?? null };
  return type === "any" ? text("facts", material, name) : { missing: name };
}

function typeOf(schema: JsonSchema): string {
  const { type } = schema;
  const first = Array.isArray(type) ? (type as readonly Json[]).find((item) => item !== "null") : type;
  if (typeof first === "string") return first;
  if (isObject(schema["properties"])) return "object";
  return isObject(schema["items"]) ? "array" : "any";
}

function object(schema: JsonSchema, material: Material, name: string): Built {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const value: Record<string, Json> = {};
  for (const [key, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const built = build(property, material, key);
    if ("value" in built) value[key] = built.value;
    else if (required.includes(key)) return { missing: name === "" ? built.missing : `${name}.${built.missing}` };
  }
  return { value };
}

function fromHint(hint: Hint, schema: JsonSchema, material: Material, name: string): Built {
  switch (hint.act) {
    case "copy": {
      const value = at(material.input, hint.path);
      return value === undefined ? { missing: name } : { value };
    }
    case "select": {
      const all = factsIn(at(material.input, hint.path));
      const wanted = hint.kinds === null ? all : all.filter((fact) => hint.kinds?.includes(fact.kind));
      return list(pick(wanted, hint.max ?? itemsMaxDefault, hint.order, material.focus), schema, name);
    }
    case "group":
      return groups(hint, schema, material, name);
    case "extract":
      if (typeOf(schema) === "string") return text(hint.what, material, name);
      return extract(hint.what, hint.max, hint.order, schema, material, name);
  }
}

/** An array without a hint: its name says what it holds; what was read is taken first, then what the goal brought. */
function fromName(schema: JsonSchema, material: Material, name: string): Built {
  const max = typeof schema["maxItems"] === "number" ? schema["maxItems"] : null;
  return extract(hintOfName(name) ?? "facts", max, "rank", schema, material, name);
}

function extract(
  what: ExtractKind,
  maxGiven: number | null,
  order: Order,
  schema: JsonSchema,
  material: Material,
  name: string,
): Built {
  const max = maxGiven ?? itemsMaxDefault;
  if (what === "flagged") return list(material.flagged.slice(0, max), schema, name);
  if (what === "refused") return listTexts(material.refusals.slice(0, max), schema, name);
  const facts = material.facts.length > 0 ? material.facts : factsIn(material.input);
  if (what === "amounts") return pieces(facts, (fact) => amounts(fact.text), max, schema, name);
  if (what === "names" || what === "terms") return strings(what, facts, max, schema, name);
  const kind = factKinds.find((known) => `${known}s` === what);
  const wanted =
    kind === undefined ? facts : facts.filter((fact) => fact.kind === kind || (kind === "date" && dates(fact.text).length > 0));
  return list(pick(wanted, max, order, material.focus), schema, name);
}

function pick(facts: readonly Fact[], max: number, order: Order, focus: string): readonly Fact[] {
  const best = rankFacts(facts, { max, focus, alikeMax });
  if (order === "given") return facts.filter((fact) => best.includes(fact));
  if (order === "source") return best.toSorted(bySource);
  return order === "date" ? best.toSorted(byDate) : best;
}

/** Items shaped as the schema asks. */
function list(items: readonly (Fact | (Flag & { readonly path: string }))[], schema: JsonSchema, name: string): Built {
  const shape = isObject(schema["items"]) ? schema["items"] : {};
  const made = items.flatMap((item) => {
    const value = shaped(item, shape);
    return value === undefined ? [] : [value];
  });
  const most = typeof schema["maxItems"] === "number" ? schema["maxItems"] : made.length;
  const least = typeof schema["minItems"] === "number" ? schema["minItems"] : 0;
  return made.length < least ? { missing: name } : { value: made.slice(0, most) };
}

/** One fact as the schema of an item asks: a text, or an object whose properties are known by their names. */
function shaped(item: Fact | (Flag & { readonly path: string }), schema: JsonSchema): Json | undefined {
  const type = typeOf(schema);
  if (type === "string") return item.text;
  if (type !== "object" && type !== "any") return undefined;
  const properties = isObject(schema["properties"]) ? Object.entries(schema["properties"]) : [];
  if (properties.length === 0) return { ...item };
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const value: Record<string, Json> = {};
  for (const [key, property] of properties) {
    const field = isObject(property) ? fieldOf(item, key, property) : undefined;
    if (field !== undefined) value[key] = field;
    else if (required.includes(key)) return undefined;
  }
  return value;
}

function fieldOf(item: Fact | (Flag & { readonly path: string }), key: string, schema: JsonSchema): Json | undefined {
  if (/^(?:text|quote|sentence|statement|decision|action|question|point|fact|title|name|description|what)$/i.test(key))
    return item.text;
  if (/^(?:path|file|document|source)$/i.test(key)) return item.path;
  if (/^(?:line|from|start)$/i.test(key)) return item.line;
  if (/^(?:to|end)$/i.test(key)) return item.to;
  if (/^(?:date|when|deadline|due|by)$/i.test(key)) return dates(item.text)[0]?.iso ?? dates(item.text)[0]?.text;
  if (/^(?:amount|value|number|figure)$/i.test(key)) {
    const amount = amounts(item.text)[0];
    return typeOf(schema) === "string" ? amount?.text : amount?.value;
  }
  if (/^unit$/i.test(key)) return amounts(item.text)[0]?.unit;
  if (!("kind" in item)) return undefined;
  if (/^(?:kind|type|class|category)$/i.test(key)) return fits(item.kind, schema) ? item.kind : undefined;
  return /^(?:section|heading|topic|under)$/i.test(key) && item.section !== "" ? item.section : undefined;
}

function fits(value: string, schema: JsonSchema): boolean {
  return !Array.isArray(schema["enum"]) || schema["enum"].includes(value);
}

function groups(hint: Extract<Hint, { act: "group" }>, schema: JsonSchema, material: Material, name: string): Built {
  const shape = isObject(schema["items"]) ? schema["items"] : {};
  const properties = isObject(shape["properties"]) ? Object.entries(shape["properties"]) : [];
  const member = properties.find(([, property]) => isObject(property) && typeOf(property) === "array");
  const head = properties.find(([, property]) => isObject(property) && typeOf(property) === "string");
  if (member === undefined || head === undefined || !isObject(member[1])) return { missing: name };
  const [memberSchema, made] = [member[1], [] as Json[]];
  const max = typeof hint.max === "number" ? hint.max : itemsMaxDefault;
  const given = factsIn(at(material.input, hint.path));
  /** A goal may ask to keep no more than so many. */
  const keep = material.input["keep"];
  const kept = typeof keep === "number" ? pick(given, keep, "given", material.focus) : given;
  for (const { heading, facts } of grouped(hint, kept, max, material.focus)) {
    const items = list(facts, memberSchema, member[0]);
    if ("value" in items && Array.isArray(items.value) && items.value.length > 0)
      made.push({ [head[0]]: heading, [member[0]]: items.value });
  }
  const least = typeof schema["minItems"] === "number" ? schema["minItems"] : 0;
  return made.length < least ? { missing: name } : { value: made };
}

/** A fact stands in one group: first the lead, then the groups by kind, then topics of what is left. */
function grouped(
  hint: Extract<Hint, { act: "group" }>,
  facts: readonly Fact[],
  max: number,
  focus: string,
): { heading: string; facts: readonly Fact[] }[] {
  const ranked = rankFacts(facts, { max: facts.length, focus, alikeMax });
  const alone = ranked.filter((fact) => fact.kind === "question" || !leansBack(fact.text));
  let left = alone.length === 0 ? ranked : alone;
  const made: { heading: string; facts: readonly Fact[] }[] = [];
  const take = (heading: string, chosen: readonly Fact[]): void => {
    if (chosen.length === 0) return;
    made.push({ heading, facts: chosen });
    left = left.filter((fact) => !chosen.includes(fact));
  };
  if (hint.lead !== null) take(hint.lead.heading, leaders(left, hint.lead.max));
  for (const [kind, heading] of hint.kinds) {
    const all = left.filter((fact) => fact.kind === kind);
    take(heading, kind === "action" ? latest(all, max) : all.slice(0, max).toSorted(kind === "date" ? byDate : bySource));
  }
  if (hint.topics > 0) {
    const kinds = hint.kinds.map(([kind]) => kind);
    const able = left.filter((fact) => !kinds.includes(fact.kind) && hasVerb(fact.text) && !isRowText(fact.text));
    for (const topic of topics(able, hint.topics)) take(topic.heading, topic.facts.slice(0, max).toSorted(bySource));
  }
  if (made.length === 0 && hint.lead !== null) take(hint.lead.heading, left.slice(0, hint.lead.max).toSorted(bySource));
  return made;
}

/** Of actions the latest matter most; those without a date come last. */
function latest(facts: readonly Fact[], max: number): Fact[] {
  const dated = facts.filter((fact) => dates(fact.text).some((date) => date.iso !== null)).toSorted((a, b) => byDate(b, a));
  const undated = facts.filter((fact) => !dated.includes(fact));
  return [...dated, ...undated].slice(0, max).toSorted(byDate);
}

/** The best facts that read well at the top: whole sentences from different documents. */
function leaders(ranked: readonly Fact[], max: number): Fact[] {
  const chosen: Fact[] = [];
  const seen = new Set<string>();
  for (const fact of ranked) {
    if (chosen.length >= max) break;
    if (seen.has(fact.path) || fact.kind === "question" || fact.kind === "action" || isRowText(fact.text)) continue;
    if (!/[.!]["'”’)]*$/.test(fact.text) || leansBack(fact.text) || !hasVerb(fact.text)) continue;
    seen.add(fact.path);
    chosen.push(fact);
  }
  return chosen;
}

function text(what: ExtractKind, material: Material, name: string): Built {
  if (what === "title") {
    const title =
      material.titles.find((known) => known.title !== "")?.title ?? titleOfInput(material.input) ?? material.facts[0]?.text;
    return title === undefined ? { missing: name } : { value: title };
  }
  if (what === "refused") return { value: material.refusals.join("\n") };
  const facts = material.facts.length > 0 ? material.facts : factsIn(material.input);
  const kind = factKinds.find((known) => `${known}s` === what);
  const wanted = kind === undefined ? facts : facts.filter((fact) => fact.kind === kind);
  const best = rankFacts(wanted, { max: 3, focus: material.focus, alikeMax }).toSorted(bySource);
  return best.length === 0 ? { missing: name } : { value: best.map((fact) => fact.text).join(" ") };
}

function titleOfInput(input: JsonObject): string | undefined {
  for (const value of Object.values(input)) {
    if (!isObject(value)) continue;
    const title = value["heading"] ?? value["title"];
    if (typeof title === "string") return title;
  }
  return undefined;
}

/** The member of the enumeration whose words the material uses most; its own description counts. */
function classify(schema: JsonSchema, material: Material, name: string): Built {
  const options = Array.isArray(schema["enum"]) ? schema["enum"].filter((option) => typeof option === "string") : [];
  const texts = material.facts.map((fact) => fact.text).concat(material.titles.map((title) => title.title));
  const corpus = corpusOf(texts);
  const whole = vectorOf(texts.join(" "), corpus);
  const kinds = new Map<string, number>();
  for (const fact of material.facts) kinds.set(fact.kind, (kinds.get(fact.kind) ?? 0) + 1);
  let best: { option: string; score: number } | null = null;
  for (const option of options) {
    const score = cosine(vectorOf(option, corpus), whole) + (kinds.get(option) ?? 0) / (material.facts.length + 1);
    if (best === null || score > best.score) best = { option, score };
  }
  if (best === null || (best.score === 0 && !options.includes("other"))) return { missing: name };
  return { value: best.score === 0 ? "other" : best.option };
}

/** A count where the name asks for one, else the first amount that is said. */
function number(schema: JsonSchema, material: Material, name: string): Built {
  if (/^(?:count|total|number_?of)/i.test(name)) return { value: material.facts.length };
  const facts = material.facts.length > 0 ? material.facts : factsIn(material.input);
  const wanted = terms(`${name.replaceAll("_", " ")} ${typeof schema["description"] === "string" ? schema["description"] : ""}`);
  const near = facts.find((fact) => amounts(fact.text).length > 0 && terms(fact.text).some((term) => wanted.includes(term)));
  const amount = near === undefined ? undefined : amounts(near.text)[0];
  if (amount === undefined) return { missing: name };
  return { value: typeOf(schema) === "integer" ? Math.round(amount.value) : amount.value };
}

function pieces(
  facts: readonly Fact[],
  find: (fact: Fact) => readonly { readonly text: string }[],
  max: number,
  schema: JsonSchema,
  name: string,
): Built {
  const found = facts.flatMap((fact) => find(fact).map((piece) => ({ ...fact, text: piece.text })));
  return list(found.slice(0, max), schema, name);
}

function strings(what: "names" | "terms", facts: readonly Fact[], max: number, schema: JsonSchema, name: string): Built {
  const counts = new Map<string, number>();
  for (const fact of facts)
    for (const word of what === "names" ? names(fact.text) : terms(fact.text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const best = [...counts]
    .filter(([word]) => what === "names" || (word.length > 3 && !/\d/.test(word)))
    .toSorted((a, b) => b[1] - a[1]);
  const values = best.slice(0, max).map(([word]) => word);
  return listTexts(values, schema, name);
}

/** Texts without a place: they fit items that are texts, or objects that ask for no more than one. */
function listTexts(texts: readonly string[], schema: JsonSchema, name: string): Built {
  const shape = isObject(schema["items"]) ? schema["items"] : {};
  const properties = isObject(shape["properties"]) ? Object.keys(shape["properties"]) : [];
  const required = Array.isArray(shape["required"]) ? shape["required"] : [];
  const field = properties.find((key) => /^(?:text|name|term|value|reason|what)$/i.test(key));
  const asObject = typeOf(shape) === "object" && field !== undefined && required.every((key) => key === field);
  const asText = typeOf(shape) === "string" || typeOf(shape) === "any";
  const values: readonly Json[] = asText ? texts : asObject ? texts.map((text) => ({ [field]: text })) : [];
  const most = typeof schema["maxItems"] === "number" ? schema["maxItems"] : values.length;
  const least = typeof schema["minItems"] === "number" ? schema["minItems"] : 0;
  return values.length < least ? { missing: name } : { value: values.slice(0, most) };
}

/** `section.facts` in the goal's input. */
function at(input: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = input;
  for (const key of path.split(".")) value = isObject(value) ? value[key] : undefined;
  return value;
}

/** Every object with a text, a path and a line, wherever it stands. */
export function factsIn(value: Json | undefined): Fact[] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(factsIn);
  if (!isObject(value)) return [];
  const { path, line, to, kind, section } = value;
  const text = value["text"] ?? value["quote"];
  if (typeof text !== "string" || typeof path !== "string" || typeof line !== "number")
    return Object.values(value).flatMap(factsIn);
  return [
    {
      text,
      path,
      line,
      to: typeof to === "number" ? to : line,
      kind: kindOf(kind),
      section: typeof section === "string" ? section : "",
    },
  ];
}

function kindOf(value: Json | undefined): FactKind {
  return factKinds.find((kind) => kind === value) ?? "statement";
}
