/**
 * Traffic: what goes through the door is counted while it passes, and held back when its reader is slow.
 *   DRN-3.1  A tunnel, a request and a guest as a whole have a bound in each direction; whoever reaches one is cut off, and is told at its next request.
 *   DRN-3.2  A connection on which nothing happens is closed after its time.
 */
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../../abi/clock.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import type { Bounds } from "./bounds.ts";

export type Direction = "up" | "down";

/** Of one guest. */
export class Traffic {
  readonly #bounds: Bounds;
  readonly #bytes = { up: 0, down: 0 };

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Why it may send and receive no more. */
  spent(): SysError | null {
    const { guestUpBytesMax, guestDownBytesMax } = this.#bounds;
    if (this.#bytes.up > guestUpBytesMax) return over("this guest has sent", guestUpBytesMax, "start it anew for more");
    if (this.#bytes.down > guestDownBytesMax) return over("this guest has received", guestDownBytesMax, "start it anew for more");
    return null;
  }

  /** For one tunnel or request: counts what passes, and says why no more may. */
  meter(): (direction: Direction, bytes: number) => SysError | null {
    const { upBytesMax, downBytesMax } = this.#bounds;
    const own = { up: 0, down: 0 };
    return (direction, bytes) => {
      own[direction] += bytes;
      this.#bytes[direction] += bytes;
      if (own.up > upBytesMax) return over("one connection has sent", upBytesMax, "send less at once");
      if (own.down > downBytesMax) return over("one connection has received", downBytesMax, "ask for less at once");
      return this.spent();
    };
  }
}

function over(who: string, bytes: number, next: string): SysError {
  return sysError("EDQUOT", `${who} ${bytes} bytes through the net door, which is the most it may; ${next}`);
}

/** Counts what passes in a direction of one tunnel or request; false: no more may, and `over` was told why. */
export function gauge(
  traffic: Traffic,
  heard: () => void,
  over: (error: SysError) => void,
): (direction: Direction) => (bytes: number) => boolean {
  const count = traffic.meter();
  return (direction) => (bytes) => {
    heard();
    const error = count(direction, bytes);
    if (error !== null) over(error);
    return error === null;
  };
}

/** Carries everything on, in order; `passes` says whether the next piece may. */
export function carry(from: Readable, to: Writable, passes: (bytes: number) => boolean): void {
  from.on("data", (piece: Buffer) => {
    if (!passes(piece.length)) return void from.pause();
    if (!to.write(piece)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
}

/** Calls `silent` when nobody has called `heard` for so long. */
export function watchSilence(
  clock: Clock,
  timeoutMs: number,
  silent: () => void,
): {
  readonly heard: () => void;
  readonly stop: () => void;
} {
  let last = clock.now();
  const look = (): void => {
    const leftMs = last + timeoutMs - clock.now();
    if (leftMs <= 0) return silent();
    cancel = clock.after(leftMs, look);
  };
  let cancel = clock.after(timeoutMs, look);
  return {
    heard: () => {
      last = clock.now();
    },
    stop: () => cancel(),
  };
}
