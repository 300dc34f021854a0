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
        for (let pid = 1; pid <= takers; pid += 1) expect(slots.take(pid, 100) === null).toBe(pid <= count);
      }),
    );
  });

  test("SCH-1.2 the smallest virtual time goes first, ties by pid, and a newcomer starts at the clock", async () => {
    const slots = new Slots(1);
    const order: number[] = [];
    const wait = (pid: number, weight: number): void => void slots.take(pid, weight)?.then(() => order.push(pid));
    void slots.take(1, 100);
    wait(3, 100);
    wait(2, 100);
    wait(1, 100);
    slots.give(1, 100, 1_000);
    await drain();
    slots.give(2, 100, 10);
    await drain();
    slots.give(3, 100, 10);
    await drain();
    wait(4, 100);
    wait(2, 100);
    slots.give(1, 100, 1_000);
    await drain();
    expect(order).toEqual([2, 3, 1, 2]);
  });

  test("those who always want more share by weight", async () => {
    const slots = new Slots(1);
    const used = new Map<number, number>();
    const weight = (pid: number): number => (pid % 2 === 0 ? 300 : 100);
    const total = (odd: number): number => [...used].reduce((sum, [pid, tokens]) => sum + (pid % 2 === odd ? tokens : 0), 0);
    const loop = async (pid: number): Promise<void> => {
      while (total(0) < 6_000) {
        const slot = slots.take(pid, weight(pid));
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
