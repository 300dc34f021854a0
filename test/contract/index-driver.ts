/** The contract of every index driver. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "../../src/abi/entry.ts";
import { emptyHead, type IndexDriver, type IndexQuery, type LogRecord } from "../../src/abi/store.ts";
import { sha256 } from "../../src/lib/hash.ts";

const label = { integrity: "derived", confidentiality: "workspace" } as const;
const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
const intent = { verb: "allow", rules: [] } as const;

export const entries: readonly Entry[] = [
  { kind: "boot", at: 1, version: "1", digest: "d", policy: "p", steps: [] },
  { kind: "weight", at: 2, pid: 1, weight: 100 },
  {
    kind: "turn",
    at: 3,
    pid: 1,
    step: 2,
    parts: [
      { type: "text", text: "Ich lese die Übersicht in reports/Q3-final.md" },
      { type: "call", id: "c", name: "fs.read", args: { path: "reports/Q3-final.md" } },
    ],
    stop: "calls",
    usage,
    tokens: 9,
    costUsd: 0,
    model: "reflex",
    intents: [intent],
  },
  {
    kind: "outcome",
    at: 4,
    pid: 1,
    id: "1.2.0",
    value: 'Umsatz: 12 Mio. "quoted" 한국어',
    source: "reports/Q3-final.md",
    tokens: 5,
    label,
  },
  { kind: "call", at: 5, pid: 2, id: "2.0.0", name: "fs.read", args: { path: "notes.txt" }, intent },
  {
    kind: "outcome",
    at: 6,
    pid: 2,
    id: "2.0.0",
    value: "nothing here",
    source: "notes.txt",
    tokens: 2,
    label,
  },
];

export function toRecords(of: readonly Entry[]): LogRecord[] {
  let head = emptyHead;
  return of.map((entry, seq) => {
    const text = JSON.stringify(entry);
    head = sha256(head + text);
    return { seq, text, hash: head };
  });
}

export function testIndex(name: string, open: () => IndexDriver): void {
  const find = (index: IndexDriver, query: IndexQuery): number[] => index.query(query).map((found) => found.seq);

  test(`STO-3.1 ${name}: strings are searched, field names are not`, () => {
    const index = open();
    index.add(toRecords(entries));
    expect(find(index, { text: "Q3-final" })).toEqual([2, 3]);
    expect(find(index, { text: "ubersicht" })).toEqual([2]);
    expect(find(index, { text: "LESE übersicht" })).toEqual([2]);
    expect(find(index, { text: "kind" })).toEqual([]);
    expect(find(index, { text: '"quoted" OR NOT * (' })).toEqual([]);
    expect(find(index, { text: '"quoted" 한국어' })).toEqual([3]);
    expect(find(index, { text: "final Q3" })).toEqual([2, 3]);
    expect(find(index, { text: "final-Q3" })).toEqual([]);
    expect(find(index, { text: " -- " })).toEqual([]);
    index.close();
  });

  test(`STO-3.2 ${name}: records are indexed once and in order`, () => {
    const index = open();
    const records = toRecords(entries);
    expect([index.next, index.head]).toEqual([0, emptyHead]);
    index.add(records.slice(0, 3));
    index.add(records.slice(1, 5));
    expect([index.next, index.head]).toEqual([5, records[4]?.hash]);
    expect(() => index.add(records.slice(5).map((record) => ({ ...record, seq: 9 })))).toThrow("without gaps");
    expect(find(index, {})).toEqual([0, 1, 2, 3, 4]);
    index.clear();
    expect([index.next, index.head, find(index, {})]).toEqual([0, emptyHead, []]);
    index.add(records);
    expect(index.query({})).toEqual(entries.map((entry, seq) => ({ seq, entry })));
    index.close();
  });

  test(`${name}: calls are found by id and by name`, () => {
    const index = open();
    index.add(toRecords(entries));
    expect(find(index, { call: "1.2.0" })).toEqual([2, 3]);
    expect(find(index, { call: "2.0.0" })).toEqual([4, 5]);
    expect(find(index, { call: "fs.read" })).toEqual([2, 4]);
    expect(find(index, { call: "fs.write" })).toEqual([]);
    index.close();
  });

  test(`${name}: every query gives what filtering all entries gives`, () => {
    const index = open();
    index.add(toRecords(entries));
    const query = fc.record(
      {
        pid: fc.integer({ min: 0, max: 3 }),
        kinds: fc.subarray(["boot", "turn", "call", "outcome", "weight"]),
        from: fc.integer({ min: 0, max: 7 }),
        limit: fc.integer({ min: 0, max: 7 }),
        descending: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(query, (asked) => {
        const all = entries.map((entry, seq) => ({ seq, entry }));
        const fitting = all.filter(
          ({ seq, entry }) =>
            seq >= (asked.from ?? 0) &&
            (asked.pid === undefined || ("pid" in entry && entry.pid === asked.pid)) &&
            (asked.kinds === undefined || asked.kinds.includes(entry.kind)),
        );
        const ordered = asked.descending === true ? fitting.toReversed() : fitting;
        expect(index.query(asked)).toEqual(ordered.slice(0, asked.limit ?? ordered.length));
      }),
    );
    index.close();
  });
}
