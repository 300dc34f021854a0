/**
 * Cursor: walks the records of one segment, each checked against the chain, holding a small window of the file in memory.
 * It stops without moving at the end and at anything that is not a whole record, and may be asked again when the file has grown.
 *   STO-1.4  Every single-byte change of a segment is found: by the check, by the hash, or because the text is no longer UTF-8.
 */
import { isUtf8 } from "node:buffer";
import { storeLimits } from "../../abi/store.ts";
import type { Digest } from "../../lib/hash.ts";
import { chainHash, decodeHead, headerBytes, type RecordKind } from "./record.ts";

/** Bytes by position: an open file, or an archive's unpacked content. */
export interface ByteSource {
  /** Copies up to `length` bytes from `position` into the buffer; returns how many there were. */
  readAt(target: Buffer, at: number, length: number, position: number): number;
  size(): number;
  close(): void;
}

export interface WholeRecord {
  readonly found: "record";
  readonly kind: RecordKind;
  readonly settled: boolean;
  readonly offset: number;
  readonly text: string;
  /** The hash of the record itself, entry or note. */
  readonly hash: Digest;
}

export interface CursorStop {
  readonly found: "end" | "short" | "bad";
  readonly offset: number;
  readonly why: string;
}

export type Step = WholeRecord | CursorStop;

export class RecordCursor {
  readonly #source: ByteSource;
  #window = Buffer.allocUnsafe(storeLimits.readBytes);
  #windowOffset: number;
  #filled = 0;
  #at = 0;
  #head: Digest;

  constructor(source: ByteSource, offset: number, head: Digest) {
    this.#source = source;
    this.#windowOffset = offset;
    this.#head = head;
  }

  /** Where the next record begins. */
  get offset(): number {
    return this.#windowOffset + this.#at;
  }

  /** The hash of the last entry before it. */
  get head(): Digest {
    return this.#head;
  }

  next(): Step {
    const available = this.#fill(headerBytes);
    if (available === 0) return this.#stop("end", "the end");
    if (available < 8) return this.#stop("short", "a record is cut off in its header");
    const head = decodeHead(this.#window, this.#at);
    if (head === null) return this.#stop("bad", "no record begins here");
    const bytes = headerBytes + head.textBytes;
    if (this.#fill(bytes) < bytes) return this.#stop("short", "a record is cut off");

    const from = this.#at + headerBytes;
    const text = this.#window.toString("utf8", from, this.#at + bytes);
    const hash = chainHash(head.kind, this.#head, text);
    if (hash !== this.#window.toString("hex", this.#at + 8, from)) return this.#stop("bad", "a record does not fit its hash");
    // Broken UTF-8 decodes to the replacement character, which may also stand there by right.
    if (text.includes("\ufffd") && !isUtf8(this.#window.subarray(from, this.#at + bytes))) {
      return this.#stop("bad", "a record's text is not UTF-8");
    }
    const offset = this.offset;
    this.#at += bytes;
    if (head.kind === "entry") this.#head = hash;
    return { found: "record", kind: head.kind, settled: head.settled, offset, text, hash };
  }

  close(): void {
    this.#source.close();
  }

  /** What was read beyond the last whole record is forgotten: the writer may cut it and write something else there. */
  #stop(found: CursorStop["found"], why: string): CursorStop {
    this.#filled = this.#at;
    return { found, offset: this.offset, why };
  }

  /** Makes `bytes` available at the cursor if the source has them; returns how many are there. */
  #fill(bytes: number): number {
    const available = this.#filled - this.#at;
    if (available >= bytes) return available;
    const target = bytes > this.#window.length ? Buffer.allocUnsafe(bytes) : this.#window;
    this.#window.copy(target, 0, this.#at, this.#filled);
    this.#window = target;
    this.#windowOffset += this.#at;
    this.#at = 0;
    this.#filled = available;
    while (this.#filled < bytes) {
      const room = target.length - this.#filled;
      const read = this.#source.readAt(target, this.#filled, room, this.#windowOffset + this.#filled);
      if (read === 0) break;
      this.#filled += read;
    }
    return this.#filled;
  }
}
