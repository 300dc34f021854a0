/**
 * Admission: whether the budgets of a process and of every group above it leave room to think, or to make one more call.
 *   KRN-6.1  A model call is admitted only if its input and its longest output fit the budget of the process and of every group above it.
 *   KRN-6.8  Time is asked for before every thought and every call, of agents and bodies alike. What is under way is not cut: it ends by its
 *            own time limit, and the process parks before the next.
 */
import type { ParkReason } from "../abi/process.ts";
import { limits } from "../abi/limits.ts";
import { refuse, type Refusal } from "../scheduler/budget.ts";
import type { Core, Cpu } from "./core.ts";
import { timeOf } from "./fold-time.ts";
import { ancestry, type Proc } from "./table.ts";

/** A model as budgets see it. */
export type Priced = Pick<Cpu, "model" | "cost">;

/** The most that a request to a model can take. */
export interface RequestSize {
  readonly windowTokens: number;
  readonly outputTokensMax: number;
}

/** Of an agent's next request. */
export function sizeOf(proc: Proc, cpu: Cpu): RequestSize {
  return { windowTokens: proc.windowTokens, outputTokensMax: outputTokensMax(cpu) };
}

/** Why it may not ask the model now. */
export function overBudget(core: Core, proc: Proc, cpu: Priced, size: RequestSize): ParkReason | null {
  const { table } = core.recorder;
  const costUsd = reserveUsd(cpu, size);
  const tokens = size.windowTokens + size.outputTokensMax;
  const spent = refuse(ancestry(table, proc), { costUsd: costUsd ?? 0, tokens, calls: 0, timeMs: 0 });
  if (spent !== null) return budgetPark(proc, spent);
  for (const group of ancestry(table, proc)) {
    if (costUsd === null && group.limits.costUsd !== null) return pricePark(proc, group, cpu);
    const late = outOfTime(core, group);
    if (late !== null) return budgetPark(proc, late);
  }
  return null;
}

/** Why it may not make this call now. It was counted when it was decided on. */
export function overLimits(core: Core, proc: Proc, name: string): ParkReason | null {
  for (const group of ancestry(core.recorder.table, proc)) {
    const max = group.limits.calls;
    if (max !== null && group.spend.calls > max) {
      const question = `${proc.manifest.name} wants to call ${name}, and process ${group.pid} has made the ${max} calls it may. Raise it?`;
      return { type: "budget", limit: "calls", group: group.pid, question };
    }
    const late = outOfTime(core, group);
    if (late !== null) return budgetPark(proc, late);
  }
  return null;
}

function outOfTime(core: Core, group: Proc): Refusal | null {
  const max = group.limits.timeMs;
  if (max === null) return null;
  const used = timeOf(group, core.clock.now());
  return used < max ? null : { group: group.pid, limit: "timeMs", used, asked: 0, max };
}

/** A limit in dollars cannot be kept without a price: a person lifts it, or limits tokens instead. */
function pricePark(proc: Proc, group: Proc, cpu: Priced): ParkReason {
  const question = `${proc.manifest.name} runs on ${cpu.model}, whose price is not known, so its limit of ${group.limits.costUsd} USD cannot be kept. Go on without it?`;
  return { type: "budget", limit: "costUsd", group: group.pid, question, unpriced: true };
}

function budgetPark(proc: Proc, { group, limit, used, asked, max }: Refusal): ParkReason {
  const whose = group === proc.pid ? "its own budget" : `the budget of process ${group}`;
  const question =
    limit === "timeMs"
      ? `${proc.manifest.name} has used the ${seconds(max)} of ${whose} (${seconds(used)}). Raise it?`
      : `${proc.manifest.name} needs ${asked} more ${limit} and ${whose} is ${max}, of which ${used} are used. Raise it?`;
  return { type: "budget", limit, group, question };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** Dollars for the window and the longest reply, nothing cached; null when the price is not known. */
export function reserveUsd(cpu: Priced, size: RequestSize): number | null {
  const { windowTokens: inputTokens, outputTokensMax: outputTokens } = size;
  return cpu.cost({ inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reported: false });
}

export function outputTokensMax(cpu: Cpu): number {
  return cpu.driver.remote ? limits.remoteOutputTokensMax : limits.outputTokensMax;
}
