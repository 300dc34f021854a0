/** Rig: a whole kernel on real in-memory drivers, with a scripted model and a fake clock. */
import type { CallHandler, CallSpec } from "../../src/abi/call.ts";
import type { ModelDriver, ModelReply, ModelRequest } from "../../src/abi/model.ts";
import type { Decision, PolicyEngine, PolicyRequest } from "../../src/abi/policy.ts";
import type { ExitStatus, Manifest, Pid } from "../../src/abi/process.ts";
import type { Part } from "../../src/abi/message.ts";
import type { SysError } from "../../src/abi/errno.ts";
import type { Body } from "../../src/abi/sys.ts";
import { noLimits } from "../../src/abi/budget.ts";
import { cost } from "../../src/drivers/model/prices.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { openMemoryBlobs, type MemoryBlobs, type MemoryBlobsOptions } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog, type MemoryLog, type MemoryLogOptions } from "../../src/drivers/store/memory-log.ts";
import { memorySwap } from "../../src/drivers/store/swap.ts";
import { Kernel, type KernelOptions } from "../../src/kernel/kernel.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok, type Awaitable, type Result } from "../../src/lib/result.ts";

export type Script = (request: ModelRequest, step: number) => Awaitable<Result<ModelReply, SysError>>;

export interface RigOptions {
  readonly script?: Script;
  readonly handlers?: readonly CallHandler[];
  readonly bodies?: Readonly<Record<string, Body>>;
  readonly decide?: (request: PolicyRequest) => Decision;
  readonly log?: MemoryLogOptions;
  readonly blobs?: MemoryBlobsOptions;
  readonly windowTokens?: number;
  readonly remote?: boolean;
  readonly clock?: FakeClock;
  readonly preamble?: KernelOptions["preamble"];
  /** Leave the processes of the log where they are. */
  readonly leave?: boolean;
  readonly price?: { inputUsd: number; outputUsd: number; cacheReadUsd: number; cacheWriteUsd: number } | null;
}

export interface Rig {
  readonly kernel: Kernel;
  readonly log: MemoryLog;
  readonly blobs: MemoryBlobs;
  readonly clock: FakeClock;
  readonly resumed: readonly Pid[];
  run(manifest: Partial<Manifest>, goal?: Json): Promise<{ readonly pid: Pid; readonly status: ExitStatus }>;
  spawn(manifest: Partial<Manifest>, goal?: Json): Pid;
}

export function rig(options: RigOptions = {}): Rig {
  const log = openMemoryLog(options.log);
  const blobs = openMemoryBlobs(options.blobs);
  const clock = options.clock ?? new FakeClock(1_000_000);
  const recovered = recoverTable(log, blobs);
  if (!recovered.ok) throw new Error(recovered.error.message);
  const driver = scripted(options.script ?? (() => ok(say("done"))), options.windowTokens ?? 100_000, options.remote ?? false);
  const policy: PolicyEngine = {
    name: "compiled",
    digest: "0",
    decide: options.decide ?? (() => ({ verb: "allow", rules: ["test#1"] })),
    rule: (id) => ({ id, scope: "project", file: "test.cedar", line: 1, text: "", effect: "permit", ask: null, reason: null }),
    explain: (request) => ({
      decision: (options.decide ?? (() => ({ verb: "allow", rules: ["test#1"] }) as const))(request),
      erred: [],
    }),
  };
  const opened = Kernel.open(
    {
      log,
      blobs,
      swap: memorySwap(),
      clock,
      policy,
      handlers: options.handlers ?? [],
      slots: 4,
      cpu: (name) => (name === "none" ? null : { driver, model: name, cost: (usage) => cost(usage, options.price ?? null) }),
      body: (name) => options.bodies?.[name] ?? null,
      defaultCpu: "scripted",
      preamble: options.preamble ?? { workspace: "", own: "" },
    },
    recovered.value.table,
  );
  if (!opened.ok) throw new Error(opened.error.message);
  const kernel = opened.value;
  const { cut } = recovered.value;
  kernel.booted({
    kind: "boot",
    at: clock.now(),
    version: "test",
    digest: "0",
    policy: "0",
    steps: [],
    ...(cut === null ? {} : { cut }),
  });
  const resumed = options.leave === true ? [] : kernel.resume();
  const spawn = (manifest: Partial<Manifest>, goal: Json = "do it"): Pid => {
    const pid = kernel.spawn({ manifest: manifestOf(manifest), goal, parent: 0, call: null });
    if (!pid.ok) throw new Error(pid.error.message);
    return pid.value;
  };
  const run: Rig["run"] = async (manifest, goal) => {
    const pid = spawn(manifest, goal);
    return { pid, status: await kernel.wait(pid) };
  };
  return { kernel, log, blobs, clock, resumed, run, spawn };
}

/** All that was written is there. */
export const all = (): number => 0.999_999;

/** The kernel was killed and the machine lives; the next one starts. */
export function reborn(machine: Rig, options: RigOptions): Rig {
  return rig({ ...options, log: { image: machine.log.crash(all) }, blobs: { image: machine.blobs.crash(() => 0) } });
}

function scripted(script: Script, windowTokens: number, remote: boolean): ModelDriver {
  return {
    name: "scripted",
    remote,
    windowTokens: () => windowTokens,
    think: (request) => script(request, stepOf(request)),
    close: () => {},
  };
}

/** How many turns the model has had, read from its own window. */
export function stepOf(request: ModelRequest): number {
  return request.messages.filter((message) => message.role === "assistant").length;
}

export function manifestOf(part: Partial<Manifest>): Manifest {
  return {
    name: "test",
    version: "1",
    kind: "agent",
    instructions: "Do what the goal says.",
    cpu: null,
    calls: ["*"],
    output: null,
    limits: noLimits,
    windowTokens: null,
    stepsMax: 100,
    outputs: [],
    ...part,
  };
}

const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };

export function say(text: string): ModelReply {
  return { parts: [{ type: "text", text }], stop: "end", usage, model: "scripted" };
}

export function calls(...list: readonly (readonly [name: string, args: Json])[]): ModelReply {
  const parts: Part[] = list.map(([name, args], n) => ({ type: "call", id: `c${n}`, name, args }));
  return { parts, stop: "calls", usage, model: "scripted" };
}

export function finish(value: Json): ModelReply {
  return calls(["task.done", { value }]);
}

export function handler(
  spec: Partial<CallSpec> & Pick<CallSpec, "name">,
  perform: (args: Record<string, Json>, id: string) => Awaitable<Result<{ value: Json }, SysError>>,
  verify?: CallHandler["verify"],
): CallHandler {
  const full: CallSpec = {
    summary: spec.name,
    input: { type: "object" },
    output: {},
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: {},
    ...spec,
  };
  return {
    spec: full,
    perform: (args: Record<string, Json>, context) => perform(args, context.id),
    ...(verify === undefined ? {} : { verify }),
  };
}
