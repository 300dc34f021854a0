/**
 * Kernel: the process table's live side: spawn, wait, signals, answers, recovery, shutdown.
 *   KRN-9.1  At start every process that has not ended is entered again, where the journal says it was.
 *   KRN-9.2  A process is spawned with no more calls than its parent holds and no higher limits.
 *   KRN-9.3  Once the log cannot be written no process acts and every wait ends with the reason.
 *   KRN-9.5  Leaving ends every wait, and waits for nobody who does not listen.
 *   KRN-9.4  A signal is journaled before it acts.
 *   KRN-9.7  Until it is told to resume, a kernel starts no process, whatever it is told about them: what was under way is not known yet.
 *   KRN-9.8  A process that was told to end, and had not when a crash came, ends before anything runs.
 *   KRN-9.6  An answer names the park it answers: one that comes after its question is over is ESTALE, and lands on no other.
 */
import type { CallHandler, CallId } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import type { Answer, Entry } from "../abi/entry.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { Label } from "../abi/label.ts";
import { limits } from "../abi/limits.ts";
import type { Delta } from "../abi/model.ts";
import type { PolicyEngine } from "../abi/policy.ts";
import type { Follows, ExitStatus, Manifest, Pid, ProcessSummary, Signal } from "../abi/process.ts";
import type { BlobDriver, LogDriver, SwapDriver } from "../abi/store.ts";
import type { Body } from "../abi/sys.ts";
import { assert, Panic } from "../lib/assert.ts";
import { tooLarge, type Json } from "../lib/json.ts";
import { done, ok, type Awaitable, type Result } from "../lib/result.ts";
import { Turn } from "../lib/turn.ts";
import { tighten } from "../scheduler/budget.ts";
import { label } from "../security/labels.ts";
import { runAgent } from "./agent.ts";
import { runBody } from "./body.ts";
import { kernelCalls } from "./calls/kernel-calls.ts";
import { callTable, type CallTable } from "./calls.ts";
import { Running, type Core, type Cpu } from "./core.ts";
import { exit } from "./exit.ts";
import { openGuest, type GuestProcess, type Mapping } from "./guest.ts";
import { begun } from "./perform.ts";
import { Halted, Recorder, type EntryListener } from "./recorder.ts";
import { SharedTier } from "./shared-tier.ts";
import { Slots } from "./slots.ts";
import { headTokens, headWriter, placed, type Measured, type WriteHead } from "./spawn.ts";
import { answered, programMissing, superseded } from "./reasons.ts";
import { summaryOf } from "./summary.ts";
import type { Proc, Table } from "./table.ts";
import { toolsFor, type Tools } from "./tools.ts";
import { Trap } from "./trap.ts";
import { atMost, Waiters } from "./waiters.ts";

export interface KernelOptions {
  readonly log: LogDriver;
  readonly blobs: BlobDriver;
  readonly swap: SwapDriver;
  readonly clock: Clock;
  readonly policy: PolicyEngine;
  readonly handlers: readonly CallHandler[];
  /** Model calls to remote CPUs that may run at once. */
  readonly slots: number;
  cpu(name: string): Cpu | null;
  body(name: string): Body | null;
  readonly defaultCpu: string;
  /** What agents are told after their own instructions. Empty when there is nothing. */
  readonly preamble: Readonly<Record<Follows, string>>;
}

export interface SpawnRequest {
  readonly manifest: Manifest;
  readonly goal: Json;
  /** 0 when a person asks. */
  readonly parent: Pid;
  readonly call: CallId | null;
  readonly weight?: number;
  readonly label?: Label;
}

export class Kernel {
  readonly calls: CallTable;
  readonly recorder: Recorder;
  /** Whose turn it is to change the workspace's files; the table knows one unfinished act. */
  readonly filesTurn = new Turn();
  readonly shared: SharedTier;
  readonly #options: KernelOptions;
  readonly #core: Core;
  readonly #running = new Map<Pid, Running>();
  readonly #ends = new Waiters<ExitStatus>();
  readonly #answers = new Waiters<void>();
  readonly #loops = new Set<Promise<void>>();
  readonly #head: WriteHead;
  #panic: Panic | null = null;
  #resumed = false;
  readonly #left = sysError("ECANCELED", "the kernel stopped; the process goes on with the next one");

  /** `table` is the log's fold (recover.ts). Nothing runs before resume(). */
  static open(options: KernelOptions, table: Table): Result<Kernel, SysError> {
    const recorder = new Recorder(table, options.log, options.blobs, options.swap);
    const calls = callTable([...options.handlers, ...kernelCalls(() => kernel)]);
    if (!calls.ok) return calls;
    const kernel = new Kernel(options, recorder, calls.value);
    return ok(kernel);
  }

  private constructor(options: KernelOptions, recorder: Recorder, calls: CallTable) {
    this.#options = options;
    this.recorder = recorder;
    this.calls = calls;
    this.shared = new SharedTier(recorder, options.clock, (work) => this.#writing(work));
    const trap = new Trap(calls, options.policy);
    const tools = new WeakMap<Manifest, Tools>();
    this.#core = {
      recorder,
      calls,
      trap,
      clock: options.clock,
      slots: new Slots(options.slots),
      active: 0,
      stopping: false,
      cpu: (name) => options.cpu(name),
      toolsOf: (manifest) => toolsFor(manifest, calls, trap, tools),
      body: (manifest) => options.body(manifest.instructions),
      onDelta: null,
      exited: (proc) => this.#exited(proc),
      answered: (pid) => this.#answers.wait(pid),
      halt: (error) => this.#halt(error),
    };
    this.#head = headWriter(recorder, (manifest) => this.#core.toolsOf(manifest));
  }

  set onDelta(listen: ((pid: Pid, delta: Delta) => void) | null) {
    this.#core.onDelta = listen;
  }

  /** Journal that a kernel starts, and with what it was measured. */
  booted(entry: Extract<Entry, { kind: "boot" }>): void {
    this.recorder.record(entry);
  }

  /** Enter every process that has not ended. Returns their pids. */
  resume(): readonly Pid[] {
    this.#resumed = true;
    const resumed: Pid[] = [];
    const procs = [...this.recorder.table.procs.values()];
    for (const proc of procs) {
      if (proc.ending !== null && proc.state !== "zombie") this.#writing(() => ok(this.#end(proc)));
    }
    for (const proc of procs) {
      if (proc.state === "zombie") continue;
      resumed.push(proc.pid);
      const running = this.#runningOf(proc);
      const inDoubt = begun(this.#core, proc);
      if (inDoubt.length > 0) running.doubt = new Set(inDoubt.map((call) => call.id));
      /** A body runs to where it was, also one that is parked: its program may be back, and all that it asked for answered. */
      if (proc.state === "ready" || proc.tape !== null) this.#start(proc);
    }
    return resumed;
  }

  spawn(request: SpawnRequest): Result<Pid, SysError> {
    return this.#writing(() => this.#spawn(request));
  }

  #spawn(request: SpawnRequest): Result<Pid, SysError> {
    const { table } = this.recorder;
    const parent = table.procs.get(request.parent);
    if (parent?.state === "zombie") return fail("ECANCELED", `process ${parent.pid} has ended and starts no more children`);
    if (tooLarge(request.goal, limits.argsBytesMax)) return fail("E2BIG", "a goal is at most 1 MiB; put large inputs into files");
    if (table.live >= limits.processesMax)
      return fail("EAGAIN", `there are ${limits.processesMax} processes; wait for some to end`);
    const checked = placed(table, this.#options, request.manifest, parent, parent?.cpu ?? this.#options.defaultCpu);
    if (!checked.ok) return checked;
    const { manifest, ...place } = checked.value;
    if (manifest.kind === "body" && this.#core.body(manifest) === null) {
      return fail("ENOEXEC", `program ${manifest.name} has no body ${JSON.stringify(manifest.instructions)}`);
    }
    const pid = table.nextPid;
    this.recorder.record({
      kind: "spawn",
      at: this.#options.clock.now(),
      pid,
      parent: request.parent,
      call: request.call,
      ...place,
      ...this.#head(manifest, request.goal),
      label: request.label ?? parent?.label ?? label("user", "workspace"),
      session: parent?.session ?? pid,
      weight: Math.min(request.weight ?? parent?.weight ?? 100, parent?.weight ?? Infinity),
    });
    const proc = table.procs.get(pid);
    assert(proc !== undefined, "a spawned process exists");
    this.#start(proc);
    return ok(pid);
  }

  measure(parent: Proc, asked: Manifest, goal: Json): Result<Measured, SysError> {
    const checked = placed(this.recorder.table, this.#options, asked, parent, parent.cpu);
    if (!checked.ok) return checked;
    const { manifest, windowTokensMax: windowTokens } = checked.value;
    return ok({ windowTokens, headTokens: headTokens(manifest, this.#core.toolsOf(manifest).tokens, goal) });
  }

  /** The process goes on as another agent. What stood in its window is gone from it; its label, budget and session stay. */
  exec(pid: Pid, asked: Manifest, goal: Json): Result<void, SysError> {
    const found = this.#live(pid);
    if (!found.ok) return found;
    const proc = found.value;
    if (proc.tape !== null || asked.kind !== "agent")
      return fail("EINVAL", "only an agent can go on as another agent; spawn a child instead");
    /** Whoever waits for this process was promised its contract, and whoever set its limits set them for the process. */
    const kept = { output: proc.manifest.output ?? asked.output, limits: tighten(proc.limits, asked.limits) };
    const checked = placed(this.recorder.table, this.#options, { ...asked, ...kept }, proc, proc.cpu);
    if (!checked.ok) return checked;
    const { manifest, ...place } = checked.value;
    return this.#writing(() => {
      this.recorder.record({ kind: "exec", at: this.#options.clock.now(), pid, ...place, ...this.#head(manifest, goal) });
      return done;
    });
  }

  wait(pid: Pid): Awaitable<ExitStatus> {
    const proc = this.recorder.table.procs.get(pid);
    if (proc === undefined) return { ok: false, error: sysError("ENOENT", `there is no process ${pid}`) };
    if (proc.exit !== null) return proc.exit;
    if (this.#core.stopping) return { ok: false, error: this.recorder.failure ?? this.#left };
    return this.#ends.wait(pid);
  }

  signal(pid: Pid, signal: Signal, by: string): Result<void, SysError> {
    const proc = this.#live(pid);
    if (!proc.ok) return proc;
    return this.#writing(() => {
      this.recorder.record({ kind: "signal", at: this.#options.clock.now(), pid, signal, by });
      this.#act(proc.value, signal, by);
      for (const child of signal === "kill" ? [] : proc.value.children)
        if (this.recorder.table.procs.get(child)?.state !== "zombie") this.signal(child, signal, by);
      return done;
    });
  }

  nice(pid: Pid, weight: number): Result<void, SysError> {
    if (!(weight >= 1 && weight <= 10_000)) return fail("EINVAL", "a weight is a number from 1 to 10000; 100 is the default");
    const proc = this.#live(pid);
    if (!proc.ok) return proc;
    return this.#writing(() => {
      this.recorder.record({ kind: "weight", at: this.#options.clock.now(), pid, weight });
      return done;
    });
  }

  /** The doors' side of a guest; `map` tells which call of the table a tool of its own stands for. */
  guest(pid: Pid, map: Mapping): Result<GuestProcess, SysError> {
    const proc = this.#live(pid);
    return proc.ok ? openGuest(this.#core, proc.value, this.#runningOf(proc.value), map) : proc;
  }

  /** A person answers what a process is parked on. */
  answer(pid: Pid, answer: Answer): Result<void, SysError> {
    return this.#writing(() => this.#answer(pid, answer));
  }

  #answer(pid: Pid, answer: Answer): Result<void, SysError> {
    const found = this.#live(pid);
    if (!found.ok) return found;
    const proc = found.value;
    const reason = proc.park;
    if (reason === null) return fail("ENOENT", `process ${pid} waits for no answer; "daimon approve" lists those that do`);
    if (answer.park !== proc.parks) return superseded(proc, answer.park);
    if (answer.raise !== null && reason.type !== "budget") {
      return fail("EINVAL", `process ${pid} does not wait for a budget, so there is nothing to raise; answer yes or no`);
    }
    const at = this.#options.clock.now();
    this.recorder.record({ kind: "answer", at, pid, ...answer });
    if (reason.type === "question") this.recorder.record(answered(proc, reason.call, answer, at));
    if (proc.ending !== null) this.#end(proc);
    else if (proc.tape === null || this.#runningOf(proc).loop === null) this.#start(proc);
    this.#answers.tell(pid);
    return done;
  }

  processes(): readonly ProcessSummary[] {
    return [...this.recorder.table.procs.values()].map((proc) => summaryOf(this.recorder.table, proc));
  }

  on(listener: EntryListener): () => void {
    return this.recorder.on(listener);
  }

  /** When it stops, and why: told to, or since its log cannot be written or the fault is its own. It is no process, so nothing else ends this wait. */
  stopped(): Promise<ExitStatus> {
    return this.#ends.wait(0);
  }

  /** The error that broke the kernel's own invariants, if one did. */
  get panicked(): Panic | null {
    return this.#panic;
  }

  /** Leave every process where it is; the next kernel goes on. */
  async close(): Promise<Result<void, SysError>> {
    this.#core.stopping = true;
    for (const running of this.#running.values()) running.cancel("the kernel stops");
    this.#answers.tellAll();
    this.#ends.tellAll({ ok: false, error: this.recorder.failure ?? this.#left });
    await atMost(limits.closeTimeoutMs, this.#options.clock, Promise.allSettled(this.#loops));
    return await this.recorder.barrier(false);
  }

  /** A request from outside meets a dead log as an error, not as an exception. */
  #writing<T>(work: () => Result<T, SysError>): Result<T, SysError> {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Halted)) throw error;
      this.#halt(error.error);
      return { ok: false, error: error.error };
    }
  }

  #runningOf(proc: Proc): Running {
    const running = this.#running.get(proc.pid) ?? new Running(proc.pid);
    this.#running.set(proc.pid, running);
    return running;
  }

  #start(proc: Proc): void {
    if (this.#core.stopping || !this.#resumed || proc.manifest.kind === "guest") return;
    const running = this.#runningOf(proc);
    const loop: Promise<void> = this.#loop(proc, running).finally(() => {
      this.#loops.delete(loop);
      if (running.loop === loop) running.loop = null;
    });
    running.loop = loop;
    this.#loops.add(loop);
  }

  async #loop(proc: Proc, running: Running): Promise<void> {
    if (running.loop !== null) await running.loop;
    this.#core.active += 1;
    try {
      if (proc.tape === null) await runAgent(this.#core, proc, running);
      else await this.#runProgram(proc, running);
    } catch (error) {
      this.broke(error);
    } finally {
      this.#core.active -= 1;
    }
    if (proc.state === "parked" && !this.#core.stopping) this.recorder.swapOut(proc);
  }

  /** A program that is gone or changed since is waited for: nothing else may run under its name. */
  async #runProgram(proc: Proc, running: Running): Promise<void> {
    const body = this.#core.body(proc.manifest);
    if (body !== null) return await runBody(this.#core, proc, running, body);
    if (proc.state !== "ready") return;
    const reason = programMissing(proc);
    this.recorder.record({ kind: "park", at: this.#options.clock.now(), pid: proc.pid, reason });
  }

  /** Our own fault: the journal is whole up to here, and a restart goes on from it. */
  broke(error: unknown): void {
    if (error instanceof Halted) return this.#halt(error.error);
    const why = error instanceof Error ? error.message : String(error);
    if (this.#panic === null) this.#panic = error instanceof Panic ? error : new Panic(why, { cause: error });
    this.#halt(sysError("EIO", `the kernel stopped on a fault of its own (${why}); nothing is lost, start again`));
  }

  /** Every wait ends with the reason; the processes themselves stay as the log has them. */
  #halt(error: SysError): void {
    this.#core.stopping = true;
    for (const running of this.#running.values()) running.cancel("the kernel stops");
    this.#ends.tellAll({ ok: false, error });
  }

  #exited(proc: Proc): void {
    assert(proc.exit !== null, "an exited process has a status");
    this.#running.get(proc.pid)?.cancel("the process ended");
    this.#running.delete(proc.pid);
    this.#ends.tell(proc.pid, proc.exit);
    this.#answers.tell(proc.pid);
  }

  #live(pid: Pid): Result<Proc, SysError> {
    const proc = this.recorder.table.procs.get(pid);
    if (proc === undefined) return fail("ENOENT", `there is no process ${pid}; "daimon ps" lists them`);
    if (proc.state === "zombie") return fail("ENOENT", `process ${pid} has ended; "daimon ps --all" shows how`);
    return ok(proc);
  }

  #act(proc: Proc, signal: Signal, by: string): void {
    if (signal === "kill") return this.#end(proc);
    if (signal === "continue") {
      if (proc.tape === null || this.#runningOf(proc).loop === null) this.#start(proc);
      return this.#answers.tell(proc.pid);
    }
    if (proc.state !== "ready") return;
    const question = `${proc.manifest.name} was ${signal === "stop" ? "stopped" : "interrupted"} by ${by}. Go on?`;
    this.recorder.record({ kind: "park", at: this.#options.clock.now(), pid: proc.pid, reason: { type: "stopped", question } });
  }

  #end(proc: Proc): void {
    assert(proc.ending !== null, "who is ended was told to");
    exit(this.#core, proc, { ok: false, error: proc.ending });
  }
}
