/**
 * Mind: the model of the simulation. What it does is its program's next turn; how it says so is sometimes a lie. Both are told by the
 * seed, the goal and the step alone, so that it says the same whenever it is asked.
 */
import { limits } from "../../src/abi/limits.ts";
import type { CallPart } from "../../src/abi/message.ts";
import type { ModelReply } from "../../src/abi/model.ts";
import type { Manifest, Pid } from "../../src/abi/process.ts";
import type { Json } from "../../src/lib/json.ts";
import { prng, type Prng } from "../../src/lib/prng.ts";
import { calls, finish, say } from "../kernel/rig.ts";
import { hashOf, programOf, type Act, type Ending, type Plan } from "./plan.ts";

/** What the model knows of a process that asks: more than a real one, so that it can say the same whatever its window still holds. */
export interface Asking {
  readonly pid: Pid;
  readonly goal: string;
  readonly calls: readonly string[];
  /** Its turns since it became this program. */
  readonly step: number;
  /** The turn of the process that this program's first is. */
  readonly firstStep: number;
}

/** The pid of a program's child, by its goal. */
export type PidOf = (goal: string) => Pid | null;

export function thought(plan: Plan, asking: Asking, pidOf: PidOf): ModelReply {
  const { goal, step } = asking;
  const { turns, ending } = programOf(plan, goal, asking.calls);
  const chance = prng(hashOf(`${plan.seed} ${goal} ${step}`));
  const turn = turns[step];
  const pageOf = (past: number): string => `${asking.pid}.${asking.firstStep + past}.0`;
  const reply =
    turn === undefined ? end(ending, goal, step - turns.length) : calls(...turn.map((act) => callOf(act, pidOf, pageOf)));
  const usage = {
    ...reply.usage,
    inputTokens: 500 + chance.below(1_500),
    outputTokens: 20 + chance.below(plan.wild ? 1_500 : 200),
  };
  const counted = { ...reply, usage };
  return turn !== undefined && chance.chance(0.15) ? lie(counted, chance) : counted;
}

function end(ending: Ending, goal: string, beyond: number): ModelReply {
  if (ending === "loops") return calls(["w.read", { n: beyond }]);
  if (ending === "cut") return { ...say("half of it"), stop: "length" };
  if (ending === "refused") return { ...say("I would rather not"), stop: "refusal" };
  return ending === "done" && beyond === 0 ? finish({ goal }) : say(`finished ${goal}`);
}

/** The call an act is made with. */
export function callOf(act: Act, pidOf: PidOf, pageOf: (turn: number) => string): readonly [name: string, args: Json] {
  switch (act.act) {
    case "call":
      return [act.name, act.args];
    case "spawn":
      return ["proc.spawn", { manifest: asked(act.child.manifest), goal: act.child.goal, weight: act.weight }];
    case "exec":
      return ["proc.exec", { manifest: asked(act.next.manifest), goal: act.next.goal }];
    case "wait":
    case "kill":
      return [`proc.${act.act}`, { pid: pidOf(act.goal) ?? 0 }];
    default:
      return [act.act, { page: pageOf(act.turn) }];
  }
}

function asked(manifest: Manifest): Json {
  const { name, kind, instructions, calls: held, windowTokens, stepsMax, limits: own } = manifest;
  return { name, kind, instructions, calls: held, windowTokens, stepsMax, limits: { ...own } };
}

/** What real models do. */
function lie(honest: ModelReply, chance: Prng): ModelReply {
  const nothing = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
  const parts = (change: Partial<CallPart>): ModelReply => ({
    ...honest,
    parts: honest.parts.map((part) => (part.type === "call" && part.name.startsWith("w.") ? { ...part, ...change } : part)),
  });
  const first = honest.parts[0];
  const many = (count: number, change: Partial<CallPart>): ModelReply => {
    if (first?.type !== "call" || !first.name.startsWith("w.")) return honest;
    return { ...honest, parts: Array.from({ length: count }, () => ({ ...first, ...change })) };
  };
  if (chance.chance(0.02)) return many(limits.callsPerTurnMax + 3, {});
  if (chance.chance(0.005)) return many(20, { args: { n: "large ".repeat(2_000) } });
  return chance.pick([
    () => ({ ...honest, usage: nothing }),
    () => ({ ...honest, stop: "end" as const }),
    () => parts({ name: "w.nowhere" }),
    () => ({ ...honest, parts: honest.parts.map((part) => (part.type === "call" ? { ...part, id: "same" } : part)) }),
    () => parts({ args: [null, "no object"] }),
    () => parts({ args: nested(200) }),
    () => ({ ...honest, parts: [{ type: "text" as const, text: "first a word" }, ...honest.parts] }),
  ])();
}

function nested(levels: number): Json {
  return Array.from({ length: levels }).reduce<Json>((inner) => ({ n: inner }), 1);
}
