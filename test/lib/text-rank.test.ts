import fc from "fast-check";
import { expect, test } from "vitest";
import { conflicts, rankFacts, topics, type Fact } from "../../src/lib/text-rank.ts";

let line = 0;
function fact(text: string, path = "a.md", more: Partial<Fact> = {}): Fact {
  line += 1;
  return { text, path, line, to: line, kind: "statement", section: "", ...more };
}

test("TXT-7.1 ranked facts are some of those given, without near duplicates", () => {
  const given = [
    fact("The goods lift failed its load test in September."),
    fact("The goods lift failed its load test in September.", "b.md"),
    fact("The reading room reopens in January."),
  ];
  const ranked = rankFacts(given, { max: 3, focus: "", alikeMax: 0.7 });
  expect(ranked).toHaveLength(2);
  const word = fc.constantFrom("lift", "van", "room", "map", "door", "paper");
  fc.assert(
    fc.property(fc.array(fc.array(word, { minLength: 1 })), fc.integer({ min: 0, max: 5 }), (bags, max) => {
      const facts = bags.map((bag) => fact(bag.join(" ")));
      const chosen = rankFacts(facts, { max, focus: "", alikeMax: 0.8 });
      expect(chosen.length).toBeLessThanOrEqual(max);
      for (const one of chosen) expect(facts).toContain(one);
      expect(new Set(chosen).size).toBe(chosen.length);
      expect(rankFacts(facts, { max, focus: "", alikeMax: 0.8 })).toEqual(chosen);
    }),
  );
});

test("TXT-7.1 what the reader asks for comes first", () => {
  const given = [
    fact("The vans run on Saturdays."),
    fact("The cold room holds five degrees."),
    fact("The vans have two drivers."),
  ];
  expect(rankFacts(given, { max: 1, focus: "cold room", alikeMax: 0.7 })[0]?.text).toBe("The cold room holds five degrees.");
});

test("TXT-7.1 topics part the facts, and no fact stands twice", () => {
  const given = [
    fact("The goods lift waits for a brake."),
    fact("The goods lift carries two tonnes."),
    fact("The goods lift is locked."),
    fact("Humidity in room B2 rose again."),
    fact("Humidity in room B2 fell later."),
    fact("Humidity in room B2 is measured."),
  ];
  const found = topics(given, 2);
  expect(found.map((topic) => topic.facts.length)).toEqual([3, 3]);
  expect(new Set(found.flatMap((topic) => topic.facts)).size).toBe(6);
  expect(found.map((topic) => topic.heading.toLowerCase())).toEqual(["goods lift", expect.stringContaining("humidity")]);
});

test("TXT-7.2 a conflict is the same thing with another value in the same unit, in another document", () => {
  const a = fact("The reading room reopens on 11 January 2027, which keeps the closure at 14 weeks.", "a.md");
  const b = fact("The reading room reopens on 18 January 2027.", "b.md");
  expect(conflicts([a, b], 5)).toMatchObject([{ left: a, right: b }]);
  expect(conflicts([a, { ...b, path: "a.md" }], 5)).toEqual([]);
  expect(conflicts([a, { ...b, text: "The reading room reopens on 11 January 2027." }], 5)).toEqual([]);
  expect(conflicts([a, { ...b, text: "The reading room reopens with 18 staff." }], 5)).toEqual([]);
  expect(conflicts([a, { ...b, text: "The cold room closes on 18 January 2027 for repairs of the second door." }], 5)).toEqual(
    [],
  );
});
