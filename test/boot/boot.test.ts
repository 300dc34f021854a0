import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { Entry } from "../../src/abi/entry.ts";
import { inspect } from "../../src/boot/inspect.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { surroundings, put } from "./folder.ts";
import {
  bootOptions,
  down,
  must,
  outcomes,
  parked,
  perform,
  refusedBoot,
  start,
  told,
  up,
  workspace,
  type Workspace,
} from "./machine.ts";
import { answer } from "../kernel/answer.ts";

function entries(where: Workspace): readonly Entry[] {
  const seen = must(inspect(surroundings(where.folder), systemClock()));
  const all = [...seen.log.read(0)].map((record) => JSON.parse(must(record).text) as Entry);
  seen.close();
  return all;
}

/** The processes this one has started and not yet ended. */
function children(): readonly string[] {
  return fs.readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean);
}

describe("boot", () => {
  it("BOO-1.1  every step is measured, equal inputs give an equal digest, and it is journaled before any process runs", async () => {
    const where = workspace({ "AGENTS.md": "Be brief.\n", "daimon.yaml": "policy:\n  deny:\n    - net.fetch\n" });
    const first = await up(where);
    expect(first.steps.map((step) => step.name)).toEqual([
      "config:project:yaml",
      expect.stringContaining("AGENTS.md"),
      "policy:platform:platform.cedar",
      "policy:project:daimon.yaml",
      "calls",
    ]);
    for (const step of first.steps)
      expect(step).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{64}$/), ms: expect.any(Number) });
    await start(first, [["ask", { question: "wait?" }]]);
    await down(first);
    const again = await up(where);
    expect(again.digest).toBe(first.digest);
    await down(again);
    const journal = entries(where);
    expect(journal[0]).toMatchObject({ kind: "boot", digest: first.digest, steps: first.steps, policy: first.policy.digest });
    expect(journal.findIndex((entry) => entry.kind === "spawn")).toBeGreaterThan(0);
    for (const [file, text] of [
      ["AGENTS.md", "Be long.\n"],
      ["daimon.yaml", "policy:\n  deny:\n    - net.*\n"],
    ] as const) {
      where.put(file, text);
      const changed = await up(where);
      expect(changed.digest).not.toBe(first.digest);
      await down(changed);
    }
  });

  const breakages: Readonly<
    Record<
      string,
      { readonly spoil: (where: Workspace) => void; readonly mend: (where: Workspace) => void; readonly says: RegExp }
    >
  > = {
    configuration: {
      spoil: (where) => where.put("daimon.yaml", "polciy: 1\n"),
      mend: (where) => fs.rmSync(path.join(where.root, "daimon.yaml")),
      says: /daimon\.yaml:1.*policy/s,
    },
    trust: {
      spoil: (where) => {
        fs.renameSync(where.layout.user.trust, `${where.layout.user.trust}.kept`);
        put(where.layout.user.trust, "{");
      },
      mend: (where) => fs.renameSync(`${where.layout.user.trust}.kept`, where.layout.user.trust),
      says: /trust\.json .* damaged; remove it/,
    },
    policy: {
      spoil: (where) => put(path.join(where.layout.user.folder, "policy.cedar"), "permit(principal, action, resource)"),
      mend: (where) => fs.rmSync(path.join(where.layout.user.folder, "policy.cedar")),
      says: /policy\.cedar:1/,
    },
    "the control socket": {
      spoil: (where) => fs.mkdirSync(where.layout.socket, { recursive: true }),
      mend: (where) => fs.rmdirSync(where.layout.socket),
      says: /control socket/,
    },
    "the journal's key": {
      spoil: (where) => {
        fs.renameSync(path.join(where.layout.keys, "journal.pem"), path.join(where.layout.keys, "kept.pem"));
        put(path.join(where.layout.keys, "journal.pem"), "no key");
      },
      mend: (where) => fs.renameSync(path.join(where.layout.keys, "kept.pem"), path.join(where.layout.keys, "journal.pem")),
      says: /key in \.daimon\/keys/,
    },
  };
  for (const [what, { spoil, mend, says }] of Object.entries(breakages)) {
    it(`BOO-1.2  ${what} that cannot be used refuses the boot, and the next one comes up`, async () => {
      const where = workspace();
      await down(await up(where));
      const before = children();
      spoil(where);
      const refused = await refusedBoot(where);
      expect(refused.message).toMatch(says);
      expect(refused.message).not.toContain(where.root);
      expect(fs.readdirSync(where.layout.lock)).toEqual([]);
      expect(children()).toEqual(before);
      mend(where);
      const [worked] = await perform(await up(where), [["fs.write", { path: "a", text: "a" }]]);
      expect(told(worked)).toMatch(/^ok/);
    });
  }

  it("BOO-1.2  a refused boot runs no process that waits in the journal", async () => {
    const where = workspace({ "a.txt": "a" });
    const first = await up(where);
    const pid = await start(first, [
      ["fs.read", { path: "a.txt" }],
      ["ask", { question: "go on?" }],
    ]);
    await parked(first, pid);
    await down(first);
    const before = entries(where).filter((entry) => entry.kind !== "boot").length;
    fs.mkdirSync(where.layout.socket);
    await refusedBoot(where);
    expect(entries(where).filter((entry) => entry.kind !== "boot")).toHaveLength(before);
  });

  it("BOO-1.2  closing gives everything back, and closing twice is once", async () => {
    const where = workspace({ "a.txt": "a" });
    const before = children();
    const machine = await up(where);
    await perform(machine, [
      ["shell.run", { command: "true" }],
      ["fs.read", { path: "a.txt" }],
    ]);
    await machine.close();
    await down(machine);
    expect(fs.readdirSync(where.layout.run)).toEqual(["lock"]);
    expect(fs.readdirSync(where.layout.lock)).toEqual([]);
    expect(children()).toEqual(before);
  });

  it("BOO-1.3  a second kernel is refused with EBUSY, names the first, and leaves it alone", async () => {
    const where = workspace();
    const machine = await up(where);
    expect(await refusedBoot(where)).toMatchObject({
      errno: "EBUSY",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(fs.existsSync(where.layout.socket)).toBe(true);
    const [worked] = await perform(machine, [["fs.write", { path: "a", text: "a" }]]);
    expect(told(worked)).toMatch(/^ok/);
  });

  it("BOO-1.4  a process goes on where it was, with what it had", async () => {
    const where = workspace({ "a.txt": "before" });
    const first = await up(where);
    const pid = await start(first, [
      ["fs.read", { path: "a.txt" }],
      ["fs.write", { path: "b.txt", text: "kept" }],
      ["ask", { question: "go on?" }],
      ["fs.read", { path: "b.txt" }],
    ]);
    await parked(first, pid);
    await down(first);
    where.put("a.txt", "after");
    const second = await up(where);
    expect(second.resumed).toEqual([pid]);
    must(answer(second.kernel, pid, { text: "yes" }));
    const [read, , said, own] = outcomes(await second.kernel.wait(pid));
    expect(told(read)).toContain("before");
    expect(said).toEqual({ ok: true, value: "yes" });
    expect(told(own)).toContain("kept");
    expect(entries(where).filter((entry) => entry.kind === "call" && entry.name === "fs.read")).toHaveLength(2);
  });

  it("BOO-1.4  `leave` starts none, and a program that is gone is a finding that stops nobody else", async () => {
    const where = workspace();
    const first = await up(where);
    const pid = await start(first, [["ask", { question: "?" }]]);
    await parked(first, pid);
    await down(first);
    const left = await up(where, { processes: "leave" });
    expect(left.resumed).toEqual([]);
    await down(left);
    const text = where.read("programs/performer/program.ts");
    fs.rmSync(path.join(where.root, "programs"), { recursive: true });
    const second = await up(where);
    expect(second.findings).toMatchObject([{ rule: "BOO-1.4", severity: "error", where: "programs" }]);
    await down(second);
    where.put("programs/performer/program.ts", text);
    const third = await up(where);
    expect(third.findings).toEqual([]);
    must(answer(third.kernel, pid, { text: "late" }));
    expect(outcomes(await third.kernel.wait(pid))).toEqual([{ ok: true, value: "late" }]);
  });

  it("BOO-1.4  a CPU that is gone is a finding; the default CPU must be there", async () => {
    const where = workspace();
    expect(await refusedBoot(where, { cpu: "nowhere/model" })).toMatchObject({
      errno: "ENOENT",
      message: expect.stringContaining("reflex"),
    });
    expect(bootOptions(where).cpu).toBe("reflex");
    const first = await up(where, { cpu: "gullible" });
    await parked(first, await start(first, [["ask", { question: "?" }]]));
    await down(first);
    const second = await up(where, { cpu: "reflex" });
    expect(second.findings).toEqual([]);
    expect(second.cpus.get("gullible")).not.toBeNull();
  });
});
