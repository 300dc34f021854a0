/**
 * Secrets: which files and folders of a workspace are closed to commands, found by their names.
 * The first look reads the whole tree, once for all sessions of a kernel; later looks read only the folders that have changed.
 *   FIL-15.1  What counts as secret by its path is found at any depth, a folder as a whole; a link is no content and is not followed.
 *   FIL-15.2  A later look finds what a first look would find, whatever was added, moved or removed in between.
 *   FIL-15.3  With more than `limits.closedPathsMax` of them, the folders with the most are closed whole; if that is not enough, E2BIG.
 *   FIL-15.4  A folder that cannot be looked into for want of permission is left out, since no command can either; any other failure is EIO.
 */
import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { ok, type Result } from "../../lib/result.ts";
import { isHidden } from "./guard.ts";
import { codeOf } from "./tree.ts";

export type IsSecret = (path: string, type: "file" | "folder") => boolean;

interface Folder {
  /** What changes when a name in it does. */
  readonly state: string;
  readonly folders: readonly string[];
  readonly secrets: readonly string[];
}

/** A change this close before a look may be followed by one with the same time: file systems' clocks are coarse. */
const coarseMs = 2_000;
/** Folders looked at before other work gets its turn. */
const pauseEvery = 64;

export class Secrets {
  readonly #root: string;
  readonly #isSecret: IsSecret;
  readonly #hide: ReadonlySet<string>;
  #known: ReadonlyMap<string, Folder> = new Map();
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();

  /** `now` is the wall clock, which the file system's times are compared with. */
  constructor(root: string, isSecret: IsSecret, hide: readonly string[], now: () => number = Date.now) {
    this.#root = root;
    this.#isSecret = isSecret;
    this.#hide = new Set(hide);
    this.#now = now;
  }

  /** Relative paths, as of the time of the call or later. */
  look(): Promise<Result<readonly string[], SysError>> {
    const looking = this.#last.then(() => this.#look());
    this.#last = looking;
    return looking;
  }

  async #look(): Promise<Result<readonly string[], SysError>> {
    const known = new Map<string, Folder>();
    const found: string[] = [];
    const queue = [""];
    try {
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        const folder = this.#folder(path);
        if (folder === null) continue;
        known.set(path, folder);
        found.push(...folder.secrets);
        queue.push(...folder.folders);
        if (known.size % pauseEvery === 0) await new Promise(setImmediate);
      }
    } catch (error) {
      return fail("EIO", "the workspace could not be looked through for secret files, so no command is run", codeOf(error));
    }
    this.#known = known;
    return bounded(found.toSorted());
  }

  #folder(path: string): Folder | null {
    try {
      const full = join(this.#root, path);
      const stat = lstatSync(full, { bigint: true });
      const now = this.#now();
      const state = stateOf(stat);
      const before = this.#known.get(path);
      if (before?.state === state) return before;
      return { ...this.#read(path, full), state: now - Number(stat.ctimeMs) < coarseMs ? "" : state };
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error))) return null;
      throw error;
    }
  }

  #read(path: string, full: string): Omit<Folder, "state"> {
    const folders: string[] = [];
    const secrets: string[] = [];
    for (const entry of readdirSync(full, { withFileTypes: true })) {
      const name = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isSymbolicLink() || isHidden(this.#hide, name)) continue;
      const type = entry.isDirectory() ? "folder" : "file";
      if (this.#isSecret(name, type)) secrets.push(name);
      else if (type === "folder") folders.push(name);
    }
    return { folders, secrets };
  }
}

/** A folder that was moved here from elsewhere keeps its own times but the last. */
function stateOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.ctimeNs}`;
}

/** Each closed path costs every command a mount. */
function bounded(paths: readonly string[]): Result<readonly string[], SysError> {
  const max = limits.closedPathsMax;
  if (paths.length <= max) return ok(paths);
  const byFolder = Map.groupBy(paths, (path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))));
  const folders = [...byFolder].filter(([folder]) => folder !== "").toSorted(([, a], [, b]) => b.length - a.length);
  const closed: string[] = [];
  for (let count = paths.length; count > max;) {
    const next = folders.shift();
    if (next === undefined || next[1].length === 1) {
      return fail(
        "E2BIG",
        `more than ${max} places of the workspace hold files that look like secrets, so no command is run; work in a folder of it`,
      );
    }
    closed.push(next[0]);
    count -= next[1].length - 1;
  }
  const whole = (path: string): boolean => closed.some((folder) => path.startsWith(`${folder}/`));
  return ok([...paths.filter((path) => !whole(path)), ...closed.filter((folder) => !whole(folder))].toSorted());
}
