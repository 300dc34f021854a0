/** Trial: one seed's machine through all its lives, and what must be true of the whole. */
import type { ExitStatus } from "../../src/abi/process.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { replay, replayBody } from "../../src/kernel/replay.ts";
import type { Digest } from "../../src/lib/hash.ts";
import { prng, type Prng } from "../../src/lib/prng.ts";
import { programBody } from "./body.ts";
import { commitsIn } from "./commits.ts";
import type { DiskImage } from "./disk.ts";
import type { Ledger } from "./ledger.ts";
import { Broken, Life, type Fate, type Machine } from "./life.ts";
import { once, planOf, writes, type Plan } from "./plan.ts";
import { World } from "./world.ts";

const effectful = [...writes, ...once] as const;

/** How a program's processes ended, by goal; its effects by goal and call. */
export interface Outcome {
  readonly ends: ReadonlyMap<string, { readonly pid: number; readonly status: ExitStatus; readonly digest: Digest }>;
  readonly effects: readonly string[];
  /** Model turns and calls of bodies that the log holds at the end. */
  readonly steps: number;
  readonly events: number;
  readonly head: Digest;
  readonly met: ReadonlySet<string>;
}

/** Lives until everything has ended; the last one is undisturbed. */
export async function survive(plan: Plan, chance: Prng, fates: readonly Fate[], meddling: number): Promise<Outcome> {
  const machine: Machine = {
    plan,
    world: new World(),
    chance,
    clock: new FakeClock(1_000_000),
    relied: -1,
    ends: new Map(),
    meddling,
    met: new Set(),
  };
  let image: DiskImage | null = null;
  for (const fate of [...fates, { fate: "old age" } as const]) {
    machine.met.add(fate.fate);
    /** Between two kernels time passes, and counts for nobody. */
    machine.clock.advance(chance.below(5_000));
    const life: Life = new Life(machine, image, fate);
    const left = await life.run();
    image = left.image;
    if (left.ended) return await outcomeOf(machine, life);
  }
  throw new Broken("a life that nothing disturbs ends");
}

async function outcomeOf(machine: Machine, life: Life): Promise<Outcome> {
  const { disk, ledger, kernel } = life;
  const ends = [...ledger.accounts.values()].map(({ pid, goals, exit }) => {
    if (exit === null) throw new Broken(`process ${pid} has not ended`);
    return [goals[0] ?? "", { pid, status: exit.status, digest: exit.digest }] as const;
  });
  await replayed(machine, life);
  return {
    ends: new Map(ends),
    effects: effectsOf(machine, ledger),
    steps: [...kernel.recorder.table.procs.values()].reduce((sum, proc) => sum + proc.step, 0),
    events: life.events,
    head: disk.log.head,
    met: machine.met,
  };
}

/** The log proves every end, and one of its bodies makes the same calls again. */
async function replayed({ plan, chance }: Machine, { disk, ledger }: Life): Promise<void> {
  const stores = { log: disk.log, blobs: disk.blobs, until: null };
  const proof = replay({ ...stores, pid: null });
  if (!proof.ok) throw new Broken(proof.error.message);
  if (proof.value.findings.length > 0) throw new Broken(JSON.stringify(proof.value.findings));
  if (proof.value.proved < ledger.accounts.size) throw new Broken("not every end was proved by the replay");
  const bodies = [...ledger.accounts.values()].filter(
    ({ manifest, exit }) => manifest.kind === "body" && exit?.status.ok === true,
  );
  if (bodies.length === 0) return;
  const { pid } = chance.pick(bodies);
  const again = await replayBody({ ...stores, pid, body: programBody(plan, (of) => ledger.callsOf(of)) });
  if (!again.ok || again.value.length > 0)
    throw new Broken(`the body of process ${pid} replays otherwise: ${JSON.stringify(again)}`);
}

/** What was done to the world: everything once, everything by a call of the log, and everything that the log says was done. */
function effectsOf({ world }: Machine, ledger: Ledger): readonly string[] {
  const effects: string[] = [];
  for (const [id, names] of world.happened) {
    if (names.length > 1) throw new Broken(`${names[0]} ${id} happened ${names.length} times`);
    if (!ledger.calls.has(id)) throw new Broken(`${names[0]} ${id} happened and is not in the log`);
    effects.push(`${names[0]} ${ledger.nameOf(id)}`);
  }
  for (const id of commitsIn(world.workspace)) effects.push(`w.commit ${ledger.nameOf(id)}`);
  for (const [id, { name, done }] of ledger.calls) {
    const isEffect = (effectful as readonly string[]).includes(name);
    if (done && isEffect && !world.happened.has(id) && !world.workspace.has(`${id}/0`))
      throw new Broken(`${name} ${id} is said to be done, and is not`);
  }
  return effects.toSorted();
}

/** What happens to a seed's machine: how long it was undisturbed says how far the cuts may lie. */
export function fatesOf(chance: Prng, events: number, wild: boolean): readonly Fate[] {
  return Array.from({ length: 1 + chance.below(4) }, (): Fate => {
    /** Early: while the kernel recovers. */
    const at = chance.chance(0.2) ? 1 + chance.below(12) : 1 + chance.below(events);
    const roll = chance.below(21);
    if (roll === 20) return wild && chance.chance(0.7) ? { fate: "bare", at } : { fate: "aside" };
    if (roll < 11) return { fate: "power", at };
    if (roll < 14) return { fate: "kill", at };
    if (roll < 16) return { fate: "leave", at };
    return roll < 18 ? { fate: "full", records: 1 + chance.below(events) } : { fate: "full", blobs: chance.below(12) };
  });
}

/** One seed, calm and stormy. A steady plan must end alike in both. Gives the steps it took, and what was met. */
export async function trial(seed: number): Promise<Pick<Outcome, "steps" | "met">> {
  const plan = planOf(seed);
  try {
    const calm = await survive(plan, prng(seed), [], 0);
    const chance = prng(seed ^ 0x5151_5151);
    const fates = fatesOf(chance, calm.events, plan.wild);
    const storm = await survive(plan, chance, fates, chance.pick([0, 0.01, 0.05]));
    if (!plan.wild && !isTorn(calm) && !isTorn(storm)) compare(calm, storm);
    return { steps: calm.steps + storm.steps, met: storm.met };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${why}; SIM_SEED=${seed} npx vitest run test/sim runs it alone`, { cause: error });
  }
}

/**
 * Whether a process ended with its parent. Also in a steady plan a parent can end before its children, when a model's reply asks for more at once than
 * its window holds; how far they had come by then is a matter of time.
 */
function isTorn({ ends }: Outcome): boolean {
  return [...ends.values()].some(({ status }) => !status.ok && status.error.message.endsWith("its parent, ended"));
}

function compare(calm: Outcome, storm: Outcome): void {
  const differs = (what: string, a: unknown, b: unknown): void => {
    if (JSON.stringify(a) !== JSON.stringify(b))
      throw new Broken(`${what} without disturbance ${JSON.stringify(a)}, and with it ${JSON.stringify(b)}`);
  };
  const goals = (outcome: Outcome): readonly string[] => [...outcome.ends.keys()].toSorted();
  differs("processes", goals(calm), goals(storm));
  differs("effects", calm.effects, storm.effects);
  for (const [goal, end] of calm.ends) differs(`the end of ${goal}`, end.status, storm.ends.get(goal)?.status);
  const samePids = [...calm.ends].every(([goal, { pid }]) => storm.ends.get(goal)?.pid === pid);
  /** What a person said and did stands in the digest: raised limits, other weights, a refusal where they said that a call had been made. */
  const said = ["park budget", "park uncertain", "park stopped", "weight"].some(
    (what) => calm.met.has(what) || storm.met.has(what),
  );
  if (!samePids || said) return;
  /** What a group has spent in dollars depends, in the last bit, on the order in which those below it spent. */
  const alone = [...calm.ends].filter(
    ([goal]) => ![...calm.ends.keys()].some((other) => other.startsWith(`${goal}.`) || other.startsWith(`${goal}x`)),
  );
  for (const [goal, end] of alone) differs(`the digest of ${goal}`, end.digest, storm.ends.get(goal)?.digest);
}
