/**
 * Boot: bring a workspace up. The one place where drivers meet the kernel.
 * Load order: layout · provenance · lock · log and blobs · trust · configuration · calls · policies · instructions · CPUs · programs · kernel.
 *   BOO-1.1  Each step is measured; the same inputs give the same boot digest; it is journaled before any process runs.
 *   BOO-1.2  A step that fails refuses the boot, leaves nothing half done, and gives the lock back.
 *   BOO-1.3  A second kernel on a workspace is refused with EBUSY.
 *   BOO-1.4  Processes that had not ended go on where they were.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { Clock } from "../abi/clock.ts";
import type { BootStep } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import type { CallHandler } from "../abi/call.ts";
import type { PolicyEngine } from "../abi/policy.ts";
import type { Pid } from "../abi/process.ts";
import type { SandboxDriver } from "../abi/sandbox.ts";
import type { BlobDriver, LogDriver } from "../abi/store.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { openOutside, type OutsideOptions } from "../drivers/net/outside.ts";
import { bwrapSandbox } from "../drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { fileSwap } from "../drivers/store/swap.ts";
import { Kernel } from "../kernel/kernel.ts";
import { recoverTable, type Recovered } from "../kernel/recover.ts";
import type { Table } from "../kernel/table.ts";
import { specs as kernelSpecs } from "../kernel/calls/specs.ts";
import { loadConfig, type Config } from "./config.ts";
import { readConfigSources } from "./config-read.ts";
import { serveControl } from "./control.ts";
import { openCpus, type Cpus } from "./cpus.ts";
import { modelDoorOpener, netDoorOpener } from "./doors.ts";
import { endAllLost, openGuests, type Guests } from "./guests.ts";
import type { OpenModelDoor } from "./model-door.ts";
import { connectServers, type Servers } from "./servers.ts";
import { loadInstructions, preambles, type Instruction } from "./instructions.ts";
import { findRoot, layoutOf, type Layout, type Surroundings } from "./layout.ts";
import { acquireLock, readIdentity } from "./lock.ts";
import { bootStep, measureBoot } from "./measure.ts";
import { loadPolicies, type LoadedPolicies } from "./policies.ts";
import { openPrograms, type Programs } from "./programs.ts";
import { openWorkspace } from "./provenance.ts";
import { openSessions, type Sessions } from "./sessions.ts";
import { openStores, type Stores } from "./stores.ts";
import { readTrust } from "./trust.ts";
import { filesDeps, worldCalls, type Running } from "./world-calls.ts";
import { finishFiles, type FilesDeps } from "./workspace-files.ts";
import { version } from "./version.ts";

export interface BootOptions {
  readonly world: Surroundings;
  readonly clock: Clock;
  /** Overrides the configuration; null takes what it says. */
  readonly cpu: string | null;
  readonly policyEngine: "compiled" | "cedar";
  /** `leave` starts no process: for a command that does something beside them. They go on when absent. */
  readonly processes?: "resume" | "leave";
  /** A guest comes as soon as the machine is up: the sandbox is got ready meanwhile. */
  readonly guestComes?: boolean;
  /** How guests reach the network; the system's names, and public addresses alone, when absent. */
  readonly outside?: Omit<OutsideOptions, "clock">;
}

export interface Machine {
  readonly layout: Layout;
  readonly config: Config;
  readonly kernel: Kernel;
  readonly policy: PolicyEngine;
  readonly cpus: Cpus;
  readonly programs: Programs;
  readonly sessions: Sessions;
  readonly guests: Guests;
  readonly servers: Servers;
  /** Opened when somebody first needs it. */
  readonly modelDoor: () => Promise<Result<OpenModelDoor, SysError>>;
  readonly instructions: readonly Instruction[];
  readonly log: LogDriver;
  readonly blobs: BlobDriver;
  readonly digest: string;
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
  readonly resumed: readonly Pid[];
  close(): Promise<void>;
}

/** What must be given back at the end or when a later step fails, newest last. */
type Undo = (() => unknown)[];

export async function boot(options: BootOptions): Promise<Result<Machine, SysError>> {
  const undo: Undo = [];
  try {
    const booted = await assemble(options, undo);
    if (!booted.ok) await unwind(undo);
    return booted;
  } catch (error) {
    // A fault of our own: the workspace must be free for the next try all the same.
    await unwind(undo);
    throw error;
  }
}

/** Gives everything back once, also when one of the steps fails; the first failure is told at the end. */
async function unwind(undo: Undo): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).toReversed()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

async function assemble(options: BootOptions, undo: Undo): Promise<Result<Machine, SysError>> {
  const { world, clock } = options;
  const layout = layoutOf(findRoot(world.cwd), world);
  const workspace = openWorkspace(layout, clock.now());
  if (!workspace.ok) return workspace;
  const locked = await acquireLock(layout.lock, readIdentity(process.pid), clock, () => randomBytes(4).toString("hex"));
  if (!locked.ok) return locked;
  undo.push(() => locked.value.release());
  const helper = new ZygoteClient();
  undo.push(() => helper.close());
  const sandbox = bwrapSandbox({ helper });
  if (options.guestComes === true) void sandbox.available();
  const stores = openStores(layout, clock);
  if (!stores.ok) return stores;
  undo.push(() => stores.value.log.close());
  const recovered = recoverTable(stores.value.log, stores.value.blobs);
  if (!recovered.ok) return recovered;
  const inputs = await loadInputs(layout, recovered.value.table);
  if (!inputs.ok) return inputs;
  const running: { now: Running | null } = { now: null };
  const parts = await gatherParts({
    options,
    layout,
    helper,
    sandbox,
    inputs: inputs.value,
    stores: stores.value,
    running,
    undo,
  });
  if (!parts.ok) return parts;
  const { policies, cpus, sessions, guests, servers, modelDoor, steps } = parts.value;
  const ready = await prepareProcesses(recovered.value, cpus, inputs.value.programs);
  if (!ready.ok) return ready;
  const opened = openKernel(options, layout, inputs.value, stores.value, parts.value, recovered.value, undo);
  if (!opened.ok) return opened;
  const kernel = opened.value;
  const policy = policies.engine;
  running.now = { kernel, policy };
  const digest = start(kernel, steps, policy, recovered.value.cut, clock);
  endAllLost(kernel);
  const unfinished = await finish(filesDeps(layout, stores.value.blobs, clock, kernel));
  // Last of all that can fail: no process has run yet.
  const control = await serveControl(layout.socket, kernel, guests);
  if (!control.ok) return control;
  undo.push(() => control.value.close());
  const { config, programs, instructions } = inputs.value;
  const loaded = [...inputs.value.findings, ...policies.findings, ...parts.value.findings];
  const findings = [...workspace.value, ...loaded, ...ready.value, ...unfinished];
  const resumed = options.processes === "leave" ? [] : kernel.resume();
  const machine = {
    layout,
    config,
    kernel,
    policy,
    cpus,
    programs,
    sessions,
    guests,
    servers,
    modelDoor,
    instructions,
    ...stores.value,
    digest,
    steps,
  };
  return ok({ ...machine, findings, resumed, close: () => unwind(undo) });
}

export interface Inputs {
  readonly config: Config;
  readonly instructions: readonly Instruction[];
  readonly programs: Programs;
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
}

/** Everything a person wrote: trust, configuration, instructions, programs. */
export async function loadInputs(
  layout: Layout,
  table: Pick<Table, "produced" | "producedPaths">,
): Promise<Result<Inputs, SysError>> {
  const tick = (): number => performance.now();
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const since = tick();
  const sources = await readConfigSources(layout, trust.value, new Set(table.produced.keys()));
  if (!sources.ok) return sources;
  const config = await loadConfig(sources.value);
  if (!config.ok) return config;
  const configSteps = sources.value.map((source) =>
    bootStep(`config:${source.scope}:${source.format}`, sha256(source.text), since, tick()),
  );
  const listed = config.value.instructions.map((file) => file.value);
  const produced = { digests: table.produced, paths: table.producedPaths };
  const { instructions, findings } = loadInstructions({ layout, listed, produced, trust: trust.value, tick });
  const programs = openPrograms(layout, trust.value, tick);
  const steps = [...configSteps, ...instructions.map((instruction) => instruction.step)];
  return ok({ config: config.value, instructions, programs, steps, findings: [...config.value.findings, ...findings] });
}

interface Gathering {
  readonly options: BootOptions;
  readonly layout: Layout;
  readonly helper: ZygoteClient;
  readonly sandbox: SandboxDriver;
  readonly inputs: Inputs;
  readonly stores: Stores;
  readonly running: { readonly now: Running | null };
  readonly undo: Undo;
}

interface Parts {
  readonly sessions: Sessions;
  readonly guests: Guests;
  readonly servers: Servers;
  readonly modelDoor: () => Promise<Result<OpenModelDoor, SysError>>;
  readonly handlers: readonly CallHandler[];
  readonly policies: LoadedPolicies;
  readonly cpus: Cpus;
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
}

/** The drivers, the call table and the policy over it, the CPUs. */
async function gatherParts(gathering: Gathering): Promise<Result<Parts, SysError>> {
  const { options, layout, helper, sandbox, inputs, stores, running, undo } = gathering;
  const { clock, world } = options;
  const { config } = inputs;
  const sessions = openSessions(layout, helper, stores.blobs);
  undo.push(() => sessions.close());
  const outside = openOutside({ clock, ...options.outside });
  const drivers = { layout, config, clock, sessions, sandbox, outside, blobs: stores.blobs, running: () => running.now };
  const native = worldCalls(drivers);
  const own = [...Object.values(kernelSpecs), ...native.map(({ spec }) => spec)].map(({ name }) => name);
  const servers = await connectServers(config, layout, world.env, own);
  undo.push(() => servers.close());
  const handlers: readonly CallHandler[] = [...native, ...servers.calls];
  const specs = [...Object.values(kernelSpecs), ...handlers.map((handler) => handler.spec)];
  const policies = await loadPolicies({ layout, config, specs, engine: options.policyEngine, tick: () => performance.now() });
  if (!policies.ok) return policies;
  const cpus = await openCpus({
    config,
    env: world.env,
    clock,
    random: () => randomInt(2 ** 32) / 2 ** 32,
    instance: sha256(layout.root).slice(0, 12),
    chosen: options.cpu,
  });
  undo.push(() => cpus.close());
  const kernel = (): Kernel | null => running.now?.kernel ?? null;
  const doors = { config, env: world.env, clock, layout, kernel };
  const modelDoor = modelDoorOpener({ ...doors, cpus, chosen: options.cpu, undo: (step) => void undo.push(step) });
  const netDoor = netDoorOpener({ ...doors, outside });
  const guests = openGuests({ config, clock, sessions, sandbox, helper, kernel, root: layout.root, modelDoor, netDoor });
  undo.push(() => guests.close());
  const callStep = bootStep("calls", sha256(canonical(specs)), 0, 0);
  const steps = [...inputs.steps, ...policies.value.steps, callStep, ...servers.steps];
  return ok({
    sessions,
    guests,
    servers,
    modelDoor,
    handlers,
    policies: policies.value,
    cpus,
    steps,
    findings: servers.findings,
  });
}

function openKernel(
  { clock }: BootOptions,
  layout: Layout,
  { programs, instructions }: Inputs,
  stores: Stores,
  { handlers, policies, cpus }: Parts,
  { table }: Recovered,
  undo: Undo,
): Result<Kernel, SysError> {
  const swap = fileSwap(layout.run, String(process.pid));
  undo.push(() => swap.close());
  const opened = Kernel.open(
    {
      ...stores,
      swap,
      clock,
      policy: policies.engine,
      handlers,
      slots: 8,
      cpu: (name) => cpus.get(name),
      body: (name) => programs.body(name),
      defaultCpu: cpus.default,
      preamble: preambles(instructions),
    },
    table,
  );
  if (opened.ok) undo.push(() => stop(opened.value, clock));
  return opened;
}

/** Leaves the processes where they are, with a checkpoint where the log has grown. */
async function stop(kernel: Kernel, clock: Clock): Promise<void> {
  await kernel.close();
  await kernel.recorder.rotateIfLarge(clock.now(), false);
}

/** Journals with what this kernel was measured. */
function start(kernel: Kernel, steps: readonly BootStep[], policy: PolicyEngine, cut: number | null, clock: Clock): string {
  const { digest } = measureBoot(steps);
  const entry = { kind: "boot", at: clock.now(), version, digest, policy: policy.digest, steps } as const;
  kernel.booted(cut === null ? entry : { ...entry, cut });
  return digest;
}

/** What a crash cut short in the workspace's files; a problem with it is for the person, and the machine comes up. */
async function finish(deps: FilesDeps): Promise<readonly Finding[]> {
  const finished = await finishFiles(deps);
  if (finished.ok) return [];
  return [{ rule: "BOO-16.2", severity: "error", where: "commit", message: finished.error.message }];
}

/** The CPUs and programs that living processes need. What is missing is a finding: those processes wait, the others run. */
async function prepareProcesses(
  { table }: Recovered,
  cpus: Cpus,
  programs: Programs,
): Promise<Result<readonly Finding[], SysError>> {
  const loaded = await cpus.load(cpus.default);
  if (!loaded.ok) return loaded;
  const findings: Finding[] = [];
  const living = [...table.procs.values()].filter((proc) => proc.state !== "zombie");
  for (const name of new Set(living.map((proc) => proc.cpu))) {
    const cpu = await cpus.load(name);
    if (!cpu.ok) findings.push({ rule: "BOO-1.4", severity: "warning", where: `cpu ${name}`, message: cpu.error.message });
  }
  const bodies = living.filter((proc) => proc.tape !== null).map((proc) => proc.manifest.instructions);
  for (const problem of await programs.restore(bodies)) {
    findings.push({ rule: "BOO-1.4", severity: "error", where: "programs", message: problem.message });
  }
  return ok(findings);
}
