/** System clock: the machine's own time. */
import type { Clock } from "../../abi/clock.ts";

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    after: (ms, wake) => {
      const timer = setTimeout(wake, ms);
      return () => clearTimeout(timer);
    },
  };
}
