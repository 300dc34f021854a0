/**
 * File blobs: one file per content, `AB/REST` by its digest. A blob is written aside at once and gets its name at the next flush, when
 * it is durable, so that a name never stands for half a content.
 *   STO-2.2  Equal contents are stored once.
 *   STO-2.3  After flush() every blob put before it survives a power cut; flushes that wait together share their work.
 *   STO-2.4  get() checks the digest: EUCLEAN for a damaged blob, ENOENT for a missing one, EINVAL for what is no digest.
 *   STO-2.5  A blob found damaged is written anew by the next put of its content.
 *   STO-2.6  What a crash left aside is taken in when it is whole and removed when not.
 *   STO-2.7  Once a write has failed every flush is that error, for ever.
 */
import { closeSync, constants, fdatasync, fdatasyncSync, fsync, lstatSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import { storeLimits, type BlobDriver } from "../../abi/store.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { done, err, ok, type Awaitable, type Result } from "../../lib/result.ts";
import { createFile, fsCode, fsError, makeFolder, openFile, syncFolder, writeAll } from "./disk.ts";
import { missing, spoiled } from "./memory-blobs.ts";

export interface FileBlobsOptions {
  /** The folder of the blobs; made where it is missing. */
  readonly dir: string;
  /** Take nothing in, remove nothing: for a reader beside a running kernel. */
  readonly readOnly?: boolean;
}

const aside = "new";

export function openFileBlobs(options: FileBlobsOptions): Result<BlobDriver, SysError> {
  const { dir } = options;
  try {
    if (options.readOnly !== true) {
      makeFolder(join(dir, aside));
      takeIn(dir);
    }
    return ok(new FileBlobs(dir, options.readOnly === true));
  } catch (thrown) {
    return err(fsError(thrown, "the blob store cannot be opened"));
  }
}

class FileBlobs implements BlobDriver {
  readonly name = "files";
  readonly #dir: string;
  readonly #readOnly: boolean;
  /** Written aside, not yet durable. */
  #pending = new Map<Digest, string>();
  /** Being made durable. */
  #flushing = new Map<Digest, string>();
  #flush: Promise<Result<void, SysError>> | null = null;
  #following: Promise<Result<void, SysError>> | null = null;
  readonly #known = new Set<Digest>();
  readonly #damaged = new Set<Digest>();
  #failure: SysError | null = null;
  #count = 0;

  constructor(dir: string, readOnly: boolean) {
    this.#dir = dir;
    this.#readOnly = readOnly;
  }

  put(data: string | Uint8Array): Digest {
    const digest = sha256(data);
    if (this.#failure !== null || (this.has(digest) && !this.#damaged.has(digest))) return digest;
    if (this.#readOnly) {
      this.#failure = {
        errno: "EROFS",
        message: "the blob store is open for reading only; open it for writing, which takes the workspace's lock",
      };
      return digest;
    }
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const path = join(this.#dir, aside, `${digest}.${process.pid}.${this.#count++}`);
    try {
      const fd = createFile(path);
      try {
        writeAll(fd, bytes, bytes.length, 0);
      } finally {
        closeSync(fd);
      }
    } catch (thrown) {
      this.#failure = fsError(thrown, `blob ${digest.slice(0, 12)} could not be written`);
      return digest;
    }
    this.#pending.set(digest, path);
    this.#damaged.delete(digest);
    return digest;
  }

  get(digest: Digest): Result<Buffer, SysError> {
    if (!isDigest(digest)) return fail("EINVAL", "a blob is named by 64 lower-case hexadecimal digits; this is no such name");
    const content = this.#read(digest);
    if (!content.ok) return content;
    if (sha256(content.value) === digest) return content;
    this.#damaged.add(digest);
    return spoiled(digest);
  }

  /** From aside while it is there: a flush gives it its name meanwhile. */
  #read(digest: Digest): Result<Buffer, SysError> {
    const paths = [this.#pending.get(digest), this.#flushing.get(digest), this.#place(digest)];
    for (const path of paths) {
      if (path === undefined) continue;
      try {
        return ok(readPath(path));
      } catch (thrown) {
        if (fsCode(thrown) !== "ENOENT") return err(fsError(thrown, `blob ${digest.slice(0, 12)} cannot be read`));
      }
    }
    return missing(digest);
  }

  has(digest: Digest): boolean {
    if (this.#known.has(digest) || this.#pending.has(digest) || this.#flushing.has(digest)) return true;
    if (!isDigest(digest) || lstatSync(this.#place(digest), { throwIfNoEntry: false })?.isFile() !== true) return false;
    this.#remember(digest);
    return true;
  }

  get dirty(): boolean {
    return this.#pending.size > 0 || this.#flushing.size > 0 || this.#failure !== null;
  }

  flush(): Awaitable<Result<void, SysError>> {
    if (this.#failure !== null) return err(this.#failure);
    if (this.#flush !== null) {
      if (this.#pending.size === 0) return this.#flush;
      this.#following ??= this.#flush.then(() => {
        this.#following = null;
        return this.#begin();
      });
      return this.#following;
    }
    return this.#pending.size === 0 ? done : this.#begin();
  }

  *list(): Iterable<Digest> {
    const found = new Set<Digest>([...this.#pending.keys(), ...this.#flushing.keys()]);
    for (const folder of this.#folders()) {
      for (const rest of readdirSync(join(this.#dir, folder)).sort()) if (isDigest(folder + rest)) found.add(folder + rest);
    }
    yield* [...found].toSorted();
  }

  #begin(): Promise<Result<void, SysError>> {
    this.#flushing = this.#pending;
    this.#pending = new Map();
    this.#flush = this.#settle(this.#flushing).then((result) => {
      this.#flush = null;
      this.#flushing = new Map();
      return result;
    });
    return this.#flush;
  }

  /** Content first, then names, then the folders that hold the names. */
  async #settle(blobs: ReadonlyMap<Digest, string>): Promise<Result<void, SysError>> {
    if (this.#failure !== null) return err(this.#failure);
    try {
      const paths = [...blobs.values()];
      for (let at = 0; at < paths.length; at += storeLimits.flushFilesMax) {
        await Promise.all(paths.slice(at, at + storeLimits.flushFilesMax).map((path) => syncPath(path, false)));
      }
      const touched = new Set<string>([this.#dir]);
      for (const [digest, path] of blobs) touched.add(place(this.#dir, digest, path));
      await Promise.all([...touched].map((folder) => syncPath(folder, true)));
      for (const digest of blobs.keys()) this.#remember(digest);
      return done;
    } catch (thrown) {
      this.#failure ??= fsError(thrown, "blobs could not be made durable");
      return err(this.#failure);
    }
  }

  #place(digest: Digest): string {
    return join(this.#dir, digest.slice(0, 2), digest.slice(2));
  }

  /** What is known to be there; the oldest is forgotten first, and then looked up again. */
  #remember(digest: Digest): void {
    this.#known.add(digest);
    if (this.#known.size <= storeLimits.knownBlobsMax) return;
    for (const oldest of this.#known) {
      this.#known.delete(oldest);
      return;
    }
  }

  *#folders(): Iterable<string> {
    let names: string[];
    try {
      names = readdirSync(this.#dir);
    } catch {
      return;
    }
    yield* names.filter((name) => /^[0-9a-f]{2}$/.test(name)).sort();
  }
}

function readPath(path: string): Buffer {
  const fd = openFile(path, "read");
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Gives a durable file its name; returns the folder it is in. */
function place(dir: string, digest: Digest, path: string): string {
  const folder = join(dir, digest.slice(0, 2));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (thrown) {
    if (fsCode(thrown) !== "EEXIST" || !lstatSync(folder).isDirectory()) throw thrown;
  }
  renameSync(path, join(folder, digest.slice(2)));
  return folder;
}

function syncPath(path: string, folder: boolean): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | (folder ? constants.O_DIRECTORY : 0));
  return new Promise((resolve, reject) => {
    const synced = (thrown: Error | null): void => {
      closeSync(fd);
      if (thrown === null) resolve();
      else reject(thrown);
    };
    if (folder) fsync(fd, synced);
    else fdatasync(fd, synced);
  });
}

/** Blobs a killed kernel had written aside are in the page cache still: the log may refer to them. */
function takeIn(dir: string): void {
  const touched = new Set<string>();
  for (const name of readdirSync(join(dir, aside))) {
    const path = join(dir, aside, name);
    const digest = name.slice(0, 64);
    if (!isDigest(digest) || !takeable(path, digest)) unlinkSync(path);
    else touched.add(place(dir, digest, path));
  }
  if (touched.size === 0) return;
  for (const path of [...touched, dir]) syncFolder(path);
}

/** Whole, and durable now. */
function takeable(path: string, digest: Digest): boolean {
  if (!lstatSync(path).isFile()) return false;
  const fd = openFile(path, "write");
  try {
    if (sha256(readFileSync(fd)) !== digest) return false;
    fdatasyncSync(fd);
    return true;
  } finally {
    closeSync(fd);
  }
}
