import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Slots } from "../../src/kernel/slots.ts";

/** Lets everybody who got a slot run before the next is given. */
async function drain(): Promise<void> {
  for (let hop = 0; hop < 4; hop += 1) await Promise.resolve();
}

describe("slots", () => {
  test("SCH-1.1 a free slot is given at once, and nobody waits while one is free", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 20 }), (count, takers) => {
        const slots = new Slots(count);
        for (let pid = 1; pid <= takers; pid += 1) expect(slots.take(pid) === null).toBe(pid <= count);
      }),
    );
  });

  test("SCH-1.2 the smallest virtual time goes first, ties by pid, and who comes to wait starts at the clock", async () => {
    const slots = new Slots(1);
    const order: number[] = [];
    const wait = (pid: number): void => void slots.take(pid)?.then(() => order.push(pid));
    const give = async (pid: number, used: number): Promise<void> => {
      slots.give(pid, 100, used);
      await drain();
    };
    expect(slots.take(1)).toBe(null);
    wait(3);
    wait(2);
    await give(1, 1_000);
    wait(1);
    await give(2, 10);
    wait(2);
    wait(4);
    await give(3, 10);
    await give(4, 10);
    await give(2, 10_000);
    expect(order).toEqual([2, 3, 4, 2, 1]);
    wait(5);
    wait(3);
    wait(2);
    await give(1, 10);
    await give(3, 10);
    await give(5, 10);
    expect(order.slice(5)).toEqual([3, 5, 2]);
  });

  test("those who always want more share by weight", async () => {
    const slots = new Slots(1);
    const used = new Map<number, number>();
    const weight = (pid: number): number => (pid % 2 === 0 ? 300 : 100);
    const total = (odd: number): number => [...used].reduce((sum, [pid, tokens]) => sum + (pid % 2 === odd ? tokens : 0), 0);
    const loop = async (pid: number): Promise<void> => {
      while (total(0) < 6_000) {
        const slot = slots.take(pid);
        if (slot !== null) await slot;
        await Promise.resolve();
        used.set(pid, (used.get(pid) ?? 0) + 10);
        slots.give(pid, weight(pid), 10);
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(loop));
    expect(total(0) / total(1)).toBeGreaterThan(2.5);
    expect(total(0) / total(1)).toBeLessThan(3.5);
  });
});
