/**
 * Content: the bytes and digest of what stands at a path, for files and links alike.
 *   FIL-9.1  A link's content is its target behind a mark no text has, so a link and a file never share a digest.
 *   FIL-9.2  A digest is computed once for each state of a file: inode, size and times are its key.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync, type Stats } from "node:fs";
import type { SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { ok, type Result } from "../../lib/result.ts";
import { linkTarget, readAt, stateOf } from "./beneath.ts";
import { at, refusal, type Tree } from "./tree.ts";

/** The same mark as the commit planner's; drivers and deciders share no module. */
const linkMark = "\0link\0";

export function linkContent(target: string): Buffer {
  return Buffer.from(`${linkMark}${target}`);
}

export function targetOf(content: Uint8Array): string {
  return Buffer.from(content).toString("utf8").slice(linkMark.length);
}

export interface Standing {
  readonly stat: Stats;
  /** null for a folder, a special file, and a file beyond the bound. */
  readonly data: Buffer | null;
}

/** What stands at a path, without following a link there; null where nothing is. */
export function standing(tree: Tree, path: string): Result<Standing | null, SysError> {
  return at(tree, path, { last: "keep" }, (place) => {
    if (place.stat === null) return null;
    if (place.stat.isSymbolicLink()) return { stat: place.stat, data: linkContent(linkTarget(place)) };
    if (!place.stat.isFile() || place.stat.size > limits.fileBytesMax) return { stat: place.stat, data: null };
    const { data, stat } = readAt(place, path, limits.fileBytesMax);
    return { stat, data };
  });
}

const chunkBytes = 1024 * 1024;

/** Digests by path, each computed anew only when the file's state changed. */
export class DigestCache {
  readonly #known = new Map<string, { readonly key: string; readonly digest: Digest }>();

  /** Large files are read in pieces, and other work goes on in between. */
  async digest(tree: Tree, path: string, stat: Stats): Promise<Result<Digest, SysError>> {
    const key = stateOf(stat);
    const known = this.#known.get(path);
    if (known?.key === key) return ok(known.digest);
    const digest = stat.isFile() && stat.size > limits.fileBytesMax ? await digestLarge(tree, path) : digestSmall(tree, path);
    if (digest.ok) this.#known.set(path, { key, digest: digest.value });
    return digest;
  }
}

function digestSmall(tree: Tree, path: string): Result<Digest, SysError> {
  const found = standing(tree, path);
  return found.ok ? ok(sha256(found.value?.data ?? Buffer.alloc(0))) : found;
}

async function digestLarge(tree: Tree, path: string): Promise<Result<Digest, SysError>> {
  const opened = at(tree, path, { last: "keep" }, (place) => {
    if (!place.stat?.isFile()) throw refusal("ESTALE", `${path} changed while it was looked at; try again`);
    return openSync(`/proc/self/fd/${place.dir}/${place.name}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  });
  if (!opened.ok) return opened;
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(chunkBytes);
  try {
    for (let count = readSync(opened.value, buffer); count > 0; count = readSync(opened.value, buffer)) {
      hash.update(buffer.subarray(0, count));
      await new Promise(setImmediate);
    }
  } finally {
    closeSync(opened.value);
  }
  return ok(hash.digest("hex"));
}
