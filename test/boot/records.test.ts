import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { layoutOf, type Layout } from "../../src/boot/layout.ts";
import { addRecord, dropRecord, isRecorded, recordsOf, type Fingerprint } from "../../src/boot/records.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { freshFolder, put, surroundings } from "./folder.ts";

const print: Fingerprint = { root: "/w", inode: "7", born: "1000", key: sha256("key") };

function freshUser(): Layout {
  return layoutOf(freshFolder(), surroundings(freshFolder()));
}

describe("records", () => {
  it("BOO-20.1  what differs in anything is not vouched for", () => {
    const layout = freshUser();
    expect(isRecorded(layout, print)).toBe(false);
    expect(addRecord(layout, print, 5).ok).toBe(true);
    expect(isRecorded(layout, print)).toBe(true);
    expect(isRecorded(layout, { key: print.key, born: print.born, inode: print.inode, root: print.root })).toBe(true);
    const others = [{ root: "/v" }, { inode: "8" }, { born: "1001" }, { born: null }, { key: sha256("other") }];
    for (const other of others) expect(isRecorded(layout, { ...print, ...other }), JSON.stringify(other)).toBe(false);
    expect(isRecorded(freshUser(), print)).toBe(false);
    expect(recordsOf(layout)).toEqual([{ ...print, at: 5 }]);
    expect(fs.statSync(layout.user.workspaces).mode & 0o777).toBe(0o700);
  });

  it("BOO-20.2  many written at once are all there, and one that is dropped takes no other along", () => {
    const layout = freshUser();
    const prints = Array.from({ length: 50 }, (_, index) => ({ ...print, root: `/w${index}` }));
    for (const one of prints) expect(addRecord(layout, one, 1).ok).toBe(true);
    expect(addRecord(layout, print, 1).ok).toBe(true);
    expect(addRecord(layout, print, 2).ok, "twice is once").toBe(true);
    dropRecord(layout, print);
    dropRecord(layout, print);
    expect(prints.every((one) => isRecorded(layout, one))).toBe(true);
    expect(isRecorded(layout, print)).toBe(false);
  });

  it("BOO-20.3  what cannot be written is EROFS, whatever stands in the way", () => {
    const nowhere: readonly ((home: string) => string)[] = [
      () => "/sys/nowhere",
      () => "/dev/null",
      (home) => {
        put(path.join(home, "file"), "");
        return path.join(home, "file");
      },
    ];
    for (const make of nowhere) {
      const folder = freshFolder();
      const layout = layoutOf(folder, { ...surroundings(folder), home: make(folder) });
      expect(addRecord(layout, print, 1)).toMatchObject({
        ok: false,
        error: { errno: "EROFS", message: expect.stringContaining("XDG_CONFIG_HOME") },
      });
      expect(isRecorded(layout, print)).toBe(false);
      expect(recordsOf(layout)).toEqual([]);
    }
  });

  it("BOO-20.2  BOO-20.3  a full disk is ENOSPC, leaves no record, and harms none that is there", ({ skip }) => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "daimon-full-"));
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", home]);
    if (mounted.status !== 0) {
      fs.rmdirSync(home);
      skip("a small disk cannot be mounted here: that needs root");
    }
    try {
      const folder = freshFolder();
      const layout = layoutOf(folder, { ...surroundings(folder), home });
      expect(addRecord(layout, { ...print, root: "/before" }, 1).ok).toBe(true);
      const free = fs.statfsSync(home);
      fs.writeFileSync(path.join(home, "filler"), Buffer.alloc(free.bavail * free.bsize));
      expect(addRecord(layout, print, 1)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
      expect(isRecorded(layout, print)).toBe(false);
      expect(recordsOf(layout)).toMatchObject([{ root: "/before" }]);
      fs.rmSync(path.join(home, "filler"));
      expect(addRecord(layout, print, 1).ok).toBe(true);
      expect(recordsOf(layout)).toHaveLength(2);
    } finally {
      spawnSync("umount", [home]);
      fs.rmdirSync(home);
    }
  });

  it("BOO-20.3  nothing is written into a user folder that others can write", () => {
    const layout = freshUser();
    fs.mkdirSync(layout.user.folder, { recursive: true });
    fs.chmodSync(layout.user.folder, 0o777);
    expect(addRecord(layout, print, 1)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    expect(fs.readdirSync(layout.user.folder)).toEqual([]);
  });

  it("BOO-20.4  a record that a power cut left empty counts, and is not listed; a link in a record's place does not count", () => {
    const layout = freshUser();
    addRecord(layout, print, 1);
    const [name = ""] = fs.readdirSync(layout.user.workspaces);
    const file = path.join(layout.user.workspaces, name);
    fs.truncateSync(file, 0);
    expect(isRecorded(layout, print)).toBe(true);
    expect(recordsOf(layout)).toEqual([]);
    fs.rmSync(file);
    fs.symlinkSync("/etc/passwd", file);
    expect(isRecorded(layout, print)).toBe(false);
  });
});
