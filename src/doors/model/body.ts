/**
 * Body: a guest's request as it arrives: looked through while it passes, kept for as long as it may have to be sent again.
 *   DOR-2.1  What is kept of a body in memory is bounded; the rest lies in a file without a name, which goes with the request.
 *   DOR-2.2  A body that is larger than the bound, no JSON, or compressed in a way nobody here knows is refused while it arrives.
 *   DOR-2.4  A body that says that it is too large is refused before it comes, and of one that turns out to be the rest is not read.
 *   DOR-2.3  What is sent on are the bytes the guest wrote, decompressed.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { Transform } from "node:stream";
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { ok, type Result } from "../../lib/result.ts";

export interface KeptBody {
  readonly bytes: number;
  /** To be sent; a large one is read again from its file. */
  send(): Uint8Array | AsyncIterable<Uint8Array>;
  /** All of it, as a string. */
  text(): string;
  close(): void;
}

/** Sees the bytes pass; false: they are none of its kind. */
export interface Onlooker {
  push(chunk: Uint8Array): boolean;
}

export interface BodyPlace {
  /** Where large bodies are put, on a disk; only the user can enter it. */
  readonly folder: string;
  /** Unique in it. */
  name(): string;
  /** For a `content-encoding`; null where it is not known. */
  decoder(encoding: string): Transform | null;
}

export function readBody(request: IncomingMessage, onlooker: Onlooker, place: BodyPlace): Promise<Result<KeptBody, SysError>> {
  const encoding = request.headers["content-encoding"] ?? "identity";
  const decoder = encoding === "identity" ? null : place.decoder(encoding);
  if (encoding !== "identity" && decoder === null)
    return Promise.resolve(
      fail("EINVAL", `the request is compressed as ${JSON.stringify(encoding.slice(0, 32))}; send it plain, or as gzip or zstd`),
    );
  if (Number(request.headers["content-length"] ?? 0) > limits.guestBodyBytesMax) return Promise.resolve(tooLarge());
  const kept = new Kept(place);
  const source = decoder === null ? request : request.pipe(decoder);
  return new Promise((resolve) => {
    const refuse = (result: Result<never, SysError>): void => {
      source.removeAllListeners("data");
      request.unpipe();
      request.resume();
      kept.close();
      resolve(result);
    };
    source.on("data", (chunk: Buffer) => {
      if (kept.bytes + chunk.length > limits.guestBodyBytesMax) return refuse(tooLarge());
      if (!onlooker.push(chunk)) return refuse(fail("EINVAL", "the request is not JSON"));
      const stored = kept.add(chunk);
      if (!stored.ok) refuse(stored);
    });
    source.once("end", () => resolve(ok(kept)));
    source.once("error", () => refuse(fail("EINVAL", "the compressed request is damaged")));
    request.once("error", () => refuse(fail("ECANCELED", "the guest broke off its request")));
    request.once("aborted", () => refuse(fail("ECANCELED", "the guest broke off its request")));
  });
}

function tooLarge(): Result<never, SysError> {
  return fail("E2BIG", `a request is at most ${limits.guestBodyBytesMax} bytes; this one is larger`);
}

class Kept implements KeptBody {
  readonly #place: BodyPlace;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #file: number | null = null;

  constructor(place: BodyPlace) {
    this.#place = place;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(chunk: Buffer): Result<void, SysError> {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#file === null && this.#bytes <= limits.guestBodyMemoryBytesMax) return ok(undefined);
    try {
      this.#file ??= nameless(join(this.#place.folder, this.#place.name()));
      for (const piece of this.#chunks) writeSync(this.#file, piece);
      this.#chunks = [];
      return ok(undefined);
    } catch (error) {
      return fail(
        "ENOSPC",
        "a large request cannot be kept: the disk is full or cannot be written",
        error instanceof Error ? error.message : "",
      );
    }
  }

  send(): Uint8Array | AsyncIterable<Uint8Array> {
    if (this.#file !== null) return read(this.#file, this.#bytes);
    const [only] = this.#chunks;
    return this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.#whole().toString("utf8");
  }

  #whole(): Buffer {
    if (this.#file === null) return Buffer.concat(this.#chunks);
    const all = Buffer.allocUnsafe(this.#bytes);
    readSync(this.#file, all, 0, all.length, 0);
    return all;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
    this.#chunks = [];
  }
}

/** It is gone when its descriptor is, however this process ends. */
function nameless(path: string): number {
  const file = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return file;
}

async function* read(file: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes;) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, bytes - at));
    const got = readSync(file, piece, 0, piece.length, at);
    if (got === 0) return;
    at += got;
    yield got === piece.length ? piece : piece.subarray(0, got);
  }
}

const pieceBytes = 64 * 1024;
