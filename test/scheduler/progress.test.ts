import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { isStalled, wentOn, type Rounds } from "../../src/scheduler/progress.ts";

const after = (rounds: readonly (readonly [string, string])[]): Rounds =>
  rounds.reduce<Rounds>((known, [saw, said]) => wentOn(known, saw, said), []);

test("SCH-4.1 the same few things again and again are no progress", () => {
  const same = Array.from({ length: limits.stallRounds }, () => ["ok", "again"] as const);
  expect(isStalled(after(same))).toBe(true);
  expect(isStalled(after(same.slice(1)))).toBe(false);
  const circle = Array.from({ length: limits.stallRounds }, (_, n) => ["", `step ${n % limits.stallDistinctMax}`] as const);
  expect(isStalled(after(circle))).toBe(true);
  expect(isStalled(after(same.map(([saw, said], n) => [n % 7 === 0 ? `${n}` : saw, said] as const)))).toBe(false);
});

test("SCH-4.1 whoever says something new in each round is never told to be stalled", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 80 }), (rounds) => {
      const fresh = rounds.map(([saw, said], n) => [saw, `${said} ${n}`] as const);
      return !isStalled(after(fresh));
    }),
  );
});

test("SCH-4.2 what is remembered is bounded, and what was seen is not mistaken for what was said", () => {
  const rounds = after(Array.from({ length: 500 }, (_, n) => ["x".repeat(n), "y"] as const));
  expect(rounds).toHaveLength(limits.stallRounds);
  expect(rounds.every((round) => round.length === 12)).toBe(true);
  expect(wentOn([], "a", "b c")).not.toEqual(wentOn([], "a b", "c"));
});
