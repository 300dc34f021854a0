import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noLimits, noSpend } from "../../src/abi/budget.ts";
import { refuse, tighten, type Account } from "../../src/scheduler/budget.ts";

const amount = fc.integer({ min: 0, max: 1_000 });
const spend = fc.record({ costUsd: amount, tokens: amount, calls: amount, timeMs: amount });
const limit = fc.option(fc.integer({ min: 0, max: 3_000 }), { nil: null });
const limits = fc.record({ costUsd: limit, tokens: limit, calls: limit, timeMs: limit });
const chain = fc
  .array(fc.record({ limits, spend, reserved: spend }), { maxLength: 6 })
  .map((list): Account[] => list.map((part, n) => ({ pid: n + 1, ...part })));
const keys = ["costUsd", "tokens", "calls", "timeMs"] as const;

describe("budget", () => {
  test("BUD-1.1 a charge is admitted exactly when the process and every ancestor has room beside what is spent and reserved", () => {
    fc.assert(
      fc.property(chain, spend, (accounts, asked) => {
        const room = accounts.every((account) =>
          keys.every((key) => {
            const max = account.limits[key];
            return max === null || asked[key] === 0 || account.spend[key] + account.reserved[key] + asked[key] <= max;
          }),
        );
        expect(refuse(accounts, asked) === null).toBe(room);
      }),
    );
  });

  test("BUD-1.2 the refusal names the nearest group without room, and which limit", () => {
    const account = (pid: number, tokens: number | null): Account => ({
      pid,
      limits: { ...noLimits, tokens },
      spend: { ...noSpend, tokens: 90 },
      reserved: { ...noSpend, tokens: 5 },
    });
    const found = refuse([account(3, 1_000), account(2, 100), account(1, 99)], { ...noSpend, tokens: 10 });
    expect(found).toEqual({ group: 2, limit: "tokens", used: 95, asked: 10, max: 100 });
  });

  test("BUD-1.1 a limit can be spent to its end, and not beyond it", () => {
    const spent = { ...noSpend, tokens: 90 };
    const account: Account = { pid: 1, limits: { ...noLimits, tokens: 100 }, spend: spent, reserved: { ...noSpend, tokens: 5 } };
    expect(refuse([account], { ...noSpend, tokens: 5 })).toBeNull();
    expect(refuse([account], { ...noSpend, tokens: 6 })).toMatchObject({ limit: "tokens", used: 95, asked: 6, max: 100 });
  });

  test("BUD-1.3 a price that is not known still counts tokens", () => {
    const account: Account = { pid: 1, limits: { ...noLimits, tokens: 5, costUsd: 1 }, spend: noSpend, reserved: noSpend };
    expect(refuse([account], { ...noSpend, tokens: 6, costUsd: 0 })).toMatchObject({ limit: "tokens" });
  });

  test("a child's limits are never above its parent's", () => {
    fc.assert(
      fc.property(limits, limits, (parent, child) => {
        const tight = tighten(parent, child);
        for (const key of keys) {
          if (parent[key] !== null) expect(tight[key]).toBeLessThanOrEqual(parent[key]);
          if (child[key] !== null) expect(tight[key]).toBeLessThanOrEqual(child[key]);
        }
      }),
    );
  });
});
