/**
 * Store: the interfaces of what lasts. The log is the truth; the blob store holds what is too large for it;
 * the index answers questions and can be thrown away. Each interface has one contract suite for all its drivers.
 */
import type { Digest } from "../lib/hash.ts";
import type { Awaitable, Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";
import type { StoredEntry } from "./entry.ts";

/** Bounds of the stores, each with its unit in its name. */
export const storeLimits = {
  /** Records wait in memory for the next write up to here; then they are written at once. */
  queueBytesMax: 1024 * 1024,
  /** A record nobody waits for is written, and signed, this much later at most. */
  writeDelayMs: 5,
  /** Records under one signature at most. */
  signRecordsMax: 256,
  /** A reader finds its place by a bookmark at every so many records. */
  bookmarkRecords: 1024,
  /** What is read from a segment at a time. */
  readBytes: 256 * 1024,
  /** What a closed, compressed segment may unpack to. */
  archiveBytesMax: 1024 * 1024 * 1024,
  /** Digests the blob store remembers as present. */
  knownBlobsMax: 100_000,
  /** Files made durable side by side. */
  flushFilesMax: 16,
} as const;

/** The head of an empty log. */
export const emptyHead: Digest = "0".repeat(64);

export interface LogRecord {
  /** 0, 1, 2, …: the record's place in the log. */
  readonly seq: number;
  /** The serialised entry. */
  readonly text: string;
  /** SHA-256 over the 64 hexadecimal digits of the previous record's hash and then this text, in UTF-8. */
  readonly hash: Digest;
}

/** What opening a log found. It is usable up to `records`; a damaged log is sealed there and opens for reading only. */
export interface LogState {
  readonly records: number;
  readonly head: Digest;
  /** Bytes of a record that a crash left half written, cut off (or passed over by a reader). */
  readonly tornBytes: number;
  /** EUCLEAN with segment, record and byte where the log is sealed; null when it is whole. */
  readonly damage: SysError | null;
}

export interface LogDriver {
  readonly name: string;
  /** The seq the next record gets. */
  readonly next: number;
  /** The hash of the last record; 64 zeros for an empty log. */
  readonly head: Digest;
  /** Fix the record's place. Written soon, durable at the next barrier. Once a write has failed it takes nothing and returns -1, for ever. */
  append(text: string): number;
  /** Hands every record to the operating system: they outlive this process now, and the power after the next barrier. An error is for ever. */
  write(): Result<void, SysError>;
  /**
   * Durable up to here. `alone` says that nobody else is about to wait, so a synchronous flush is cheaper than a hop.
   * The answer is an error, for ever, once a write has failed: then nothing may act.
   */
  barrier(alone: boolean): Awaitable<Result<void, SysError>>;
  /** All records from `from` on, in order, each checked against the chain. Yields an error once and ends where the chain breaks. */
  read(from: number): Iterable<Result<LogRecord, SysError>>;
  /** The seq from which a boot must read: the newest segment that starts with a checkpoint, else 0. */
  readonly resumeFrom: number;
  /** The current segment is beyond its size: rotate with a checkpoint when convenient. */
  readonly rotateDue: boolean;
  /** Start a new segment whose first record is this checkpoint entry; returns its seq. Everything up to it is durable then. */
  rotate(checkpoint: string): Awaitable<Result<number, SysError>>;
  close(): Awaitable<void>;
}

/**
 * Content-addressed, deduplicated. put() returns at once; flush() makes everything put so far durable.
 * get() gives ENOENT for what is not there, EUCLEAN for what no longer fits its digest.
 */
export interface BlobDriver {
  readonly name: string;
  /** A failed write shows at the next flush(), which then fails for ever. */
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
  /** Full-text search over the entry's strings: every word must occur, in any case, accents aside; `fs.read` is one after the other. */
  readonly text?: string;
  /** A call's id (`4.2.0`: its turn, intent and outcome) or name (`fs.read`: the turns and calls that ask for it). */
  readonly call?: string;
  readonly from?: number;
  readonly limit?: number;
  /** Newest first. */
  readonly descending?: boolean;
}

export interface IndexedEntry {
  readonly seq: number;
  readonly entry: StoredEntry;
}

/** For queries only; fed behind the log, rebuilt from it at any time. */
export interface IndexDriver {
  readonly name: string;
  /** The seq the index expects next: everything below is indexed. */
  readonly next: number;
  /** The hash of the last indexed record: an index whose head is not the log's record there is of another log, and is cleared. */
  readonly head: Digest;
  /** In order, from `next` on; records below `next` are passed over. Feed it only what is durable. */
  add(records: readonly LogRecord[]): void;
  query(query: IndexQuery): readonly IndexedEntry[];
  clear(): void;
  close(): void;
}

/** Where a swapped-out text lies. */
export interface SwapSlot {
  readonly offset: number;
  readonly bytes: number;
}

/** Room for what is not needed now and can be made again from the log: never synced, gone with the kernel. */
export interface SwapDriver {
  readonly name: string;
  put(text: string): SwapSlot;
  get(slot: SwapSlot): string;
  free(slot: SwapSlot): void;
  close(): void;
}
