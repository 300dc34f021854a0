import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import * as beneath from "../../../src/drivers/files/beneath.ts";
import * as walk from "../../../src/drivers/files/tree.ts";
import { errno, value } from "../../contract/session.ts";
import { mountSmallDisk } from "../store/folder.ts";

const top = mkdtempSync(join(tmpdir(), "beneath-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));

function tree(): { root: string; outside: string; open: walk.Tree } {
  const outside = mkdtempSync(join(top, "outside-"));
  const root = join(outside, "root");
  mkdirSync(root);
  writeFileSync(join(outside, "secret"), "host");
  return { root, outside, open: value(walk.openTree(root, "/work")) };
}
const options = { mode: null, durable: false, last: "follow" } as const;

describe("beneath", () => {
  test("FIL-6.1 no path of any shape reaches a file outside", () => {
    const { root, outside, open } = tree();
    mkdirSync(join(root, "d"));
    symlinkSync("..", join(root, "d/up"));
    symlinkSync("../..", join(root, "d/upup"));
    symlinkSync("/", join(root, "slash"));
    const segment = fc.constantFrom("..", ".", "", "d", "up", "upup", "slash", "secret", "root", outside.slice(1), "/", "work");
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const read = beneath.readBeneath(open, segments.join("/"));
        expect(read.ok ? read.value.data.toString() : "").not.toBe("host");
        beneath.writeBeneath(open, segments.join("/"), Buffer.from("mine"), options);
        expect(readFileSync(join(outside, "secret"), "utf8")).toBe("host");
        expect(readdirSync(outside).toSorted()).toEqual(["root", "secret"]);
      }),
      { numRuns: 500 },
    );
  });

  test("FIL-6.2 an absolute link to the workspace as commands see it stays inside", () => {
    const { root, open } = tree();
    writeFileSync(join(root, "real"), "inside");
    symlinkSync("/work/real", join(root, "abs"));
    symlinkSync("/workshop/real", join(root, "trick"));
    expect(value(beneath.readBeneath(open, "abs")).data.toString()).toBe("inside");
    expect(errno(beneath.readBeneath(open, "trick"))).toBe("EPERM");
  });

  test("FIL-6.3 a pipe is refused at once, and so are folders and sockets", async () => {
    const { root, open } = tree();
    execFileSync("mkfifo", [join(root, "pipe")]);
    mkdirSync(join(root, "d"));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, "socket"), resolve));
    for (const path of ["pipe", "d", ".", "socket"]) {
      expect(errno(beneath.readBeneath(open, path))).toBe("EINVAL");
      expect(errno(beneath.writeBeneath(open, path, Buffer.from("x"), options))).toBe("EINVAL");
    }
    expect(lstatSync(join(root, "pipe")).isFIFO()).toBe(true);
    expect(lstatSync(join(root, "socket")).isSocket()).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  test("FIL-6.3 a file beyond the bound is E2BIG", () => {
    const { root, open } = tree();
    writeFileSync(join(root, "f"), "12345");
    expect(errno(beneath.readBeneath(open, "f", 4))).toBe("E2BIG");
    expect(errno(beneath.readBeneath(open, "f", 5))).toBe("ok");
    /** Far more than there is memory for: its size alone refuses it. */
    writeFileSync(join(root, "sparse"), "");
    truncateSync(join(root, "sparse"), 2 ** 40);
    expect(errno(beneath.readBeneath(open, "sparse"))).toBe("E2BIG");
    /** A file that says it is empty and is not, as one that grows while it is read. */
    expect(errno(beneath.readBeneath(value(walk.openTree("/proc/self")), "status", 100))).toBe("E2BIG");
  });

  test("FIL-6.4 a write replaces the name and leaves other hard links and a planted temporary link alone", () => {
    const { root, outside, open } = tree();
    linkSync(join(outside, "secret"), join(root, "linked"));
    symlinkSync(join(outside, "secret"), join(root, beneath.temporaryName));
    value(beneath.writeBeneath(open, "linked", Buffer.from("mine"), options));
    expect(readFileSync(join(root, "linked"), "utf8")).toBe("mine");
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("host");
    expect(readdirSync(root)).toEqual(["linked"]);
  });

  test("FIL-6.4 a write for which the disk has no room leaves the old file and nothing beside it", (context) => {
    const disk = mountSmallDisk(64 * 1024);
    if (disk === null) return context.skip("a small file system can only be mounted by root");
    const open = value(walk.openTree(disk));
    writeFileSync(join(disk, "f"), "old");
    expect(errno(beneath.writeBeneath(open, "f", Buffer.alloc(1024 * 1024), options))).toBe("ENOSPC");
    expect([readdirSync(disk), readFileSync(join(disk, "f"), "utf8")]).toEqual([["f"], "old"]);
    walk.closeTree(open);
  });

  test("FIL-6.2 removing a folder removes links in it, not what they point to", () => {
    const { root, outside, open } = tree();
    mkdirSync(join(root, "d/e"), { recursive: true });
    symlinkSync(outside, join(root, "d/e/out"));
    value(beneath.removeBeneath(open, "d"));
    expect(readdirSync(root)).toEqual([]);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("host");
  });

  test("FIL-6.2 a link in a folder's place, the root and a folder are not replaced or removed where a name is asked for", () => {
    const { root, open } = tree();
    mkdirSync(join(root, "d"));
    expect(errno(beneath.removeBeneath(open, "."))).toBe("EPERM");
    expect(errno(beneath.linkBeneath(open, "d", "x"))).toBe("EINVAL");
    expect(lstatSync(join(root, "d")).isDirectory()).toBe(true);
  });

  test("FIL-6.4 whoever may refuse sees what is there before it is written, linked over or removed", () => {
    const { root, open } = tree();
    writeFileSync(join(root, "f"), "stays");
    const no = (place: walk.Place): void => {
      expect(place.stat?.isFile()).toBe(true);
      throw walk.refusal("ESTALE", "it changed");
    };
    expect(errno(beneath.writeBeneath(open, "f", Buffer.from("x"), options, no))).toBe("ESTALE");
    expect(errno(beneath.linkBeneath(open, "f", "x", no))).toBe("ESTALE");
    expect(errno(beneath.removeBeneath(open, "f", no))).toBe("ESTALE");
    expect([readdirSync(root), readFileSync(join(root, "f"), "utf8")]).toEqual([["f"], "stays"]);
  });

  test("FIL-6.2 where no link is followed, one on the way or at the end is not there", () => {
    const { root } = tree();
    const open = value(walk.openTree(root, null, "none"));
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d/f"), "inside");
    symlinkSync("d", join(root, "way"));
    symlinkSync("d/f", join(root, "end"));
    for (const path of ["way/f", "end"]) expect([path, errno(beneath.readBeneath(open, path))]).toEqual([path, "ENOENT"]);
  });

  test("FIL-6.6 where links are refused each says what it stands for, the root too, and nothing is made on the way", () => {
    const { root } = tree();
    const open = value(walk.openTree(root, null, "refuse"));
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d/f"), "inside");
    symlinkSync("d", join(root, "way"));
    symlinkSync("d/f", join(root, "end"));
    symlinkSync(".", join(root, "self"));
    const told = (result: { readonly ok: boolean; readonly error?: { readonly message: string } }): string | undefined =>
      /stands for (.*): ask/.exec(result.error?.message ?? "")?.[1];
    expect(told(beneath.readBeneath(open, "end"))).toBe("d/f");
    expect(told(beneath.readBeneath(open, "way/f"))).toBe("d/f");
    expect(told(beneath.listBeneath(open, "self"))).toBe(".");
    expect(told(beneath.writeBeneath(open, "way/new/g", Buffer.from("x"), options))).toBe("d/new/g");
    expect(readdirSync(join(root, "d"))).toEqual(["f"]);
    expect(value(beneath.readBeneath(open, "d/f")).data.toString()).toBe("inside");
  });

  test("FIL-6.5 the mode of a file survives", () => {
    const { root, open } = tree();
    writeFileSync(join(root, "f"), "1");
    chmodSync(join(root, "f"), 0o751);
    value(beneath.writeBeneath(open, "f", Buffer.from("2"), options));
    expect(lstatSync(join(root, "f")).mode & 0o777).toBe(0o751);
  });

  test("FIL-6.2 a folder swapped for a link between two looks is refused, not followed", () => {
    const { root, outside, open } = tree();
    mkdirSync(join(root, "d"));
    const result = walk.at(open, "d/x", { last: "keep" }, (place) => {
      // The walk holds the folder itself, so a swap of its name changes nothing.
      rmSync(join(root, "d"), { recursive: true });
      symlinkSync(outside, join(root, "d"));
      return lstatSync(`/proc/self/fd/${place.dir}/secret`, { throwIfNoEntry: false }) ?? null;
    });
    expect(result).toEqual({ ok: true, value: null });
    expect(errno(beneath.readBeneath(open, "d/secret"))).toBe("EPERM");
  });

  test("FIL-6.1 a path with a NUL byte is no path, whatever it begins with", () => {
    const { root, open } = tree();
    writeFileSync(join(root, "f"), "inside");
    for (const path of ["f\0", "\0", "f\0/g"]) expect(errno(beneath.readBeneath(open, path))).toBe("EINVAL");
  });

  test("FIL-6.1 no descriptor is left open", () => {
    const { root, open } = tree();
    mkdirSync(join(root, "a/b/c"), { recursive: true });
    writeFileSync(join(root, "a/b/c/f"), "x");
    const before = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 50; round += 1) {
      beneath.readBeneath(open, "a/b/c/f");
      beneath.writeBeneath(open, "a/b/c/f", Buffer.from("y"), options);
      beneath.readBeneath(open, "a/none/c");
      beneath.readBeneath(open, "a/b/c/f/g");
      beneath.listBeneath(open, "a/b");
    }
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});
