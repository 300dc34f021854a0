/**
 * Whole-kernel simulation: random programs on a kernel whose machine loses power at random records or whose disk is full, with a model
 * that fails, answers late and lies, over a world that keeps count. Nothing may be lost, nothing doubled, and the end must be the end of
 * the undisturbed run.
 */
import { describe, expect, test } from "vitest";
import type { CallHandler, EffectClass, Recovery } from "../../src/abi/call.ts";
import type { ModelReply, ModelRequest } from "../../src/abi/model.ts";
import type { ExitStatus, Pid } from "../../src/abi/process.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import type { BlobImage } from "../../src/drivers/store/memory-blobs.ts";
import type { LogImage } from "../../src/drivers/store/memory-log.ts";
import { replay } from "../../src/kernel/replay.ts";
import { prng, type Prng } from "../../src/lib/prng.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok, type Awaitable, type Result } from "../../src/lib/result.ts";
import type { CallPart } from "../../src/abi/message.ts";
import { calls, finish, handler, manifestOf, rig, say, type Rig } from "../kernel/rig.ts";
import { answer } from "../kernel/answer.ts";

/** What effects did to the world: how often each call id really happened. */
class World {
  readonly happened = new Map<string, number>();
  epoch = 0;

  act(id: string): void {
    this.happened.set(id, (this.happened.get(id) ?? 0) + 1);
  }
}

const kinds: readonly { readonly name: string; readonly effect: EffectClass; readonly recovery: Recovery }[] = [
  { name: "w.read", effect: "read", recovery: "pure" },
  { name: "w.large", effect: "read", recovery: "pure" },
  { name: "w.append", effect: "write", recovery: "verify" },
  { name: "w.put", effect: "external", recovery: "idempotent" },
  { name: "w.fails", effect: "read", recovery: "pure" },
];

/** A kernel's hands in the world. After its machine has lost power they do nothing any more. */
function hands(world: World, chance: Prng): readonly CallHandler[] {
  const epoch = world.epoch;
  const alive = (): boolean => world.epoch === epoch;
  return kinds.map(({ name, effect, recovery }) =>
    handler(
      { name, effect, recovery },
      async (args, id) => {
        if (name === "w.fails") return fail("EIO", "as asked");
        if (effect !== "read" && alive() && !(recovery === "idempotent" && world.happened.has(id))) world.act(id);
        for (let hops = chance.below(3); hops > 0; hops -= 1) await Promise.resolve();
        const text = name === "w.large" ? `large ${String(args["n"])} `.repeat(800) : `${name} ${String(args["n"])}`;
        return ok({ value: text });
      },
      recovery !== "verify"
        ? undefined
        : (args: { readonly n?: Json }, context: { readonly id: string }) =>
            world.happened.has(context.id)
              ? { verdict: "happened", value: { value: `${name} ${String(args.n)}` } }
              : { verdict: "did-not-happen" },
    ),
  );
}

/** A model that decides by its seed and step alone: the same program, with the same lies, whenever it is asked. */
function reply(seed: number, step: number, steps: number): ModelReply {
  if (step >= steps) return step % 2 === 0 ? finish({ seed, steps }) : say(`finished ${seed}`);
  const chance = prng(seed * 1_000 + step);
  const count = 1 + chance.below(3);
  const honest = calls(
    ...Array.from({ length: count }, () => [chance.pick(kinds).name, { n: chance.below(1_000_000) }] as const),
  );
  return chance.chance(0.2) ? lie(honest, chance) : honest;
}

/** What real models do: report no tokens, call what is not there, repeat ids, send arguments that are no object, stop with the wrong word. */
function lie(honest: ModelReply, chance: Prng): ModelReply {
  const nothing = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
  const parts = (change: Partial<CallPart>): ModelReply => ({
    ...honest,
    parts: honest.parts.map((part) => (part.type === "call" ? { ...part, ...change } : part)),
  });
  return chance.pick([
    () => ({ ...honest, usage: nothing }),
    () => ({ ...honest, stop: "end" as const }),
    () => parts({ name: "w.nowhere" }),
    () => parts({ id: "same" }),
    () => parts({ args: "not an object" }),
    () => parts({ args: { n: { n: { n: [[[["deep"]]]] } } } }),
  ])();
}

interface Plan {
  readonly seed: number;
  readonly agents: number;
  readonly steps: number;
  readonly windowTokens: number;
}

/** What ends a life of the machine early. */
interface Fault {
  readonly fault: "power" | "disk" | "none";
  readonly record: number;
}

interface Images {
  readonly log: LogImage;
  readonly blobs: BlobImage;
}

interface Ended {
  readonly exits: readonly Exit[];
  readonly turns: number;
  readonly records: number;
  readonly images: Images;
}

interface Exit {
  readonly pid: Pid;
  readonly status: ExitStatus | null;
  readonly digest: string | null;
}

/** One life of the machine: until every process has ended, or until the power goes at record `cutAt`. */
async function live(plan: Plan, world: World, left: Images | null, cutAt: Fault, chance: Prng): Promise<Ended | Images> {
  world.epoch += 1;
  const machine = rig({
    handlers: hands(world, chance),
    windowTokens: plan.windowTokens,
    remote: plan.seed % 2 === 0,
    script: (request, step) => thought(plan, goalOf(request), step, chance),
    log: { ...(left === null ? {} : { image: left.log }), ...(cutAt.fault === "disk" ? { failWrite: cutAt.record } : {}) },
    ...(left === null ? {} : { blobs: { image: left.blobs } }),
  });
  answerWhatParks(machine);
  const cut = new Promise<Images>((resolve) => {
    let records = 0;
    machine.kernel.on(() => {
      records += 1;
      if (cutAt.fault !== "power" || records !== cutAt.record) return;
      world.epoch += 1;
      resolve({ log: machine.log.crash(() => chance.unit()), blobs: machine.blobs.crash(() => chance.unit()) });
    });
  });
  const { table } = machine.kernel.recorder;
  while (table.nextPid <= plan.agents) {
    const goal = plan.seed * 100 + table.nextPid;
    const spawned = machine.kernel.spawn({ manifest: manifestOf({ name: "agent" }), goal, parent: 0, call: null });
    if (!spawned.ok) break;
  }
  const ended = Promise.all([...table.procs.keys()].map(async (pid) => await machine.kernel.wait(pid))).then(() => null);
  const lost = await Promise.race([cut, ended]);
  if (lost !== null) return lost;
  await machine.kernel.close();
  expect(machine.kernel.panicked).toBeNull();
  if (machine.kernel.recorder.failure === null) return endOf(machine);
  world.epoch += 1;
  expect(machine.kernel.recorder.failure.errno).toBe("ENOSPC");
  return { log: machine.log.crash(() => chance.unit()), blobs: machine.blobs.crash(() => chance.unit()) };
}

function endOf(machine: Rig): Ended {
  const procs = [...machine.kernel.recorder.table.procs.values()];
  const proof = replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null });
  expect(proof.ok && proof.value.findings).toEqual([]);
  expect(proof.ok && proof.value.proved).toBe(procs.length);
  return {
    exits: procs.map(({ pid, exit, exitDigest }) => ({ pid, status: exit, digest: exitDigest })),
    turns: procs.reduce((sum, proc) => sum + proc.step, 0),
    records: machine.log.next,
    images: { log: machine.log.crash(() => 0.999), blobs: machine.blobs.crash(() => 0) },
  };
}

/** A remote model is slow and fails now and then; the in-process one answers at once. */
async function slow(answer: Result<ModelReply, SysError>, hops: number): Promise<Result<ModelReply, SysError>> {
  for (let hop = 0; hop < hops; hop += 1) await Promise.resolve();
  return answer;
}

function thought(plan: Plan, goal: number, step: number, chance: Prng): Awaitable<Result<ModelReply, SysError>> {
  const answer = ok(reply(goal, step, plan.steps));
  if (plan.seed % 2 !== 0) return answer;
  const failed = chance.chance(0.05)
    ? fail(chance.pick(["EIO", "EAGAIN", "ETIMEDOUT", "EPROTO"] as const), "as real providers do")
    : answer;
  return slow(failed, chance.below(4));
}

/** The person of the simulation says yes to whatever waits, a little later. */
function answerWhatParks(machine: Rig): void {
  const yes = (pid: Pid): void => {
    setImmediate(() => answer(machine.kernel, pid));
  };
  machine.kernel.on((entry) => {
    if (entry.kind === "park") yes(entry.pid);
  });
  for (const proc of machine.kernel.recorder.table.procs.values()) if (proc.state === "parked") yes(proc.pid);
}

function goalOf(request: ModelRequest): number {
  const part = request.messages[0]?.parts[0];
  return part?.type === "text" ? Number(part.text) : 0;
}

/** Live and lose power until the programs have ended. */
async function survive(plan: Plan, world: World, chance: Prng, cuts: readonly Fault[]): Promise<Ended> {
  let left: Images | null = null;
  for (const cutAt of [...cuts, { fault: "none", record: 0 } as const]) {
    const life: Ended | Images = await live(plan, world, left, cutAt, chance);
    if ("exits" in life) return life;
    left = life;
  }
  throw new Error("a life without a power cut ends");
}

function planOf(seed: number): Plan {
  const chance = prng(seed);
  return { seed, agents: 1 + chance.below(4), steps: 3 + chance.below(20), windowTokens: chance.chance(0.5) ? 100_000 : 9_000 };
}

/** Of each effect exactly one took place, in whichever life. */
function once(world: World): void {
  for (const [id, times] of world.happened) expect(times, `effect ${id}`).toBe(1);
}

const turnsWanted = Number(process.env["SIM_TURNS"] ?? 100_000);

describe("whole-kernel simulation", () => {
  test(`KRN-9.1 through power cuts, full disks, failing and lying models nothing is lost and nothing doubled (${turnsWanted} turns)`, async () => {
    let turns = 0;
    for (let seed = 1; turns < turnsWanted; seed += 1) {
      const plan = planOf(seed);
      const calm = new World();
      const undisturbed = await survive(plan, calm, prng(seed), []);
      once(calm);
      const stormy = new World();
      const chance = prng(seed + 1);
      const cuts = Array.from({ length: 1 + chance.below(4) }, (): Fault => {
        return { fault: chance.chance(0.25) ? "disk" : "power", record: 1 + chance.below(undisturbed.records) };
      });
      const survived = await survive(plan, stormy, chance, cuts);
      expect(survived.exits, `seed ${seed}, ${JSON.stringify(cuts)}`).toEqual(undisturbed.exits);
      expect([...stormy.happened.keys()].toSorted(), `seed ${seed}`).toEqual([...calm.happened.keys()].toSorted());
      once(stormy);
      turns += undisturbed.turns + survived.turns;
    }
  }, 240_000);

  test("KRN-9.1 a power cut at every single record of a program changes nothing", async () => {
    const plan: Plan = { seed: 8, agents: 2, steps: 12, windowTokens: 9_000 };
    const undisturbed = await survive(plan, new World(), prng(8), []);
    for (let cutAt = 1; cutAt <= undisturbed.records; cutAt += 1) {
      const world = new World();
      const survived = await survive(plan, world, prng(cutAt), [{ fault: "power", record: cutAt }]);
      expect(survived.exits, `cut at ${cutAt}`).toEqual(undisturbed.exits);
      once(world);
    }
  });
});
