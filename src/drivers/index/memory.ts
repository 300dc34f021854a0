/**
 * Memory index: the index without a database, for tests and small logs. Every query walks all entries.
 *   STO-3.2  Records are indexed once and in order: those below `next` are passed over, a gap is our own bug.
 */
import type { StoredEntry } from "../../abi/entry.ts";
import { emptyHead, type IndexDriver, type IndexQuery, type IndexedEntry, type LogRecord } from "../../abi/store.ts";
import { assert } from "../../lib/assert.ts";
import { callKeys, findsNothing, phrases, termsOf, wordsOf, type Terms } from "./terms.ts";

interface Row extends IndexedEntry {
  readonly terms: Terms;
  /** Words with a space around each, so that a phrase is found as text. */
  readonly words: string;
}

export function openMemoryIndex(): IndexDriver {
  let rows: Row[] = [];
  let head = emptyHead;
  return {
    name: "memory",
    get next() {
      return rows.length;
    },
    get head() {
      return head;
    },
    add(records) {
      for (const record of records) {
        if (record.seq < rows.length) continue;
        assert(record.seq === rows.length, "an index is fed without gaps");
        rows.push(makeRow(record));
        head = record.hash;
      }
    },
    query(query) {
      if (findsNothing(query)) return [];
      const found = rows.filter((row) => fits(row, query)).map(({ seq, entry }) => ({ seq, entry }));
      return (query.descending === true ? found.toReversed() : found).slice(0, query.limit);
    },
    clear() {
      rows = [];
      head = emptyHead;
    },
    close: () => undefined,
  };
}

function makeRow(record: LogRecord): Row {
  // The log holds what the kernel serialised, so it is an entry.
  const entry = JSON.parse(record.text) as StoredEntry;
  const terms = termsOf(entry);
  return { seq: record.seq, entry, terms, words: ` ${wordsOf(terms.words).join(" ")} ` };
}

function fits(row: Row, query: IndexQuery): boolean {
  if (row.seq < (query.from ?? 0)) return false;
  if (query.pid !== undefined && row.terms.pid !== query.pid) return false;
  if (query.kinds !== undefined && !query.kinds.includes(row.entry.kind)) return false;
  if (query.call !== undefined && !callKeys(query.call).some((key) => row.terms.calls.includes(key))) return false;
  return phrases(query.text ?? "").every((phrase) => row.words.includes(` ${wordsOf(phrase).join(" ")} `));
}
