/**
 * Boot: bring a workspace up. The one place where drivers meet the kernel.
 * Load order: layout · lock · log and blobs · trust · configuration · calls · policies · instructions · CPUs · programs · kernel.
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
import type { BlobDriver, LogDriver } from "../abi/store.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { bwrapSandbox } from "../drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { fileSwap } from "../drivers/store/swap.ts";
import { Kernel } from "../kernel/kernel.ts";
import { recoverTable, type Recovered } from "../kernel/recover.ts";
import type { Table } from "../kernel/table.ts";
import { specs as kernelSpecs } from "../kernel/calls/specs.ts";
import { loadConfig, type Config } from "./config.ts";
import { readConfigSources } from "./config-read.ts";
import { serveControl, type ControlServer } from "./control.ts";
import { openCpus, type Cpus } from "./cpus.ts";
import { connectServers } from "./servers.ts";
import { loadInstructions, type Instruction } from "./instructions.ts";
import { findRoot, layoutOf, prepare, type Layout, type Surroundings } from "./layout.ts";
import { acquireLock, readIdentity, type Lock } from "./lock.ts";
import { bootStep, measureBoot } from "./measure.ts";
import { loadPolicies } from "./policies.ts";
import { openPrograms, type Programs } from "./programs.ts";
import { openSessions, type Sessions } from "./sessions.ts";
import { openStores } from "./stores.ts";
import { readTrust } from "./trust.ts";
import { filesDeps, worldCalls } from "./world-calls.ts";
import { finishFiles } from "./workspace-files.ts";
import { version } from "./version.ts";

export interface BootOptions {
  readonly world: Surroundings;
  readonly clock: Clock;
  /** Overrides the configuration; null takes what it says. */
  readonly cpu: string | null;
  readonly policyEngine: "compiled" | "cedar";
  /** `leave` starts no process: for a command that does something beside them. They go on when absent. */
  readonly processes?: "resume" | "leave";
}

export interface Machine {
  readonly layout: Layout;
  readonly config: Config;
  readonly kernel: Kernel;
  readonly policy: PolicyEngine;
  readonly cpus: Cpus;
  readonly programs: Programs;
  readonly sessions: Sessions;
  readonly instructions: readonly Instruction[];
  readonly log: LogDriver;
  readonly blobs: BlobDriver;
  readonly digest: string;
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
  readonly resumed: readonly Pid[];
  close(): Promise<void>;
}

/** What must be given back when a later step fails, newest last. */
type Undo = (() => unknown)[];

export async function boot(options: BootOptions): Promise<Result<Machine, SysError>> {
  const undo: Undo = [];
  const booted = await assemble(options, undo);
  if (!booted.ok) for (const step of undo.toReversed()) await step();
  return booted;
}

async function assemble(options: BootOptions, undo: Undo): Promise<Result<Machine, SysError>> {
  const { world, clock } = options;
  const layout = layoutOf(findRoot(world.cwd), world);
  const locked = await lock(layout, options);
  if (!locked.ok) return locked;
  undo.push(() => locked.value.release());
  const stores = openStores(layout, clock);
  if (!stores.ok) return stores;
  const { log, blobs } = stores.value;
  undo.push(() => log.close());
  const recovered = recoverTable(log, blobs);
  if (!recovered.ok) return recovered;
  const inputs = await loadInputs(layout, recovered.value.table);
  if (!inputs.ok) return inputs;
  const machine = await assembleKernel(options, layout, inputs.value, stores.value, recovered.value, undo);
  if (!machine.ok) return machine;
  const { kernel, ...rest } = machine.value;
  const control = await serveControl(layout.socket, kernel);
  if (!control.ok) return control;
  return ok({ ...rest, kernel, layout, close: () => close(machine.value, locked.value, control.value) });
}

async function lock(layout: Layout, { world, clock }: BootOptions): Promise<Result<Lock, SysError>> {
  const prepared = prepare(layout, world.uid);
  if (!prepared.ok) return prepared;
  return await acquireLock(layout.lock, readIdentity(process.pid), clock, () => randomBytes(4).toString("hex"));
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
  const sources = readConfigSources(layout, trust.value, new Set(table.produced.keys()));
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

type Assembled = Omit<Machine, "close" | "layout">;

async function assembleKernel(
  options: BootOptions,
  layout: Layout,
  inputs: Inputs,
  stores: { readonly log: LogDriver; readonly blobs: BlobDriver },
  recovered: Recovered,
  undo: Undo,
): Promise<Result<Assembled, SysError>> {
  const { clock, world } = options;
  const { config, programs, instructions } = inputs;
  const helper = new ZygoteClient();
  undo.push(() => helper.close());
  const sessions = openSessions(layout, helper, stores.blobs);
  undo.push(() => sessions.close());
  const servers = await connectServers(config, layout);
  undo.push(() => servers.close());
  const holder: { kernel: Kernel | null } = { kernel: null };
  const sandbox = bwrapSandbox({ helper });
  const handlers: readonly CallHandler[] = [
    ...worldCalls({ layout, config, clock, sessions, sandbox, blobs: stores.blobs, kernel: () => holder.kernel }),
    ...servers.calls,
  ];
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
  const defaultCpu = cpus.default;
  const ready = await prepareProcesses(recovered, cpus, programs, defaultCpu);
  if (!ready.ok) return ready;
  const callStep = bootStep("calls", sha256(canonical(specs)), 0, 0);
  const steps = [...inputs.steps, ...policies.value.steps, callStep, ...servers.steps];
  const measured = measureBoot(steps);
  const swap = fileSwap(layout.run, String(process.pid));
  undo.push(() => swap.close());
  const opened = Kernel.open(
    {
      ...stores,
      swap,
      clock,
      policy: policies.value.engine,
      handlers,
      slots: 8,
      cpu: (name) => cpus.get(name),
      body: (name) => programs.body(name),
      defaultCpu,
      preamble: instructions.map(({ name, text }) => `# From ${name}\n\n${text.trim()}\n`).join("\n"),
    },
    recovered.table,
  );
  if (!opened.ok) return opened;
  const kernel = opened.value;
  holder.kernel = kernel;
  const policy = policies.value.engine;
  const { cut } = recovered;
  kernel.booted({
    kind: "boot",
    at: clock.now(),
    version,
    digest: measured.digest,
    policy: policy.digest,
    steps,
    ...(cut === null ? {} : { cut }),
  });
  const finished = await finishFiles(filesDeps(layout, stores.blobs, clock, kernel));
  const unfinished: readonly Finding[] = finished.ok
    ? []
    : [{ rule: "BOO-16.2", severity: "error", where: "commit", message: finished.error.message }];
  const findings = [...inputs.findings, ...policies.value.findings, ...servers.findings, ...ready.value, ...unfinished];
  const resumed = options.processes === "leave" ? [] : kernel.resume();
  return ok({
    config,
    kernel,
    policy,
    cpus,
    programs,
    sessions,
    instructions,
    ...stores,
    digest: measured.digest,
    steps,
    findings,
    resumed,
  });
}

/** The CPUs and programs that living processes need. What is missing is a finding: those processes wait, the others run. */
async function prepareProcesses(
  { table }: Recovered,
  cpus: Cpus,
  programs: Programs,
  defaultCpu: string,
): Promise<Result<readonly Finding[], SysError>> {
  const loaded = await cpus.load(defaultCpu);
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

async function close(machine: Assembled, held: Lock, control: ControlServer): Promise<void> {
  await control.close();
  await machine.kernel.close();
  await machine.sessions.close();
  await machine.cpus.close();
  await machine.kernel.recorder.rotateIfLarge(0, false);
  await machine.log.close();
  held.release();
}
