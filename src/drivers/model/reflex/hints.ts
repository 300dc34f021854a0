/**
 * Hints: the vocabulary `x-daimon` in a JSON Schema, which says how a value may be taken from text. A language model may ignore it:
 * names, types and descriptions say the same in words. Without a hint, a property's name is the hint.
 *   extract: KIND    pieces of the documents that were read: facts, sentences, decisions, actions, questions, risks, figures, dates, statements,
 *                    amounts, names, terms, flagged, refused; for a text: title, kind
 *   select: PATH     facts among the goal's input, ranked: `kinds` filters, `order` is rank, source, date or given
 *   group: PATH      facts among the goal's input, put under headings: `lead` names the group of the best, `kinds` lists a heading for each kind,
 *                    `topics` says how many groups of what is left are made by topic
 *   copy: PATH       a value of the goal's input as it is
 *   max: N           no more items than this
 *   CPU-2.1  A hint that is not understood is left out, as if it were not there.
 */
import { isObject, type JsonSchema } from "../../../lib/json.ts";
import { factKinds, type FactKind } from "../../../lib/text-facts.ts";

export type ExtractKind =
  "facts" | "sentences" | "amounts" | "names" | "terms" | "flagged" | "refused" | "title" | "kind" | `${FactKind}s`;

export type Order = "rank" | "source" | "date" | "given";

export type Hint =
  | { readonly act: "extract"; readonly what: ExtractKind; readonly max: number | null; readonly order: Order }
  | {
      readonly act: "select";
      readonly path: string;
      readonly kinds: readonly FactKind[] | null;
      readonly max: number | null;
      readonly order: Order;
    }
  | {
      readonly act: "group";
      readonly path: string;
      readonly lead: { readonly heading: string; readonly max: number } | null;
      readonly kinds: readonly (readonly [FactKind, string])[];
      readonly topics: number;
      readonly max: number | null;
    }
  | { readonly act: "copy"; readonly path: string };

const extractKinds: ReadonlySet<string> = new Set([
  "facts",
  "sentences",
  "amounts",
  "names",
  "terms",
  "flagged",
  "refused",
  "title",
  "kind",
  ...factKinds.map((kind) => `${kind}s`),
]);

/** What the schema says, or null. */
export function hintOf(schema: JsonSchema): Hint | null {
  const hint = schema["x-daimon"];
  if (!isObject(hint)) return null;
  const max = typeof hint["max"] === "number" ? hint["max"] : null;
  const { extract, select, group, copy } = hint;
  if (isExtractKind(extract)) return { act: "extract", what: extract, max, order: orderOf(hint["order"], "rank") };
  if (typeof select === "string") {
    return { act: "select", path: select, kinds: kindsOf(hint["kinds"]), max, order: orderOf(hint["order"], "rank") };
  }
  if (typeof group === "string") {
    const topics = typeof hint["topics"] === "number" ? hint["topics"] : 0;
    return { act: "group", path: group, lead: leadOf(hint["lead"]), kinds: headingsOf(hint["kinds"]), topics, max };
  }
  return typeof copy === "string" ? { act: "copy", path: copy } : null;
}

/** Names that people give to properties, and what they mean. */
const names: readonly (readonly [RegExp, ExtractKind])[] = [
  [/^(?:title|heading|headline|subject)$/i, "title"],
  [/^(?:decisions?|resolutions?)$/i, "decisions"],
  [/^(?:actions?|action_?items?|tasks?|next_?steps?|todos?)$/i, "actions"],
  [/^(?:(?:open_?)?questions?|open_?points?|unknowns?)$/i, "questions"],
  [/^(?:risks?|problems?|issues?|warnings?)$/i, "risks"],
  [/^(?:figures?|numbers?|metrics?)$/i, "figures"],
  [/^(?:amounts?|values?|prices?|costs?)$/i, "amounts"],
  [/^(?:dates?|deadlines?|milestones?|timeline|events?)$/i, "dates"],
  [/^(?:names?|people|entities|organisations?|organizations?)$/i, "names"],
  [/^(?:terms?|keywords?|tags?|topics?)$/i, "terms"],
  [/^(?:refused|refusals?)$/i, "refused"],
  [/^(?:flagged|injections?)$/i, "flagged"],
  [
    /^(?:facts?|points?|findings?|highlights?|key_?points?|quotes?|sentences?|summary|text|items?|evidence|answer|result)$/i,
    "facts",
  ],
];

export function hintOfName(name: string): ExtractKind | null {
  return names.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

function isExtractKind(value: unknown): value is ExtractKind {
  return typeof value === "string" && extractKinds.has(value);
}

function isFactKind(value: unknown): value is FactKind {
  return factKinds.some((kind) => kind === value);
}

function orderOf(value: unknown, otherwise: Order): Order {
  return value === "rank" || value === "source" || value === "date" || value === "given" ? value : otherwise;
}

function kindsOf(value: unknown): readonly FactKind[] | null {
  return Array.isArray(value) ? value.filter(isFactKind) : null;
}

/** A list, since the order of an object's keys does not outlive the journal. */
function headingsOf(value: unknown): readonly (readonly [FactKind, string])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (!isObject(item)) return [];
    const { kind, heading } = item;
    return isFactKind(kind) && typeof heading === "string" ? [[kind, heading] as const] : [];
  });
}

function leadOf(value: unknown): { heading: string; max: number } | null {
  if (!isObject(value) || typeof value["heading"] !== "string") return null;
  return { heading: value["heading"], max: typeof value["max"] === "number" ? value["max"] : 3 };
}
