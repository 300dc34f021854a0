/**
 * Stats: term statistics and sentence ranking. Pure; the same input gives the same order, ties by position.
 * Method: TF-IDF vectors and LexRank centrality (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text
 * Summarization", JAIR 22, 2004), a prior given by the caller, and maximal marginal relevance for diversity (Carbonell and Goldstein,
 * "The Use of MMR", SIGIR 1998).
 *   TXT-3.1  Ranking is deterministic, finite, between 0 and 1, and independent of scale.
 *   TXT-3.2  A choice holds no two items more alike than the threshold, and at most as many as asked for.
 */
import { assert } from "./assert.ts";
import { terms } from "./text.ts";

/** Term → weight, of length 1 unless empty. */
export type Vector = ReadonlyMap<string, number>;

/** Term → number of texts that hold it. */
export type TermCounts = ReadonlyMap<string, number>;

export interface Corpus {
  readonly texts: number;
  readonly counts: TermCounts;
}

export function corpusOf(texts: readonly string[]): Corpus {
  const counts = new Map<string, number>();
  for (const text of texts) for (const term of new Set(terms(text))) counts.set(term, (counts.get(term) ?? 0) + 1);
  return { texts: texts.length, counts };
}

/** Smoothed inverse document frequency: always positive. */
export function idf(corpus: Corpus, term: string): number {
  return Math.log(1 + (corpus.texts + 1) / ((corpus.counts.get(term) ?? 0) + 1));
}

export function vectorOf(text: string, corpus: Corpus): Vector {
  const raw = new Map<string, number>();
  for (const term of terms(text)) raw.set(term, (raw.get(term) ?? 0) + 1);
  let square = 0;
  for (const [term, count] of raw) {
    const weight = (1 + Math.log(count)) * idf(corpus, term);
    raw.set(term, weight);
    square += weight * weight;
  }
  if (square === 0) return raw;
  const length = Math.sqrt(square);
  for (const [term, weight] of raw) raw.set(term, weight / length);
  return raw;
}

/** Cosine of two unit vectors: 0 nothing in common, 1 the same. */
export function cosine(a: Vector, b: Vector): number {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  let dot = 0;
  for (const [term, weight] of small) dot += weight * (large.get(term) ?? 0);
  return Math.min(1, dot);
}

/** More sentences than this are ranked by their centroid, which is linear; the graph is quadratic. */
const graphMax = 400;
const damping = 0.85;
const rounds = 30;

/** The centrality of each vector among all, 0 to 1: what many others also speak of. `weight` says how much a pair counts. */
export function centrality(vectors: readonly Vector[], weight: (a: number, b: number) => number = () => 1): number[] {
  return scaled(vectors.length > graphMax ? centroidScores(vectors) : lexRank(vectors, weight));
}

/** Continuous LexRank: the stationary distribution of a walk whose steps are cosines. */
function lexRank(vectors: readonly Vector[], weight: (a: number, b: number) => number): number[] {
  const n = vectors.length;
  if (n === 0) return [];
  const weights = new Float64Array(n * n);
  const degree = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    for (let j = i + 1; j < n; j += 1) {
      const alike = cosine(at(vectors, i), at(vectors, j)) * weight(i, j);
      weights[i * n + j] = alike;
      weights[j * n + i] = alike;
      degree[i] = (degree[i] ?? 0) + alike;
      degree[j] = (degree[j] ?? 0) + alike;
    }
  }
  let rank = new Float64Array(n).fill(1 / n);
  for (let round = 0; round < rounds; round += 1) {
    const next = new Float64Array(n).fill((1 - damping) / n);
    for (let j = 0; j < n; j += 1) {
      const out = degree[j] ?? 0;
      if (out === 0) continue;
      const share = (damping * (rank[j] ?? 0)) / out;
      for (let i = 0; i < n; i += 1) next[i] = (next[i] ?? 0) + share * (weights[j * n + i] ?? 0);
    }
    rank = next;
  }
  return [...rank];
}

function centroidScores(vectors: readonly Vector[]): number[] {
  const centroid = new Map<string, number>();
  for (const vector of vectors) for (const [term, weight] of vector) centroid.set(term, (centroid.get(term) ?? 0) + weight);
  let square = 0;
  for (const weight of centroid.values()) square += weight * weight;
  const length = Math.sqrt(square) || 1;
  return vectors.map((vector) => {
    let dot = 0;
    for (const [term, weight] of vector) dot += (weight * (centroid.get(term) ?? 0)) / length;
    return dot;
  });
}

function scaled(scores: readonly number[]): number[] {
  const most = Math.max(0, ...scores.filter(Number.isFinite));
  return scores.map((score) => (most === 0 ? 0 : score / most));
}

export interface Choice {
  readonly max: number;
  /** 0: only relevance · 1: only difference from what is chosen already. */
  readonly diversity: number;
  /** Two items more alike than this are never both chosen. */
  readonly alikeMax: number;
}

/** Indexes of the chosen items, best first (maximal marginal relevance). */
export function choose(scores: readonly number[], vectors: readonly Vector[], choice: Choice): number[] {
  const left = new Set(scores.keys());
  const nearest = scores.map(() => 0);
  const chosen: number[] = [];
  while (chosen.length < choice.max && left.size > 0) {
    const best = bestOf(left, (index) => (1 - choice.diversity) * at(scores, index) - choice.diversity * at(nearest, index));
    left.delete(best);
    chosen.push(best);
    for (const index of left) {
      const alike = cosine(at(vectors, index), at(vectors, best));
      nearest[index] = Math.max(at(nearest, index), alike);
      if (alike > choice.alikeMax) left.delete(index);
    }
  }
  return chosen;
}

function bestOf(indexes: ReadonlySet<number>, value: (index: number) => number): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (const index of indexes) {
    const current = value(index);
    if (current > most) {
      most = current;
      best = index;
    }
  }
  return best;
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  assert(item !== undefined, "an index lies in its list");
  return item;
}
