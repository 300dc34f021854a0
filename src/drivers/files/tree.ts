/**
 * Tree: walking below a root, one component at a time, so that no link and no race can lead out of it.
 * Each folder on the way is held as a descriptor and the next name is looked up under `/proc/self/fd/N/`, which is what openat(2) does.
 * Source: openat2(2), RESOLVE_BENEATH; path_resolution(7).
 *   FIL-6.1  A path is relative, without `..`, empty segments or NUL, and within the bound; `.` is the root.
 *   FIL-6.2  A link is read and followed by hand, beneath the root only; one that leads out is EPERM, a loop is EINVAL.
 *   FIL-6.6  Where links are refused, a path that meets one is EPERM with the path it stands for, so that the caller asks for that one by its name
 *            and policy sees it; nothing is read, made or changed on the way.
 */
import { closeSync, constants, lstatSync, mkdirSync, openSync, readlinkSync, type Stats } from "node:fs";
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** An open root folder. */
export interface Tree {
  readonly fd: number;
  /** The absolute path at which commands see this root: a link to below it is followed. */
  readonly inside: string | null;
  /** none: a link on the way is not a folder; the path must be what it says · refuse: a link is an error that tells where it leads. */
  readonly links: "follow" | "none" | "refuse";
}

/** What stands at a path, after the links on the way. */
export interface Place {
  readonly dir: number;
  readonly name: string;
  /** The path without links; `.` for the root. */
  readonly real: string;
  readonly stat: Stats | null;
}

const linksMax = 40;
const segmentBytesMax = 255;
/** Linux's O_PATH, the same on every architecture Node runs on: a descriptor that names a folder and needs no permission to read it. */
const openPath = 0o10000000;
export const folderFlags = openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW;
export function openTree(path: string, inside: string | null = null, links: Tree["links"] = "follow"): Result<Tree, SysError> {
  try {
    return ok({ fd: openSync(path, openPath | constants.O_DIRECTORY), inside, links });
  } catch (error) {
    return err(translate(error, "the root folder"));
  }
}

export function closeTree(tree: Tree): void {
  closeSync(tree.fd);
}

/** The path in its one form, or why it cannot be one. */
export function normalPath(path: string): Result<string, SysError> {
  const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
  if (path.includes("\0")) return fail("EINVAL", `the path ${shown} has a NUL byte; remove it`);
  if (path.startsWith("/"))
    return fail("EINVAL", `the path ${shown} is absolute; give it relative to the workspace, like \`src/a.ts\``);
  if (Buffer.byteLength(path) > limits.pathBytesMax)
    return fail("EINVAL", `the path is longer than ${limits.pathBytesMax} bytes`);
  const segments = path.replace(/\/$/, "").split("/");
  if (segments.includes(".."))
    return fail("EPERM", `the path ${shown} has \`..\`; paths stay in the workspace and name files directly`);
  if (segments.includes(""))
    return fail("EINVAL", `the path ${shown} is empty or has an empty part; the workspace itself is \`.\``);
  const long = segments.some((segment) => Buffer.byteLength(segment) > segmentBytesMax);
  if (long) return fail("EINVAL", `a part of the path ${shown} is longer than ${segmentBytesMax} bytes`);
  return ok(segments.filter((segment) => segment !== ".").join("/") || ".");
}

/** Walks to the path, gives its place to `use`, and closes what it opened. `create` makes missing folders. */
export function at<T>(
  tree: Tree,
  path: string,
  options: { readonly last: "follow" | "keep"; readonly create?: boolean },
  use: (place: Place) => T,
): Result<T, SysError> {
  const normal = normalPath(path);
  if (!normal.ok) return normal;
  const stack: { readonly fd: number; readonly name: string }[] = [];
  try {
    return ok(use(walk(tree, normal.value, options, stack)));
  } catch (error) {
    return err(error instanceof Refusal ? error.error : translate(error, normal.value));
  } finally {
    for (const { fd } of stack) closeSync(fd);
  }
}

/** Throw this inside `use` or `check` to refuse with an errno. */
export function refusal(...args: Parameters<typeof sysError>): Error {
  return new Refusal(sysError(...args));
}

class Refusal extends Error {
  readonly error: SysError;
  constructor(error: SysError) {
    super(error.message);
    this.error = error;
  }
}

function walk(
  tree: Tree,
  path: string,
  options: { readonly last: "follow" | "keep"; readonly create?: boolean },
  stack: { fd: number; name: string }[],
): Place {
  const queue = segmentsOf(path).reverse();
  let links = 0;
  const top = (): number => stack.at(-1)?.fd ?? tree.fd;
  const refused = (): boolean => links > 0 && tree.links === "refuse";
  const names = (): string[] => stack.map((entry) => entry.name);
  const expand = (name: string): void => {
    links += 1;
    if (links > linksMax) throw refusal("EINVAL", `${path} is a loop of links`);
    const target = readlinkSync(`${fdPath(top())}/${name}`);
    const rest = target.startsWith("/") ? beneathInside(tree, target, path) : target;
    if (target.startsWith("/")) while (stack.length > 0) closeSync(stack.pop()?.fd ?? -1);
    queue.push(...segmentsOf(rest).reverse());
  };
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === "..") {
      const left = stack.pop();
      if (left === undefined) throw leavesRoot(path);
      closeSync(left.fd);
      continue;
    }
    if (queue.length === 0) {
      const stat = lstatIn(top(), name);
      if (options.last === "follow" && stat?.isSymbolicLink()) {
        if (tree.links === "none") throw missing(path);
        expand(name);
        continue;
      }
      const real = [...names(), name].join("/");
      if (refused()) throw linked(path, real);
      return { dir: top(), name, real, stat };
    }
    if (refused() && lstatIn(top(), name) === null) throw linked(path, [...names(), name, ...queue.toReversed()].join("/"));
    const fd = openFolder(top(), name, options.create === true, path);
    if (fd !== null) stack.push({ fd, name });
    else if (tree.links === "none") throw missing(path);
    else expand(name);
  }
  const real = names().join("/") || ".";
  if (refused()) throw linked(path, real);
  return { dir: top(), name: ".", real, stat: lstatIn(top(), ".") };
}

/** The folder's descriptor, or null when a link stands there. */
function openFolder(dir: number, name: string, create: boolean, path: string): number | null {
  const full = `${fdPath(dir)}/${name}`;
  try {
    return openSync(full, folderFlags);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" && create) {
      mkdirSync(full);
      return openSync(full, folderFlags);
    }
    if (code === "ENOENT") throw missing(path);
    if (code !== "ENOTDIR" && code !== "ELOOP") throw error;
    if (lstatIn(dir, name)?.isSymbolicLink()) return null;
    throw refusal("ENOENT", `${path} is not there: ${name} on the way is a file, not a folder`);
  }
}

function beneathInside(tree: Tree, target: string, path: string): string {
  if (tree.inside !== null && (target === tree.inside || target.startsWith(`${tree.inside}/`)))
    return target.slice(tree.inside.length);
  throw leavesRoot(path);
}

function leavesRoot(path: string): Error {
  return refusal(
    "EPERM",
    `${path} is or goes through a link that leads out of the workspace, and is not followed; use a path inside`,
  );
}

function linked(path: string, real: string): Error {
  return refusal("EPERM", `${path} is or goes through a link, which is not followed; it stands for ${real}: ask for that`);
}

export function missing(path: string): Error {
  return refusal("ENOENT", `${path} is not there; list its folder with fs.list to see what is`);
}

export function lstatIn(dir: number, name: string): Stats | null {
  return lstatSync(`${fdPath(dir)}/${name}`, { throwIfNoEntry: false }) ?? null;
}

function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}

export function under(place: Place): string {
  return `${fdPath(place.dir)}/${place.name}`;
}

export function fdPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The operating system's error, in words for a model and without the host's paths. */
export function translate(error: unknown, path: string): SysError {
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return sysError("ENOENT", `${path} is not there`);
    case "EACCES":
    case "EPERM":
      return sysError("EACCES", `${path} cannot be opened: its permissions do not allow it`);
    case "ENOSPC":
    case "EDQUOT":
      return sysError("ENOSPC", `no space is left on the disk for ${path}; free some and try again`);
    case "EROFS":
      return sysError("EROFS", `${path} lies on a read-only file system`);
    case "EISDIR":
      return sysError("EINVAL", `${path} is a folder, not a file`);
    case "ELOOP":
    case "ENXIO":
      return sysError("EPERM", `${path} changed into something else while it was opened; try again`);
    case "ENAMETOOLONG":
      return sysError("EINVAL", `${path} is too long a name`);
    default:
      return sysError("EIO", `${path} could not be used`, code || String(error));
  }
}
