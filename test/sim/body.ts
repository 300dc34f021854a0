/** Body: a program of the simulation as a function over Sys. It makes the same calls whenever it is run. */
import { fail } from "../../src/abi/errno.ts";
import type { Pid } from "../../src/abi/process.ts";
import type { Body, Sys } from "../../src/abi/sys.ts";
import { isObject, type Json } from "../../src/lib/json.ts";
import { prng } from "../../src/lib/prng.ts";
import { ok } from "../../src/lib/result.ts";
import { callOf } from "./mind.ts";
import { hashOf, once, programOf, type Act, type Plan } from "./plan.ts";

export function programBody(plan: Plan, callsOf: (pid: Pid) => readonly string[]): Body {
  return async (sys) => {
    const goal = String(sys.goal);
    const chance = prng(hashOf(`${plan.seed} ${goal} body`));
    const { turns, ending } = programOf(plan, goal, callsOf(sys.pid));
    const pids = new Map<string, number>();
    const told: Json[] = [];
    for (const turn of turns) {
      const sideBySide = chance.chance(0.3) && !turn.some(({ act }) => act === "spawn");
      if (sideBySide) told.push(...(await Promise.all(turn.map((act) => made(sys, act, pids)))));
      else for (const act of turn) told.push(await made(sys, act, pids));
    }
    if (ending === "cut") throw new Error("as programs do");
    return ending === "refused" ? fail("EPERM", "this program does not want to") : ok(told);
  };
}

/** What a program tells of a call: what cannot depend on when the power went. */
async function made(sys: Sys, act: Act, pids: Map<string, number>): Promise<Json> {
  const [name, args] = callOf(
    act,
    (goal) => pids.get(goal) ?? null,
    () => "0.0.0",
  );
  const result = await sys.call(name, args);
  if (act.act === "spawn" && result.ok && isObject(result.value)) pids.set(act.child.goal, Number(result.value["pid"]));
  if ((once as readonly string[]).includes(name)) return name;
  return result.ok && act.act !== "spawn" ? short(result.value) : result.ok;
}

function short(value: Json): Json {
  return typeof value === "string" ? value.length : value;
}
