/**
 * Plan: what a seed stands for: the machine, and the programs that run on it. A program is told by its seed and its goal alone, so that it
 * is the same in every life of the machine and whatever pid it gets.
 *
 * A steady plan holds nothing whose end depends on the order of things: power, disk, stops and failing providers must not change how it
 * ends. A wild plan also has kills, a person who says no, programs that end before their children, and drivers nobody can ask.
 */
import type { Limits } from "../../src/abi/budget.ts";
import { noLimits } from "../../src/abi/budget.ts";
import type { Manifest } from "../../src/abi/process.ts";
import { prng, type Prng } from "../../src/lib/prng.ts";
import type { Json } from "../../src/lib/json.ts";
import { manifestOf } from "../kernel/rig.ts";

export interface Plan {
  readonly seed: number;
  readonly wild: boolean;
  /** The model is remote: asked behind a barrier, slow, and failing now and then. */
  readonly remote: boolean;
  readonly slots: number;
  readonly priced: boolean;
  readonly windowTokens: number;
  readonly segmentBytesMax: number;
  /** Flushes take their time. */
  readonly slowDisk: boolean;
  /** The programs a person starts. */
  readonly roots: readonly Start[];
  /** How many turns a program has at most. */
  readonly turnsMax: number;
}

/** A program about to be started: by a person or by the program above. */
export interface Start {
  readonly goal: string;
  readonly manifest: Manifest;
}

/** What a program does in one turn. The acts of an agent's turn are the calls of one reply. */
export type Act =
  | { readonly act: "call"; readonly name: string; readonly args: Json }
  | { readonly act: "spawn"; readonly child: Start; readonly weight: number }
  /** A call about a child by its goal: its pid is not the program's to choose. */
  | { readonly act: "wait" | "kill"; readonly goal: string }
  /** About the page an earlier call of the program brought in, by its turn. */
  | { readonly act: "mem.read" | "mem.pin"; readonly turn: number }
  | { readonly act: "exec"; readonly next: Start };

export type Ending = "done" | "words" | "cut" | "refused" | "loops";

export interface Program {
  readonly turns: readonly (readonly Act[])[];
  readonly ending: Ending;
}

export function planOf(seed: number): Plan {
  const chance = prng(seed);
  const wild = seed % 2 === 0;
  const remote = chance.chance(0.6);
  const plan = {
    seed,
    wild,
    remote,
    slots: 1 + chance.below(4),
    priced: chance.chance(0.7),
    windowTokens: chance.chance(0.6) ? 100_000 : 12_000,
    segmentBytesMax: chance.chance(0.4) ? 20_000 + chance.below(60_000) : Number.POSITIVE_INFINITY,
    slowDisk: chance.chance(0.6),
    turnsMax: 3 + chance.below(9),
  };
  const roots = Array.from({ length: 1 + chance.below(3) }, (_, n) => startOf(plan, `g${n}`, chance, everyCall));
  return { ...plan, roots };
}

/** The calls of the simulated world; world.ts says what they do. */
export const reads = ["w.read", "w.large", "w.dirty", "w.fails", "w.throws", "w.deep", "w.peek"] as const;
export const writes = ["w.append", "w.put", "w.sign", "w.deal", "w.commit"] as const;
/** Nobody can look whether they took effect, or looking fails. */
export const once = ["w.mail", "w.blind", "w.riddle"] as const;
/** Forbidden, and not there. */
const refused = ["w.never", "w.nowhere"];
const everyCall = ["w.*", "proc.*", "mem.*", "ask", "task.done"];

type Settings = Omit<Plan, "roots">;

function startOf(plan: Settings, goal: string, chance: Prng, held: readonly string[]): Start {
  const depth = depthOf(goal);
  const kind = chance.chance(depth === 0 ? 0.6 : 0.25) ? "body" : "agent";
  const fewer =
    depth > 0 && chance.chance(0.4) ? held.filter((call) => call !== "w.*").concat("w.read", "w.append", "w.mail") : held;
  const calls = held.includes("w.*") ? fewer : held;
  const manifest = manifestOf({
    name: kind,
    kind,
    instructions: kind === "body" ? "program" : `Do ${goal}.`,
    calls,
    limits: chance.chance(depth === 0 ? 0.5 : 0.25) ? limitsOf(plan, chance) : noLimits,
    windowTokens: plan.wild && chance.chance(0.2) ? 9_000 : null,
    stepsMax: 40,
  });
  return { goal, manifest };
}

/** Tight enough to be reached: a person raises them. */
function limitsOf(plan: Settings, chance: Prng): Limits {
  const some = (limit: number): number | null => (chance.chance(0.4) ? limit : null);
  const call = plan.remote ? 18_000 : 6_000;
  return {
    tokens: some(call * (1 + chance.below(5))),
    costUsd: some(0.3 * (1 + chance.below(4))),
    calls: some(1 + chance.below(12)),
    timeMs: some(50 + chance.below(2_000)),
  };
}

function depthOf(goal: string): number {
  return goal.split(".").length - 1;
}

const depthMax = 3;

/** The program of a process with this goal and these calls. */
export function programOf(plan: Plan, goal: string, calls: readonly string[]): Program {
  const chance = prng(plan.seed ^ hashOf(goal));
  const turns: Act[][] = [];
  const children: string[] = [];
  const count = 1 + chance.below(plan.turnsMax);
  for (let turn = 0; turn < count; turn += 1) {
    if (depthOf(goal) < depthMax && chance.chance(0.22 / (1 + depthOf(goal)))) {
      turns.push(...family(plan, goal, turn, chance, calls, children));
    } else turns.push(Array.from({ length: 1 + chance.below(3) }, () => actOf(plan, turn, chance)));
  }
  const goesOn = !goal.endsWith("x") && chance.chance(0.1);
  if (goesOn) {
    const next = startOf(plan, `${goal}x`, chance, calls);
    turns.push([{ act: "exec", next: { ...next, manifest: { ...next.manifest, kind: "agent" } } }]);
  }
  return { turns, ending: endingOf(plan, chance) };
}

function endingOf(plan: Plan, chance: Prng): Ending {
  if (!plan.wild || chance.chance(0.8)) return chance.chance(0.5) ? "done" : "words";
  return chance.pick(["cut", "refused", "loops"] as const);
}

/** Children, and what becomes of them. In a steady plan every child is waited for. */
function family(plan: Plan, goal: string, turn: number, chance: Prng, calls: readonly string[], children: string[]): Act[][] {
  const spawns: Act[] = [];
  const waits: Act[] = [];
  for (let n = 1 + chance.below(3); n > 0; n -= 1) {
    const child = startOf(plan, `${goal}.${turn}_${n}`, chance, calls);
    spawns.push({ act: "spawn", child, weight: 1 + chance.below(200) });
    children.push(child.goal);
    const fate = plan.wild ? chance.pick(["wait", "wait", "wait", "kill", "leave"] as const) : "wait";
    if (fate !== "leave") waits.push({ act: fate, goal: child.goal });
  }
  const between = chance.chance(0.3) ? [[actOf(plan, turn, chance)]] : [];
  return [spawns, ...between, ...(waits.length === 0 ? [] : [waits])];
}

function actOf(plan: Plan, turn: number, chance: Prng): Act {
  const args = { n: chance.below(1_000_000) };
  const roll = chance.below(100);
  if (roll < 30) return { act: "call", name: chance.pick(reads), args };
  if (roll < 65) return { act: "call", name: chance.pick(writes), args };
  if (roll < 78) return { act: "call", name: chance.pick(once), args };
  if (roll < 82) return { act: "call", name: chance.pick(refused), args };
  if (roll < 86) return { act: "call", name: "mem.note", args: { key: `k${turn}`, text: "kept ".repeat(1 + chance.below(20)) } };
  if (roll < 92) return { act: chance.pick(["mem.read", "mem.pin"] as const), turn: chance.below(turn + 1) };
  if (roll < 95) return { act: "call", name: "ask", args: { question: `which of ${args.n}?` } };
  return { act: "call", ...chance.pick(nonsense) };
}

/** What no driver should have let through. */
const nonsense: readonly { readonly name: string; readonly args: Json }[] = [
  { name: "proc.wait", args: { pid: 0 } },
  { name: "proc.wait", args: { pid: 1 } },
  { name: "proc.kill", args: { pid: 1 } },
  { name: "proc.kill", args: { pid: "1" } },
  { name: "mem.read", args: { page: "0.0.0" } },
  { name: "proc.spawn", args: { manifest: { name: "wider", instructions: "x", calls: ["*", "net.fetch"] }, goal: "none" } },
  { name: "proc.exec", args: { manifest: { name: "wider", instructions: "x", calls: ["net.fetch"] }, goal: "none" } },
  { name: "w.append", args: "no object" },
  { name: "w.append", args: { n: { n: [[[["deep"]]]] } } },
  { name: "w.append", args: { n: -1 } },
];

/** FNV-1a over the text. */
export function hashOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  return hash >>> 0;
}
