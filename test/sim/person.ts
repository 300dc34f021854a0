/** Person: who answers what waits, stops and continues processes, and in a wild plan kills them and says no. */
import type { Limits } from "../../src/abi/budget.ts";
import type { ParkReason, Pid, Signal } from "../../src/abi/process.ts";
import type { Answer } from "../../src/abi/entry.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Proc } from "../../src/kernel/table.ts";
import type { Prng } from "../../src/lib/prng.ts";
import { hashOf, type Plan } from "./plan.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

export interface Person {
  readonly plan: Plan;
  readonly chance: Prng;
  readonly kernel: Kernel;
  readonly world: World;
  readonly ledger: Ledger;
}

/** Answers some of what waits. */
export function answerSome(person: Person): void {
  const { kernel, chance } = person;
  for (const proc of [...kernel.recorder.table.procs.values()]) {
    if (proc.park === null || chance.chance(0.3)) continue;
    if (proc.park.type === "stopped" && chance.chance(0.5)) kernel.signal(proc.pid, "continue", "simulation");
    else kernel.answer(proc.pid, { ...answerTo(person, proc, proc.park), park: proc.parks });
  }
}

/** Anything a person may do at any moment, also what makes no sense then. */
export function meddle(person: Person): void {
  const { kernel, chance, plan, ledger } = person;
  const pid = 1 + chance.below(Math.max(1, ledger.accounts.size));
  const harmless: readonly Signal[] = ["stop", "stop", "interrupt", "continue", "budget"];
  const act = chance.below(10);
  if (act < 6) kernel.signal(pid, chance.pick(harmless), "simulation");
  else if (act === 6 && plan.wild) kernel.signal(pid, "kill", "simulation");
  else if (act === 7) kernel.nice(pid, 1 + chance.below(1_000));
  else if (act === 8) answerAmiss(person, pid);
  else answerSome(person);
}

/** A raise where nothing is to be raised, or a yes to a question of before: neither may land. */
function answerAmiss({ kernel, chance }: Person, pid: Pid): void {
  const proc = kernel.recorder.table.procs.get(pid);
  if (proc === undefined) return;
  if (proc.park?.type !== "budget" && chance.chance(0.5)) kernel.answer(pid, { ...yes, raise: { tokens: 1 }, park: proc.parks });
  else kernel.answer(pid, { ...yes, park: proc.parks - 1 });
}

type Said = Omit<Answer, "park">;

const yes: Said = { allow: true, text: "", by: "simulation", raise: null };
const no: Said = { ...yes, allow: false, text: "no" };

function answerTo(person: Person, proc: Proc, reason: ParkReason): Said {
  const { plan, chance, world, ledger } = person;
  switch (reason.type) {
    /** Always the same of the same call, whatever its process's pid is. */
    case "approval":
      return hashOf(`${plan.seed} ${goalOf(ledger, proc.pid)} ${reason.call.slice(reason.call.indexOf("."))}`) % 4 === 0
        ? no
        : yes;
    case "question":
      return { ...yes, text: `that of ${goalOf(ledger, proc.pid)}` };
    /** Who can look, looks. */
    case "uncertain":
      return world.happened.has(reason.call) ? no : yes;
    case "budget":
      return plan.wild && chance.chance(0.1) ? no : { ...yes, raise: raiseOf(ledger, reason) };
    default:
      return plan.wild && chance.chance(0.1) ? no : yes;
  }
}

function goalOf(ledger: Ledger, pid: Pid): string {
  return ledger.accounts.get(pid)?.goals.at(-1) ?? "";
}

function raiseOf(ledger: Ledger, { group, limit }: Extract<ParkReason, { type: "budget" }>): Partial<Limits> {
  const step = { tokens: 40_000, costUsd: 1, calls: 4, timeMs: 3_000 }[limit];
  return { [limit]: (ledger.accounts.get(group)?.limits[limit] ?? 0) * 2 + step };
}
