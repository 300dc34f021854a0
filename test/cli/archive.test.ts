import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { boot } from "../../src/boot/boot.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { documents, place } from "./shell.ts";

describe("log archive, over several segments", () => {
  const here = place();
  const clock = systemClock();
  const journal = path.join(here.folder, ".daimon/journal");
  const segments = (): readonly string[] => fs.readdirSync(journal).toSorted();

  /** As a journal of 64 MiB does it by itself. */
  async function rotate(): Promise<void> {
    const world = { cwd: here.folder, env: {}, home: here.home, uid: process.getuid?.() ?? 0 };
    const machine = await boot({ world, clock, cpu: "reflex", policyEngine: "compiled", processes: "leave" });
    if (!machine.ok) throw new Error(machine.error.message);
    const rotated = await machine.value.kernel.recorder.rotateIfLarge(clock.now(), true);
    await machine.value.close();
    expect(rotated).toMatchObject({ ok: true });
  }

  beforeAll(async () => {
    documents(here);
    for (let segment = 0; segment < 3; segment += 1) {
      expect(here.run("run", "brief", "inbox", "--quiet").code).toBe(0);
      await rotate();
    }
  }, 120_000);

  it("CLI-19.4  the closed segments are compressed, and every command reads them as before", () => {
    const looks = [["log"], ["log", "1"], ["ps", "--all"], ["log", "--grep", "budget"], ["why", "1"]];
    const told = (): unknown => looks.map((args) => here.run(...args));
    const before = told();
    const { head, records } = here.json("log", "verify");
    expect(segments().filter((name) => name.endsWith(".log"))).toHaveLength(4);
    const archived = here.json("log", "archive");
    expect(archived.segments).toHaveLength(3);
    expect(archived.bytesAfter).toBeLessThan(archived.bytesBefore);
    expect(segments().map((name) => path.extname(name))).toEqual([".zst", ".zst", ".zst", ".log"]);
    expect(told()).toEqual(before);
    expect(here.json("log", "verify")).toMatchObject({ sound: true, segments: 4, head, records });
    expect(here.json("replay")).toMatchObject({ findings: [] });
    here.run("log", "reindex");
    expect(told()).toEqual(before);
    expect(here.json("fsck")).toEqual({ clean: true, findings: [] });
  });

  it("CLI-19.4  a run goes on behind them, and only what was closed since is left to archive", async () => {
    expect(here.run("log", "archive").out).toContain("nothing to archive");
    expect(here.run("run", "brief", "inbox", "--quiet").code).toBe(0);
    await rotate();
    expect(here.run("log", "archive").out).toMatch(/^archived 1 segment: .+ are now .+\n$/);
    expect(here.json("log", "verify")).toMatchObject({ sound: true, segments: 5 });
  });

  it("CLI-19.4  damage in a segment behind them is set aside up to an archived one, and put back", () => {
    const last = path.join(journal, segments().at(-1) ?? "");
    const bytes = fs.readFileSync(last);
    const at = bytes.indexOf('"kind":"checkpoint"');
    fs.writeFileSync(last, bytes.fill("X", at, at + 1));
    const names = segments();
    expect(here.run("log", "verify").code).toBe(1);
    const { repaired } = here.json("fsck", "--repair", "--yes");
    expect(here.run("log", "verify").code).toBe(0);
    expect(segments().map((name) => path.extname(name))).toEqual([".zst", ".zst", ".zst", ".log"]);
    expect(here.run("fsck", "--undo", repaired.id).code).toBe(0);
    expect(segments()).toEqual(names);
    here.run("fsck", "--repair", "--yes");
    expect(here.run("run", "brief", "inbox", "--quiet").code).toBe(0);
    expect(here.run("log", "verify").code).toBe(0);
  });
});
