/** Repeat: something done again and again, by the clock that came in. */
import type { Clock } from "../abi/clock.ts";

/** Until the returned function is called. */
export function repeat(clock: Clock, ms: number, act: () => void): () => void {
  let stop = clock.after(ms, again);
  let stopped = false;
  function again(): void {
    act();
    if (!stopped) stop = clock.after(ms, again);
  }
  return () => {
    stopped = true;
    stop();
  };
}
