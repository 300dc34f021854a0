/**
 * Swap: a parked process waits for a person, perhaps for days; its window need not stand in memory.
 *   KRN-12.1  A process that was swapped out and in again has the digest it had.
 */
import type { SwapDriver } from "../abi/store.ts";
import { assert } from "../lib/assert.ts";
import type { Proc } from "./table.ts";

type Swapped = Pick<Proc, "messages" | "pages" | "pending" | "result" | "goal">;

export function swapOut(proc: Proc, swap: SwapDriver): void {
  assert(proc.swapped === null, "a process is swapped out once");
  const { messages, pages, pending, result, goal } = proc;
  const kept: Swapped = { messages, pages, pending, result, goal };
  proc.swapped = { ...swap.put(JSON.stringify(kept)), pages: pages.length };
  proc.messages = none;
  proc.pages = none;
  proc.pending = none;
  proc.goal = null;
  proc.result = null;
}

export function swapIn(proc: Proc, swap: SwapDriver): void {
  if (proc.swapped === null) return;
  /** The text is what swapOut() put there, in this very kernel. */
  const kept = JSON.parse(swap.get(proc.swapped)) as Swapped;
  swap.free(proc.swapped);
  proc.swapped = null;
  Object.assign(proc, kept);
}

/** One empty list for all that are away; the fold brings a process back before it changes it. */
const none: never[] = [];
