/**
 * Memory blobs: the blob store without a disk, for tests and simulation, with the same faults as a real one.
 *   STO-2.1  A crash keeps every blob before the last flush; each later one survives whole or not at all.
 */
import { fail, sysError, type SysError } from "../../abi/errno.ts";
import type { BlobDriver } from "../../abi/store.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { done, err, ok, type Result } from "../../lib/result.ts";

export type BlobImage = ReadonlyMap<Digest, Buffer>;

export interface MemoryBlobsOptions {
  readonly image?: BlobImage;
  /** Writing new blob number N since opening fails, as on a full disk; every later flush fails. */
  readonly failWrite?: number;
}

export interface MemoryBlobs extends BlobDriver {
  /** What a power cut leaves. `chance` gives numbers from 0 to below 1. */
  crash(chance: () => number): BlobImage;
  /** Spoil a blob as a bad disk would. */
  spoil(digest: Digest): void;
}

export function openMemoryBlobs(options: MemoryBlobsOptions = {}): MemoryBlobs {
  const durable = new Map<Digest, Buffer>(options.image);
  const pending = new Map<Digest, Buffer>();
  let failure: SysError | null = null;
  let written = 0;
  const find = (digest: Digest): Buffer | undefined => pending.get(digest) ?? durable.get(digest);
  return {
    name: "memory",
    put(data) {
      const digest = sha256(data);
      const there = find(digest);
      if (there !== undefined && sha256(there) === digest) return digest;
      if (written++ === options.failWrite) {
        failure ??= sysError("ENOSPC", "a blob could not be written: the disk is full; free some space and start again");
      } else pending.set(digest, typeof data === "string" ? Buffer.from(data) : Buffer.from(data));
      return digest;
    },
    get(digest) {
      const content = find(digest);
      if (content === undefined) return missing(digest);
      return sha256(content) === digest ? ok(Buffer.from(content)) : spoiled(digest);
    },
    has: (digest) => find(digest) !== undefined,
    get dirty() {
      return pending.size > 0 || failure !== null;
    },
    flush() {
      if (failure !== null) return err(failure);
      for (const [digest, content] of pending) durable.set(digest, content);
      pending.clear();
      return done;
    },
    *list() {
      yield* [...new Set([...durable.keys(), ...pending.keys()])].toSorted();
    },
    crash(chance) {
      failure ??= sysError("EIO", "the machine lost power; open the store again with what is left");
      return new Map([...durable, ...[...pending].filter(() => chance() < 0.5)]);
    },
    spoil(digest) {
      const content = find(digest);
      if (content !== undefined)
        (pending.has(digest) ? pending : durable).set(digest, Buffer.concat([content, Buffer.from("?")]));
    },
  };
}

export function missing(digest: Digest): Result<never, SysError> {
  return fail("ENOENT", `no blob ${digest.slice(0, 12)} is stored; run "daimon fsck" to see what refers to it`);
}

export function spoiled(digest: Digest): Result<never, SysError> {
  return fail("EUCLEAN", `blob ${digest.slice(0, 12)} is damaged: its content no longer fits its digest; run "daimon fsck"`);
}
