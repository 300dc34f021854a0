/**
 * Whole-kernel simulation: random programs of agents and bodies on a machine that loses power, fills its disk and is killed at random
 * moments, also while it recovers; with a person who answers, stops and kills; with models and drivers that fail, dawdle and lie. The world
 * keeps count of what is done to it, and a ledger of its own says what may be done.
 *
 * A seed is a run: SIM_SEED runs one alone, SIM_STEPS says how many steps of programs to run together, from the seed SIM_FROM on.
 */
import { describe, expect, test } from "vitest";
import { prng } from "../../src/lib/prng.ts";
import { planOf } from "./plan.ts";
import { survive, trial } from "./trial.ts";

const stepsWanted = Number(process.env["SIM_STEPS"] ?? 100_000);
const alone = process.env["SIM_SEED"];
const from = Number(process.env["SIM_FROM"] ?? 1);
/** The time limit grows with what is asked for. */
const timeoutMs = 600_000 + 2 * stepsWanted;

describe("whole-kernel simulation", () => {
  test(
    `KRN-9.1 whatever befalls the machine nothing is lost and nothing done twice (${alone ?? `${stepsWanted} steps`})`,
    async () => {
      if (alone !== undefined) return void (await trial(Number(alone)));
      const met = new Set<string>();
      let steps = 0;
      for (let seed = from; steps < stepsWanted; seed += 1) {
        const tried = await trial(seed);
        steps += tried.steps;
        for (const what of tried.met) met.add(what);
      }
      /** A simulation in which something never happens proves nothing about it. */
      expect(expected.filter((what) => !met.has(what))).toEqual([]);
    },
    timeoutMs,
  );

  test("KRN-9.1 a power cut at every single moment of a program changes nothing", async () => {
    for (const seed of [21, 25, 45, 79]) {
      const calm = await survive(planOf(seed), prng(seed), [], 0);
      for (let at = 1; at <= calm.events; at += 1) {
        const cut = await survive(planOf(seed), prng(at), [{ fate: "power", at }], 0);
        expect([...cut.ends.keys()].toSorted(), `seed ${seed}, cut at ${at}`).toEqual([...calm.ends.keys()].toSorted());
        expect(cut.effects, `seed ${seed}, cut at ${at}`).toEqual(calm.effects);
      }
    }
  }, 900_000);

  test("KRN-1.1 a seed is a run: the same one gives the same log, to the last hash", async () => {
    const run = async (): Promise<string> =>
      (
        await survive(
          planOf(10),
          prng(4),
          [
            { fate: "power", at: 60 },
            { fate: "full", records: 40 },
          ],
          0.05,
        )
      ).head;
    expect(await run()).toBe(await run());
  });
});

/** Every kind of entry, of park, of signal and of end that a life can have. */
const expected = [
  ...["boot", "spawn", "exec", "think", "turn", "call", "outcome", "evict", "answer", "weight", "exit", "files"],
  ...["park approval", "park question", "park budget", "park uncertain", "park degraded", "park stopped"],
  ...["signal stop", "signal continue", "signal interrupt", "signal kill", "signal budget"],
  ...["power", "kill", "full", "leave", "aside", "bare", "old age", "a lost payload", "a checkpoint to resume from"],
];
