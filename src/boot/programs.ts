/**
 * Programs: find a program by name or path, and give its body a name that outlives the kernel.
 *   BOO-13.1  A name without a slash is a shipped program, else one in the workspace's `programs/`: a repository cannot take a shipped name. A path
 *              is the workspace's.
 *   BOO-13.2  A process names its program by where it was found and by its digest: after a restart another content is refused with EKEYREJECTED.
 *   BOO-13.3  A program of a workspace runs only as data: Markdown. A module is code and needs the person's trust in it before it is even loaded.
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
    /** To load a module is to run it, so the question comes first. */
    const guarded: ProgramFiles = {
      ...nodeFiles,
      load: async (file) => {
        const name = path.relative(layout.root, file);
        if (place.startsWith("daimon:") || trust.accepts(name, sha256(readFileSync(file)))) return await nodeFiles.load(file);
        return fail(
          "EKEYREJECTED",
          `${name} is code and would run with your rights; read it, then accept it with: daimon config trust ${name}`,
        );
      },
    };
    const loaded = await loadProgram(fileOf(layout, place), guarded);
    if (!loaded.ok) return err(withoutRoot(loaded.error, layout.root));
    const { program, file } = loaded.value;
    const digest = sha256(readFileSync(file));
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
