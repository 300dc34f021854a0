/**
 * Store: the interfaces of what lasts. The log is the truth; the blob store holds what is too large for it;
 * the index answers questions and can be thrown away. Each interface has one contract suite for all its drivers.
 */
import type { Digest } from "../lib/hash.ts";
import type { Awaitable, Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";
import type { Entry } from "./entry.ts";

export interface LogRecord {
  /** 0, 1, 2, …: the record's place in the log. */
  readonly seq: number;
  /** The serialised entry. */
  readonly text: string;
  /** SHA-256 over the previous record's hash and this text. */
  readonly hash: Digest;
}

/** What reading a log from disk found. A log is usable up to `records`; `findings` says what was cut or sealed. */
export interface LogState {
  readonly records: number;
  readonly head: Digest;
  readonly tornBytes: number;
}

export interface LogDriver {
  readonly name: string;
  /** The seq the next record gets. */
  readonly next: number;
  /** The hash of the last record; 64 zeros for an empty log. */
  readonly head: Digest;
  /** Fix the record's place. Written soon, durable at the next barrier. After a failed write it refuses everything. */
  append(text: string): number;
  /**
   * Durable up to here. `alone` says that nobody else is about to wait, so a synchronous flush is cheaper than a hop.
   * The answer is an error, for ever, once a write has failed: then nothing may act.
   */
  barrier(alone: boolean): Awaitable<Result<void, SysError>>;
  /** All records from `from` on, in order, each checked against the chain. Yields an error once and ends where the chain breaks. */
  read(from: number): Iterable<Result<LogRecord, SysError>>;
  /** The seq from which a boot must read: the newest segment that starts with a checkpoint, else 0. */
  readonly resumeFrom: number;
  /** Start a new segment whose first record is this checkpoint entry; returns its seq. */
  rotate(checkpoint: string): Awaitable<Result<number, SysError>>;
  close(): Awaitable<void>;
}

/** Content-addressed, deduplicated. put() returns at once; flush() makes everything put so far durable. */
export interface BlobDriver {
  readonly name: string;
  put(data: string | Uint8Array): Digest;
  get(digest: Digest): Result<Buffer, SysError>;
  has(digest: Digest): boolean;
  /** Whether flush() has work. */
  readonly dirty: boolean;
  flush(): Awaitable<Result<void, SysError>>;
  list(): Iterable<Digest>;
}

export interface IndexQuery {
  readonly pid?: number;
  readonly kinds?: readonly string[];
  /** Full-text search over the entry's text. */
  readonly text?: string;
  readonly call?: string;
  readonly from?: number;
  readonly limit?: number;
  /** Newest first. */
  readonly descending?: boolean;
}

export interface IndexedEntry {
  readonly seq: number;
  readonly entry: Entry;
}

/** For queries only; fed behind the log, rebuilt from it at any time. */
export interface IndexDriver {
  readonly name: string;
  /** The seq the index expects next: everything below is indexed. */
  readonly next: number;
  add(records: readonly LogRecord[]): void;
  query(query: IndexQuery): readonly IndexedEntry[];
  clear(): void;
  close(): void;
}
