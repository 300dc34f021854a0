/**
 * Progress: whether a process still gets anywhere, or goes round in a circle.
 *   SCH-4.1  A process that saw and said nothing but the same few things for many rounds gets nowhere; one new thing in each circle is progress.
 *   SCH-4.2  What is remembered of a process is bounded, whatever it saw and said.
 */
import { limits } from "../abi/limits.ts";
import { sha256 } from "../lib/hash.ts";

/** What a process saw and said in its newest rounds, as short digests. */
export type Rounds = readonly string[];

/** One more round: what it was given since the last, and what it said to that. */
export function wentOn(rounds: Rounds, saw: string, said: string): Rounds {
  const round = sha256(`${saw.length} ${saw} ${said}`).slice(0, 12);
  return [...rounds.slice(1 - limits.stallRounds), round];
}

export function isStalled(rounds: Rounds): boolean {
  if (rounds.length < limits.stallRounds) return false;
  /** Where there is progress it shows in the first few, so that most are never looked at. */
  const distinct: string[] = [];
  for (const round of rounds) {
    if (distinct.includes(round)) continue;
    distinct.push(round);
    if (distinct.length > limits.stallDistinctMax) return false;
  }
  return true;
}
