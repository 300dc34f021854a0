/** A whole machine in a temporary workspace: the real boot, stores, sessions and sandbox, with a home of its own. */
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach } from "vitest";
import type { SysError } from "../../src/abi/errno.ts";
import type { ExitStatus, Pid } from "../../src/abi/process.ts";
import { boot, type BootOptions, type Machine } from "../../src/boot/boot.ts";
import { loadConfig, type Config } from "../../src/boot/config.ts";
import { layoutOf, type Layout } from "../../src/boot/layout.ts";
import { graphDigest } from "../../src/boot/modules.ts";
import { recordAcceptance } from "../../src/boot/trust.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { sha256 } from "../../src/lib/hash.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import type { Result } from "../../src/lib/result.ts";
import { freshFolder, put, surroundings } from "./folder.ts";

/** Performs the calls of its goal in order and returns what each gave. */
export const performer = `export default {
  name: "performer", version: "1.0.0", summary: "Perform the calls of the goal.",
  input: { type: "object" }, calls: ["*"],
  body: async (sys) => {
    const results = [];
    for (const { name, args } of sys.goal.calls) results.push(await sys.call(name, args));
    return { ok: true, value: results };
  },
};
`;

/** The configuration that this text in the user's own file would give. */
export async function configOf(text: string): Promise<Config> {
  const place = { scope: "user", format: "yaml", name: "config.yaml", folder: "/nowhere" } as const;
  const source = { ...place, text, trusted: true, accepted: null, widened: [] };
  return must(await loadConfig(text === "" ? [] : [source]));
}

const open = new Set<Machine>();
afterEach(async () => {
  for (const machine of open) await machine.close();
  open.clear();
});

export interface Workspace {
  readonly folder: string;
  readonly root: string;
  readonly home: string;
  readonly layout: Layout;
  put(file: string, text: string | Uint8Array): void;
  read(file: string): string;
  has(file: string): boolean;
}

/** A workspace whose `performer` is trusted; nothing has run in it. */
export function workspace(files: Readonly<Record<string, string | Uint8Array>> = {}): Workspace {
  const folder = freshFolder();
  const root = path.join(folder, "work");
  const home = path.join(folder, "home");
  fs.mkdirSync(root);
  fs.mkdirSync(home);
  const layout = layoutOf(root, surroundings(folder));
  put(path.join(root, "programs/performer/program.ts"), performer);
  trustAlone(layout, "programs/performer/program.ts", performer);
  for (const [file, text] of Object.entries(files)) put(path.join(root, file), text);
  return {
    folder,
    root,
    home,
    layout,
    put: (file, text) => put(path.join(root, file), text),
    read: (file) => fs.readFileSync(path.join(root, file), "utf8"),
    has: (file) => fs.lstatSync(path.join(root, file), { throwIfNoEntry: false }) !== undefined,
  };
}

/** Trust in a module that imports nothing. */
function trustAlone(layout: Layout, file: string, text: string): void {
  const files = { [file]: sha256(text) };
  must(recordAcceptance(layout, { path: file, digest: graphDigest(file, files, {}), at: 0, files }));
}

export function bootOptions(where: Workspace, extra: Partial<BootOptions> = {}): BootOptions {
  const world = { ...surroundings(where.folder), ...extra.world };
  return { clock: systemClock(), cpu: "reflex", policyEngine: "compiled", ...extra, world };
}

/** Boots and closes after the test. */
export async function up(where: Workspace, extra: Partial<BootOptions> = {}): Promise<Machine> {
  const machine = must(await boot(bootOptions(where, extra)));
  open.add(machine);
  return machine;
}

export async function down(machine: Machine): Promise<void> {
  open.delete(machine);
  await machine.close();
}

/** The refusal of a boot that must not come up. */
export async function refusedBoot(where: Workspace, extra: Partial<BootOptions> = {}): Promise<SysError> {
  const booted = await boot(bootOptions(where, extra));
  if (!booted.ok) return booted.error;
  await booted.value.close();
  throw new Error("the boot was not refused");
}

export interface Rights {
  readonly calls?: readonly string[];
  readonly outputs?: readonly string[];
}

export type Call = readonly [name: string, args: JsonObject];

export async function start(machine: Machine, calls: readonly Call[], rights: Rights = {}): Promise<Pid> {
  const { program, bodyName } = must(await machine.programs.find("performer"));
  return must(
    machine.kernel.spawn({
      manifest: {
        name: program.name,
        version: program.version,
        kind: "body",
        instructions: bodyName,
        cpu: null,
        calls: rights.calls ?? ["*"],
        output: null,
        limits: program.limits,
        windowTokens: null,
        stepsMax: 1000,
        outputs: rights.outputs ?? [],
      },
      goal: { calls: calls.map(([name, args]) => ({ name, args })) },
      parent: 0,
      call: null,
    }),
  );
}

export type Outcome = Result<Json, SysError>;

/** What each call gave. */
export async function perform(machine: Machine, calls: readonly Call[], rights: Rights = {}): Promise<readonly Outcome[]> {
  return outcomes(await machine.kernel.wait(await start(machine, calls, rights)));
}

export function outcomes(status: ExitStatus): readonly Outcome[] {
  if (!status.ok) throw new Error(`${status.error.errno} ${status.error.message}`);
  return status.value as unknown as readonly Outcome[];
}

/** `ERRNO message` of a refusal, `ok VALUE` of a success: one text to hold both against. */
export function told(outcome: Outcome | undefined): string {
  if (outcome === undefined) return "nothing";
  return outcome.ok ? `ok ${JSON.stringify(outcome.value)}` : `${outcome.error.errno} ${outcome.error.message}`;
}

/** The next time the process is parked. */
export function parked(machine: Machine, pid: Pid): Promise<void> {
  return new Promise((resolve) => {
    const isParked = (): boolean => machine.kernel.processes().some((proc) => proc.pid === pid && proc.state === "parked");
    if (isParked()) return resolve();
    const off = machine.kernel.on(() => {
      if (!isParked()) return;
      off();
      resolve();
    });
  });
}

export function must<T>(result: Result<T, { readonly message: string }>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
