/** The blob store's files. */
import { lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { BlobDriver } from "../../../src/abi/store.ts";
import { openFileBlobs } from "../../../src/drivers/store/file-blobs.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import { makeFolder, mountSmallDisk } from "./folder.ts";

function open(dir: string, readOnly = false): BlobDriver {
  const blobs = openFileBlobs({ dir, readOnly });
  if (!blobs.ok) throw new Error(blobs.error.message);
  return blobs.value;
}

test("STO-2.2 a content is written once, before and after its flush", async () => {
  const dir = join(makeFolder(), "blobs");
  const blobs = open(dir);
  const digest = blobs.put("same");
  blobs.put("same");
  expect(readdirSync(join(dir, "new"))).toHaveLength(1);
  await blobs.flush();
  blobs.put("same");
  open(dir).put("same");
  expect(readdirSync(join(dir, "new"))).toHaveLength(0);
  expect(readdirSync(join(dir, digest.slice(0, 2)))).toEqual([digest.slice(2)]);
});

test("STO-2.3 a blob has no name before it is durable, and put during a flush waits for the next", async () => {
  const dir = join(makeFolder(), "blobs");
  const blobs = open(dir);
  const first = blobs.put("first");
  const flush = blobs.flush();
  const second = blobs.put("second");
  expect(blobs.get(first)).toEqual({ ok: true, value: Buffer.from("first") });
  expect(blobs.flush()).toBe(blobs.flush());
  expect(await flush).toEqual({ ok: true });
  expect(await blobs.flush()).toEqual({ ok: true });
  expect(blobs.dirty).toBe(false);
  const reader = open(dir, true);
  expect([reader.has(first), reader.has(second)]).toEqual([true, true]);
  blobs.put("third");
  expect([...open(dir, true).list()]).toEqual([first, second].toSorted());
});

test("STO-2.4 what is no digest names nothing, least of all a path", () => {
  const blobs = open(join(makeFolder(), "blobs"));
  for (const name of ["", "..", "../../etc/passwd", sha256("x").toUpperCase(), `${sha256("x")}/`]) {
    expect(blobs.get(name)).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    expect(blobs.has(name)).toBe(false);
  }
});

test("STO-1.5 blobs are private files and no link is followed", async () => {
  const dir = join(makeFolder(), "blobs");
  const blobs = open(dir);
  const digest = blobs.put("private");
  await blobs.flush();
  expect(lstatSync(dir).mode & 0o777).toBe(0o700);
  expect(lstatSync(join(dir, digest.slice(0, 2))).mode & 0o777).toBe(0o700);
  expect(lstatSync(join(dir, digest.slice(0, 2), digest.slice(2))).mode & 0o777).toBe(0o600);

  const outside = makeFolder();
  writeFileSync(join(outside, "secret"), "secret");
  const planted = sha256("secret");
  mkdirSync(join(dir, planted.slice(0, 2)), { recursive: true });
  symlinkSync(join(outside, "secret"), join(dir, planted.slice(0, 2), planted.slice(2)));
  expect(blobs.has(planted)).toBe(false);
  expect(blobs.get(planted)).toMatchObject({ ok: false, error: { errno: "EACCES" } });

  const other = sha256("lands elsewhere?");
  symlinkSync(outside, join(dir, other.slice(0, 2)));
  blobs.put("lands elsewhere?");
  expect(await blobs.flush()).toMatchObject({ ok: false });
  expect(readdirSync(outside)).toEqual(["secret"]);
});

test("STO-2.6 what a killed kernel left aside is taken in when whole and removed when not", () => {
  const dir = join(makeFolder(), "blobs");
  const digest = open(dir).put("written, never flushed");
  const torn = sha256("torn");
  writeFileSync(join(dir, "new", `${torn}.1.0`), "to");
  writeFileSync(join(dir, "new", "rubbish"), "");
  expect(open(dir, true).has(digest)).toBe(false);
  const again = open(dir);
  expect(again.get(digest)).toEqual({ ok: true, value: Buffer.from("written, never flushed") });
  expect(again.has(torn)).toBe(false);
  expect(readdirSync(join(dir, "new"))).toEqual([]);
});

test("STO-2.7 on a disk that is full every flush says so, and what was flushed stays", async (context) => {
  const disk = mountSmallDisk(256 * 1024);
  if (disk === null) return context.skip("a small file system can only be mounted by root");
  const blobs = open(join(disk, "blobs"));
  const kept = blobs.put("kept");
  expect(await blobs.flush()).toEqual({ ok: true });
  for (let index = 0; index < 40; index++) blobs.put(Buffer.alloc(10_000, index));
  for (let index = 0; index < 2; index++) {
    const flushed = await blobs.flush();
    expect(flushed).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(flushed.ok ? "" : flushed.error.message).not.toContain(disk);
  }
  expect(blobs.get(kept).ok).toBe(true);
});

test("STO-2.7 a store open for reading takes nothing", async () => {
  const dir = join(makeFolder(), "blobs");
  await open(dir).flush();
  const reader = open(dir, true);
  reader.put("new");
  expect(await reader.flush()).toMatchObject({ ok: false, error: { errno: "EROFS" } });
  expect(readdirSync(join(dir, "new"))).toEqual([]);
});
