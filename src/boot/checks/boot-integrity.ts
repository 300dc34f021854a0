/**
 * Check boot-integrity: is what boots today what was measured when the kernel last booted?
 *   FSK-2.1  Every step that came, went or changed since the last boot is named with its old and new digest; no change gives no finding.
 *   FSK-2.2  A workspace that never booted has nothing to compare and gives no finding.
 *   FSK-2.3  There is no repair: only the person knows whether a changed file was meant, and the message says how to look.
 */
import type { BootStep, Entry } from "../../abi/entry.ts";
import type { Check, Problem } from "../fsck.ts";
import { compareBoots, type BootChange } from "../measure.ts";

/** `now` are the steps as they would be measured at this moment. */
export function bootIntegrity(entries: Iterable<Entry>, now: readonly BootStep[]): Check {
  return {
    name: "boot-integrity",
    *run() {
      let last: readonly BootStep[] | null = null;
      let at = 0;
      for (const entry of entries) {
        if (entry.kind !== "boot") continue;
        last = entry.steps;
        at = entry.at;
      }
      if (last === null) return;
      for (const change of compareBoots(last, now)) yield problemOf(change, at);
    },
  };
}

function problemOf(change: BootChange, at: number): Problem {
  const since = `since the boot of ${new Date(at).toISOString()}`;
  const short = (digest: string | null): string => digest?.slice(0, 12) ?? "nothing";
  const digests = `was ${short(change.before)}, is ${short(change.after)}`;
  const next = "if nobody meant that, compare the file with its last good version; the next boot takes it as it is";
  return {
    finding: {
      rule: "boot-integrity",
      severity: "warning",
      where: change.name,
      message: `${change.kind} ${since}: ${digests}; ${next}`,
    },
    repair: null,
  };
}
