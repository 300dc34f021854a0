import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { openSessions } from "../../src/boot/sessions.ts";
import { copySessions } from "../../src/drivers/files/copy.ts";
import { overlaySessions } from "../../src/drivers/files/overlay.ts";
import { ZygoteClient } from "../../src/drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { freshFolder, freshLayout, put, snapshot } from "./folder.ts";
import { must, perform, told, up, workspace } from "./machine.ts";
import { isSecret } from "../../src/security/policy/names.ts";

const options = { blobs: openMemoryBlobs(), hide: [".daimon"], links: "refuse" } as const;

describe("sessions", () => {
  it("BOO-12.1  overlays where they can be mounted; without the helper files are copied, and a finding says so", async () => {
    const layout = freshLayout();
    put(path.join(layout.root, "a.txt"), "lower");
    const helper = new ZygoteClient();
    const overlay = await overlaySessions({ ...options, isSecret, helper }).available();
    const mounted = openSessions(layout, helper, options.blobs);
    const first = must(await mounted.open(1));
    expect((await first.stage()).ok).toBe(overlay.ok);
    expect(mounted.degraded === null).toBe(overlay.ok);
    await mounted.close();
    await helper.close();
    /** A helper that was closed cannot mount: the same as a machine without user namespaces. */
    const copied = openSessions(layout, helper, options.blobs);
    const second = must(await copied.open(2));
    expect(await second.stage()).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
    expect(copied.degraded).toMatchObject({ rule: "BOO-12.1", severity: "warning", where: "sessions" });
    must(await second.write("a.txt", Buffer.from("upper")));
    expect(must(await second.read("a.txt")).toString()).toBe("upper");
    expect(fs.readFileSync(path.join(layout.root, "a.txt"), "utf8")).toBe("lower");
    await copied.close();
  });

  it("BOO-12.2  one session an owner, opened at the first file and once, whoever asks at the same time", async () => {
    const where = workspace({ "a.txt": "a" });
    const machine = await up(where);
    expect(fs.readdirSync(where.layout.sessions)).toEqual([]);
    const opened = await Promise.all([1, 2, 3].map(() => machine.sessions.open(9)));
    expect(new Set(opened.map((one) => must(one))).size).toBe(1);
    expect(fs.readdirSync(where.layout.sessions)).toEqual(["9"]);
    await machine.sessions.release(9);
    const [first] = opened.map((one) => must(one));
    expect(must(await machine.sessions.open(9))).not.toBe(first);
  });

  it("BOO-12.4  a link in a session's folder, but for the overlay's own, is refused in both modes, and nothing is written through it", async () => {
    const layout = freshLayout();
    put(path.join(layout.root, "a.txt"), "lower");
    const elsewhere = freshFolder();
    put(path.join(elsewhere, "victim"), "as it was");
    const helper = new ZygoteClient();
    const closed = new ZygoteClient();
    await closed.close();
    const home = path.join(layout.sessions, "1");
    const names = [
      "",
      "upper",
      "work",
      "view",
      "base.jsonl",
      "base.jsonl.next",
      "gone.jsonl",
      "gone.jsonl.next",
      "mounted",
      "mounted.next",
    ];
    for (const mode of [helper, closed]) {
      for (const name of names) {
        fs.rmSync(layout.sessions, { recursive: true });
        fs.mkdirSync(name === "" ? layout.sessions : home, { recursive: true });
        const isFolder = ["", "upper", "work", "view"].includes(name);
        fs.symlinkSync(isFolder ? elsewhere : path.join(elsewhere, "victim"), path.join(home, name));
        const sessions = openSessions(layout, mode, options.blobs);
        const opened = await sessions.open(1);
        expect(opened, name).toMatchObject({
          ok: false,
          error: { errno: "EUCLEAN", message: expect.stringContaining("is a link") },
        });
        await sessions.close();
        expect(fs.readdirSync(elsewhere)).toEqual(["victim"]);
        expect(fs.readFileSync(path.join(elsewhere, "victim"), "utf8")).toBe("as it was");
      }
      fs.rmSync(layout.sessions, { recursive: true });
      fs.mkdirSync(layout.sessions);
      const sessions = openSessions(layout, mode, options.blobs);
      for (let time = 0; time < 2; time++) {
        must(await must(await sessions.open(1)).write("a.txt", Buffer.from("upper")));
        await sessions.release(1);
      }
      await sessions.close();
      const foreign = openSessions({ ...layout, uid: layout.uid + 1 }, mode, options.blobs);
      expect(await foreign.open(1)).toMatchObject({
        ok: false,
        error: { errno: "EUCLEAN", message: expect.stringContaining("belongs to user") },
      });
      await foreign.close();
    }
    await helper.close();
  });

  it("BOO-12.3  a file call does not follow a link inside the workspace, and names the path it stands for", async () => {
    const where = workspace({ "docs/real.txt": "real", ".env": "TOKEN=hunter2" });
    fs.symlinkSync("docs", path.join(where.root, "way"));
    fs.symlinkSync("../.env", path.join(where.root, "docs/notes.txt"));
    const machine = await up(where);
    const [through, secret, write, made, own] = await perform(machine, [
      ["fs.read", { path: "way/real.txt" }],
      ["fs.read", { path: "docs/notes.txt" }],
      ["fs.write", { path: "docs/notes.txt", text: "x" }],
      ["fs.write", { path: "way/new/deep.txt", text: "x" }],
      ["fs.read", { path: "docs/real.txt" }],
    ]);
    expect(told(through)).toMatch(/^EPERM .*link.* stands for docs\/real\.txt/);
    expect(told(secret)).toMatch(/^EPERM .* stands for \.env/);
    expect(told(write)).toMatch(/^EPERM .* stands for \.env/);
    expect(told(made)).toMatch(/^EPERM .* stands for docs\/new\/deep\.txt/);
    expect(told(own)).toMatch(/^ok .*1│ real/);
    expect(must(await must(await machine.sessions.open(1)).changes())).toEqual([]);
  });

  for (const [name, make] of [
    ["copy", () => copySessions(options)],
    ["overlay", (helper: ZygoteClient) => overlaySessions({ ...options, isSecret, helper })],
  ] as const) {
    it(`FIL-6.6  ${name}: every operation meets a link as EPERM with the real path, and nothing is made on the way`, async ({
      skip,
    }) => {
      const layout = freshLayout();
      put(path.join(layout.root, "d/e/f"), "inside");
      fs.symlinkSync("d", path.join(layout.root, "l"));
      fs.symlinkSync("../d/./e/../e/f", path.join(layout.root, "d/twisted"));
      fs.symlinkSync("/work/d/e", path.join(layout.root, "work"));
      fs.symlinkSync("loop", path.join(layout.root, "loop"));
      fs.symlinkSync("../..", path.join(layout.root, "out"));
      const helper = new ZygoteClient();
      const driver = make(helper);
      const usable = await driver.available();
      if (!usable.ok) skip(`${name}: ${usable.error.message}`);
      const session = must(await driver.open({ pid: 1, lower: layout.root, home: path.join(layout.sessions, "1") }));
      const before = snapshot(path.join(layout.root, "d"));
      const refusals = [
        [await session.read("l/e/f"), "d/e/f"],
        [await session.read("d/twisted"), "d/e/f"],
        [await session.write("l/e/f", Buffer.from("x")), "d/e/f"],
        [await session.write("l/new/g", Buffer.from("x")), "d/new/g"],
        [await session.remove("l/e/f"), "d/e/f"],
        [await session.list("l"), "d"],
        [await session.stat("l/e/f"), "d/e/f"],
      ] as const;
      for (const [refusal, real] of refusals) {
        expect(refusal).toMatchObject({
          ok: false,
          error: { errno: "EPERM", message: expect.stringContaining(`stands for ${real}:`) },
        });
      }
      expect(await session.read("loop")).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
      expect(await session.read("out/x")).toMatchObject({
        ok: false,
        error: { errno: "EPERM", message: expect.stringContaining("leads out") },
      });
      expect(must(await session.stat("l")).type).toBe("link");
      expect(must(await session.changes())).toEqual([]);
      expect(snapshot(path.join(layout.root, "d"))).toEqual(before);
      await session.close();
      await driver.close();
      await helper.close();
    });
  }
});
