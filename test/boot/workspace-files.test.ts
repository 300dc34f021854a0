import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { Entry, FilesEntry } from "../../src/abi/entry.ts";
import { inspect } from "../../src/boot/inspect.ts";
import type { Machine } from "../../src/boot/boot.ts";
import { rollbackSession } from "../../src/boot/rollback.ts";
import { filesDeps } from "../../src/boot/world-calls.ts";
import { commitSession, diffSession, freezeCommit, type CommitOptions } from "../../src/boot/workspace-files.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { surroundings } from "./folder.ts";
import { down, must, perform, told, up, workspace, type Workspace } from "./machine.ts";

const everything = { paths: null, resolutions: {} } as const;

async function commit(machine: Machine, options: CommitOptions = everything) {
  const session = must(await machine.sessions.open(1));
  return await commitSession(session, options, filesDeps(machine.layout, machine.blobs, systemClock(), machine.kernel));
}

async function rollback(machine: Machine) {
  return await rollbackSession(machine.sessions, 1, filesDeps(machine.layout, machine.blobs, systemClock(), machine.kernel));
}

function filesEntries(where: Workspace): readonly FilesEntry[] {
  const seen = must(inspect(surroundings(where.folder), systemClock()));
  const all = [...seen.log.read(0)].map((record) => JSON.parse(must(record).text) as Entry);
  seen.close();
  return all.filter((entry) => entry.kind === "files");
}

/** What a person has in the workspace: every file with its bytes and mode, without daimon's own. */
function state(where: Workspace): Readonly<Record<string, string>> {
  const seen: Record<string, string> = {};
  const tops = fs.readdirSync(where.root).filter((name) => name !== ".daimon");
  const below = (top: string): readonly string[] =>
    fs.statSync(path.join(where.root, top)).isDirectory()
      ? fs.readdirSync(path.join(where.root, top), { recursive: true, encoding: "utf8" }).map((name) => path.join(top, name))
      : [top];
  for (const name of tops.flatMap(below)) {
    const stat = fs.lstatSync(path.join(where.root, name));
    if (!stat.isFile()) continue;
    seen[name] = `${(stat.mode & 0o777).toString(8)} ${fs.readFileSync(path.join(where.root, name), "latin1")}`;
  }
  return seen;
}

const lines = (...changed: readonly (readonly [number, string])[]): string =>
  Array.from({ length: 9 }, (_, n) => changed.find(([line]) => line === n + 1)?.[1] ?? `line ${n + 1}`).join("\n") + "\n";

describe("workspace files", () => {
  it("BOO-16.1  a process's write stays in its session until it commits; plan and safety copy come before, the outcome after", async () => {
    const where = workspace({ "a.txt": "before\n" });
    const machine = await up(where);
    const [wrote] = await perform(machine, [["fs.write", { path: "a.txt", text: "after\n" }]]);
    expect(told(wrote)).toMatch(/^ok/);
    expect(where.read("a.txt")).toBe("before\n");
    const session = must(await machine.sessions.open(1));
    expect(must(await diffSession(session, null, machine.blobs))).toContain("-before\n+after");
    const dry = must(await commit(machine, { ...everything, dryRun: true }));
    expect(dry.written).toEqual(["a.txt"]);
    expect(where.read("a.txt")).toBe("before\n");
    /** At the intent nothing is written yet and the safety copy is in the store; at the outcome everything is written. */
    const seen: string[] = [];
    machine.kernel.on((entry) => {
      if (entry.kind !== "files") return;
      const safe = entry.safety !== null && machine.blobs.has(entry.safety) && machine.blobs.has(sha256("before\n"));
      seen.push(`${entry.phase} ${where.read("a.txt").trim()} ${safe}`);
    });
    const kept = must(await commit(machine));
    expect(kept).toMatchObject({ written: ["a.txt"], merged: [], skipped: [] });
    expect(seen).toEqual(["intent before true", "outcome after true"]);
    expect(must(await session.changes())).toEqual([]);
    await down(machine);
    expect(filesEntries(where).map(({ act, phase }) => `${act} ${phase}`)).toEqual(["commit intent", "commit outcome"]);
  });

  it("BOO-16.1  changes of both sides in different places are merged, and nobody's is lost", async () => {
    const where = workspace({ "a.txt": lines(), "run.sh": "#!/bin/sh\n" });
    fs.chmodSync(path.join(where.root, "run.sh"), 0o755);
    const machine = await up(where);
    await perform(machine, [
      ["fs.edit", { path: "a.txt", old: "line 2\n", new: "theirs\n" }],
      ["fs.write", { path: "run.sh", text: "#!/bin/bash\n" }],
    ]);
    where.put("a.txt", lines([8, "mine"]));
    expect(must(await commit(machine))).toMatchObject({ merged: ["a.txt"] });
    expect(where.read("a.txt")).toBe(lines([2, "theirs"], [8, "mine"]));
    expect(state(where)["run.sh"]).toBe("755 #!/bin/bash\n");
  });

  it("BOO-16.4  conflicts are named one by one with their reason, nothing is written, and a choice settles them", async () => {
    const where = workspace({ "a.txt": lines(), "b.txt": "b\n", "c.txt": "c\n" });
    const machine = await up(where);
    await perform(machine, [
      ["fs.edit", { path: "a.txt", old: "line 2\n", new: "theirs\n" }],
      ["fs.write", { path: "b.txt", text: "theirs\n" }],
      ["fs.write", { path: "c.txt", text: "theirs\n" }],
    ]);
    where.put("a.txt", lines([2, "mine"]));
    fs.rmSync(path.join(where.root, "b.txt"));
    const before = state(where);
    const refused = await commit(machine);
    expect(refused).toMatchObject({ ok: false, error: { errno: "ESTALE", conflicts: [{ path: "a.txt" }, { path: "b.txt" }] } });
    const message = refused.ok ? "" : refused.error.message;
    expect(message).toMatch(/2 conflict\(s\), so nothing was written:\n.*a\.txt.*\n.*b\.txt/);
    expect(state(where)).toEqual(before);
    expect(filesEntries(where)).toEqual([]);
    const [asked] = await perform(machine, [["fs.commit", { paths: ["a.txt"] }]], { outputs: ["a.txt"] });
    expect(asked).toMatchObject({ ok: false });
    must(await commit(machine, { paths: null, resolutions: { "a.txt": "theirs", "b.txt": "ours" } }));
    expect(where.read("a.txt")).toBe(lines([2, "mine"]));
    expect(where.read("b.txt")).toBe("theirs\n");
  });

  it("BOO-16.6  two commits at once are made one after the other, and the second merges with what the first wrote", async () => {
    const where = workspace({ "a.txt": lines() });
    const machine = await up(where);
    await perform(machine, [["fs.edit", { path: "a.txt", old: "line 2\n", new: "one\n" }]]);
    await perform(machine, [["fs.edit", { path: "a.txt", old: "line 8\n", new: "two\n" }]]);
    const commits = [1, 2].map(async (pid) => {
      const session = must(await machine.sessions.open(pid));
      return await commitSession(session, everything, filesDeps(machine.layout, machine.blobs, systemClock(), machine.kernel));
    });
    expect((await Promise.all(commits)).map(must)).toMatchObject([{ merged: [] }, { merged: ["a.txt"] }]);
    expect(where.read("a.txt")).toBe(lines([2, "one"], [8, "two"]));
    expect(filesEntries(where).map(({ pid, phase }) => `${pid} ${phase}`)).toEqual([
      "1 intent",
      "1 outcome",
      "2 intent",
      "2 outcome",
    ]);
  });

  it("BOO-16.5  a frozen plan is performed digest for digest, or refused with ESTALE and nothing written", async () => {
    const where = workspace({ "a.txt": lines() });
    const machine = await up(where);
    const session = must(await machine.sessions.open(1));
    const deps = filesDeps(machine.layout, machine.blobs, systemClock(), machine.kernel);
    await perform(machine, [["fs.edit", { path: "a.txt", old: "line 2\n", new: "theirs\n" }]]);
    const freeze = async () => must(await freezeCommit(session, everything, deps));
    const frozen = await freeze();
    expect(await freeze(), "the same files are the same plan").toBe(frozen);
    expect(machine.blobs.has(frozen)).toBe(true);
    const changes: readonly (readonly [string, () => unknown])[] = [
      ["the session's content", async () => must(await session.write("a.txt", Buffer.from(lines([2, "evil"]))))],
      ["what merges in the workspace", () => where.put("a.txt", lines([8, "mine"]))],
      ["the workspace's mode", () => fs.chmodSync(path.join(where.root, "a.txt"), 0o755)],
      ["another file, with a plan for everything", async () => must(await session.write("b.txt", Buffer.from("b")))],
    ];
    const plans = [frozen];
    for (const [what, change] of changes) {
      await change();
      const before = state(where);
      const refused = await commit(machine, { ...everything, frozen: plans.at(-1) ?? null });
      expect(refused, what).toMatchObject({ ok: false, error: { errno: "ESTALE", message: expect.stringContaining("allowed") } });
      expect(state(where), what).toEqual(before);
      plans.push(await freeze());
    }
    expect(new Set(plans).size).toBe(plans.length);
    expect(filesEntries(where)).toEqual([]);
    const kept = must(await commit(machine, { ...everything, frozen: plans.at(-1) ?? null }));
    expect(kept.safety, "what was shown is the journal's own plan").toBe(plans.at(-1));
    expect(where.read("a.txt")).toBe(lines([2, "evil"], [8, "mine"]));
    expect(await commit(machine, { ...everything, frozen })).toMatchObject({ error: { errno: "ESTALE" } });
  });

  it("BOO-16.4  a path that selects nothing is ENOENT, not an empty commit", async () => {
    const where = workspace();
    const machine = await up(where);
    await perform(machine, [["fs.write", { path: "a.txt", text: "a" }]]);
    expect(await commit(machine, { paths: ["b.txt"], resolutions: {} })).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    expect(where.has("a.txt")).toBe(false);
  });

  for (const act of ["commit", "rollback"] as const) {
    for (const count of [0, 1, 2, 3]) {
      it(`BOO-16.2  a ${act} that SIGKILL cut short at content ${count} is finished by the next boot, once`, async () => {
        const where = workspace({ "a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n" });
        const before = state(where);
        const machine = await up(where);
        await perform(
          machine,
          ["a", "b", "c"].map((name) => ["fs.write", { path: `${name}.txt`, text: `${name} after\n` }]),
        );
        if (act === "rollback") must(await commit(machine));
        await down(machine);
        const standing = state(where);
        const child = path.join(import.meta.dirname, "commit-child.ts");
        const died = spawnSync(
          process.execPath,
          ["--disable-warning=ExperimentalWarning", child, where.folder, act, act, String(count)],
          { encoding: "utf8", timeout: 20_000, killSignal: "SIGTERM" },
        );
        expect(`${died.signal} ${died.stdout} ${died.stderr}`).toBe("SIGKILL  ");
        const cut = filesEntries(where).at(-1);
        expect(cut).toMatchObject({ act, phase: "intent" });
        if (count === 0) expect(state(where)).toEqual(standing);
        const next = await up(where);
        expect(next.findings).toEqual([]);
        const after =
          act === "rollback"
            ? before
            : { ...before, "a.txt": "644 a after\n", "b.txt": "644 b after\n", "c.txt": "644 c after\n" };
        expect(state(where)).toEqual(after);
        await down(next);
        expect(
          filesEntries(where)
            .filter((entry) => entry.act === act)
            .map((entry) => entry.phase),
        ).toEqual(["intent", "outcome"]);
        const once = await up(where);
        expect(once.findings).toEqual([]);
        expect(state(where)).toEqual(after);
        if (act === "commit") {
          must(await rollback(once));
          expect(state(where)).toEqual(before);
        }
      });
    }
  }

  it("BOO-16.2  where a person changed the file meanwhile, finishing changes nothing and a finding names it", async () => {
    const where = workspace({ "a.txt": "a\n", "b.txt": "b\n" });
    const machine = await up(where);
    await perform(
      machine,
      ["a", "b"].map((name) => ["fs.write", { path: `${name}.txt`, text: "after\n" }]),
    );
    await down(machine);
    const child = path.join(import.meta.dirname, "commit-child.ts");
    spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", child, where.folder, "commit", "commit", "1"], {
      encoding: "utf8",
      timeout: 20_000,
      killSignal: "SIGTERM",
    });
    where.put("b.txt", "mine\n");
    const next = await up(where);
    expect(next.findings).toMatchObject([{ rule: "BOO-16.2", severity: "error", message: expect.stringContaining("b.txt") }]);
    expect(where.read("b.txt")).toBe("mine\n");
  });
});
