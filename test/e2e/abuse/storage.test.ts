/** What a disk, a power cut and a second kernel do to a workspace: refused, recovered or reported, and what is whole stays readable. */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { boot } from "../../../src/boot/boot.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { errnos } from "../../../src/abi/errno.ts";
import { daimon, documents, place, type Place } from "../../cli/shell.ts";

function briefed(): Place {
  const where = place();
  documents(where);
  const ran = where.run("run", "brief", "inbox");
  if (ran.code !== 0) throw new Error(ran.err);
  return where;
}

function segment(where: Place): string {
  const [name = ""] = fs.readdirSync(path.join(where.folder, ".daimon/journal"));
  return path.join(where.folder, ".daimon/journal", name);
}

describe("storage", () => {
  it("a flipped byte in the journal: boot refuses with EUCLEAN, verify and fsck say where, the rest stays readable, a repair boots", () => {
    const where = briefed();
    const file = segment(where);
    const bytes = fs.readFileSync(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    const refused = where.run("run", "brief", "inbox");
    expect(refused.code).toBe(errnos.EUCLEAN.exit);
    expect(refused.err).toMatch(/damaged in segment \S+ at record \d+, byte \d+/);
    expect(refused.err).toMatch(/next: .*daimon fsck/);
    expect(fs.readFileSync(file).equals(bytes), "a refused boot writes nothing").toBe(true);
    expect(fs.readdirSync(path.join(where.folder, ".daimon/run/lock"))).toEqual([]);
    const record = /record \d+/.exec(refused.err)?.[0] ?? "none";
    for (const command of [["log", "verify"], ["fsck"]]) {
      const ran = where.run(...command);
      expect(ran.code, command.join(" ")).toBe(1);
      expect(ran.out + ran.err, command.join(" ")).toContain(record);
    }
    expect(where.run("log").out.split("\n").length).toBeGreaterThan(10);
    expect(where.run("fsck").out).toMatch(/fix: set the journal aside from its damage on; its first \d+ records stay/);
    const mended = where.run("fsck", "--repair", "--yes");
    expect(mended.out).toMatch(/repaired 1; `daimon fsck --undo \S+` puts it back/);
    expect(where.run("ps", "--all").code).toBe(0);
  });

  it("BOO-22.3  a journal that is gone is told by everything, and nothing new begins in its place", () => {
    const where = briefed();
    const journal = path.join(where.folder, ".daimon/journal");
    fs.rmSync(journal, { recursive: true });
    for (const command of [["ps"], ["log"], ["log", "verify"], ["run", "brief", "inbox"], ["run", "--resume"], ["kill", "1"]]) {
      const ran = where.run(...command);
      expect([command[0], ran.code]).toEqual([command[0], errnos.EUCLEAN.exit]);
      expect(ran.err).toContain("the journal is gone");
      expect(ran.err).toMatch(/next: restore .* or move \.daimon away/);
    }
    expect(where.run("fsck")).toMatchObject({
      code: 1,
      out: expect.stringContaining("error: .daimon/journal: the journal is gone"),
    });
    expect(where.run("fsck", "--repair", "--yes")).toMatchObject({ code: 1 });
    expect(fs.readdirSync(journal)).toEqual([]);
    fs.renameSync(path.join(where.folder, ".daimon"), path.join(where.folder, "old"));
    expect(where.run("run", "brief", "inbox")).toMatchObject({ code: 0 });
  });

  it("a truncated tail is recovered and reported; what was acknowledged stays", () => {
    const where = briefed();
    const before = where.json("ps", "--all");
    fs.truncateSync(segment(where), fs.statSync(segment(where)).size - 7);
    const verified = where.run("log", "verify");
    expect(verified.code).toBe(0);
    expect(verified.out + verified.err).toMatch(/unfinished write/);
    expect(where.run("run", "brief", "inbox").code).toBe(0);
    expect(JSON.stringify(where.json("ps", "--all"))).toContain(
      JSON.stringify(before).match(/"goal|"name":"brief"/)?.[0] ?? "brief",
    );
    expect(where.run("log", "verify").out).toMatch(/^sound/);
  });

  it("a deleted payload is named by fsck with the record that needs it", () => {
    const where = briefed();
    const folder = path.join(where.folder, ".daimon/blobs");
    const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /^..\/[0-9a-f]{62}$/.test(name));
    expect(names.length).toBeGreaterThan(0);
    const gone = names.map((name) => name.replace("/", ""));
    for (const name of names) fs.rmSync(path.join(folder, name));
    const ran = where.run("fsck");
    expect(ran.code).toBe(1);
    const named = [...ran.out.matchAll(/entry \d+: blob ([0-9a-f]{12}).* is missing/g)].map(([, digest]) => digest ?? "");
    expect(named.length).toBeGreaterThan(0);
    for (const digest of named) expect(gone.some((whole) => whole.startsWith(digest))).toBe(true);
    expect(ran.out).toContain("backup");
    expect(where.has("BRIEF.md")).toBe(true);
  });

  it("a second kernel is refused with EBUSY and names the first", async () => {
    const where = place();
    documents(where);
    const world = { cwd: where.folder, env: {}, home: where.home, uid: process.getuid?.() ?? 0 };
    const first = await boot({ world, clock: systemClock(), cpu: "reflex", policyEngine: "compiled" });
    if (!first.ok) throw new Error(first.error.message);
    const ran = await new Promise<{ readonly code: number | null; readonly err: string }>((resolve) => {
      const child = spawn(
        process.execPath,
        [path.resolve(import.meta.dirname, "../../../bin/daimon.mjs"), "run", "brief", "inbox"],
        { cwd: where.folder, env: where.env() },
      );
      let err = "";
      child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
      child.once("close", (code) => resolve({ code, err }));
    });
    expect(ran.code).toBe(errnos.EBUSY.exit);
    expect(ran.err).toContain(`process ${process.pid} holds this workspace since`);
    expect(ran.err).toContain(`kill ${process.pid}`);
    await first.value.close();
    expect(where.run("run", "brief", "inbox").code).toBe(0);
  });

  it("a full disk ends the run with ENOSPC in words, and with space it goes on", ({ skip }) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "daimon-full-"));
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]);
    if (mounted.status !== 0) {
      fs.rmdirSync(folder);
      skip("a small disk cannot be mounted here: that needs root");
    }
    try {
      const where = place();
      documents(where);
      const work = path.join(folder, "work");
      fs.cpSync(where.folder, work, { recursive: true });
      const run = () => daimon(work, ["run", "brief", "inbox"], where.env());
      expect(run().code).toBe(0);
      const verify = () => daimon(work, ["log", "verify"], where.env());
      const filler = path.join(folder, "filler");
      const free = fs.statfsSync(folder);
      fs.writeFileSync(filler, Buffer.alloc(free.bavail * free.bsize));
      const full = run();
      /** The program's own end where the journal still took it, else the kernel's. */
      const said = `${full.out}${full.err}`;
      expect(full.code, said).toBe(28);
      expect(said).not.toMatch(/\n\s+at |node:internal/);
      expect(said).toMatch(/no space|ENOSPC/);
      expect(verify().out).toMatch(/^sound/m);
      fs.rmSync(filler);
      expect(run()).toMatchObject({ code: 0, err: expect.not.stringContaining("daimon:") });
      expect(verify().out).toMatch(/^sound/m);
    } finally {
      spawnSync("umount", [folder]);
      fs.rmdirSync(folder);
    }
  });
});
