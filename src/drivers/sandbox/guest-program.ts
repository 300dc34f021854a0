/**
 * Guest program: where the program of a guest lies on the host, and what else must be seen for it to run.
 * Programs of the system are seen as they are; of one that lies elsewhere (nvm, ~/.local, an npm prefix, /opt) only its own tree is shown.
 *   SBX-14.1  A word without `/` is looked up on the person's PATH, any other from the folder they stand in; what is no executable file is ENOENT.
 *   SBX-14.2  A script needs its interpreter too: the `#!` line is followed, through `env` to the PATH, as often as it leads on.
 *   SBX-14.3  Of a package the outermost node_modules is shown, of an environment or a switch of versions its folder, of a prefix those of its
 *             programs and libraries, else the file alone; never the home or a folder that holds it.
 *   SBX-14.4  Inside, PATH keeps those of the person's folders that are seen there, and the system's.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import type { GuestPlan } from "../../abi/sandbox.ts";
import { ok, type Result } from "../../lib/result.ts";
import { inside, isSystem } from "./guest-places.ts";

export interface Where {
  readonly root: string;
  readonly cwd: string;
  readonly home: string;
  /** The person's PATH. */
  readonly path: string;
}

export interface Program extends Pick<GuestPlan, "shown" | "links"> {
  /** Absolute, as it was found. */
  readonly file: string;
  /** PATH, inside. */
  readonly path: string;
}

const systemPath = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
/** A script whose interpreter is a script, and so on. */
const chainMax = 4;

export function findProgram(word: string, where: Where): Result<Program, SysError> {
  const file = locate(word, where);
  if (file === null) return fail("ENOENT", `${why(word)}; give its path, or install it`);
  const shown = new Set<string>();
  const links = new Map<string, string>();
  let next: string | null = file;
  for (let count = 0; next !== null && count < chainMax; count += 1) {
    const real = realpathSync(next);
    if (!isSeen(real, where.root)) for (const path of treeOf(real, where.home)) shown.add(path);
    const seen = isSeen(next, where.root) || [...shown].some((folder) => inside(next ?? "", folder));
    if (!seen) links.set(next, real);
    next = interpreterOf(real, where);
  }
  const folders = where.path.split(":").filter((folder) => {
    if (!isAbsolute(folder)) return false;
    if (isSeen(folder, where.root)) return true;
    return (
      [...links.keys(), ...shown].some((path) => dirname(path) === folder) || [...shown].some((tree) => inside(folder, tree))
    );
  });
  return ok({
    file,
    shown: [...shown],
    links: [...links].map(([path, target]) => ({ path, target })),
    path: [...new Set([...folders, ...systemPath])].join(":"),
  });
}

function why(word: string): string {
  const name = JSON.stringify(word.slice(0, 200));
  return word.includes("/") ? `${name} is no program that can be started` : `there is no program ${name} on your PATH`;
}

function locate(word: string, { cwd, path }: Where): string | null {
  if (word.includes("/")) return isProgram(resolve(cwd, word)) ? resolve(cwd, word) : null;
  const folders = path.split(":").filter(isAbsolute);
  return folders.map((folder) => join(folder, word)).find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The system and the workspace are seen anyway. */
function isSeen(path: string, root: string): boolean {
  return isSystem(path) || inside(path, root);
}

/** What is shown of the host so that this file finds what belongs to it. */
function treeOf(file: string, home: string): readonly string[] {
  const tree = packageOf(file);
  const folders = tree === null ? prefixOf(file, home) : [tree];
  return folders.length === 0 || folders.some((folder) => inside(home, folder)) ? [file] : folders;
}

function packageOf(file: string): string | null {
  const at = file.indexOf("/node_modules/");
  if (at !== -1) return file.slice(0, at + "/node_modules".length);
  const [, opt, name] = file.split("/");
  return opt === "opt" && name !== undefined && file !== `/opt/${name}` ? `/opt/${name}` : null;
}

/**
 * `SWITCH/shims/NAME` of those who switch between versions of a language, Python's environments, and `PREFIX/bin/NAME` beside `PREFIX/lib`: of a prefix
 * only the folders that belong to programs, since a project may look like one. `~/.local` holds the libraries of everything, and more.
 */
function prefixOf(file: string, home: string): readonly string[] {
  const folder = dirname(file);
  const prefix = dirname(folder);
  if (inside(home, prefix)) return [];
  if (basename(folder) === "shims" || existsSync(join(prefix, "pyvenv.cfg"))) return [prefix];
  if (basename(folder) !== "bin" || basename(prefix) === ".local" || !existsSync(join(prefix, "lib"))) return [];
  return ["bin", "lib", "lib64", "libexec", "share"].map((name) => join(prefix, name)).filter((path) => existsSync(path));
}

function interpreterOf(file: string, where: Where): string | null {
  const line = /^#![ \t]*([^\n]*)/.exec(head(file))?.[1];
  if (line === undefined) return null;
  const [program = "", ...words] = line.trim().split(/[ \t]+/);
  if (basename(program) !== "env") return isProgram(program) ? program : null;
  const named = words.find((word) => !word.startsWith("-") && !word.includes("="));
  return named === undefined ? null : locate(named, where);
}

/** A `#!` line is at most so long. */
const headBytes = 256;

function head(file: string): string {
  const buffer = Buffer.alloc(headBytes);
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    // A program that may be run and not read is no script.
    return "";
  }
  try {
    return buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, headBytes, 0));
  } finally {
    closeSync(descriptor);
  }
}
