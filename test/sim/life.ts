/** Life: a kernel from its boot to the end of its machine's power, of its disk, of its own process, or of its work. */
import type { Entry } from "../../src/abi/entry.ts";
import type { PolicyEngine } from "../../src/abi/policy.ts";
import type { Manifest, Pid } from "../../src/abi/process.ts";
import type { FakeClock } from "../../src/drivers/clock/fake.ts";
import { cost } from "../../src/drivers/model/prices.ts";
import { memorySwap } from "../../src/drivers/store/swap.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { foldInput } from "../../src/kernel/recorder.ts";
import type { Table } from "../../src/kernel/table.ts";
import type { Digest } from "../../src/lib/hash.ts";
import type { Prng } from "../../src/lib/prng.ts";
import { programBody } from "./body.ts";
import { commitCall, finishCommit, partOf } from "./commits.ts";
import { openDisk, type Disk, type DiskImage } from "./disk.ts";
import { simulatedDriver } from "./driver.ts";
import { atCall, atRecord, atThought, sameTable, wholeTable } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { answerSome, meddle, type Person } from "./person.ts";
import type { Plan } from "./plan.ts";
import { decide, hands, never, type Surroundings, type World } from "./world.ts";

/** How a life ends. `at` counts what happens in it: records, touches of the world, pauses. */
export type Fate =
  | { readonly fate: "power" | "kill" | "leave"; readonly at: number }
  | { readonly fate: "full"; readonly records?: number; readonly blobs?: number }
  /** Its programs and its CPUs are not there, and it ends as by `leave`. */
  | { readonly fate: "bare"; readonly at: number }
  /** It leaves the processes where they are, and somebody gives it orders about them. */
  | { readonly fate: "aside" }
  | { readonly fate: "old age" };

/** What is the same in all lives of one machine. */
export interface Machine {
  readonly plan: Plan;
  readonly world: World;
  readonly chance: Prng;
  readonly clock: FakeClock;
  /** Records up to here were relied on: something was done in the world because they are durable. */
  relied: number;
  /** Ends of processes among them: the digest by pid. */
  readonly ends: Map<Pid, Digest>;
  /** How often somebody does what nobody ordered: stops, kills, answers that make no sense. */
  readonly meddling: number;
  /** Kinds of things that were met, so that a simulation of nothing is seen. */
  readonly met: Set<string>;
}

/** An invariant broke, or the kernel did. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export class Life {
  readonly disk: Disk;
  readonly ledger: Ledger;
  readonly kernel: Kernel;
  readonly #machine: Machine;
  readonly #fate: Fate;
  readonly #person: Person;
  readonly #thinks = new Map<Pid, number>();
  readonly #waits = new Map<Pid, "waits" | "told">();
  events = 0;
  #begun = false;
  #closing = false;
  /** What the end of the power left. */
  #lost: DiskImage | null = null;
  #broken: string | null = null;

  constructor(machine: Machine, image: DiskImage | null, fate: Fate) {
    this.#machine = machine;
    this.#fate = fate;
    const { plan, chance, clock, world } = machine;
    this.disk = openDisk({
      image,
      segmentBytesMax: plan.segmentBytesMax,
      pause: plan.slowDisk ? () => this.#pause() : null,
      ...(fate.fate === "full" ? fate : {}),
    });
    const manifests = foldInput(this.disk.blobs);
    this.ledger = new Ledger((digest): Manifest => manifests.manifest(digest));
    const { table, cut } = this.#recovered();
    this.kernel = this.#opened(table);
    this.#person = { plan, chance, kernel: this.kernel, world, ledger: this.ledger };
    this.kernel.on((entry, seq) => this.#recorded(entry, seq));
    const boot = { kind: "boot", at: clock.now(), version: "0", digest: "0", policy: "0", steps: [] } as const;
    this.kernel.booted(cut === null ? boot : { ...boot, cut });
    if (this.#lost === null) this.#begin();
  }

  #recovered(): { readonly table: Table; readonly cut: number | null } {
    const recovered = recoverTable(this.disk.log, this.disk.blobs);
    if (!recovered.ok) throw new Broken(`the log does not recover: ${recovered.error.message}`);
    const { cut } = recovered.value;
    if (cut !== null) this.#meet("a lost payload");
    if (this.disk.log.resumeFrom > 0) this.#meet("a checkpoint to resume from");
    if (Math.min(cut ?? Infinity, this.disk.log.next) <= this.#machine.relied)
      throw new Broken(
        `record ${this.#machine.relied} was relied on, and recovery leaves out those from ${cut ?? this.disk.log.next} on`,
      );
    return recovered.value;
  }

  #opened(table: Table): Kernel {
    const { plan, chance, world, clock } = this.#machine;
    const isBare = this.#fate.fate === "bare";
    const around: Surroundings = {
      chance,
      tick: () => this.#tick(),
      pause: () => this.#pause(),
      keep: (text) => this.disk.blobs.put(text),
      performing: (call) => {
        if (this.#fate.fate === "aside")
          this.#check(`${call.name} is performed by a kernel that leaves its processes where they are`);
        this.#check(atCall(call, this.ledger, this.disk.durable()));
        if (call.effect !== "read") this.#rely(this.ledger.calls.get(call.context.id)?.permit ?? -1);
      },
    };
    const driver = simulatedDriver(plan, this.ledger, around, (pid) => this.#asked(pid));
    const opened = Kernel.open(
      {
        ...this.disk,
        swap: memorySwap(),
        clock,
        policy,
        handlers: [...hands(world, around), commitCall(world.workspace, around, () => this.kernel)],
        slots: plan.slots,
        cpu: (name) => (isBare ? null : { driver, model: name, cost: (usage) => cost(usage, plan.priced ? price : null) }),
        body: () => (isBare ? null : programBody(plan, (pid) => this.ledger.callsOf(pid))),
        defaultCpu: "simulated",
        preamble: { workspace: "", own: "" },
      },
      table,
    );
    if (!opened.ok) throw new Broken(opened.error.message);
    return opened.value;
  }

  /** The ledger reads the log; then the programs go on, and those that were not yet started start. */
  #begin(): void {
    const read = this.ledger.read(this.disk.log, this.disk.blobs);
    if (!read.ok) throw new Broken(`the log does not fold: ${read.error.message}`);
    this.#begun = true;
    this.#check(sameTable(this.kernel.recorder, read.value, this.ledger));
    for (const [pid, digest] of this.#machine.ends) {
      if (this.ledger.accounts.get(pid)?.exit?.digest !== digest)
        this.#check(`the end of process ${pid} was durable and is lost`);
    }
    finishCommit(this.#machine.world.workspace, this.kernel.recorder);
    this.#check(partOf(this.#machine.world.workspace, this.kernel.recorder));
    if (this.#fate.fate === "aside") return;
    this.kernel.resume();
    for (const { goal, manifest } of this.#machine.plan.roots) {
      if (this.ledger.pidOf(goal) === null) this.kernel.spawn({ manifest, goal, parent: 0, call: null });
    }
  }

  #asked(pid: Pid): void {
    const proc = this.kernel.recorder.table.procs.get(pid);
    const { plan, clock } = this.#machine;
    const intentAt = plan.remote ? (this.#thinks.get(pid) ?? Infinity) : null;
    const [tokens, tokensMax] = [proc?.windowTokens ?? 0, proc?.windowTokensMax ?? 0];
    if (this.#fate.fate === "aside") this.#check("a kernel that leaves its processes where they are thinks");
    this.#check(atThought({ pid, now: clock.now(), intentAt, tokens, tokensMax }, this.ledger, this.disk.durable()));
    this.#rely(intentAt ?? -1);
  }

  /** Until the machine stops or everything has ended. Whether it has, and what is left. */
  async run(): Promise<{ readonly ended: boolean; readonly image: DiskImage }> {
    const { chance, clock } = this.#machine;
    const fate = this.#fate;
    let [idle, before] = [0, 0];
    while (this.#lost === null && !this.#isOver()) {
      idle = before === this.events ? idle + 1 : 0;
      before = this.events;
      if (idle > patience) throw new Broken(`nothing happens any more: ${this.#standing()}`);
      await new Promise(setImmediate);
      if (this.#broken !== null) throw new Broken(this.#broken);
      if (this.#lost !== null) break;
      clock.advance(chance.below(40));
      this.#guarded(() => answerSome(this.#person));
      if (chance.chance(0.005)) this.#look();
      this.#waitForSome();
      if (fate.fate === "aside" || (fate.fate === "bare" && idle > 5)) break;
      if ((fate.fate === "leave" || fate.fate === "bare") && this.events >= fate.at) break;
    }
    if (this.#lost === null) await this.#close();
    const ended = this.#lost === null && this.#isOver() && this.kernel.recorder.failure === null;
    if (this.#broken !== null) throw new Broken(this.#broken);
    const image = this.#lost ?? (this.kernel.recorder.failure === null ? this.disk.kill() : this.disk.cut(() => chance.unit()));
    /** The kernel's operating system process ends: whoever is still at work in it does no more. */
    this.#lost = image;
    for (const { pid, exit } of this.ledger.accounts.values()) {
      if (exit !== null && exit.seq <= this.#machine.relied) this.#machine.ends.set(pid, exit.digest);
    }
    return { ended, image };
  }

  #isOver(): boolean {
    if (this.kernel.recorder.failure !== null || this.kernel.panicked !== null) return true;
    return this.ledger.accounts.size > 0 && [...this.ledger.accounts.values()].every(({ exit }) => exit !== null);
  }

  async #close(): Promise<void> {
    const { clock } = this.#machine;
    if (this.kernel.panicked !== null) this.#check(`the kernel broke: ${this.kernel.panicked.message}`);
    let closed = false;
    this.#closing = true;
    const closing = this.kernel.close().then(() => (closed = true));
    for (let ticks = 0; !closed && this.#lost === null && ticks < patience; ticks += 1) {
      await new Promise(setImmediate);
      if (ticks > 10) clock.advance(10_000);
    }
    if (this.#lost !== null) return;
    if (!closed) throw new Broken("the kernel does not close");
    await closing;
    await new Promise(setImmediate);
    for (const [pid, how] of this.#waits)
      if (how === "waits") this.#check(`the wait for process ${pid} does not end with its kernel`);
    if (this.kernel.recorder.failure !== null) return;
    if (this.#machine.chance.chance(0.3)) this.#look();
    this.#rely(this.disk.log.next - 1);
  }

  /** Another thing happens; false when the power is off. */
  #tick(): boolean {
    if (this.#lost !== null) return false;
    this.events += 1;
    const { chance, meddling } = this.#machine;
    const fate = this.#fate;
    if ((fate.fate === "power" || fate.fate === "kill") && this.events >= fate.at) {
      if (this.#begun && chance.chance(0.5)) this.#look();
      this.#lost = fate.fate === "power" ? this.disk.cut(() => chance.unit()) : this.disk.kill();
      return false;
    }
    if (this.#begun && chance.chance(meddling)) queueMicrotask(() => this.#guarded(() => meddle(this.#person)));
    return true;
  }

  /** A while, as things take. */
  async #pause(): Promise<void> {
    const { chance } = this.#machine;
    if (chance.chance(0.3)) for (let ticks = 1 + chance.below(3); ticks > 0; ticks -= 1) await new Promise(setImmediate);
    else for (let hops = chance.below(6); hops > 0; hops -= 1) await Promise.resolve();
    if (!this.#tick()) await never();
  }

  #recorded(entry: Entry, seq: number): void {
    if (this.#lost !== null) return;
    this.ledger.note(entry, seq);
    this.#meet(
      entry.kind === "park" ? `park ${entry.reason.type}` : entry.kind === "signal" ? `signal ${entry.signal}` : entry.kind,
    );
    if (entry.kind === "think") this.#thinks.set(entry.pid, seq);
    if (this.#begun) this.#check(atRecord(entry, this.ledger));
    this.#tick();
  }

  #waitForSome(): void {
    const { chance } = this.#machine;
    const pid = 1 + chance.below(Math.max(1, this.ledger.accounts.size));
    if (this.#waits.has(pid) || !this.ledger.accounts.has(pid)) return;
    this.#waits.set(pid, "waits");
    void Promise.resolve(this.kernel.wait(pid)).then((status) => {
      this.#waits.set(pid, "told");
      const exit = this.ledger.accounts.get(pid)?.exit ?? null;
      const left = !status.ok && (this.#closing || this.kernel.recorder.failure !== null);
      if (!left && JSON.stringify(exit?.status) !== JSON.stringify(status))
        this.#check(`who waited for process ${pid} was told of another end`);
    });
  }

  #look(): void {
    if (this.disk.failed()) return;
    this.#check(wholeTable(this.kernel.recorder, this.disk.log, this.disk.blobs, this.ledger));
  }

  #guarded(work: () => void): void {
    if (this.#lost !== null) return;
    try {
      work();
    } catch (error) {
      this.#check(`the kernel threw ${String(error)}`);
    }
  }

  #rely(seq: number): void {
    if (this.#lost === null) this.#machine.relied = Math.max(this.#machine.relied, seq);
  }

  #check(finding: string | null): void {
    if (finding !== null && this.#lost === null) this.#broken ??= `${finding} (at event ${this.events})`;
  }

  #meet(what: string): void {
    this.#machine.met.add(what);
  }

  #standing(): string {
    const rows = this.kernel.processes().filter(({ state }) => state !== "zombie");
    return rows.map(({ pid, kind, state, park }) => `${pid} ${kind} ${state} ${park?.type ?? ""}`).join(", ");
  }
}

/** Turns of the event loop in which nothing happens before something has gone wrong. */
const patience = 60;

const price = { inputUsd: 3, outputUsd: 15, cacheReadUsd: 0.3, cacheWriteUsd: 3.75 };

const policy: PolicyEngine = {
  name: "compiled",
  digest: "0",
  decide,
  rule: (id) => ({
    id,
    scope: "project",
    file: "simulation.cedar",
    line: 1,
    text: "",
    effect: "permit",
    ask: null,
    reason: null,
  }),
  explain: (request) => ({ decision: decide(request), erred: [] }),
};
