import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boot, type Machine } from "../../src/boot/boot.ts";
import { inspect } from "../../src/boot/inspect.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { drive } from "../../src/cli/drive.ts";
import { interrupts } from "../../src/cli/interrupt.ts";
import type { Report } from "../../src/cli/report.ts";
import type { Proc } from "../../src/kernel/table.ts";
import type { Waiting } from "../../src/cli/waiting.ts";
import type { Io } from "../../src/cli/io.ts";
import { palette } from "../../src/cli/term/screen.ts";
import { EventEmitter } from "node:events";
import { recorder } from "./term/screen.ts";
import { place, spawnProbe, withProbe, type Place } from "./shell.ts";

const uid = process.getuid?.() ?? 0;

async function machineIn(where: Place): Promise<Machine> {
  const world = { cwd: where.folder, env: {}, home: where.home, uid };
  const machine = await boot({ world, clock: systemClock(), cpu: "reflex", policyEngine: "compiled" });
  if (!machine.ok) throw new Error(machine.error.message);
  return machine.value;
}

class FakeHost extends EventEmitter {
  readonly pid = 7;
  kill(): void {}
}

function ioFor(where: Place): Io & { readonly host: FakeHost } {
  const screen = recorder();
  const colours = palette(screen, {}, false);
  const input = Object.assign(new EventEmitter(), { resume: () => {}, pause: () => {} });
  const world = { cwd: where.folder, env: {}, home: where.home, uid };
  return {
    world,
    out: screen,
    err: recorder(),
    input,
    clock: systemClock(),
    host: new FakeHost(),
    colours,
    errColours: colours,
    json: false,
    quiet: true,
  };
}

async function settled(machine: Machine, where: Place, pids: readonly number[]): Promise<readonly number[]> {
  const io = ioFor(where);
  const driven = await drive(machine, pids, interrupts(io.host), io);
  return driven.parked;
}

describe("while a kernel runs in another terminal", () => {
  const here = place();
  let machine: Machine;
  beforeAll(async () => {
    withProbe(here);
    machine = await machineIn(here);
  });
  afterAll(() => machine.close());

  it("CLI-7.1  it comes to rest once nothing can move, and not before", async () => {
    const pids = [await spawnProbe(machine, "one"), await spawnProbe(machine, "two"), await spawnProbe(machine, "three")];
    expect(await settled(machine, here, pids)).toEqual(pids);
    expect(machine.kernel.processes().map((one) => one.state)).toEqual(["parked", "parked", "parked"]);
  });

  it("CLI-7.3  an interrupt ends the wait and leaves the processes", async () => {
    const io = ioFor(here);
    const interrupt = interrupts(io.host);
    io.host.emit("SIGTERM");
    const driven = await drive(machine, [1], interrupt, io);
    expect(driven.ended.size).toBe(0);
    expect(interrupt.exitCode()).toBe(143);
  });

  it("CLI-5.1  looking takes no lock: ps, log, why and approve work beside it", async () => {
    expect(await here.startJson("ps")).toMatchObject({ kernel: "running", processes: [{ pid: 1 }, { pid: 2 }, { pid: 3 }] });
    expect((await here.startJson("approve")).waiting).toHaveLength(3);
    expect((await here.start("log", "1")).code).toBe(0);
    expect(await here.start("diff", "1:1")).toMatchObject({ code: 0, out: expect.stringContaining("notes/a.txt") });
    expect((await here.start("why", "1.0.1")).code).toBe(0);
    expect((await here.start("fsck")).code).toBe(0);
  });

  it("BOO-15.2  what the kernel has not made durable yet is seen too", async () => {
    const before = fs.readdirSync(path.join(here.folder, ".daimon/blobs/new"));
    const text = `text ${"x".repeat(10_000)}`;
    const digest = machine.blobs.put(text);
    expect(fs.readdirSync(path.join(here.folder, ".daimon/blobs/new")).length).toBe(before.length + 1);
    const look = `import { inspect } from ${JSON.stringify(path.resolve("src/boot/inspect.ts"))};
      import { systemClock } from ${JSON.stringify(path.resolve("src/drivers/clock/system.ts"))};
      const seen = inspect({ cwd: ${JSON.stringify(here.folder)}, env: {}, home: ${JSON.stringify(here.home)}, uid: ${uid} }, systemClock());
      const blob = seen.value.blobs.get("${digest}");
      console.log(blob.ok && blob.value.toString() === ${JSON.stringify(text)}, seen.value.blobs.has("${digest}"), seen.value.blobs.has("${"0".repeat(64)}"));`;
    const ran = spawnSync(process.execPath, ["--input-type=module", "-e", look], { encoding: "utf8" });
    expect(ran.stdout.trim()).toBe("true true false");
  });

  it("CLI-20.3  a second kernel, and what needs the sessions, is EBUSY and says who holds the workspace", async () => {
    for (const args of [
      ["run", "probe", "x"],
      ["diff", "1"],
      ["commit", "1"],
      ["rollback", "1"],
      ["fsck", "--repair", "--yes"],
      ["log", "archive"],
    ]) {
      const ran = await here.start(...args);
      expect([args[0], ran.code]).toEqual([args[0], 73]);
      expect(ran.err).toContain(`process ${process.pid} holds this workspace`);
      expect(ran.err).toContain("next: ");
    }
  });

  it("CLI-16.1  a signal goes to the running kernel, under the person's name", async () => {
    expect(await here.startJson("kill", "3")).toMatchObject({ pid: 3, signal: "kill", by: expect.any(String) });
    expect(machine.kernel.processes()[2]).toMatchObject({ state: "zombie", exit: { ok: false, error: { errno: "ECANCELED" } } });
    expect(await here.start("kill", "3")).toMatchObject({ code: 66, err: expect.stringContaining("has ended") });
  });

  it("CLI-5.3  a number without a process is ENOENT, anything else EINVAL", async () => {
    for (const command of ["kill", "diff", "commit", "rollback", "replay"]) {
      expect([command, (await here.start(command, "99")).code]).toEqual([command, 66]);
      for (const wrong of ["abc", "0", "1.5", "01", "9999999999"]) {
        if (command === "kill" || wrong === "abc")
          expect([command, wrong, (await here.start(command, wrong)).code]).toEqual([command, wrong, 64]);
      }
    }
  });

  it("CLI-16.2  a weight is a whole number from 1 to 10000", async () => {
    expect(await here.startJson("nice", "1", "250")).toEqual({ pid: 1, weight: 250 });
    expect(machine.kernel.processes()[0]?.weight).toBe(250);
    for (const wrong of ["0", "10001", "1.5", "much"]) expect((await here.start("nice", "1", wrong)).code).toBe(64);
    expect((await here.start("nice", "99", "5")).code).toBe(66);
  });

  it("CLI-10.2  an answer goes to the running kernel, which goes on", async () => {
    expect(await here.startJson("approve", "2:1", "--no", "--text", "not now")).toMatchObject({
      pid: 2,
      allow: false,
      answered: true,
    });
    expect(await settled(machine, here, [2])).toEqual([2]);
    expect((await here.startJson<{ waiting: Waiting[] }>("approve")).waiting.map((one) => [one.pid, one.type])).toEqual([
      [1, "approval"],
      [2, "question"],
    ]);
    expect(await here.start("approve", "2:1", "--no")).toMatchObject({ code: 16, err: expect.stringContaining("2:2") });
    expect(machine.kernel.processes()[1]).toMatchObject({ state: "parked", parks: 2 });
    expect(await here.startJson("why", "2.0.2")).toMatchObject({ person: expect.stringContaining("refused it: not now") });
  });
});

describe("while no kernel runs", () => {
  const here = place();
  beforeAll(async () => {
    withProbe(here);
    const machine = await machineIn(here);
    const pids = [await spawnProbe(machine, "one"), await spawnProbe(machine, "two")];
    await settled(machine, here, pids);
    await machine.close();
  });

  it("CLI-15.2  a process that could go on is unfinished, not running", () => {
    expect(here.run("ps").out).toContain("parked");
    expect(here.json("ps").kernel).toBe("none");
  });

  it("CLI-5.2  a command that starts a kernel closes it, so that the next one can", () => {
    expect(here.json("nice", "1", "300")).toEqual({ pid: 1, weight: 300 });
    expect(here.json("ps").processes[0].weight).toBe(300);
    expect(fs.readdirSync(path.join(here.folder, ".daimon/run/lock"))).toEqual([]);
  });

  it("CLI-16.1  a process ends in the journal all the same", () => {
    expect(here.run("kill", "2")).toMatchObject({ code: 0 });
    expect(here.json("ps", "--all").processes[1]).toMatchObject({ pid: 2, exit: { ok: false } });
    expect(here.run("kill", "1", "--signal", "stop").code).toBe(0);
  });

  it("CLI-13.3  a new run tells of unfinished ones and goes on with them too", () => {
    const ran = here.run("run", "probe", "other");
    expect(ran.code).toBe(75);
    expect(ran.err).toContain("unfinished before and going on too: probe (pid 1)");
    expect(here.json("ps").processes).toHaveLength(2);
  });

  it("CLI-20.2  diff shows the session's changes as a unified diff", () => {
    const json = here.json("diff", "1");
    expect(json).toMatchObject({
      pid: 1,
      session: 1,
      changes: [
        { path: "notes", kind: "added" },
        { path: "notes/a.txt", kind: "added" },
      ],
    });
    expect(json.diff).toContain("+++ b/notes/a.txt\n");
    expect(json.diff).toContain("+one");
    expect(here.run("diff", "1", "notes").out).toContain("+one");
    expect(here.run("diff", "1", "elsewhere")).toMatchObject({ code: 66 });
  });

  it("CLI-20.5  a dry run tells and writes nothing; CLI-20.6 a path has one version", () => {
    expect(here.json("commit", "1", "--dry-run")).toMatchObject({
      dryRun: true,
      safety: null,
      written: expect.arrayContaining(["notes/a.txt"]),
    });
    expect(here.has("notes/a.txt")).toBe(false);
  });

  it("CLI-20.6  a path under --ours and --theirs is EINVAL", () => {
    expect(here.run("commit", "1", "--ours", "a", "--theirs", "a")).toMatchObject({ code: 64 });
  });

  it("CLI-20.4  a conflict is named with the way out, and nothing is written", () => {
    here.put("notes/a.txt", "somebody else's");
    const ran = here.run("commit", "1");
    expect(ran.code).toBe(16);
    for (const part of ["notes/a.txt", "--ours PATH", "--theirs PATH"]) expect(ran.err).toContain(part);
    expect(here.read("notes/a.txt")).toBe("somebody else's");
    const json = here.run("commit", "1", "--json");
    expect(JSON.parse(json.err).error).toMatchObject({ errno: "ESTALE", conflicts: [{ path: "notes/a.txt" }] });
  });

  it("CLI-20.7  ours is written, and rollback puts back what stood there", () => {
    expect(here.json("commit", "1", "--ours", "notes/a.txt").written).toContain("notes/a.txt");
    expect(here.read("notes/a.txt")).toBe("one");
    expect(here.json("rollback", "1").restored).toContain("notes/a.txt");
    expect(here.read("notes/a.txt")).toBe("somebody else's");
    expect(here.json("rollback", "1")).toEqual({ pid: 1, restored: [], stash: null });
  });

  it("CLI-20.9  --undo brings it back, names what changed in between, and is ENOENT where nothing was rolled back", () => {
    here.put("notes/a.txt", "changed since");
    expect(here.run("rollback", "1", "--undo")).toMatchObject({ code: 16, err: expect.stringContaining("notes/a.txt") });
    here.put("notes/a.txt", "somebody else's");
    const undone = here.run("rollback", "1", "--undo");
    expect(undone).toMatchObject({ code: 0, out: expect.stringContaining("written again  notes/a.txt") });
    expect(here.read("notes/a.txt")).toBe("one");
    expect(here.run("rollback", "1", "--undo")).toMatchObject({ code: 66, err: expect.stringContaining("nothing of process 1") });
    expect(here.run("log", "verify").code).toBe(0);
    expect(here.run("replay")).toMatchObject({ code: 0, out: expect.stringContaining("equal") });
    expect(here.run("rollback", "1").err).toContain("daimon rollback 1 --undo");
  });

  it("CLI-20.1  a process that never touched a file has nothing to show, commit or take back", () => {
    here.put(
      "programs/idle.ts",
      `export default { name: "idle", version: "1.0.0", summary: "Do nothing.", input: { type: "object" }, calls: [], body: async () => ({ ok: true, value: "idle" }) };`,
    );
    here.run("config", "trust", "programs/idle.ts");
    const { pid } = here.json("run", "programs/idle.ts");
    for (const command of ["diff", "commit", "rollback"])
      expect(here.run(command, String(pid))).toMatchObject({ code: 0, out: "" });
    expect(here.has(`.daimon/sessions/${pid}`)).toBe(false);
  });

  it("CLI-13.4  options only tighten what the configuration allows", () => {
    here.put("daimon.yaml", "budget:\n  calls: 2\n");
    const procOf = (pid: number): Proc | undefined => {
      const seen = inspect({ cwd: here.folder, env: {}, home: here.home, uid }, systemClock());
      if (!seen.ok) throw new Error(seen.error.message);
      seen.value.close();
      return seen.value.table.procs.get(pid);
    };
    const tight = here.json("run", "probe", "tight", "--calls", "1", "--time", "1h");
    expect(procOf(tight.pid)?.limits).toEqual({ costUsd: null, tokens: null, calls: 1, timeMs: 3_600_000 });
    const wide = here.json<Report>("run", "probe", "wide", "--calls", "50");
    expect(procOf(wide.pid)?.limits).toEqual({ costUsd: null, tokens: null, calls: 2, timeMs: null });
    expect(procOf(wide.pid)?.park).toMatchObject({ type: "budget", limit: "calls", group: wide.pid });
  });
});
