import * as fs from "node:fs";
import { describe, expect, it } from "vitest";
import { inspect } from "../../src/boot/inspect.ts";
import { openSessionFiles } from "../../src/boot/session-files.ts";
import { preview } from "../../src/boot/preview.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { emptyTable } from "../../src/kernel/table.ts";
import * as path from "node:path";
import { put, snapshot, surroundings } from "./folder.ts";
import { down, must, parked, perform, refusedBoot, start, up, workspace } from "./machine.ts";

describe("inspect", () => {
  it("BOO-15.1  looking takes no lock and writes nothing, beside a kernel and after it", async () => {
    const where = workspace({ "a.txt": "a" });
    const clock = systemClock();
    expect(inspect(surroundings(where.folder), clock)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    expect(where.has(".daimon")).toBe(false);
    const machine = await up(where);
    const pid = await start(machine, [
      ["fs.read", { path: "a.txt" }],
      ["ask", { question: "?" }],
    ]);
    await parked(machine, pid);
    must(await machine.kernel.recorder.barrier(true));
    for (const running of [true, false]) {
      if (!running) await down(machine);
      const before = snapshot(where.folder);
      const seen = must(inspect(surroundings(where.folder), clock));
      expect(seen.table.procs.get(pid)).toMatchObject({ state: "parked", park: { type: "question" } });
      seen.close();
      expect(snapshot(where.folder)).toEqual(before);
    }
  });
});

describe("preview", () => {
  it("BOO-17.1  it has the steps that the next boot measures, and takes no lock and writes nothing", async () => {
    const where = workspace({ "AGENTS.md": "Be brief.\n", "daimon.yaml": "policy:\n  deny:\n    - net.fetch\n" });
    await down(await up(where));
    const before = snapshot(where.folder);
    const seen = must(await preview(where.layout, emptyTable()));
    expect(snapshot(where.folder)).toEqual(before);
    const machine = await up(where);
    const plain = (steps: typeof machine.steps) => steps.map(({ name, digest }) => ({ name, digest }));
    expect(plain(seen.steps)).toEqual(plain(machine.steps));
    expect(must(seen.policy).digest).toBe(machine.policy.digest);
    expect(must(await preview(where.layout, emptyTable())).config).toEqual(machine.config);
  });

  it("BOO-17.1  a configured server is not started", async () => {
    const where = workspace();
    put(
      path.join(where.layout.user.folder, "config.yaml"),
      `mcp:\n  servers:\n    mark:\n      command: touch\n      args: ["${where.root}/started"]\n`,
    );
    const seen = must(await preview(where.layout, emptyTable()));
    expect(Object.keys(seen.config.mcp)).toEqual(["mark"]);
    expect(where.has("started")).toBe(false);
    await up(where);
    expect(where.has("started")).toBe(true);
  });

  it("BOO-17.2  a policy that cannot be loaded leaves the rest to be looked at", async () => {
    const where = workspace();
    put(path.join(where.layout.user.folder, "policy.cedar"), "permit(");
    const seen = must(await preview(where.layout, emptyTable()));
    expect(seen.policy).toMatchObject({ ok: false, error: { message: expect.stringContaining("policy.cedar:1") } });
    expect(seen.specs.map((spec) => spec.name)).toContain("fs.read");
  });
});

describe("session files", () => {
  it("BOO-18.2  of a workspace that came from elsewhere nothing is opened and no lock is taken", async () => {
    const where = workspace();
    await down(await up(where));
    const other = workspace();
    fs.cpSync(where.layout.folder, other.layout.folder, { recursive: true });
    const before = snapshot(other.root);
    expect(await openSessionFiles(other.layout, systemClock())).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    expect(snapshot(other.root)).toEqual(before);
  });

  it("BOO-18.1  they hold the lock while they are open: no kernel comes up, and under a kernel they do not open", async () => {
    const where = workspace({ "a.txt": "before" });
    const machine = await up(where);
    await perform(machine, [["fs.write", { path: "a.txt", text: "after" }]]);
    expect(await openSessionFiles(where.layout, systemClock())).toMatchObject({ ok: false, error: { errno: "EBUSY" } });
    await down(machine);
    const files = must(await openSessionFiles(where.layout, systemClock()));
    expect(await refusedBoot(where)).toMatchObject({ errno: "EBUSY" });
    const session = must(await files.sessions.open(1));
    expect(must(await session.changes())).toMatchObject([{ path: "a.txt", kind: "modified" }]);
    await files.close();
    expect(fs.readdirSync(where.layout.lock)).toEqual([]);
    await up(where);
  });
});
