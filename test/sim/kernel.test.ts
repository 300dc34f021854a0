/**
 * Whole-kernel simulation: random programs on a kernel whose machine loses power at random records, over a world that keeps count.
 * Nothing may be lost, nothing doubled, and the end must be the end of the undisturbed run.
 */
import { describe, expect, test } from "vitest";
import type { CallHandler, EffectClass, Recovery } from "../../src/abi/call.ts";
import type { ModelReply, ModelRequest } from "../../src/abi/model.ts";
import type { ExitStatus, Pid } from "../../src/abi/process.ts";
import { fail } from "../../src/abi/errno.ts";
import type { BlobImage } from "../../src/drivers/store/memory-blobs.ts";
import type { LogImage } from "../../src/drivers/store/memory-log.ts";
import { replay } from "../../src/kernel/replay.ts";
import { prng, type Prng } from "../../src/lib/prng.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, manifestOf, rig, say, type Rig } from "../kernel/rig.ts";

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

/** A model that decides by its seed and step alone: the same program whenever it is asked. */
function reply(seed: number, step: number, steps: number): ModelReply {
  if (step >= steps) return step % 2 === 0 ? finish({ seed, steps }) : say(`finished ${seed}`);
  const chance = prng(seed * 1_000 + step);
  const count = 1 + chance.below(3);
  return calls(...Array.from({ length: count }, () => [chance.pick(kinds).name, { n: chance.below(1_000_000) }] as const));
}

interface Outcome {
  readonly status: ExitStatus;
  readonly digest: string | null;
}

interface Run {
  readonly outcomes: ReadonlyMap<Pid, Outcome>;
  readonly turns: number;
  readonly records: number;
  readonly log: LogImage;
  readonly blobs: BlobImage;
}

interface Plan {
  readonly seed: number;
  readonly agents: number;
  readonly steps: number;
  readonly windowTokens: number;
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
async function live(plan: Plan, world: World, left: Images | null, cutAt: number, chance: Prng): Promise<Ended | Images> {
  world.epoch += 1;
  const machine = rig({
    handlers: hands(world, chance),
    windowTokens: plan.windowTokens,
    remote: plan.seed % 2 === 0,
    script: (request, step) => ok(reply(goalOf(request), step, plan.steps)),
    ...(left === null ? {} : { log: { image: left.log }, blobs: { image: left.blobs } }),
  });
  const cut = new Promise<Images>((resolve) => {
    let records = 0;
    machine.kernel.on(() => {
      records += 1;
      if (records !== cutAt) return;
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
  const ended = Promise.all([...table.procs.keys()].map((pid) => machine.kernel.wait(pid))).then(() => null);
  const lost = await Promise.race([cut, ended]);
  if (lost !== null) return lost;
  await machine.kernel.close();
  expect(machine.kernel.panicked).toBeNull();
  return endOf(machine);
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

function goalOf(request: ModelRequest): number {
  const part = request.messages[0]?.parts[0];
  return part?.type === "text" ? Number(part.text) : 0;
}

/** Live and lose power until the programs have ended. */
async function survive(plan: Plan, world: World, chance: Prng, cuts: readonly number[]): Promise<Ended> {
  let left: Images | null = null;
  for (const cutAt of [...cuts, Infinity]) {
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
  test(`KRN-9.1 through random power cuts nothing is lost and nothing doubled (${turnsWanted} turns)`, async () => {
    let turns = 0;
    for (let seed = 1; turns < turnsWanted; seed += 1) {
      const plan = planOf(seed);
      const calm = new World();
      const undisturbed = await survive(plan, calm, prng(seed), []);
      once(calm);
      const stormy = new World();
      const chance = prng(seed + 1);
      const cuts = Array.from({ length: 1 + chance.below(4) }, () => 1 + chance.below(undisturbed.records));
      const survived = await survive(plan, stormy, chance, cuts);
      expect(survived.exits, `seed ${seed}, cuts ${cuts.join(" ")}`).toEqual(undisturbed.exits);
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
      const survived = await survive(plan, world, prng(cutAt), [cutAt]);
      expect(survived.exits, `cut at ${cutAt}`).toEqual(undisturbed.exits);
      once(world);
    }
  });
});
