/**
 * Beneath: every file operation below a root. tree.ts walks; here is what is done at the end of the walk.
 *   FIL-6.3  Only regular files are read and written; a pipe, socket or device is EINVAL and is never opened for its data.
 *   FIL-6.4  A write is a new file renamed over the old one in the same folder: whole or not at all, and other hard links keep the old content.
 *   FIL-6.5  Mode and, where permitted, owner of a file survive its being written.
 *   FIL-6.7  A file's state is told without reading it: another content has another state.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
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
import type { SysError } from "../../abi/errno.ts";
import type { FileStat } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import type { Result } from "../../lib/result.ts";
import { at, codeOf, fdPath, folderFlags, lstatIn, missing, refusal, under, type Place, type Tree } from "./tree.ts";

/** The name under which a file is written before it gets its own. */
export const temporaryName = ".daimon~tmp";

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

/** The state of the regular file that readBeneath() would read. */
export function stateBeneath(tree: Tree, path: string): Result<string, SysError> {
  return at(tree, path, { last: "follow" }, ({ stat }) => {
    if (stat === null) throw missing(path);
    regular(stat, path);
    return stateOf(stat);
  });
}

/** Whatever changes a file's content gives it another state. */
export function stateOf({ ino, size, mtimeMs, ctimeMs, mode }: Stats): string {
  return `${ino}:${size}:${mtimeMs}:${ctimeMs}:${mode}`;
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
