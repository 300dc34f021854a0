import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { FilesEntry } from "../../src/abi/entry.ts";
import type { Session } from "../../src/abi/files.ts";
import { inspect } from "../../src/boot/inspect.ts";
import type { Machine } from "../../src/boot/boot.ts";
import { rollbackSession, undoRollback } from "../../src/boot/rollback.ts";
import { filesDeps } from "../../src/boot/world-calls.ts";
import { commitSession, type FilesDeps } from "../../src/boot/workspace-files.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { decode } from "../../src/kernel/codec.ts";
import { replay } from "../../src/kernel/replay.ts";
import { snapshot, surroundings } from "./folder.ts";
import { down, must, perform, up, workspace, type Workspace } from "./machine.ts";

function depsOf(machine: Machine): FilesDeps {
  return filesDeps(machine.layout, machine.blobs, systemClock(), machine.kernel);
}

async function sessionOf(machine: Machine): Promise<Session> {
  return must(await machine.sessions.open(1));
}

async function commit(machine: Machine): Promise<void> {
  must(await commitSession(await sessionOf(machine), { paths: null, resolutions: {} }, depsOf(machine)));
}

async function rollback(machine: Machine) {
  return await rollbackSession(machine.sessions, 1, depsOf(machine));
}

async function undo(machine: Machine) {
  const entries = [...machine.log.read(0)].map((record) => decode(must(record).text));
  return await undoRollback(
    machine.sessions,
    1,
    entries.filter((entry): entry is FilesEntry => entry?.kind === "files"),
    depsOf(machine),
  );
}

function acts(where: Workspace): readonly string[] {
  const seen = must(inspect(surroundings(where.folder), systemClock()));
  const all = [...seen.log.read(0)].map((record) => decode(must(record).text));
  seen.close();
  return all.flatMap((entry) => (entry?.kind === "files" ? [`${entry.act} ${entry.phase}`] : []));
}

/** What a person has in the workspace: names, modes, contents, and where links lead. */
function state(where: Workspace): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(snapshot(where.root)).filter(([name]) => !name.startsWith(".daimon")));
}

/** Two commits over one another, links and modes among them, and a session with changes of its own. */
async function worked(): Promise<{
  readonly where: Workspace;
  readonly machine: Machine;
  readonly before: ReturnType<typeof state>;
}> {
  const where = workspace({
    "a.bin": Buffer.from([0, 255, 10, 13, 0]),
    "deep/b.txt": "b\n",
    "gone.txt": "gone\n",
    "run.sh": "#!/bin/sh\n",
  });
  fs.chmodSync(path.join(where.root, "deep/b.txt"), 0o600);
  fs.chmodSync(path.join(where.root, "run.sh"), 0o750);
  const before = state(where);
  const machine = await up(where);
  await perform(machine, [
    ["fs.write", { path: "a.bin", text: "first" }],
    ["fs.write", { path: "new/c.txt", text: "c" }],
    ["shell.run", { command: "ln -s c.txt new/link; chmod a-x run.sh; printf x > tool; chmod +x tool; ln -s a.bin both" }],
  ]);
  await commit(machine);
  const session = await sessionOf(machine);
  must(await session.write("a.bin", Buffer.from("second")));
  must(await session.write("deep/b.txt", Buffer.from("changed")));
  must(await session.remove("gone.txt"));
  must(await session.remove("new/link"));
  await commit(machine);
  must(await session.write("open.txt", Buffer.from("not committed")));
  must(await session.remove("run.sh"));
  return { where, machine, before };
}

describe("rollback", () => {
  it("BOO-16.3  the commits are undone newest first, byte for byte and mode for mode, and the session is stashed", async () => {
    const { where, machine, before } = await worked();
    const undone = must(await rollback(machine));
    expect(undone.stash).toBe("session-1-1");
    expect(state(where)).toEqual(before);
    expect(fs.existsSync(path.join(where.layout.quarantine, "session-1-1/upper/open.txt"))).toBe(true);
    expect(must(await (await sessionOf(machine)).changes())).toEqual([]);
    expect(must(await rollback(machine))).toEqual({ restored: [], stash: null });
    await down(machine);
    expect(acts(where).slice(-6)).toEqual([
      "rollback intent",
      "rollback outcome",
      "rollback intent",
      "rollback outcome",
      "stash intent",
      "stash outcome",
    ]);
  });

  it("BOO-16.8  what a person did since is not thrown away, whichever commit it meets: it is named and nothing is put back", async () => {
    const { where, machine } = await worked();
    where.put("new/c.txt", "mine\n");
    const standing = state(where);
    const session = must(await (await sessionOf(machine)).changes());
    expect(await rollback(machine)).toMatchObject({
      ok: false,
      error: { errno: "ESTALE", message: expect.stringContaining("new/c.txt") },
    });
    expect(state(where)).toEqual(standing);
    expect(must(await (await sessionOf(machine)).changes())).toEqual(session);
  });

  it("BOO-16.7  undone, everything is as it was before: files, modes, links and the session; and it can be rolled back again", async () => {
    const { where, machine, before } = await worked();
    const standing = state(where);
    const changes = must(await (await sessionOf(machine)).changes());
    const commits = machine.kernel.recorder.table.commits;
    expect(await undo(machine)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    must(await rollback(machine));
    const { restored } = must(await undo(machine));
    expect(restored).toEqual(expect.arrayContaining(["a.bin", "gone.txt", "new/link", "tool"]));
    expect(state(where)).toEqual(standing);
    expect(must(await (await sessionOf(machine)).changes())).toEqual(changes);
    expect(machine.kernel.recorder.table.commits).toEqual(commits);
    expect(await undo(machine)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    must(await rollback(machine));
    expect(state(where)).toEqual(before);
    await down(machine);
    const next = await up(where);
    must(await undo(next));
    expect(state(where)).toEqual(standing);
    await down(next);
    const seen = must(inspect(surroundings(where.folder), systemClock()));
    expect(replay({ log: seen.log, blobs: seen.blobs, until: null, pid: null })).toMatchObject({
      ok: true,
      value: { findings: [] },
    });
    seen.close();
  });

  it("BOO-16.8  it is not undone over a file, a session or a commit that came in between: each is named and nothing is changed", async () => {
    const { where, machine } = await worked();
    must(await rollback(machine));
    const refused = async (name: string): Promise<void> => {
      const standing = state(where);
      expect(await undo(machine)).toMatchObject({
        ok: false,
        error: { errno: "ESTALE", message: expect.stringContaining(name) },
      });
      expect(state(where)).toEqual(standing);
    };
    where.put("deep/b.txt", "mine\n");
    await refused("deep/b.txt");
    where.put("deep/b.txt", "b\n");
    must(await (await sessionOf(machine)).write("later.txt", Buffer.from("later")));
    await refused("later.txt");
    await commit(machine);
    await refused("committed since");
    must(await rollback(machine));
    must(await undo(machine));
    expect(where.read("later.txt")).toBe("later");
    must(await rollback(machine));
    expect(where.has("later.txt")).toBe(false);
  });

  for (const [work, act, count] of [
    ["rollback", "rollback", 1],
    ["rollback", "stash", 0],
    ["undo", "commit", 0],
    ["undo", "commit", 2],
    ["undo", "unstash", 0],
  ] as const) {
    for (const moved of act === "stash" || act === "unstash" ? [true, false] : [true]) {
      const where = moved ? `content ${count}` : "the move";
      it(`BOO-16.9  a ${work} that SIGKILL cut short in its ${act} at ${where} is finished, and undone to the byte`, async () => {
        const { where, machine, before } = await worked();
        const standing = state(where);
        const changes = must(await (await sessionOf(machine)).changes());
        if (work === "undo") must(await rollback(machine));
        await down(machine);
        const child = path.join(import.meta.dirname, "commit-child.ts");
        const args = ["--disable-warning=ExperimentalWarning", child, where.folder, work, act, String(count)];
        const died = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 20_000, killSignal: "SIGTERM" });
        expect(`${died.signal} ${died.stdout} ${died.stderr}`).toBe("SIGKILL  ");
        expect(acts(where).at(-1)).toBe(`${act} intent`);
        if (!moved) {
          const [home, stash] = [path.join(where.layout.sessions, "1"), path.join(where.layout.quarantine, "session-1-1")];
          if (act === "stash") fs.renameSync(stash, home);
          else fs.renameSync(home, stash);
        }
        const next = await up(where);
        expect(next.findings).toEqual([]);
        if (work === "rollback") {
          must(await rollback(next));
          expect(state(where)).toEqual(before);
        }
        if (work === "rollback" || act === "commit") must(await undo(next));
        expect(state(where)).toEqual(standing);
        expect(must(await (await sessionOf(next)).changes())).toEqual(changes);
        expect(await undo(next)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
      });
    }
  }
});
