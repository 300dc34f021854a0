/**
 * Secrets: which files and folders of a workspace are closed to commands, found by their names.
 * The first look reads the whole tree, once for all sessions of a kernel; later looks read only the folders that have changed.
 *   FIL-15.1  What counts as secret by its path is found at any depth, a folder as a whole; a link is no content and is not followed.
 *   FIL-15.2  A later look finds what a first look would find, whatever was added, moved or removed in between.
 *   FIL-15.3  With more than `limits.closedPathsMax` of them, the folders with the most are closed whole; if that is not enough, E2BIG.
 *   FIL-15.4  A folder that cannot be looked into for want of permission is left out, since no command can either; any other failure is EIO.
 *   FIL-15.5  Behind a name that is not UTF-8, and so in no list, a secret closes the folder that holds the name; at the top it is EINVAL.
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
      if (codeOf(error) === "EILSEQ")
        return fail(
          "EINVAL",
          "a name at the top of the workspace is not UTF-8, and secret files lie behind it, so no command is run; rename it",
        );
      return fail("EIO", "the workspace could not be looked through for secret files, so no command is run", codeOf(error));
    }
    this.#known = known;
    return bounded(found.toSorted());
  }

  #folder(path: string): Folder | null {
    const full = join(this.#root, path);
    const stat = unlessShut(() => lstatSync(full, { bigint: true }));
    if (stat === null) return null;
    const now = this.#now();
    const state = stateOf(stat);
    const before = this.#known.get(path);
    if (before?.state === state) return before;
    const read = this.#read(path, full);
    return read === null ? null : { ...read, state: read.state ?? (now - Number(stat.ctimeMs) < coarseMs ? "" : state) };
  }

  /** `state` is empty where the folder's own does not tell of all that was looked at. */
  #read(path: string, full: string): (Omit<Folder, "state"> & { readonly state: string | undefined }) | null {
    const entries = unlessShut(() => readdirSync(full, { withFileTypes: true }));
    if (entries === null) return null;
    const folders: string[] = [];
    const secrets: string[] = [];
    let state: string | undefined;
    for (const entry of entries) {
      const name = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isSymbolicLink() || isHidden(this.#hide, name)) continue;
      const type = entry.isDirectory() ? "folder" : "file";
      if (entry.name.includes(undecoded)) state = "";
      else if (this.#isSecret(name, type)) secrets.push(name);
      else if (type === "folder") folders.push(name);
    }
    if (state === undefined || !this.#holdsSecret(Buffer.from(full), path)) return { folders, secrets, state };
    if (path === "") throw Object.assign(new Error(), { code: "EILSEQ" });
    return { folders, secrets: [...secrets, path], state };
  }

  /** Looks behind names that are not UTF-8, which only their bytes lead to; `path` is what they look like. */
  #holdsSecret(folder: Buffer, path: string, behind = false): boolean {
    const entries = unlessShut(() => readdirSync(folder, { withFileTypes: true, encoding: "buffer" }));
    return (entries ?? []).some((entry) => {
      const text = entry.name.toString();
      if (entry.isSymbolicLink() || (!behind && !text.includes(undecoded))) return false;
      const type = entry.isDirectory() ? "folder" : "file";
      const name = path === "" ? text : `${path}/${text}`;
      if (this.#isSecret(name, type)) return true;
      return type === "folder" && this.#holdsSecret(Buffer.concat([folder, Buffer.from("/"), entry.name]), name, true);
    });
  }
}

/** What stands in a name for bytes that are not UTF-8. */
const undecoded = "\ufffd";

/** null for what is gone, or shut to us and so to every command. */
function unlessShut<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error))) return null;
    throw error;
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
