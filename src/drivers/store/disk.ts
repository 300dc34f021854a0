/**
 * Disk: the few file operations the stores are made of, with errors in words of our own and no path of the host in them.
 *   STO-1.5  Files and folders are private (0600, 0700), created where nothing is, and never opened through a symbolic link.
 */
import { closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { sysError, type SysError } from "../../abi/errno.ts";
import { storeLimits } from "../../abi/store.ts";
import type { ByteSource } from "./cursor.ts";

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = constants;

/** Its name is durable too, and so are those of the folders made above it. */
export function makeFolder(path: string): void {
  const highest = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (highest !== undefined) {
    const above = dirname(resolve(highest));
    for (let made = resolve(path); made !== above && made !== dirname(made); made = dirname(made)) syncFolder(dirname(made));
  }
  // Opening fails where a link stands in the folder's place.
  closeSync(openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
}

export function createFile(path: string): number {
  return openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

export function openFile(path: string, access: "read" | "write"): number {
  return openSync(path, (access === "read" ? O_RDONLY : O_RDWR) | O_NOFOLLOW);
}

/** Make the names in a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The kernel may write less than it was given. */
export function writeAll(fd: number, buffer: Uint8Array, length: number, position: number): void {
  for (let written = 0; written < length;) {
    written += writeSync(fd, buffer, written, length - written, position + written);
  }
}

export function fileSource(fd: number): ByteSource {
  return {
    readAt: (target, at, length, position) => readSync(fd, target, at, length, position),
    size: () => fstatSync(fd).size,
    close: () => closeSync(fd),
  };
}

export function bufferSource(content: Buffer): ByteSource {
  return {
    readAt: (target, at, length, position) => content.copy(target, at, position, position + length),
    size: () => content.length,
    close: () => undefined,
  };
}

/** The content of a compressed file. */
export function unpackFile(path: string): Buffer {
  const fd = openFile(path, "read");
  try {
    return zstdDecompressSync(readFileSync(fd), { maxOutputLength: storeLimits.archiveBytesMax });
  } finally {
    closeSync(fd);
  }
}

/** The code of an exception of node:fs; anything else is a bug of ours and goes on. */
export function fsCode(thrown: unknown): string {
  if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string") return thrown.code;
  throw thrown;
}

/** `what` could not be done: the reason in plain words, and the next step. */
export function fsError(thrown: unknown, what: string): SysError {
  const code = fsCode(thrown);
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return sysError("ENOSPC", `${what}: the disk is full; free some space and start again, nothing acknowledged is lost`, code);
    case "EROFS":
      return sysError("EROFS", `${what}: the file system is read-only; mount it for writing or choose another folder`, code);
    case "EACCES":
    case "EPERM":
      return sysError("EACCES", `${what}: permission denied; give this user read and write access to the store's folder`, code);
    case "ELOOP":
    case "ENOTDIR":
      return sysError(
        "EACCES",
        `${what}: a link or another thing stands in its place; remove it, the stores never follow a link`,
        code,
      );
    case "ENOENT":
      return sysError("ENOENT", `${what}: it is not there; run "daimon fsck" to see what is missing`, code);
    case "EEXIST":
      return sysError("EEXIST", `${what}: something has its name already; run "daimon fsck" to see what it is`, code);
    case "EMFILE":
    case "ENFILE":
      return sysError("EAGAIN", `${what}: too many open files; raise the limit (ulimit -n) and start again`, code);
    default:
      return sysError(
        "EIO",
        `${what}: the disk reports ${code}; look at the system's log and check the disk before starting again`,
        code,
      );
  }
}
