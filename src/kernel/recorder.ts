/**
 * Recorder: the one way into the journal. An entry is serialised, given its place, and folded, in that order.
 *   KRN-3.1  Nothing is folded that was not given a place in the log first.
 *   KRN-3.2  A barrier makes blobs durable before the records that name them.
 *   KRN-3.4  A rotation makes the payloads of all records durable before the records.
 *   KRN-3.5  What is written without a barrier outlives the process at once; that, and what nobody waits for, is durable within a second.
 *   KRN-3.3  Once a write has failed nothing is recorded any more, and so nothing acts.
 */
import type { Clock } from "../abi/clock.ts";
import type { Entry } from "../abi/entry.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Manifest } from "../abi/process.ts";
import type { BlobDriver, LogDriver, SwapDriver } from "../abi/store.ts";
import type { Digest } from "../lib/hash.ts";
import type { Json } from "../lib/json.ts";
import { done, type Awaitable, type Result } from "../lib/result.ts";
import { encode } from "./codec.ts";
import { apply, type FoldInput } from "./fold.ts";
import { serialise, tableDigest } from "./snapshot.ts";
import { swapIn, swapOut } from "./swap.ts";
import type { Proc, Table } from "./table.ts";

export type EntryListener = (entry: Entry, seq: number) => void;

export class Recorder {
  readonly table: Table;
  readonly #log: LogDriver;
  readonly #blobs: BlobDriver;
  readonly #swap: SwapDriver;
  readonly #input: FoldInput & { prime(blob: Digest, value: Json): void };
  readonly #listeners = new Set<EntryListener>();
  #failure: SysError | null = null;
  #rotating = false;
  #cancelLater: (() => void) | null = null;
  #tableDigest: Digest = "";
  readonly #put = (text: string): Digest => this.#blobs.put(text);

  constructor(table: Table, log: LogDriver, blobs: BlobDriver, swap: SwapDriver) {
    this.table = table;
    this.#log = log;
    this.#blobs = blobs;
    this.#swap = swap;
    this.#input = { ...foldInput(blobs), load: (proc) => swapIn(proc, swap) };
  }

  /** Free the memory of a process that waits for a person. */
  swapOut(proc: Proc): void {
    if (proc.tape === null && proc.swapped === null) swapOut(proc, this.#swap);
  }

  swapIn(proc: Proc): void {
    swapIn(proc, this.#swap);
  }

  get failure(): SysError | null {
    return this.#failure;
  }

  get next(): number {
    return this.#log.next;
  }

  get head(): Digest {
    return this.#log.head;
  }

  record(entry: Entry): void {
    if (this.#failure !== null) throw new Halted(this.#failure);
    const seq = this.#log.append(encode(entry, this.#put));
    if (seq < 0) this.#halt(this.#whyNot());
    this.#reading(() => apply(this.table, entry, this.#input));
    for (const listener of this.#listeners) listener(entry, seq);
    if (this.#log.rotateDue && !this.#rotating) setImmediate(() => void this.rotateIfLarge(entry.at, false));
  }

  /** A value small enough stays in the entry; a larger one goes to the blob store under its digest. */
  store(value: Json, always: boolean): { readonly value: Json } | { readonly blob: Digest } {
    if (typeof value !== "string" && typeof value !== "object") return { value };
    const text = JSON.stringify(value);
    const small = text.length <= limits.inlineBytesMax && Buffer.byteLength(text) <= limits.inlineBytesMax;
    if (small && !always) return { value };
    const blob = this.#blobs.put(text);
    this.#input.prime(blob, value);
    return { blob };
  }

  putText(text: string): Digest {
    return this.#blobs.put(text);
  }

  /** One object for all processes of a manifest: what is known of it is found by that object. */
  manifest(digest: Digest): Manifest {
    return this.#reading(() => this.#input.manifest(digest));
  }

  value(blob: Digest): Json {
    return this.#reading(() => this.#input.value(blob));
  }

  /** A payload that was put and is not there could not be written: the disk is full, and its loss is nobody's answer. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof MissingBlob)) throw error;
      const written = this.#blobs.dirty ? this.#blobs.flush() : done;
      if (!(written instanceof Promise) && !written.ok) this.#halt(written.error);
      throw error;
    }
  }

  /** What was recorded outlives this process from now on, and the power soon. */
  write(clock: Clock): Result<void, SysError> {
    if (this.#failure !== null) return fail(this.#failure.errno, this.#failure.message);
    const written = this.#log.write();
    if (!written.ok) this.#failure ??= written.error;
    this.soon(clock);
    return written;
  }

  /** What was recorded is durable in a while, shared by all that come in it: for what nobody waits for, since nothing that leaves the machine follows from it. */
  soon(clock: Clock): void {
    this.#cancelLater ??= clock.after(limits.durableWithinMs, () => {
      this.#cancelLater = null;
      void this.barrier(false);
    });
  }

  /** `alone`: no other process is about to act, so waiting in place is cheaper than a hop to another thread. */
  barrier(alone: boolean): Awaitable<Result<void, SysError>> {
    this.#cancelLater?.();
    this.#cancelLater = null;
    if (this.#failure !== null) return fail(this.#failure.errno, this.#failure.message);
    if (!this.#blobs.dirty) return this.#settled(this.#log.barrier(alone));
    const flushed = this.#blobs.flush();
    if (!(flushed instanceof Promise)) {
      return flushed.ok ? this.#settled(this.#log.barrier(alone)) : this.#settled(flushed);
    }
    return flushed.then((result) => (result.ok ? this.#settled(this.#log.barrier(alone)) : this.#settled(result)));
  }

  /**
   * Close the segment with a checkpoint once it is large, so that a boot reads little. Rotating makes all records durable, so every payload
   * they name is made durable first; snapshot and record are then placed in one tick. A power cut that keeps the checkpoint and loses its
   * blob only makes the next boot read from further back.
   */
  async rotateIfLarge(now: number, force: boolean): Promise<Result<void, SysError>> {
    if (this.#rotating || this.#failure !== null || (!force && !this.#log.rotateDue)) return done;
    this.#rotating = true;
    try {
      while (this.#blobs.dirty) {
        const flushed = await this.#blobs.flush();
        if (!flushed.ok) return await this.#settled(flushed);
      }
      const entry: Entry = { kind: "checkpoint", at: now, blob: this.#blobs.put(this.#snapshot()), digest: this.#tableDigest };
      const rotated = await this.#log.rotate(JSON.stringify(entry));
      return rotated.ok ? await this.barrier(false) : await this.#settled(rotated);
    } finally {
      this.#rotating = false;
    }
  }

  /** The table as text. Who was swapped out comes in for it, and goes out again. */
  #snapshot(): string {
    const away = [...this.table.procs.values()].filter((proc) => proc.swapped !== null);
    for (const proc of away) this.swapIn(proc);
    const text = serialise(this.table);
    this.#tableDigest = tableDigest(this.table);
    for (const proc of away) this.swapOut(proc);
    return text;
  }

  on(listener: EntryListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #whyNot(): SysError {
    const refused = this.#log.barrier(true);
    if (!(refused instanceof Promise) && !refused.ok) return refused.error;
    return sysError("EIO", "the journal takes no more records; look at the disk, then start again");
  }

  #halt(error: SysError): never {
    this.#failure ??= error;
    throw new Halted(this.#failure);
  }

  #settled(result: Awaitable<Result<void, SysError>>): Awaitable<Result<void, SysError>> {
    if (result instanceof Promise) return result.then((settled) => this.#settled(settled));
    if (!result.ok) this.#failure ??= result.error;
    return result;
  }
}

/** The log cannot be written: every loop unwinds, nothing acts. Not a Panic: the disk failed, not the kernel. */
export class Halted extends Error {
  override readonly name = "Halted";
  readonly error: SysError;
  constructor(error: SysError) {
    super(error.message);
    this.error = error;
  }
}

/** A blob that the journal names is not there, or is not what it was. */
export class MissingBlob extends Error {
  override readonly name = "MissingBlob";
  readonly error: SysError;
  constructor(blob: Digest, error: SysError) {
    super(`blob ${blob}: ${error.message}`);
    this.error = error;
  }
}

/** Reads blobs for the fold; the value just stored is at hand without a second parse. */
export function foldInput(blobs: BlobDriver): FoldInput & { prime(blob: Digest, value: Json): void } {
  const manifests = new Map<Digest, Manifest>();
  let primed: { readonly blob: Digest; readonly value: Json } | null = null;
  const read = (digest: Digest): Json => {
    const data = blobs.get(digest);
    if (!data.ok) throw new MissingBlob(digest, data.error);
    return JSON.parse(data.value.toString("utf8")) as Json;
  };
  return {
    prime: (blob, value) => {
      primed = { blob, value };
    },
    value: (blob) => (primed?.blob === blob ? primed.value : read(blob)),
    has: (blob) => blobs.has(blob),
    manifest: (digest) => {
      const known = manifests.get(digest) ?? (read(digest) as unknown as Manifest);
      manifests.set(digest, known);
      return known;
    },
  };
}
