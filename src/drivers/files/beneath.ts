/**
 * Beneath: every file operation below a root, one component at a time, so that no link and no race can lead out of it.
 * Each folder on the way is held as a descriptor and the next name is looked up under `/proc/self/fd/N/`, which is what openat(2) does.
 * Source: openat2(2), RESOLVE_BENEATH; path_resolution(7).
 *   FIL-6.1  A path is relative, without `..`, empty segments or NUL, and within the bound; `.` is the root.
 *   FIL-6.2  A link is read and followed by hand, beneath the root only; one that leads out is EPERM, a loop is EINVAL.
 *   FIL-6.3  Only regular files are read and written; a pipe, socket or device is EINVAL and is never opened for its data.
 *   FIL-6.4  A write is a new file renamed over the old one in the same folder: whole or not at all, and other hard links keep the old content.
 *   FIL-6.5  Mode and, where permitted, owner of a file survive its being written.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type Stats,
} from "node:fs";
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import type { FileStat } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** An open root folder. */
export interface Tree {
  readonly fd: number;
  /** The absolute path at which commands see this root: a link to below it is followed. */
  readonly inside: string | null;
  /** none: a link on the way is not a folder; the path must be what it says. */
  readonly links: "follow" | "none";
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
const folderFlags = openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** The name under which a file is written before it gets its own. */
export const temporaryName = ".daimon~tmp";

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

export interface Content {
  readonly data: Buffer;
  readonly stat: Stats;
}

export function readBeneath(tree: Tree, path: string, bytesMax: number = limits.fileBytesMax): Result<Content, SysError> {
  return at(tree, path, { last: "follow" }, (place) => readAt(place, path, bytesMax));
}

/** Reads the regular file at a place. */
export function readAt(place: Place, path: string, bytesMax: number): Content {
  if (place.stat === null) throw missing(path);
  regular(place.stat, path);
  // Not blocking, because a pipe may have taken the file's place since it was looked at.
  const fd = openSync(under(place), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stat = fstatSync(fd);
    regular(stat, path);
    if (stat.size > bytesMax) throw refusal("E2BIG", `${path} has ${stat.size} bytes; at most ${bytesMax} can be read at once`);
    return { data: readWhole(fd, stat.size, bytesMax, path), stat };
  } finally {
    closeSync(fd);
  }
}

export interface WriteOptions {
  /** Permission bits; null keeps those of the file that is replaced. */
  readonly mode: number | null;
  /** Flushed to the disk before the rename. */
  readonly durable: boolean;
  /** follow: writing through a link beneath the root changes its target · keep: the link itself is replaced. */
  readonly last: "follow" | "keep";
}

/** `check` sees what is there at the last moment and may refuse by throwing through `refusal()`. */
export function writeBeneath(
  tree: Tree,
  path: string,
  data: Uint8Array,
  options: WriteOptions,
  check: (place: Place) => void = () => undefined,
): Result<void, SysError> {
  return at(tree, path, { last: options.last, create: true }, (place) => {
    if (place.real === "." || place.stat?.isDirectory()) throw refusal("EINVAL", `${path} is a folder; name a file`);
    if (place.stat !== null && !place.stat.isSymbolicLink()) regular(place.stat, path);
    check(place);
    const temporary = `${fdPath(place.dir)}/${temporaryName}`;
    removeIfThere(temporary);
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o666);
    try {
      for (let offset = 0; offset < data.length;) offset += writeSync(fd, data, offset);
      inherit(fd, place, options.mode);
      if (options.durable) fsyncSync(fd);
    } catch (error) {
      removeIfThere(temporary);
      throw error;
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, under(place));
    if (options.durable) syncFolder(place.dir);
  });
}

export function linkBeneath(
  tree: Tree,
  path: string,
  target: string,
  check: (place: Place) => void = () => undefined,
): Result<void, SysError> {
  return at(tree, path, { last: "keep", create: true }, (place) => {
    if (place.stat?.isDirectory()) throw refusal("EINVAL", `${path} is a folder`);
    check(place);
    const temporary = `${fdPath(place.dir)}/${temporaryName}`;
    removeIfThere(temporary);
    symlinkSync(target, temporary);
    renameSync(temporary, under(place));
    syncFolder(place.dir);
  });
}

export function folderBeneath(tree: Tree, path: string): Result<void, SysError> {
  return at(tree, path, { last: "keep", create: true }, (place) => {
    if (place.stat === null) mkdirSync(under(place));
    else if (!place.stat.isDirectory()) throw refusal("EEXIST", `${path} is there and is not a folder`);
  });
}

/** Removes a file, a link, or a folder with all that is in it. */
export function removeBeneath(tree: Tree, path: string, check: (place: Place) => void = () => undefined): Result<void, SysError> {
  return at(tree, path, { last: "keep" }, (place) => {
    if (place.stat === null) throw missing(path);
    if (place.real === ".") throw refusal("EPERM", "the workspace itself cannot be removed; name what is in it");
    check(place);
    removeAt(place.dir, place.name, place.stat);
  });
}

/** Removes a folder only when nothing is in it. */
export function removeEmptyBeneath(tree: Tree, path: string): Result<boolean, SysError> {
  return at(tree, path, { last: "keep" }, (place) => {
    if (!place.stat?.isDirectory()) return false;
    try {
      rmdirSync(under(place));
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST") return false;
      throw error;
    }
  });
}

export function statBeneath(tree: Tree, path: string): Result<FileStat, SysError> {
  return at(tree, path, { last: "keep" }, (place) => {
    if (place.stat === null) throw missing(path);
    return fileStat(place.real, place.stat);
  });
}

/** The entries of a folder, sorted by name in code-unit order. */
export function listBeneath(tree: Tree, path: string): Result<FileStat[], SysError> {
  return at(tree, path, { last: "follow" }, (place) => {
    if (place.stat === null) throw missing(path);
    if (!place.stat.isDirectory()) throw refusal("EINVAL", `${path} is not a folder; use fs.read for a file`);
    const fd = openSync(under(place), folderFlags);
    try {
      const prefix = place.real === "." ? "" : `${place.real}/`;
      return namesIn(fd).flatMap((name) => {
        const stat = lstatIn(fd, name);
        return stat === null ? [] : [fileStat(`${prefix}${name}`, stat)];
      });
    } finally {
      closeSync(fd);
    }
  });
}

export function fileStat(path: string, stat: Stats): FileStat {
  const type = stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other";
  return { path, type, bytes: stat.size, modifiedAt: stat.mtimeMs };
}

export function linkTarget(place: Place): string {
  return readlinkSync(under(place));
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
      return { dir: top(), name, real: [...stack.map((entry) => entry.name), name].join("/"), stat };
    }
    const fd = openFolder(top(), name, options.create === true, path);
    if (fd !== null) stack.push({ fd, name });
    else if (tree.links === "none") throw missing(path);
    else expand(name);
  }
  const real = stack.map((entry) => entry.name).join("/") || ".";
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

function missing(path: string): Error {
  return refusal("ENOENT", `${path} is not there; list its folder with fs.list to see what is`);
}

function regular(stat: Stats, path: string): void {
  if (stat.isFile()) return;
  const what = stat.isDirectory()
    ? "a folder; list it with fs.list"
    : stat.isSymbolicLink()
      ? "a link"
      : "a pipe, socket or device";
  throw refusal("EINVAL", `${path} is ${what}, not a regular file`);
}

function readWhole(fd: number, size: number, bytesMax: number, path: string): Buffer {
  let buffer = Buffer.allocUnsafe(size + 1);
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > bytesMax) throw refusal("E2BIG", `${path} grew beyond ${bytesMax} bytes while it was read`);
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(Math.max(4_096, length))]);
  }
}

/** The new file gets the mode and owner of what it replaces; a new one made by root belongs to its folder's owner. */
function inherit(fd: number, place: Place, mode: number | null): void {
  const old = place.stat?.isFile() ? place.stat : null;
  const made = fstatSync(fd);
  const owner = old ?? fstatSync(place.dir);
  if (process.getuid?.() === 0 && (owner.uid !== made.uid || owner.gid !== made.gid)) {
    try {
      fchownSync(fd, owner.uid, owner.gid);
    } catch {
      // Inside a container root may not give files away; then the file is root's, as any file it makes.
    }
  }
  const wanted = mode ?? (old === null ? null : old.mode & 0o777);
  if (wanted !== null && (made.mode & 0o777) !== wanted) fchmodSync(fd, wanted);
}

function removeAt(dir: number, name: string, stat: Stats): void {
  const full = `${fdPath(dir)}/${name}`;
  if (!stat.isDirectory()) return unlinkSync(full);
  const fd = openSync(full, folderFlags);
  try {
    for (const child of namesIn(fd)) {
      const childStat = lstatIn(fd, child);
      if (childStat !== null) removeAt(fd, child, childStat);
    }
  } finally {
    closeSync(fd);
  }
  rmdirSync(full);
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function syncFolder(dir: number): void {
  const fd = openSync(`${fdPath(dir)}/.`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function namesIn(fd: number): string[] {
  return readdirSync(fdPath(fd)).sort();
}

function lstatIn(dir: number, name: string): Stats | null {
  return lstatSync(`${fdPath(dir)}/${name}`, { throwIfNoEntry: false }) ?? null;
}

function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}

function under(place: Place): string {
  return `${fdPath(place.dir)}/${place.name}`;
}

function fdPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function codeOf(error: unknown): string {
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
