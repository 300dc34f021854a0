/**
 * SQLite index: answers questions about the log. It is fed behind the log and may be thrown away: the log is the truth.
 * Whoever needs it imports this module when it does; starting a kernel does not.
 *   STO-3.3  An index file that is damaged, or of another schema, is thrown away and begun anew.
 *   STO-3.4  An index found damaged while in use begins anew as well: `next` is 0, and feeding it again mends it.
 */
import { rmSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { StoredEntry } from "../../abi/entry.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import { emptyHead, type IndexDriver, type IndexQuery, type IndexedEntry, type LogRecord } from "../../abi/store.ts";
import { assert } from "../../lib/assert.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { callKeys, findsNothing, phrases, termsOf } from "./terms.ts";

/** Raised with every change of the tables below: an older file is then begun anew. */
const schemaVersion = 1;

const schema = `
  CREATE TABLE entries (seq INTEGER PRIMARY KEY, at INTEGER, pid INTEGER, kind TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE INDEX entries_pid ON entries (pid, seq);
  CREATE INDEX entries_kind ON entries (kind, seq);
  CREATE TABLE calls (key TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) STRICT, WITHOUT ROWID;
  CREATE VIRTUAL TABLE words USING fts5 (body, content='', tokenize='unicode61 remove_diacritics 2');
  PRAGMA user_version = ${schemaVersion};
`;

/** `file` may be `:memory:`. EIO where no database can be opened there at all. */
export function openSqliteIndex(file: string): Result<IndexDriver, SysError> {
  try {
    return ok(new SqliteIndex(file));
  } catch (thrown) {
    const cause = thrown instanceof Error ? thrown.message : String(thrown);
    return err(
      sysError(
        "EIO",
        "the index cannot be opened; check that its folder can be written, queries need it and nothing else does",
        cause,
      ),
    );
  }
}

class SqliteIndex implements IndexDriver {
  readonly name = "sqlite";
  readonly #file: string;
  #database: DatabaseSync;
  #insert: Insert;
  #next = 0;
  #head = emptyHead;

  constructor(file: string) {
    this.#file = file;
    this.#database = openDatabase(file);
    this.#insert = prepareInsert(this.#database);
    this.#readEnd();
  }

  get next(): number {
    return this.#next;
  }

  get head(): string {
    return this.#head;
  }

  add(records: readonly LogRecord[]): void {
    const fresh = records.filter((record) => record.seq >= this.#next);
    if (fresh.length === 0) return;
    for (const [index, record] of fresh.entries()) assert(record.seq === this.#next + index, "an index is fed without gaps");
    this.#guard(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        for (const record of fresh) insert(this.#insert, record);
        this.#database.exec("COMMIT");
      } catch (thrown) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw thrown;
      }
      this.#next += fresh.length;
      this.#head = fresh.at(-1)?.hash ?? this.#head;
    }, undefined);
  }

  query(query: IndexQuery): readonly IndexedEntry[] {
    if (findsNothing(query)) return [];
    const { sql, values } = select(query);
    return this.#guard(
      () =>
        this.#database
          .prepare(sql)
          .all(...values)
          .map(toEntry),
      [],
    );
  }

  clear(): void {
    this.#database.close();
    discard(this.#file);
    this.#database = openDatabase(this.#file);
    this.#insert = prepareInsert(this.#database);
    this.#readEnd();
  }

  close(): void {
    this.#database.close();
  }

  #readEnd(): void {
    const row = this.#database.prepare("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").get();
    this.#next = row === undefined ? 0 : Number(row["seq"]) + 1;
    this.#head = row === undefined ? emptyHead : String(row["hash"]);
  }

  /** A damaged index begins anew; anything else is an error of ours. */
  #guard<T>(act: () => T, otherwise: T): T {
    try {
      return act();
    } catch (thrown) {
      if (!isDamage(thrown)) throw thrown;
      this.clear();
      return otherwise;
    }
  }
}

interface Insert {
  readonly entry: StatementSync;
  readonly call: StatementSync;
  readonly words: StatementSync;
}

function prepareInsert(database: DatabaseSync): Insert {
  return {
    entry: database.prepare("INSERT INTO entries (seq, at, pid, kind, hash, text) VALUES (?, ?, ?, ?, ?, ?)"),
    call: database.prepare("INSERT OR IGNORE INTO calls (key, seq) VALUES (?, ?)"),
    words: database.prepare("INSERT INTO words (rowid, body) VALUES (?, ?)"),
  };
}

function insert(statements: Insert, { seq, text, hash }: LogRecord): void {
  // The log holds what the kernel serialised, so it is an entry.
  const entry = JSON.parse(text) as StoredEntry;
  const terms = termsOf(entry);
  statements.entry.run(seq, entry.at, terms.pid, entry.kind, hash, text);
  for (const call of terms.calls) statements.call.run(call, seq);
  statements.words.run(seq, terms.words);
}

function select(query: IndexQuery): { readonly sql: string; readonly values: SQLInputValue[] } {
  const where: string[] = ["seq >= ?"];
  const values: SQLInputValue[] = [query.from ?? 0];
  const add = (condition: string, ...given: readonly SQLInputValue[]): void => {
    where.push(condition);
    values.push(...given);
  };
  if (query.pid !== undefined) add("pid = ?", query.pid);
  if (query.kinds !== undefined) add(`kind IN (${places(query.kinds)})`, ...query.kinds);
  if (query.call !== undefined) {
    const keys = callKeys(query.call);
    add(`seq IN (SELECT seq FROM calls WHERE key IN (${places(keys)}))`, ...keys);
  }
  if (query.text !== undefined) {
    // Every piece is quoted, so that nothing a person types is an operator.
    const match = phrases(query.text).map((piece) => `"${piece.replaceAll('"', '""')}"`);
    add("seq IN (SELECT rowid FROM words WHERE words MATCH ?)", match.join(" "));
  }
  values.push(query.limit ?? -1);
  const order = query.descending === true ? "DESC" : "ASC";
  return { sql: `SELECT seq, text FROM entries WHERE ${where.join(" AND ")} ORDER BY seq ${order} LIMIT ?`, values };
}

function places(values: readonly unknown[]): string {
  return values.map(() => "?").join(", ");
}

function toEntry(row: Record<string, unknown>): IndexedEntry {
  return { seq: Number(row["seq"]), entry: JSON.parse(String(row["text"])) as StoredEntry };
}

function openDatabase(file: string): DatabaseSync {
  try {
    return openAs(file);
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    discard(file);
    return openAs(file);
  }
}

function openAs(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    const tables = Number(database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.["tables"]);
    if (version === schemaVersion) database.prepare("SELECT seq, at, pid, kind, hash, text FROM entries LIMIT 1").get();
    else if (tables === 0) database.exec(`BEGIN; ${schema} COMMIT`);
    else throw new OtherSchema("the index is of another schema");
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

class OtherSchema extends Error {
  override readonly name = "OtherSchema";
}

/** SQLite's own words for a file that cannot be used: ERROR (a table is missing), CORRUPT, NOTADB, and the virtual table's own. */
function isDamage(thrown: unknown): boolean {
  if (thrown instanceof OtherSchema) return true;
  if (!(thrown instanceof Error) || !("errcode" in thrown) || typeof thrown.errcode !== "number") return false;
  return [1, 11, 26].includes(thrown.errcode & 0xff);
}

function discard(file: string): void {
  if (file === ":memory:") return;
  for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
}
