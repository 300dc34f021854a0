import { expect, test } from "vitest";
import { compareOnce, emptyTally } from "./differential.ts";

/** 1,000 sets with 50 requests each; the second half of the 10⁵ is in differential-2, so that both run side by side. */
test(
  "POL-1.6  50,000 generated decisions: verb, determining rules and erring rules are Cedar's (seeds 1 to 1,000)",
  { timeout: 240_000 },
  () => {
    const tally = emptyTally();
    for (let seed = 1; seed <= 1_000; seed += 1) expect(compareOnce(seed, 50, tally)).toBeNull();
    expect(tally.decisions).toBe(50_000);
    expect(Math.min(tally.allow, tally.deny, tally.erring)).toBeGreaterThan(5_000);
    expect(tally.ask).toBeGreaterThan(500);
  },
);
