/**
 * Budget: what a process and every group above it may still spend.
 *   BUD-1.1  A charge is admitted only if the process and every ancestor has room for it beside what is spent and reserved.
 *   BUD-1.2  The refusal names the nearest group that has no room, and which limit.
 *   BUD-1.3  An unknown price counts as spent tokens, never as free.
 */
import type { Limits, Spend } from "../abi/budget.ts";

export interface Account {
  readonly pid: number;
  readonly limits: Limits;
  readonly spend: Spend;
  readonly reserved: Spend;
}

export interface Refusal {
  readonly group: number;
  readonly limit: keyof Limits;
  readonly used: number;
  readonly asked: number;
  readonly max: number;
}

/** From the process up to the root; null when all have room. */
export function refuse(chain: Iterable<Account>, asked: Spend): Refusal | null {
  for (const account of chain) {
    const refusal = check(account, asked);
    if (refusal !== null) return refusal;
  }
  return null;
}

/** Written out limit by limit: this runs before every call, and a loop over keys would cost more than the checks. */
function check(account: Account, asked: Spend): Refusal | null {
  const { limits, spend, reserved, pid } = account;
  if (over(limits.calls, spend.calls, reserved.calls, asked.calls)) return refusal(pid, "calls", account, asked);
  if (over(limits.tokens, spend.tokens, reserved.tokens, asked.tokens)) return refusal(pid, "tokens", account, asked);
  if (over(limits.costUsd, spend.costUsd, reserved.costUsd, asked.costUsd)) return refusal(pid, "costUsd", account, asked);
  if (over(limits.timeMs, spend.timeMs, reserved.timeMs, asked.timeMs)) return refusal(pid, "timeMs", account, asked);
  return null;
}

function over(max: number | null, spent: number, reserved: number, asked: number): boolean {
  return max !== null && asked > 0 && spent + reserved + asked > max;
}

function refusal(group: number, limit: keyof Limits, account: Account, asked: Spend): Refusal {
  const used = account.spend[limit] + account.reserved[limit];
  return { group, limit, used, asked: asked[limit], max: account.limits[limit] ?? 0 };
}

/** A child's limits, never above its parent's. */
export function tighten(parent: Limits, child: Limits): Limits {
  return {
    costUsd: smaller(parent.costUsd, child.costUsd),
    tokens: smaller(parent.tokens, child.tokens),
    calls: smaller(parent.calls, child.calls),
    timeMs: smaller(parent.timeMs, child.timeMs),
  };
}

function smaller(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}
