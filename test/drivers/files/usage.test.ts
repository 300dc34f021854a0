/** What a folder takes of the disk, held against what was put there. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { beyond, usageOf } from "../../../src/drivers/files/usage.ts";

const top = mkdtempSync(join(tmpdir(), "usage-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(top, "test-"));
const MiB = 1024 * 1024;

test("FIL-16.4 blocks count and not lengths, once for all names of a file, and no link is followed", async () => {
  const root = folder();
  const outside = folder();
  writeFileSync(join(outside, "large"), Buffer.alloc(MiB, 1));
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(root, "a/b/full"), Buffer.alloc(MiB, 1));
  linkSync(join(root, "a/b/full"), join(root, "a/again"));
  writeFileSync(join(root, "sparse"), "");
  truncateSync(join(root, "sparse"), 1024 * MiB);
  symlinkSync(outside, join(root, "link"));
  const used = await usageOf(root);
  expect(used.files).toBe(6);
  expect(used.bytes).toBeGreaterThanOrEqual(MiB);
  expect(used.bytes).toBeLessThan(1.5 * MiB);
  expect(await usageOf(join(root, "nothing"))).toEqual({ bytes: 0, files: 0 });
});

test("FIL-16.5 the count ends beyond what is asked, and a tree too deep for it is beyond everything", async () => {
  const many = folder();
  for (let index = 0; index < 50; index += 1) writeFileSync(join(many, `${index}`), "x");
  expect((await usageOf(many, { bytes: beyond.bytes, files: 10 })).files).toBe(11);
  const deep = folder();
  mkdirSync(join(deep, ...Array.from({ length: 250 }, () => "d")), { recursive: true });
  expect(await usageOf(deep)).toEqual(beyond);
});
