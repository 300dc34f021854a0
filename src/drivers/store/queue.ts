/** Queue: records encoded at once and waiting for the next write, in one buffer that is used again. */
import { storeLimits } from "../../abi/store.ts";
import type { Digest } from "../../lib/hash.ts";
import { encodeRecord, headerBytes, settle, type RecordKind } from "./record.ts";

export class RecordQueue {
  #buffer = Buffer.allocUnsafe(storeLimits.queueBytesMax);
  #used = 0;

  /** Bytes waiting. */
  get bytes(): number {
    return this.#used;
  }

  push(kind: RecordKind, text: string, hash: Digest): void {
    const most = this.#used + headerBytes + text.length * 3;
    if (most > this.#buffer.length) this.#grow(most);
    this.#used = encodeRecord(this.#buffer, this.#used, kind, text, hash);
  }

  /** What to write. `durable` says that everything before it is, and its first record then carries the word. */
  take(durable: boolean): Buffer {
    if (durable && this.#used > 0) settle(this.#buffer, 0);
    return this.#buffer.subarray(0, this.#used);
  }

  /** The bytes taken are written. */
  clear(): void {
    this.#used = 0;
    if (this.#buffer.length > 2 * storeLimits.queueBytesMax) this.#buffer = Buffer.allocUnsafe(storeLimits.queueBytesMax);
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(bytes, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }
}
