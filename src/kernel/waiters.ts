/**
 * Waiters: who waits for what becomes of a process.
 *   KRN-14.1  Everybody who waits is told once, in the order of asking.
 */
import type { Clock } from "../abi/clock.ts";
import type { Pid } from "../abi/process.ts";

export class Waiters<T> {
  readonly #waiting = new Map<Pid, ((value: T) => void)[]>();

  wait(pid: Pid): Promise<T> {
    return new Promise((resolve) => {
      const others = this.#waiting.get(pid);
      if (others === undefined) this.#waiting.set(pid, [resolve]);
      else others.push(resolve);
    });
  }

  tell(pid: Pid, value: T): void {
    const waiting = this.#waiting.get(pid) ?? [];
    this.#waiting.delete(pid);
    for (const resolve of waiting) resolve(value);
  }

  tellAll(value: T): void {
    for (const pid of [...this.#waiting.keys()]) this.tell(pid, value);
  }
}

/** Until the work is done or the time is over: a driver that does not listen keeps nobody waiting for ever. */
export async function atMost(ms: number, clock: Clock, work: Promise<unknown>): Promise<void> {
  let cancel = (): void => {};
  const late = new Promise<void>((resolve) => (cancel = clock.after(ms, resolve)));
  await Promise.race([work, late]);
  cancel();
}
