/** Unflushed: a reader's view of a blob store that also holds what its writer has put aside and not yet made durable. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BlobDriver } from "../abi/store.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { ok } from "../lib/result.ts";

/** The kernel names a payload in the log before its next flush, so a look beside it, or after a kill, meets such names. */
export function withUnflushed(blobs: BlobDriver, dir: string): BlobDriver {
  const aside = join(dir, "new");
  const find = (digest: Digest): Buffer | null => {
    for (const name of namesIn(aside)) {
      if (!name.startsWith(digest)) continue;
      const content = read(join(aside, name));
      if (content !== null && sha256(content) === digest) return content;
    }
    return null;
  };
  return {
    name: blobs.name,
    dirty: false,
    put: (data) => blobs.put(data),
    flush: () => blobs.flush(),
    list: () => blobs.list(),
    has: (digest) => blobs.has(digest) || find(digest) !== null,
    get: (digest) => {
      const settled = blobs.get(digest);
      if (settled.ok || settled.error.errno !== "ENOENT") return settled;
      const found = find(digest);
      // A flush may have given it its name between the two looks.
      return found === null ? blobs.get(digest) : ok(found);
    },
  };
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch {
    return null;
  }
}
