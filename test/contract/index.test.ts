/** Every index driver under its contract, and what only a file can suffer. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { IndexDriver } from "../../src/abi/store.ts";
import { feedIndex } from "../../src/drivers/index/feed.ts";
import { openMemoryIndex } from "../../src/drivers/index/memory.ts";
import { openSqliteIndex } from "../../src/drivers/index/sqlite.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { makeFolder } from "../drivers/store/folder.ts";
import { entries, testIndex, toRecords } from "./index-driver.ts";

function openFile(file: string): IndexDriver {
  const index = openSqliteIndex(file);
  if (!index.ok) throw new Error(index.error.message);
  return index.value;
}

describe("memory", () => testIndex("memory", openMemoryIndex));
describe("sqlite", () => testIndex("sqlite", () => openFile(join(makeFolder(), "index.db"))));
describe("sqlite in memory", () => testIndex("sqlite in memory", () => openFile(":memory:")));

test("an index file keeps what it holds", () => {
  const file = join(makeFolder(), "index.db");
  const records = toRecords(entries);
  const index = openFile(file);
  index.add(records);
  index.close();
  const again = openFile(file);
  expect([again.next, again.head]).toEqual([records.length, records.at(-1)?.hash]);
  expect(again.query({ text: "umsatz" }).map((found) => found.seq)).toEqual([3]);
  again.close();
});

test("STO-3.3 a file that is no index, or of another schema, is begun anew", () => {
  const file = join(makeFolder(), "index.db");
  writeFileSync(file, "this is no database, and long enough to be taken for one ".repeat(40));
  const first = openFile(file);
  expect(first.next).toBe(0);
  first.add(toRecords(entries));
  first.close();

  const database = new DatabaseSync(file);
  database.exec("PRAGMA user_version = 99");
  database.close();
  const second = openFile(file);
  expect(second.next).toBe(0);
  second.add(toRecords(entries));
  expect(second.query({ pid: 2 })).toHaveLength(2);
  second.close();
});

test("STO-3.4 an index damaged while in use begins anew, and feeding mends it", async () => {
  const file = join(makeFolder(), "index.db");
  const log = openMemoryLog();
  for (let copy = 0; copy < 200; copy++) for (const entry of entries) log.append(JSON.stringify(entry));
  await log.barrier(true);
  const index = openFile(file);
  feedIndex(index, log);
  index.close();

  const bytes = readFileSync(file);
  bytes.fill(0xa5, 8_192);
  writeFileSync(file, bytes);
  const damaged = openFile(file);
  damaged.query({ text: "umsatz" });
  damaged.query({ call: "fs.read", descending: true });
  expect(feedIndex(damaged, log)).toEqual({ ok: true, value: log.next });
  expect(damaged.query({ text: "umsatz" })).toHaveLength(200);
  expect(existsSync(file)).toBe(true);
  damaged.close();
});

test("STO-3.5 an index of another log or of cut records is fed from the first record on", () => {
  const index = openMemoryIndex();
  index.add(toRecords(entries));
  const other = openMemoryLog();
  for (const entry of entries.toReversed()) other.append(JSON.stringify(entry));
  expect(feedIndex(index, other, 2)).toEqual({ ok: true, value: entries.length });
  expect(index.query({}).map((found) => found.entry)).toEqual(entries.toReversed());

  const shorter = openMemoryLog();
  shorter.append(JSON.stringify(entries[0]));
  expect(feedIndex(index, shorter)).toEqual({ ok: true, value: 1 });
  expect(index.head).toBe(shorter.head);
});
