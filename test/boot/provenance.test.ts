import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { SysError } from "../../src/abi/errno.ts";
import { layoutOf, type Layout } from "../../src/boot/layout.ts";
import { adopt, checkWorkspace, fingerprintOf, openWorkspace, standingOf } from "../../src/boot/provenance.ts";
import { addRecord, recordsOf } from "../../src/boot/records.ts";
import type { Result } from "../../src/lib/result.ts";
import { mountSmallDisk } from "../drivers/store/folder.ts";
import { freshFolder, freshLayout, put, snapshot, surroundings } from "./folder.ts";
import { must } from "./machine.ts";

/** A folder to work in, with nothing in it and a home beside it. */
function fresh(): { readonly folder: string; readonly layout: Layout } {
  const folder = freshFolder();
  fs.mkdirSync(path.join(folder, "work"));
  fs.mkdirSync(path.join(folder, "home"));
  return { folder, layout: layoutOf(path.join(folder, "work"), surroundings(folder)) };
}

function told(result: Result<unknown, SysError>): string {
  return result.ok ? "ok" : `${result.error.errno} ${result.error.message}`;
}

/** As `cp -a`: everything but what the disk itself gives. */
function copy(from: string, to: string): void {
  const ran = spawnSync("cp", ["-a", from, to]);
  if (ran.status !== 0) throw new Error(ran.stderr.toString());
}

describe("provenance", () => {
  it("BOO-21.1  what daimon made is its own, at every later look", () => {
    const { layout } = fresh();
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "absent" });
    expect(openWorkspace(layout, 7)).toEqual({ ok: true, value: [] });
    put(path.join(layout.folder, "later"), "changes the folder's time");
    for (let time = 0; time < 2; time++) {
      expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
      expect(openWorkspace(layout, 8)).toEqual({ ok: true, value: [] });
    }
    expect(recordsOf(layout)).toMatchObject([{ root: layout.root, at: 7 }]);
    expect(fs.readdirSync(layout.root)).toEqual([".daimon"]);
    expect(fs.statSync(path.join(layout.keys, "journal.pem")).mode & 0o777).toBe(0o600);
  });

  it("BOO-21.1  one that came with other files, was copied, moved, restored or exchanged is refused, each with its own words, and nothing is written", () => {
    const ways: readonly (readonly [string, (layout: Layout) => Layout, RegExp])[] = [
      [
        "came with other files",
        () => {
          const { layout } = fresh();
          copy(freshLayout().folder, layout.folder);
          return layout;
        },
        /was not made by daimon for you.*move it away/,
      ],
      [
        "has no key",
        (layout) => {
          fs.rmSync(layout.keys, { recursive: true });
          return layout;
        },
        /the key in \.daimon\/keys is not the one that daimon made here/,
      ],
      [
        "copied",
        (layout) => {
          copy(layout.root, `${layout.root}2`);
          return layoutOf(`${layout.root}2`, surroundings(path.dirname(layout.root)));
        },
        /is a copy of one that daimon made/,
      ],
      [
        "copied with hard links",
        (layout) => {
          spawnSync("cp", ["-al", layout.root, `${layout.root}2`]);
          return layoutOf(`${layout.root}2`, surroundings(path.dirname(layout.root)));
        },
        /is a copy of one that daimon made/,
      ],
      [
        "renamed",
        (layout) => {
          fs.renameSync(layout.root, `${layout.root}2`);
          return layoutOf(`${layout.root}2`, surroundings(path.dirname(layout.root)));
        },
        /was made for another folder: the workspace was moved/,
      ],
      [
        "restored to its place",
        (layout) => {
          copy(layout.folder, `${layout.root}/backup`);
          fs.rmSync(layout.folder, { recursive: true });
          fs.renameSync(`${layout.root}/backup`, layout.folder);
          return layout;
        },
        /is a copy of one that daimon made, or was restored/,
      ],
      [
        "exchanged",
        (layout) => {
          fs.rmSync(layout.folder, { recursive: true });
          copy(freshLayout().folder, layout.folder);
          return layout;
        },
        /is not the one that daimon made here: it was exchanged/,
      ],
      [
        "another key in it",
        (layout) => {
          fs.rmSync(layout.keys, { recursive: true });
          copy(freshLayout().keys, layout.keys);
          return layout;
        },
        /the key in \.daimon\/keys is not the one that daimon made here/,
      ],
      [
        "another public half in it",
        (layout) => {
          fs.copyFileSync(path.join(freshLayout().keys, "journal.pub.pem"), path.join(layout.keys, "journal.pub.pem"));
          return layout;
        },
        /the key in \.daimon\/keys is not the one that daimon made here/,
      ],
      [
        "another home",
        (layout) => ({ ...layout, user: layoutOf(layout.root, surroundings(freshFolder())).user }),
        /was not made by daimon for you/,
      ],
    ];
    for (const [name, change, words] of ways) {
      const here = change(freshLayout());
      const before = [snapshot(here.root), fs.existsSync(here.user.folder) ? snapshot(here.user.folder) : {}];
      for (const look of [checkWorkspace, standingOf, (layout: Layout) => openWorkspace(layout, 1)]) {
        expect(told(look(here)), name).toMatch(words);
        expect(told(look(here)), name).toMatch(/^EUCLEAN .*daimon fsck --adopt/);
      }
      expect([snapshot(here.root), fs.existsSync(here.user.folder) ? snapshot(here.user.folder) : {}], name).toEqual(before);
    }
  });

  it("BOO-21.1  links are found before anything is read, and another user's folder is told as such", () => {
    const layout = freshLayout();
    fs.renameSync(layout.keys, `${layout.keys}-real`);
    fs.symlinkSync(`${layout.keys}-real`, layout.keys);
    expect(told(checkWorkspace(layout))).toMatch(/^EUCLEAN .*keys is a link/);
    const whole = freshLayout();
    fs.renameSync(whole.folder, `${whole.folder}-real`);
    fs.symlinkSync(`${whole.folder}-real`, whole.folder);
    const other = freshLayout();
    for (const look of [checkWorkspace, standingOf]) {
      expect(told(look(whole))).toMatch(/^EUCLEAN .*\.daimon is a link/);
      expect(told(look({ ...other, uid: other.uid + 1 }))).toMatch(/^EUCLEAN .*\.daimon belongs to user/);
    }
    expect(told(openWorkspace({ ...fresh().layout, uid: other.uid + 1 }, 1))).toMatch(/^EUCLEAN this folder belongs to user/);
  });

  it("BOO-21.2  an empty .daimon is taken, in its place or not there yet", () => {
    const { layout } = fresh();
    fs.mkdirSync(layout.folder);
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "absent" });
    expect(openWorkspace(layout, 1)).toEqual({ ok: true, value: [] });
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
    const linked = fresh().layout;
    fs.symlinkSync(fresh().layout.root, linked.folder);
    expect(told(openWorkspace(linked, 1))).toMatch(/^EUCLEAN .*is a link/);
  });

  it("BOO-21.3  killed before any of its steps, the next try comes up, and no .daimon is ever there without its record", () => {
    const child = path.join(import.meta.dirname, "provenance-child.ts");
    const run = (folder: string, killAt: number) =>
      spawnSync(process.execPath, [child, folder, String(killAt)], { encoding: "utf8" });
    const whole = run(fresh().folder, 0);
    const { calls } = JSON.parse(whole.stdout) as { readonly calls: number };
    expect(calls).toBeGreaterThan(15);
    for (let at = 1; at <= calls; at += 1) {
      const { folder, layout } = fresh();
      expect(run(folder, at).signal).toBe("SIGKILL");
      expect(checkWorkspace(layout), `killed before call ${at}`).toEqual({
        ok: true,
        value: expect.stringMatching(/^absent|own$/),
      });
      expect(told(openWorkspace(layout, 2)), `killed before call ${at}`).toBe("ok");
      expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
    }
  }, 120_000);

  it("BOO-21.4  of many processes that make it at once all come up, with one .daimon and one record that counts", async () => {
    const { folder, layout } = fresh();
    const children = Array.from({ length: 8 }, () => {
      const child = spawn(process.execPath, [path.join(import.meta.dirname, "provenance-child.ts"), folder]);
      let out = "";
      child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
      return new Promise<string>((resolve) => child.once("close", () => resolve(out)));
    });
    for (const out of await Promise.all(children)) expect(JSON.parse(out)).toMatchObject({ opened: { ok: true, value: [] } });
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
    expect(fs.readdirSync(layout.root)).toEqual([".daimon"]);
    expect(recordsOf(layout)).toMatchObject([fingerprintOf(layout, layout.folder) ?? {}]);
  });

  it("BOO-21.4  one that got the place in the very last moment is looked at like any other", () => {
    const { layout } = fresh();
    const planted = freshLayout().folder;
    const { user } = layout;
    // Where the user's folder lies is asked for after the place was found empty and before it is taken.
    const late = Object.defineProperty({ ...layout }, "user", {
      get: () => {
        if (!fs.existsSync(layout.folder)) copy(planted, layout.folder);
        return user;
      },
    });
    expect(told(openWorkspace(late, 1))).toMatch(/^EUCLEAN/);
    expect(recordsOf(layout)).toEqual([]);
    expect(fs.readdirSync(layout.root)).toEqual([".daimon"]);
  });

  it("BOO-21.5  where nothing can be recorded a new one works, with a finding, and is refused afterwards", () => {
    const { folder } = fresh();
    const layout = layoutOf(path.join(folder, "work"), { ...surroundings(folder), home: "/sys/nowhere" });
    expect(openWorkspace(layout, 1)).toMatchObject({
      ok: true,
      value: [{ rule: "BOO-21.5", severity: "warning", message: expect.stringContaining("XDG_CONFIG_HOME") }],
    });
    expect(fs.existsSync(layout.journal)).toBe(true);
    expect(told(checkWorkspace(layout))).toMatch(/^EUCLEAN/);
    expect(told(adopt(layout, 2))).toMatch(/^EROFS .*XDG_CONFIG_HOME/);
    const better = layoutOf(layout.root, {
      ...surroundings(folder),
      home: "/sys/nowhere",
      env: { XDG_CONFIG_HOME: path.join(folder, "xdg") },
    });
    expect(told(adopt(better, 2))).toBe("ok");
    expect(checkWorkspace(better)).toEqual({ ok: true, value: "own" });
  });

  it("BOO-21.5  a user folder that is not safe is refused, not worked around", () => {
    const { layout } = fresh();
    fs.mkdirSync(layout.user.folder, { recursive: true });
    fs.chmodSync(layout.user.folder, 0o777);
    expect(told(openWorkspace(layout, 1))).toMatch(/^EUCLEAN .*can be written by other users/);
    expect(fs.readdirSync(layout.root)).toEqual([]);
  });

  it("BOO-21.1  a record in a user folder that others can write vouches for nothing", () => {
    const layout = freshLayout();
    fs.chmodSync(layout.user.folder, 0o777);
    for (const look of [checkWorkspace, standingOf, (here: Layout) => openWorkspace(here, 1), (here: Layout) => adopt(here, 1)])
      expect(told(look(layout))).toMatch(/^EUCLEAN .*can be written by other users/);
  });

  it("BOO-21.1  a folder that belongs to somebody else holds no workspace, though its .daimon is one's own", ({ skip }) => {
    if (process.getuid?.() !== 0) skip("only root can give folders away");
    const made = freshLayout();
    spawnSync("chown", ["-R", "1000", made.folder]);
    fs.chownSync(made.root, 1001, 1001);
    const layout = { ...made, uid: 1000 };
    for (const look of [checkWorkspace, standingOf, (here: Layout) => openWorkspace(here, 1), (here: Layout) => adopt(here, 1)])
      expect(told(look(layout))).toMatch(/^EUCLEAN this folder belongs to user 1001 and you are user 1000/);
  });

  it("BOO-21.3  where the record has no room no .daimon is made: the room will be there again, and then it is known", ({
    skip,
  }) => {
    const home = mountSmallDisk(64 * 1024);
    if (home === null) return skip("a small disk cannot be mounted here: that needs root");
    const { folder } = fresh();
    const layout = layoutOf(path.join(folder, "work"), { ...surroundings(folder), home });
    const filler = path.join(home, "filler");
    fs.mkdirSync(layout.user.workspaces, { recursive: true, mode: 0o700 });
    const free = fs.statfsSync(home);
    fs.writeFileSync(filler, Buffer.alloc(free.bavail * free.bsize));
    expect(told(openWorkspace(layout, 1))).toMatch(/^ENOSPC /);
    expect(fs.readdirSync(layout.root)).toEqual([]);
    fs.rmSync(filler);
    expect(openWorkspace(layout, 2)).toEqual({ ok: true, value: [] });
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
  });

  it("BOO-21.6  what is adopted is closed to others", () => {
    const layout = freshLayout();
    copy(layout.root, `${layout.root}2`);
    const second = layoutOf(`${layout.root}2`, surroundings(path.dirname(layout.root)));
    for (const open of [second.folder, second.keys, second.journal]) fs.chmodSync(open, 0o755);
    expect(told(adopt(second, 3))).toBe("ok");
    for (const shut of [second.folder, second.keys, second.journal]) expect(fs.statSync(shut).mode & 0o077).toBe(0);
  });

  it("BOO-21.6  what a person adopts is known from then on, here and where it was", () => {
    const layout = freshLayout();
    copy(layout.root, `${layout.root}2`);
    const second = layoutOf(`${layout.root}2`, surroundings(path.dirname(layout.root)));
    expect(told(adopt(second, 3))).toBe("ok");
    expect(told(adopt(second, 4)), "twice is once").toBe("ok");
    expect(checkWorkspace(second)).toEqual({ ok: true, value: "own" });
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
    fs.renameSync(second.root, `${layout.root}3`);
    expect(told(checkWorkspace(layoutOf(`${layout.root}3`, surroundings(path.dirname(layout.root)))))).toMatch(/was moved/);
    fs.renameSync(`${layout.root}3`, second.root);
    expect(checkWorkspace(second), "back in its place").toEqual({ ok: true, value: "own" });
  });

  it("BOO-21.6  an empty one gets its key; one with a journal and no key, with links, or of another user is not adopted", () => {
    const { layout } = fresh();
    fs.mkdirSync(layout.folder);
    expect(told(adopt(layout, 1))).toBe("ok");
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
    const keyless = freshLayout();
    fs.rmSync(keyless.keys, { recursive: true });
    expect(told(adopt(keyless, 1))).toMatch(/^EUCLEAN its key is not in/);
    const linked = freshLayout();
    fs.symlinkSync("/etc", path.join(linked.folder, "etc"));
    expect(told(adopt(linked, 1))).toMatch(/^EUCLEAN .*is a link/);
    const other = freshLayout();
    expect(told(adopt({ ...other, uid: other.uid + 1 }, 1))).toMatch(/^EUCLEAN .*belongs to user/);
  });

  it("BOO-21.1  a record without a time of birth counts: some machines know none", () => {
    const { layout } = fresh();
    copy(freshLayout().folder, layout.folder);
    const print = fingerprintOf(layout, layout.folder);
    if (print === null) throw new Error("the copy has a key");
    must(addRecord(layout, { ...print, born: null }, 1));
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
  });

  it("BOO-21.1  one folder seen through a link is one workspace", () => {
    const { folder, layout } = fresh();
    fs.symlinkSync("work", path.join(folder, "seen"));
    expect(told(openWorkspace(layoutOf(path.join(folder, "seen"), surroundings(folder)), 1))).toBe("ok");
    expect(checkWorkspace(layout)).toEqual({ ok: true, value: "own" });
  });
});
