/**
 * Disk: the log and the blobs of the simulated machine. A barrier and a flush take their time, and what they promise holds only from
 * their end on, as on a real disk; a power cut keeps what is durable and a part of the rest.
 */
import type { SysError } from "../../src/abi/errno.ts";
import type { BlobDriver, LogDriver } from "../../src/abi/store.ts";
import { limits } from "../../src/abi/limits.ts";
import { missing, openMemoryBlobs, type BlobImage, type MemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog, type LogImage, type MemoryLog } from "../../src/drivers/store/memory-log.ts";
import { assert } from "../../src/lib/assert.ts";
import { sha256, type Digest } from "../../src/lib/hash.ts";
import { ok, type Awaitable, type Result } from "../../src/lib/result.ts";

export interface DiskImage {
  readonly log: LogImage;
  readonly blobs: BlobImage;
}

export interface DiskOptions {
  readonly image: DiskImage | null;
  readonly segmentBytesMax: number;
  /** How long the next flush takes; null for a disk that answers at once. */
  readonly pause: (() => Promise<void>) | null;
  /** The disk is full from this record, or this blob, of its life on. */
  readonly records?: number;
  readonly blobs?: number;
}

export interface Disk {
  readonly log: LogDriver;
  readonly blobs: BlobDriver;
  /** Records known to be durable. */
  durable(): number;
  /** Something could not be written, whether the kernel has noticed or not. */
  failed(): boolean;
  /** The power goes: nothing is taken any more. `chance` says how much of what was not durable is left; 0 nothing, 1 all of it. */
  cut(chance: () => number): DiskImage;
  /** The kernel is killed and the machine lives: everything it had handed over is there. */
  kill(): DiskImage;
}

export function openDisk(options: DiskOptions): Disk {
  const { image, pause } = options;
  const log = openMemoryLog({
    ...(image === null ? {} : { image: image.log }),
    segmentBytesMax: options.segmentBytesMax,
    ...(options.records === undefined ? {} : { failWrite: options.records }),
  });
  const blobs = openMemoryBlobs({
    ...(image === null ? {} : { image: image.blobs }),
    ...(options.blobs === undefined ? {} : { failWrite: options.blobs }),
  });
  let durable = log.next;
  const settle = (): Result<void, SysError> => {
    /** Without `asynchronous` the memory log answers at once. */
    const settled = log.barrier(true) as Result<void, SysError>;
    if (settled.ok) durable = log.next;
    return settled;
  };
  const slow = new SlowBlobs(blobs, pause);
  return {
    log: slowLog(log, pause, settle, () => durable),
    blobs: slow,
    durable: () => durable,
    failed: () => log.failure !== null || slow.failed,
    cut: (chance) => ({ log: log.crash(chance), blobs: slow.crash(chance) }),
    kill: () => ({ log: log.crash(() => nearlyOne), blobs: slow.crash(() => nearlyOne) }),
  };
}

const nearlyOne = 0.999_999;

function slowLog(
  log: MemoryLog,
  pause: DiskOptions["pause"],
  settle: () => Result<void, SysError>,
  durable: () => number,
): LogDriver {
  return {
    name: "simulated",
    get next() {
      return log.next;
    },
    get head() {
      return log.head;
    },
    get resumeFrom() {
      return log.resumeFrom;
    },
    get rotateDue() {
      return log.rotateDue;
    },
    append(text) {
      assert(text.length <= limits.recordBytesMax, "a record is smaller than recordBytesMax");
      return log.append(text);
    },
    write: () => log.write(),
    barrier(alone): Awaitable<Result<void, SysError>> {
      if (pause === null || alone || durable() === log.next) return settle();
      return pause().then(settle);
    },
    read: (from) => log.read(from),
    rotate(checkpoint) {
      const rotated = log.rotate(checkpoint);
      settle();
      return rotated;
    },
    close: () => log.close(),
  };
}

/** Where it takes its time a flush makes durable what was put before it began, and no more; flushes that wait together share their work. */
class SlowBlobs implements BlobDriver {
  readonly name = "simulated";
  readonly #inner: MemoryBlobs;
  readonly #pause: DiskOptions["pause"];
  failed = false;
  #pending = new Map<Digest, Buffer>();
  #flushing = new Map<Digest, Buffer>();
  #flush: Promise<Result<void, SysError>> | null = null;
  #following: Promise<Result<void, SysError>> | null = null;

  constructor(inner: MemoryBlobs, pause: DiskOptions["pause"]) {
    this.#inner = inner;
    this.#pause = pause;
  }

  put(data: string | Uint8Array): Digest {
    const digest = sha256(data);
    if (this.has(digest)) return digest;
    if (this.#pause === null) this.#store(data);
    else this.#pending.set(digest, Buffer.from(data as string));
    return digest;
  }

  #store(data: string | Uint8Array): void {
    if (!this.#inner.has(this.#inner.put(data))) this.failed = true;
  }

  get(digest: Digest): Result<Buffer, SysError> {
    const aside = this.#pending.get(digest) ?? this.#flushing.get(digest);
    if (aside !== undefined) return ok(aside);
    return this.#inner.has(digest) ? this.#inner.get(digest) : missing(digest);
  }

  has(digest: Digest): boolean {
    return this.#pending.has(digest) || this.#flushing.has(digest) || this.#inner.has(digest);
  }

  get dirty(): boolean {
    return this.#pending.size > 0 || this.#flushing.size > 0 || this.#inner.dirty;
  }

  flush(): Awaitable<Result<void, SysError>> {
    if (this.#flush === null) return this.#pending.size === 0 ? this.#inner.flush() : this.#begin();
    if (this.#pending.size === 0) return this.#flush;
    this.#following ??= this.#flush.then(() => {
      this.#following = null;
      return this.flush();
    });
    return this.#following;
  }

  *list(): Iterable<Digest> {
    yield* [...new Set([...this.#pending.keys(), ...this.#flushing.keys(), ...this.#inner.list()])].toSorted();
  }

  crash(chance: () => number): BlobImage {
    const aside = [...this.#pending, ...this.#flushing].filter(() => chance() > 0.5);
    return new Map([...this.#inner.crash(() => 1 - chance()), ...aside]);
  }

  #begin(): Promise<Result<void, SysError>> {
    this.#flushing = this.#pending;
    this.#pending = new Map();
    this.#flush = (this.#pause?.() ?? Promise.resolve()).then(() => {
      for (const data of this.#flushing.values()) this.#store(data);
      const flushed = this.#inner.flush() as Result<void, SysError>;
      this.#flushing = new Map();
      this.#flush = null;
      return flushed;
    });
    return this.#flush;
  }
}
