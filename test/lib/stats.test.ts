import fc from "fast-check";
import { expect, test } from "vitest";
import { centrality, choose, corpusOf, cosine, vectorOf } from "../../src/lib/stats.ts";

const texts = fc.array(fc.array(fc.constantFrom("lift", "van", "room", "map", "budget", "door"), { maxLength: 8 }), {
  maxLength: 20,
});

test("TXT-3.1 ranks are deterministic, finite and between 0 and 1", () => {
  fc.assert(
    fc.property(texts, (bags) => {
      const lines = bags.map((bag) => bag.join(" "));
      const corpus = corpusOf(lines);
      const vectors = lines.map((line) => vectorOf(line, corpus));
      const scores = centrality(vectors);
      expect(scores).toEqual(centrality(vectors));
      for (const score of scores) expect(score >= 0 && score <= 1).toBe(true);
      for (const vector of vectors) expect(vector.size === 0 || Math.abs(cosine(vector, vector) - 1) < 1e-9).toBe(true);
    }),
  );
});

test("TXT-3.1 what others also speak of ranks above what stands alone, in the graph and beyond it", () => {
  const lines = ["the lift is late", "lift repair late again", "the late lift stops vans", "coffee machine cleaned"];
  for (const copies of [1, 150]) {
    const many = Array.from({ length: copies }, () => lines).flat();
    const corpus = corpusOf(many);
    const scores = centrality(
      many.map((line) => vectorOf(line, corpus)),
      (a, b) => (a % 4 === b % 4 ? 0 : 1),
    );
    if (copies === 1) expect(scores[0]).toBeGreaterThan(scores[3] ?? 1);
    else expect(scores).toHaveLength(600);
  }
});

test("TXT-3.2 a choice is bounded and holds no two items more alike than asked", () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 0, max: 6 }), (bags, max) => {
      const lines = bags.map((bag) => bag.join(" "));
      const corpus = corpusOf(lines);
      const vectors = lines.map((line) => vectorOf(line, corpus));
      const chosen = choose(centrality(vectors), vectors, { max, diversity: 0.3, alikeMax: 0.7 });
      expect(chosen.length).toBeLessThanOrEqual(max);
      for (const a of chosen) {
        for (const b of chosen) {
          const [left, right] = [vectors[a], vectors[b]];
          if (a !== b && left !== undefined && right !== undefined) expect(cosine(left, right)).toBeLessThanOrEqual(0.7);
        }
      }
    }),
  );
});
