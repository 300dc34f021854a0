/**
 * Programs: find a program by name or path, and give its body a name that outlives the kernel.
 *   BOO-13.1  A name without a slash is a shipped program, else one in the workspace's `programs/`: a repository cannot take a shipped name. A path
 *              is the workspace's.
 *   BOO-13.2  A process names its program by where it was found and by its digest, of a module with all it imports: after a restart another content is
 *              refused with EKEYREJECTED.
 *   BOO-13.3  A program of a workspace runs only as data: Markdown. A module is code and needs the person's trust in it, and in every file it imports,
 *              before it is even loaded; a change of any of them needs it again and is named.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { BootStep } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Program } from "../abi/program.ts";
import type { Body } from "../abi/sys.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { ProgramFiles } from "../programs/load.ts";
import { packageRoot } from "../drivers/own-files.ts";
import type { Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";
import type { Trust } from "./trust.ts";

export interface FoundProgram {
  readonly program: Program;
  /** The body's name in a manifest: `PLACE@DIGEST`. */
  readonly bodyName: string;
  readonly step: BootStep;
}

export interface Programs {
  find(name: string): Promise<Result<FoundProgram, SysError>>;
  /** Make the bodies of processes that live in the journal known again. */
  restore(bodyNames: Iterable<string>): Promise<readonly SysError[]>;
  body(bodyName: string): Body | null;
}

const shipped = path.join(packageRoot(), "programs");

export function openPrograms(layout: Layout, trust: Trust, tick: () => number): Programs {
  const bodies = new Map<string, Body>();
  const load = async (place: string): Promise<Result<FoundProgram, SysError>> => {
    const since = tick();
    /** Loaded when the first program is: most commands look at a workspace and run none. */
    const [{ loadProgram }, { nodeFiles }, { runPasses }] = await Promise.all([
      import("../programs/load.ts"),
      import("../programs/node-files.ts"),
      import("../programs/passes.ts"),
    ]);
    /** Of the bytes that were loaded, so that what a process is named by is what it runs. */
    const digests = new Map<string, Digest>();
    const measured: ProgramFiles = {
      ...nodeFiles,
      read: async (file) => {
        const text = await nodeFiles.read(file);
        if (text.ok) digests.set(file, sha256(text.value));
        return text;
      },
      load: async (file) => {
        if (!place.startsWith("daimon:"))
          return await loadTrusted(layout, trust, path.relative(layout.root, file), file, digests);
        digests.set(file, sha256(readFileSync(file)));
        return await nodeFiles.load(file);
      },
    };
    const loaded = await loadProgram(fileOf(layout, place), measured);
    if (!loaded.ok) return err(withoutRoot(loaded.error, layout.root));
    const { program, file } = loaded.value;
    const digest = digests.get(file) ?? "";
    const bodyName = `${place}@${digest}`;
    bodies.set(bodyName, program.body ?? runPasses(program));
    return ok({ program, bodyName, step: bootStep(`program:${program.name}`, digest, since, tick()) });
  };
  return {
    find: async (name) => {
      for (const place of placesOf(name)) {
        const found = await load(place);
        if (found.ok || found.error.errno !== "ENOENT") return found;
      }
      return fail(
        "ENOENT",
        `there is no program ${JSON.stringify(name)}; name a shipped one such as brief, or a folder or file of this workspace`,
      );
    },
    restore: async (names) => {
      const problems: SysError[] = [];
      for (const name of new Set(names)) {
        const found = await load(placeOf(name));
        if (!found.ok) problems.push(found.error);
        else if (found.value.bodyName !== name) problems.push(changed(name));
      }
      return problems;
    },
    body: (name) => bodies.get(name) ?? null,
  };
}

/** Whether a program is named by where it lies, not by its own name. */
export function isProgramPath(name: string): boolean {
  return name.includes("/") || /\.(?:md|[cm]?[jt]s)$/.test(name);
}

/** To load a module is to run it, so the question comes first; and what runs is what the question was about. */
async function loadTrusted(
  layout: Layout,
  trust: Trust,
  name: string,
  file: string,
  digests: Map<string, Digest>,
): Promise<Result<unknown, SysError>> {
  const { changesOf, measureModules, runModules } = await import("./modules.ts");
  const graph = await measureModules(layout.root, name);
  if (!graph.ok) return graph;
  const { digest } = graph.value;
  digests.set(file, digest);
  if (trust.accepts(name, digest)) return await runModules(graph.value);
  const before = trust.latest(name);
  const changes = before === null ? [] : changesOf(before.files ?? {}, graph.value);
  const told = [
    ...changes.slice(0, changesMax),
    ...(changes.length > changesMax ? [`and ${changes.length - changesMax} more`] : []),
  ];
  const what = before === null ? "is code and would run with your rights" : `is not as you trusted it (${told.join(", ")})`;
  return fail("EKEYREJECTED", `${name} ${what}; read it, then accept it with: daimon config trust ${name}`);
}

const changesMax = 5;

/** `daimon:NAME` is shipped; anything else is relative to the workspace. */
function placesOf(name: string): readonly string[] {
  return isProgramPath(name) ? [name] : [`daimon:${name}`, `programs/${name}`];
}

function fileOf(layout: Layout, place: string): string {
  return place.startsWith("daimon:") ? path.join(shipped, place.slice("daimon:".length)) : path.resolve(layout.root, place);
}

function placeOf(bodyName: string): string {
  return bodyName.slice(0, bodyName.lastIndexOf("@"));
}

/** The loader names files as it was given them; a message names none of the host's folders. */
function withoutRoot(error: SysError, root: string): SysError {
  return { ...error, message: error.message.replaceAll(`${root}${path.sep}`, "") };
}

function changed(bodyName: string): SysError {
  const digest: Digest = bodyName.slice(bodyName.lastIndexOf("@") + 1);
  return {
    errno: "EKEYREJECTED",
    message: `program ${placeOf(bodyName)} changed since its process started (it was ${digest.slice(0, 12)}…); put it back, or end the process with daimon kill`,
  };
}
