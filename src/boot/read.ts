/**
 * Read: a boot input's text, and nothing that only looks like one.
 *   BOO-2.7  A link, a folder, a device, a file over its bound and text that is not UTF-8 are refused with their own errors; the open follows no link
 *            unless asked to, which is for folders that only the person or the administrator can write.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { ok, type Result } from "../lib/result.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { fail, type SysError } from "../abi/errno.ts";

export interface SourceText {
  /** Without a leading byte order mark. */
  readonly text: string;
  /** Of the bytes as they lie on the disk: what the journal knows a commit by. */
  readonly digest: Digest;
}

export function readText(file: string, bytesMax: number, links: "refuse" | "follow" = "refuse"): Result<SourceText, SysError> {
  const bytes = readBytes(file, bytesMax, links);
  if (!bytes.ok) return bytes;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.value);
    return ok({ text, digest: sha256(bytes.value) });
  } catch {
    return fail("EINVAL", `${path.basename(file)} is not UTF-8 text; save it as UTF-8`);
  }
}

export function readBytes(file: string, bytesMax: number, links: "refuse" | "follow" = "refuse"): Result<Buffer, SysError> {
  const name = path.basename(file);
  let descriptor: number;
  try {
    // O_NONBLOCK: a named pipe put here must not hang the boot.
    descriptor = fs.openSync(
      file,
      fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | (links === "refuse" ? fs.constants.O_NOFOLLOW : 0),
    );
  } catch (cause) {
    return refused(name, cause);
  }
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFile()) return fail("EINVAL", `${name} is not a file; put a plain text file in its place`);
    if (stat.size > bytesMax) return fail("E2BIG", `${name} has ${stat.size} bytes and at most ${bytesMax} are read; shorten it`);
    // One byte more than the bound: a file that grows while it is read is seen.
    const buffer = Buffer.alloc(Math.min(stat.size, bytesMax) + 1);
    let length = 0;
    for (let count = 1; count > 0 && length < buffer.length; length += count) {
      count = fs.readSync(descriptor, buffer, length, buffer.length - length, null);
    }
    if (length === buffer.length) return fail("EAGAIN", `${name} changed while it was read; try again`);
    return ok(buffer.subarray(0, length));
  } catch (cause) {
    return refused(name, cause);
  } finally {
    fs.closeSync(descriptor);
  }
}

function refused(name: string, cause: unknown): Result<never, SysError> {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
  if (code === "ENOENT" || code === "ENOTDIR") return fail("ENOENT", `${name} does not exist`);
  if (code === "ELOOP") return fail("EPERM", `${name} is a link, and boot follows none; put the file itself in its place`);
  if (code === "EACCES" || code === "EPERM") return fail("EACCES", `${name} may not be read; check its permissions`);
  return fail("EIO", `${name} cannot be read: ${code}; check the disk`);
}
