/**
 * Slots: how many model calls run at once, and whose turn it is. Weighted fair queueing by start-time virtual clock
 * (Goyal, Vin and Cheng, SIGCOMM 1996): who used less for its weight goes first.
 *   SCH-1.1  A free slot is given at once; nobody waits while one is free.
 *   SCH-1.2  Among the waiting the smallest virtual time goes first, ties by pid; who comes to wait starts at the queue's clock, not at zero.
 */
import type { Pid } from "../abi/process.ts";
import { Heap } from "../lib/heap.ts";

interface Waiter {
  readonly pid: Pid;
  /** Its virtual time when it came to wait. */
  readonly start: number;
  readonly go: () => void;
}

export class Slots {
  readonly #waiting = new Heap<Waiter>((a, b) => a.start < b.start || (a.start === b.start && a.pid < b.pid));
  readonly #virtual = new Map<Pid, number>();
  #free: number;
  #clock = 0;

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Nothing when a slot was free; otherwise a promise of one. */
  take(pid: Pid): Promise<void> | null {
    if (this.#free > 0) {
      this.#free -= 1;
      return null;
    }
    return new Promise((go) => this.#waiting.push({ pid, start: this.#startOf(pid), go }));
  }

  /** Give the slot back and charge what was used of it, in tokens. */
  give(pid: Pid, weight: number, used: number): void {
    /** Who was killed while it waited used nothing, and is not remembered. */
    if (used > 0) this.#virtual.set(pid, this.#startOf(pid) + used / weight);
    const next = this.#waiting.pop();
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#clock = Math.max(this.#clock, next.start);
    next.go();
  }

  forget(pid: Pid): void {
    this.#virtual.delete(pid);
  }

  #startOf(pid: Pid): number {
    return Math.max(this.#virtual.get(pid) ?? 0, this.#clock);
  }
}
