/**
 * Spawn: what a new process's manifest becomes before it is written down.
 *   KRN-13.1  A child's calls are covered by its parent's, and it may deliver only what its parent may. Its limits are its own: those of the
 *             groups above are checked with every charge, so that one raise lets all go on.
 *   KRN-13.2  Processes nest to a bound, so that a program that spawns itself ends.
 *   KRN-13.4  A window set for a process bounds the windows of everything below it.
 *   KRN-13.5  What a window's head takes is counted with the calls that are offered, whose schemas a provider bills like text.
 *   KRN-13.3  The workspace's instructions follow an agent's own, once.
 *   KRN-13.6  Below a process that follows its own instructions nobody is told those of the workspace; no process can choose that for its children.
 */
import type { SpawnEntry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Follows, Manifest } from "../abi/process.ts";
import type { Digest } from "../lib/hash.ts";
import { canonical, type Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Cpu } from "./core.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { attenuates } from "../security/capability.ts";
import type { Recorder } from "./recorder.ts";
import { ancestry, type Proc, type Table } from "./table.ts";
import type { Tools } from "./tools.ts";

export interface Placed {
  readonly manifest: Manifest;
  readonly cpu: string;
  readonly windowTokensMax: number;
}

/** The window that a process would get, and what its head would take of it. */
export interface Measured {
  readonly windowTokens: number;
  readonly headTokens: number;
}

export interface Places {
  readonly preamble: Readonly<Record<Follows, string>>;
  cpu(name: string): Cpu | null;
}

/** What a manifest becomes under its group, and the CPU and window it gets. */
export function placed(
  table: Table,
  places: Places,
  asked: Manifest,
  group: Proc | undefined,
  cpuDefault: string,
): Result<Placed, SysError> {
  const checked = group === undefined ? ok(asked) : attenuated(table, group, asked);
  if (!checked.ok) return checked;
  const manifest = instructed(checked.value, places.preamble[followed(table, checked.value, group)]);
  const name = manifest.cpu ?? cpuDefault;
  const cpu = places.cpu(name);
  if (cpu === null) return fail("ENOENT", `there is no CPU ${JSON.stringify(name)}; see "daimon doctor" for those that are`);
  const windowTokensMax = Math.min(windowBound(table, manifest, group), cpu.driver.windowTokens(cpu.model));
  return ok({ manifest, cpu: name, windowTokensMax });
}

function attenuated(table: Table, parent: Proc, manifest: Manifest): Result<Manifest, SysError> {
  const depth = [...ancestry(table, parent)].length;
  if (depth >= limits.spawnDepthMax)
    return fail("E2BIG", `processes nest at most ${limits.spawnDepthMax} deep; do the work here`);
  const missing = attenuates(parent.manifest.calls, manifest.calls);
  if (missing !== null) return fail("EACCES", `${manifest.name} asks for ${missing}, which its parent does not hold`);
  const outputs = manifest.outputs.filter((path) => parent.manifest.outputs.includes(path));
  const stepsMax = Math.min(manifest.stepsMax, parent.manifest.stepsMax);
  return ok({ ...manifest, outputs, stepsMax });
}

/** What was chosen for the first process holds for all below it. */
function followed(table: Table, manifest: Manifest, parent: Proc | undefined): Follows {
  const first = parent === undefined ? undefined : [...ancestry(table, parent)].at(-1);
  return (first?.manifest ?? manifest).follows ?? "workspace";
}

function instructed(manifest: Manifest, preamble: string): Manifest {
  if (manifest.kind !== "agent" || preamble === "" || manifest.instructions.endsWith(preamble)) return manifest;
  return { ...manifest, instructions: `${manifest.instructions}\n\n${preamble}` };
}

/** The smallest window set for the process itself or for a group above it; a body has none of its own, and passes its bound on. */
function windowBound(table: Table, manifest: Manifest, parent: Proc | undefined): number {
  let bound = manifest.windowTokens ?? Infinity;
  if (parent === undefined) return bound;
  for (const group of ancestry(table, parent)) bound = Math.min(bound, group.manifest.windowTokens ?? Infinity);
  return bound;
}

export type WriteHead = (manifest: Manifest, goal: Json) => Pick<SpawnEntry, "manifest" | "goal" | "headTokens">;

/** Writes down what a process begins with. Processes of one program share a manifest: it is written and hashed once. */
export function headWriter(recorder: Recorder, toolsOf: (manifest: Manifest) => Tools): WriteHead {
  const digests = new WeakMap<Manifest, Digest>();
  return (manifest, goal) => {
    const digest = digests.get(manifest) ?? recorder.putText(canonical(manifest));
    digests.set(manifest, digest);
    const { tokens } = toolsOf(recorder.manifest(digest));
    return { manifest: digest, goal, headTokens: headTokens(manifest, tokens, goal) };
  };
}

/** What the head of a window takes: the instructions, the calls that are offered, and the goal. A body has no window, and that of a guest is its own. */
export function headTokens(manifest: Manifest, toolTokens: number, goal: Json): number {
  if (manifest.kind !== "agent") return 0;
  return estimateTokens(manifest.instructions) + toolTokens + estimateTokens(JSON.stringify(goal));
}
