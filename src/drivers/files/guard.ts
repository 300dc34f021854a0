/** Guard: the checks every session makes before it changes a path, whatever its driver. */
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { foldPath } from "../../lib/fold.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import type { Err } from "../../lib/result.ts";
import { temporaryName } from "./beneath.ts";
import { refusal } from "./tree.ts";

export function tooLarge(path: string, data: Uint8Array): Err<SysError> | null {
  if (data.length <= limits.fileBytesMax) return null;
  return fail("E2BIG", `${path} would have ${data.length} bytes; a file may have at most ${limits.fileBytesMax}`);
}

/** A file system that ignores case would show a hidden folder under another spelling. */
export function isHidden(hide: ReadonlySet<string>, path: string): boolean {
  return hide.has(foldPath(path.split("/")[0] ?? ""));
}

/** Throws the refusal; called where the path is known without its links. */
export function checkHidden(hide: ReadonlySet<string>, real: string): void {
  const [first = ""] = real.split("/");
  if (isHidden(hide, real)) throw refusal("EPERM", `${first} belongs to the platform and cannot be changed from a session`);
  if (real.endsWith(temporaryName))
    throw refusal("EINVAL", `the name ${temporaryName} is used while files are written; choose another`);
}

export function checkExpected(path: string, current: Uint8Array | null, expect: Digest | null | undefined): void {
  if (expect === undefined) return;
  if (expect === null && current !== null)
    throw refusal("EEXIST", `${path} is there already; read it and pass its digest, or choose another name`);
  if (expect === null) return;
  if (current === null) throw refusal("ESTALE", `${path} is no longer there; list its folder and decide again`);
  if (sha256(current) !== expect)
    throw refusal("ESTALE", `${path} changed since it was read; read it again and repeat the change on what it says now`);
}
