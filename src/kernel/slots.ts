/**
 * Slots: how many model calls run at once, and whose turn it is. Weighted fair queueing by start-time virtual clock
 * (Goyal, Vin and Cheng, SIGCOMM 1996): who used less for its weight goes first.
 *   SCH-1.1  A free slot is given at once; nobody waits while one is free.
 *   SCH-1.2  Among the waiting the smallest virtual time goes first, ties by pid; a newcomer starts at the queue's clock, not at zero.
 */
import type { Pid } from "../abi/process.ts";

interface Waiter {
  readonly pid: Pid;
  readonly weight: number;
  readonly go: () => void;
}

export class Slots {
  readonly #waiting: Waiter[] = [];
  readonly #virtual = new Map<Pid, number>();
  #free: number;
  #clock = 0;

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Nothing when a slot was free; otherwise a promise of one. */
  take(pid: Pid, weight: number): Promise<void> | null {
    if (this.#free > 0) {
      this.#free -= 1;
      return null;
    }
    return new Promise((go) => this.#waiting.push({ pid, weight, go }));
  }

  /** Give the slot back and charge what was used of it, in tokens. */
  give(pid: Pid, weight: number, used: number): void {
    this.#virtual.set(pid, Math.max(this.#virtual.get(pid) ?? 0, this.#clock) + used / weight);
    const next = this.#next();
    if (next === null) {
      this.#free += 1;
      return;
    }
    this.#clock = Math.max(this.#clock, this.#virtual.get(next.pid) ?? this.#clock);
    next.go();
  }

  forget(pid: Pid): void {
    this.#virtual.delete(pid);
  }

  #next(): Waiter | null {
    let best = -1;
    for (let index = 0; index < this.#waiting.length; index += 1) {
      if (best === -1 || this.#before(index, best)) best = index;
    }
    return best === -1 ? null : (this.#waiting.splice(best, 1)[0] ?? null);
  }

  #before(a: number, b: number): boolean {
    const [first, second] = [this.#waiting[a], this.#waiting[b]];
    if (first === undefined || second === undefined) return false;
    const gap = this.#virtualOf(first) - this.#virtualOf(second);
    return gap < 0 || (gap === 0 && first.pid < second.pid);
  }

  #virtualOf(waiter: Waiter): number {
    return Math.max(this.#virtual.get(waiter.pid) ?? this.#clock, this.#clock);
  }
}
