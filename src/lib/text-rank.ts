/**
 * Rank: which facts matter, in what order, in which groups, and where two of them disagree. Pure.
 *   TXT-7.1  Ranked facts hold no duplicates, keep the words they came with, and do not depend on the order of equals.
 *   TXT-7.2  Two facts conflict only when they speak of the same thing in the same unit and give different values.
 */
import { amounts, dates, hasVerb, isRowText, leansBack, type FactKind } from "./text-facts.ts";
import { centrality, choose, corpusOf, cosine, vectorOf, type Vector } from "./stats.ts";
import { fold, terms, words } from "./text.ts";

/** A quote with its place and its kind. */
export interface Fact {
  readonly text: string;
  readonly path: string;
  readonly line: number;
  readonly to: number;
  readonly kind: FactKind;
  readonly section: string;
}

export interface RankRequest {
  readonly max: number;
  /** Words the reader asked about; facts that hold them come first. */
  readonly focus: string;
  /** Two facts more alike than this are one. */
  readonly alikeMax: number;
}

const kindWeights: Readonly<Record<FactKind, number>> = {
  decision: 0.4,
  action: 0.3,
  question: 0.45,
  risk: 0.3,
  figure: 0.25,
  date: 0.15,
  statement: 0.1,
};

/** The best facts, best first. */
export function rankFacts(facts: readonly Fact[], request: RankRequest): Fact[] {
  const texts = facts.map((fact) => fact.text);
  const corpus = corpusOf(texts);
  const vectors = texts.map((text) => vectorOf(text, corpus));
  const focus = vectorOf(request.focus, corpus);
  const central = centrality(vectors, linked(facts));
  const scores = facts.map((fact, index) => {
    const vector = vectors[index];
    const asked = vector === undefined ? 0 : cosine(vector, focus);
    /** Rows resemble one another: the one that differs is worth a look. */
    const weight = isRowText(fact.text) ? 0.5 * (1 - (central[index] ?? 0)) - 0.3 : 0.5 * (central[index] ?? 0);
    return weight + asked + kindWeights[fact.kind] + shape(fact);
  });
  const chosen = choose(scores, vectors, { max: request.max, diversity: 0.35, alikeMax: request.alikeMax });
  return chosen.flatMap((index) => facts[index] ?? []);
}

/** What several documents speak of counts more than what one repeats. */
function linked(facts: readonly Fact[]): (a: number, b: number) => number {
  return (a, b) => (facts[a]?.path === facts[b]?.path ? 0.4 : 1);
}

/** What the sentence's form and place say: whole sentences of middle length, near the top, that need no neighbour. */
function shape(fact: Fact): number {
  const length = fact.text.length;
  let score = length < 45 ? -0.2 : length > 240 ? -0.2 : length > 140 ? -0.1 : 0;
  if (leansBack(fact.text)) score -= 0.35;
  if (fact.line <= 12) score += 0.1;
  if (isRowText(fact.text)) return score + (/\btotal|\bsum\b/i.test(fact.text) ? 0.3 : 0);
  if (!hasVerb(fact.text)) score -= 0.35;
  if (!/[.!?]["'”’)]*$/.test(fact.text)) score -= 0.1;
  return score;
}

/** In the order of documents and lines. */
export function bySource(a: Fact, b: Fact): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line;
}

/** By the first full date each names; facts without one last, in source order. */
export function byDate(a: Fact, b: Fact): number {
  const first = dateOf(a) ?? "9999";
  const second = dateOf(b) ?? "9999";
  return first < second ? -1 : first > second ? 1 : bySource(a, b);
}

function dateOf(fact: Fact): string | undefined {
  return dates(fact.text).find((date) => date.iso !== null)?.iso ?? undefined;
}

export interface Topic {
  readonly heading: string;
  readonly facts: readonly Fact[];
}

/** How alike two facts must be to stand in one group at all. */
const topicAlikeMin = 0.15;
/** A topic is more than a remark and its echo. */
const topicFactsMin = 3;

/**
 * Groups of facts that speak of the same thing, the largest first: average-link agglomeration over TF-IDF cosines.
 * A group is named by the words its facts share and others do not.
 */
export function topics(facts: readonly Fact[], max: number): Topic[] {
  const corpus = corpusOf(facts.map((fact) => `${fact.section} ${fact.text}`));
  const vectors = facts.map((fact) => vectorOf(`${fact.section} ${fact.text}`, corpus));
  let groups = facts.map((_, index) => [index]);
  while (groups.length > 1) {
    const pair = nearestPair(groups, vectors);
    if (pair === null || pair.alike < topicAlikeMin) break;
    const [left, right] = [groups[pair.a] ?? [], groups[pair.b] ?? []];
    groups = [
      ...groups.filter((_, index) => index !== pair.a && index !== pair.b),
      [...left, ...right].toSorted((x, y) => x - y),
    ];
  }
  const named = groups
    .filter((group) => group.length >= topicFactsMin)
    .toSorted((a, b) => b.length - a.length || (a[0] ?? 0) - (b[0] ?? 0))
    .slice(0, max)
    .map((group) => group.flatMap((index) => facts[index] ?? []));
  const all = corpusOf(facts.map((fact) => fact.text));
  const taken = new Set<string>();
  return named.map((group) => ({ heading: headingOf(group, all.counts, taken), facts: group }));
}

function nearestPair(groups: readonly number[][], vectors: readonly Vector[]): { a: number; b: number; alike: number } | null {
  let best: { a: number; b: number; alike: number } | null = null;
  for (let a = 0; a < groups.length; a += 1) {
    for (let b = a + 1; b < groups.length; b += 1) {
      const alike = averageLink(groups[a] ?? [], groups[b] ?? [], vectors);
      if (best === null || alike > best.alike) best = { a, b, alike };
    }
  }
  return best;
}

function averageLink(a: readonly number[], b: readonly number[], vectors: readonly Vector[]): number {
  let sum = 0;
  for (const i of a) {
    for (const j of b) {
      const [left, right] = [vectors[i], vectors[j]];
      if (left !== undefined && right !== undefined) sum += cosine(left, right);
    }
  }
  return sum / (a.length * b.length);
}

/** The phrase of two words that most of the group share, else the word; as it stands in the text. */
function headingOf(group: readonly Fact[], counts: ReadonlyMap<string, number>, taken: Set<string>): string {
  const scores = new Map<string, number>();
  for (const fact of group) {
    for (const phrase of new Set(phrases(fact.text))) scores.set(phrase, (scores.get(phrase) ?? 0) + 1);
  }
  let best = "";
  let most = 0;
  for (const [phrase, count] of scores) {
    if (taken.has(fold(phrase))) continue;
    const parts = phrase.split(" ");
    if (parts.length === 1 && phrase.length < 5) continue;
    const share = parts.reduce((sum, part) => sum + count / ((counts.get(fold(part)) ?? 0) + 2), 0);
    const score = count < 2 ? share * 0.3 : count * share * (parts.length > 1 ? 1.6 : 1);
    if (score > most) {
      most = score;
      best = phrase;
    }
  }
  taken.add(fold(best));
  for (const part of best.split(" ")) taken.add(fold(part));
  return best === "" ? "Other points" : best[0]?.toUpperCase() + best.slice(1);
}

/** Words and pairs of neighbouring words that carry content. */
function phrases(text: string): string[] {
  const found: string[] = [];
  const all = words(text);
  for (const [index, word] of all.entries()) {
    if (!isContent(word)) continue;
    found.push(word);
    const next = all[index + 1];
    if (next !== undefined && isContent(next) && text.toLowerCase().includes(`${word} ${next}`)) found.push(`${word} ${next}`);
  }
  return found;
}

function isContent(word: string): boolean {
  return word.length > 3 && !/\d/.test(word) && terms(word).length === 1;
}

export interface Conflict {
  /** The terms both speak of. */
  readonly about: string;
  readonly left: Fact;
  readonly right: Fact;
}

/** How alike two facts must be, figures left out, to speak of the same thing. */
const sameThingMin = 0.5;
const sharedTermsMin = 3;
const comparedMax = 1_500;

/** Pairs of facts from different documents that disagree on a figure or a date; the most alike first. */
export function conflicts(facts: readonly Fact[], max: number): Conflict[] {
  const measured = facts.filter((fact) => !isRowText(fact.text) && valuesOf(fact.text).size > 0).slice(0, comparedMax);
  const corpus = corpusOf(measured.map((fact) => bare(fact.text)));
  const vectors = measured.map((fact) => vectorOf(bare(fact.text), corpus));
  const found: { alike: number; conflict: Conflict }[] = [];
  for (const [i, left] of measured.entries()) {
    for (let j = i + 1; j < measured.length; j += 1) {
      const right = measured[j];
      const [a, b] = [vectors[i], vectors[j]];
      if (right === undefined || a === undefined || b === undefined || left.path === right.path) continue;
      const alike = cosine(a, b);
      const about = [...a.keys()].filter((term) => b.has(term));
      if (alike < sameThingMin || about.length < sharedTermsMin || !disagree(left.text, right.text)) continue;
      found.push({ alike, conflict: { about: about.slice(0, 5).join(" "), left, right } });
    }
  }
  return found
    .toSorted((a, b) => b.alike - a.alike)
    .slice(0, max)
    .map(({ conflict }) => conflict);
}

/** The text without its figures, units and dates: what it is about. */
function bare(text: string): string {
  let rest = text;
  for (const { text: piece } of [...dates(text), ...amounts(text)]) rest = rest.replace(piece, " ");
  return rest.replace(/\d+/g, " ");
}

/** Unit → values. Dates count as one unit. */
function valuesOf(text: string): Map<string, Set<string>> {
  const values = new Map<string, Set<string>>();
  const put = (unit: string, value: string): void => {
    values.set(unit, (values.get(unit) ?? new Set()).add(value));
  };
  for (const { unit, value } of amounts(text)) put(unit, String(value));
  for (const { iso } of dates(text)) if (iso !== null && iso.length === 10) put("date", iso);
  return values;
}

/** In a unit in which each names one value, the values differ. Of several values nobody knows which belong together. */
function disagree(a: string, b: string): boolean {
  const others = valuesOf(b);
  for (const [unit, values] of valuesOf(a)) {
    const theirs = others.get(unit);
    if (theirs?.size === 1 && values.size === 1 && ![...values].some((value) => theirs.has(value))) return true;
  }
  return false;
}
