import * as fs from "node:fs";
import * as path from "node:path";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import {
  checkPlaces,
  checkRoot,
  checkUserFolder,
  findRoot,
  foreignRoot,
  foldersOf,
  layoutOf,
  prepare,
} from "../../src/boot/layout.ts";
import { readText } from "../../src/boot/read.ts";
import { freshFolder, freshLayout, put, surroundings } from "./folder.ts";

const uid = process.getuid?.() ?? 0;

describe("layout", () => {
  it("BOO-2.1  the root is the nearest folder with a mark, else the working folder", () => {
    const folder = freshFolder();
    const deep = path.join(folder, "a/b/c");
    fs.mkdirSync(deep, { recursive: true });
    expect(findRoot(deep)).toBe(deep);
    put(path.join(folder, "daimon.yaml"), "");
    expect(findRoot(deep)).toBe(folder);
    fs.mkdirSync(path.join(folder, "a/.daimon"));
    expect(findRoot(deep)).toBe(path.join(folder, "a"));
  });

  it("BOO-2.2  folders are made with mode 0700 and a loose one is tightened", () => {
    const layout = freshLayout();
    for (const folder of [layout.folder, ...foldersOf(layout)]) expect(fs.statSync(folder).mode & 0o777, folder).toBe(0o700);
    fs.chmodSync(layout.folder, 0o755);
    expect(prepare(layout).ok).toBe(true);
    expect(fs.statSync(layout.folder).mode & 0o777).toBe(0o700);
  });

  it("BOO-2.3  a link, a file or another user's folder is refused and nothing is written", () => {
    const folder = freshFolder();
    const elsewhere = freshFolder();
    const layout = layoutOf(folder, surroundings(folder));
    expect(checkPlaces(layout).ok).toBe(true);
    fs.symlinkSync(elsewhere, layout.folder);
    expect(checkPlaces(layout)).toMatchObject({
      ok: false,
      error: { errno: "EUCLEAN", message: expect.stringContaining("is a link") },
    });
    expect(fs.readdirSync(elsewhere)).toEqual([]);
    fs.rmSync(layout.folder);
    put(layout.folder, "text");
    expect(checkPlaces(layout)).toMatchObject({
      ok: false,
      error: { errno: "EUCLEAN", message: expect.stringContaining("not a folder") },
    });
    fs.rmSync(layout.folder);
    fs.mkdirSync(layout.folder);
    expect(checkPlaces(layout).ok).toBe(true);
    expect(checkPlaces({ ...layout, uid: uid + 1 })).toMatchObject({
      ok: false,
      error: { errno: "EUCLEAN", message: expect.stringContaining(`belongs to user ${uid}`) },
    });
    for (const place of [...foldersOf(layout), layout.index, path.join(layout.folder, "unknown")]) {
      fs.mkdirSync(path.dirname(place), { recursive: true });
      fs.symlinkSync(elsewhere, place);
      const name = path.relative(layout.root, place);
      expect(checkPlaces(layout), name).toMatchObject({
        ok: false,
        error: { errno: "EUCLEAN", message: expect.stringContaining(`${name} is a link`) },
      });
      fs.rmSync(place);
    }
    expect(checkPlaces(layout).ok).toBe(true);
  });

  it("BOO-2.4  .gitignore ignores everything and is never overwritten", () => {
    const layout = freshLayout();
    expect(fs.readFileSync(layout.gitignore, "utf8")).toBe("*\n");
    fs.writeFileSync(layout.gitignore, "*\n!policy\n");
    prepare(layout);
    expect(fs.readFileSync(layout.gitignore, "utf8")).toBe("*\n!policy\n");
  });

  it("BOO-2.5  a deep workspace still gets a socket that can be bound", async () => {
    const folder = freshFolder();
    const root = path.join(folder, ..."0123456789".split("").map((digit) => digit.repeat(20)));
    fs.mkdirSync(root, { recursive: true });
    const runtime = path.join(folder, "r");
    fs.mkdirSync(runtime, { mode: 0o700 });
    const layout = layoutOf(root, { ...surroundings(folder), env: { XDG_RUNTIME_DIR: runtime } });
    expect(layout.socket.startsWith(runtime)).toBe(true);
    expect(prepare(layout).ok).toBe(true);
    expect(fs.statSync(path.dirname(layout.socket)).mode & 0o777).toBe(0o700);
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(layout.socket, resolve));
    await new Promise((resolve) => server.close(resolve));
    const near = layoutOf("/w", surroundings(folder));
    expect(near.socket).toBe("/w/.daimon/run/control.sock");
  });

  it("BOO-2.6  user scope follows XDG_CONFIG_HOME where it is absolute", () => {
    const world = surroundings("/x");
    expect(layoutOf("/w", world).user.config).toBe("/x/home/.config/daimon/config.yaml");
    expect(layoutOf("/w", { ...world, env: { XDG_CONFIG_HOME: "/cfg" } }).user.config).toBe("/cfg/daimon/config.yaml");
    expect(layoutOf("/w", { ...world, env: { XDG_CONFIG_HOME: "cfg" } }).user.config).toBe("/x/home/.config/daimon/config.yaml");
  });

  it("BOO-2.6  the user's cache follows XDG_CACHE_HOME where it is absolute", () => {
    const world = surroundings("/x");
    expect(layoutOf("/w", world).user.cache).toBe("/x/home/.cache/daimon");
    expect(layoutOf("/w", { ...world, env: { XDG_CACHE_HOME: "/c" } }).user.cache).toBe("/c/daimon");
    expect(layoutOf("/w", { ...world, env: { XDG_CACHE_HOME: "c" } }).user.cache).toBe("/x/home/.cache/daimon");
  });

  it("BOO-2.8  a workspace in another user's folder is refused, and says what to do; root is told and goes on", () => {
    const layout = freshLayout();
    expect(checkRoot(layout).ok).toBe(true);
    expect(foreignRoot(layout)).toEqual([]);
    const foreign = freshLayout();
    if (uid === 0) fs.chownSync(foreign.root, 65_534, 65_534);
    expect(checkRoot({ ...foreign, uid: 0 }).ok).toBe(true);
    const owner = uid === 0 ? 65_534 : uid;
    expect(foreignRoot({ ...foreign, uid: 0 })).toMatchObject([
      { rule: "BOO-2.8", severity: "warning", message: expect.stringContaining(`belongs to user ${owner}`) },
    ]);
    expect(checkRoot({ ...layout, uid: uid + 1 })).toMatchObject({
      ok: false,
      error: {
        errno: "EUCLEAN",
        message: expect.stringMatching(`belongs to user ${uid} and you are user ${uid + 1}.*; run as its owner`),
      },
    });
  });

  it("BOO-2.9  a user folder that others can write, or of another user, is refused; a missing one is not, nor a link to a sound one", () => {
    const layout = layoutOf(freshFolder(), surroundings(freshFolder()));
    const { folder, workspaces } = layout.user;
    expect(checkUserFolder(layout).ok).toBe(true);
    fs.mkdirSync(workspaces, { recursive: true, mode: 0o700 });
    const refusal = (as = layout): string => {
      const checked = checkUserFolder(as);
      return checked.ok ? "sound" : `${checked.error.errno} ${checked.error.message}`;
    };
    for (const place of [folder, workspaces]) {
      for (const mode of [0o720, 0o702, 0o777]) {
        fs.chmodSync(place, mode);
        expect(refusal()).toMatch(/^EUCLEAN .*can be written by other users.*chmod go-w/);
      }
      fs.chmodSync(place, 0o755);
      expect(refusal()).toBe("sound");
    }
    if (uid !== 0) expect(refusal({ ...layout, uid: uid + 1 })).toMatch(/^EUCLEAN .*belongs to user/);
    else {
      // What root made is trusted, as with any other program; what a third user made is not.
      expect(refusal({ ...layout, uid: 1 })).toBe("sound");
      fs.chownSync(workspaces, 2, 2);
      expect(refusal({ ...layout, uid: 1 })).toMatch(/^EUCLEAN .*workspaces belongs to user 2/);
      expect(refusal()).toMatch(/^EUCLEAN .*workspaces belongs to user 2/);
      fs.chownSync(workspaces, 0, 0);
    }
    fs.renameSync(folder, `${folder}-real`);
    fs.symlinkSync(`${folder}-real`, folder);
    expect(refusal()).toBe("sound");
    fs.renameSync(workspaces, `${workspaces}-real`);
    fs.symlinkSync(`${workspaces}-real`, workspaces);
    expect(refusal()).toMatch(/^EUCLEAN .*workspaces is no folder/);
  });

  it("BOO-2.7  only a plain UTF-8 file within its bound is read", () => {
    const folder = freshFolder();
    const at = (name: string): string => path.join(folder, name);
    put(at("ok"), "\ufefftext");
    put(at("big"), "x".repeat(11));
    put(at("latin"), Buffer.from([0x66, 0xfc, 0x72]));
    fs.symlinkSync("ok", at("link"));
    fs.mkdirSync(at("folder"));
    expect(readText(at("ok"), 10)).toMatchObject({ ok: true, value: { text: "text" } });
    const errnoOf = (name: string): string | null => {
      const result = readText(at(name), 10);
      return result.ok ? null : result.error.errno;
    };
    expect([errnoOf("big"), errnoOf("latin"), errnoOf("link"), errnoOf("folder"), errnoOf("none")]).toEqual([
      "E2BIG",
      "EINVAL",
      "EPERM",
      "EINVAL",
      "ENOENT",
    ]);
  });
});
