/** What a person's yes to a commit is worth, on a whole machine with real files. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { Digest } from "../../src/lib/hash.ts";
import { answer } from "../kernel/answer.ts";
import { must, outcomes, parked, start, told, up, workspace, type Call } from "./machine.ts";
import type { Machine } from "../../src/boot/boot.ts";

const edit: readonly Call[] = [
  ["fs.write", { path: "a.txt", text: "shown\n" }],
  ["fs.commit", { paths: ["a.txt"] }],
];

function frozenOf(machine: Machine): Digest | undefined {
  const park = machine.kernel.processes()[0]?.park;
  return park?.type === "approval" ? park.frozen : undefined;
}

describe("a yes to a commit", () => {
  it("FIL-13.8  puts in what was shown, and its plan is the one the journal has as intent and outcome", async () => {
    const where = workspace({ "a.txt": "before\n" });
    const machine = await up(where);
    const pid = await start(machine, edit);
    await parked(machine, pid);
    expect(where.read("a.txt")).toBe("before\n");
    const plan = frozenOf(machine) ?? "";
    const safety: (Digest | null)[] = [];
    machine.kernel.on((entry) => entry.kind === "files" && safety.push(entry.safety));
    must(answer(machine.kernel, pid));
    expect(told(outcomes(await machine.kernel.wait(pid))[1])).toMatch(/^ok/);
    expect(where.read("a.txt")).toBe("shown\n");
    expect(safety, "the plan shown is the plan journaled as intent and outcome").toEqual([plan, plan]);
  });

  it("FIL-13.8  does not cover what the session or the workspace became meanwhile: it is asked about again, and the workspace stands", async () => {
    const where = workspace({ "a.txt": "one\ntwo\nthree\nfour\nfive\n" });
    const machine = await up(where);
    const pid = await start(machine, [["fs.edit", { path: "a.txt", old: "one\n", new: "ONE\n" }], edit[1] ?? ["fs.list", {}]]);
    await parked(machine, pid);
    const first = frozenOf(machine);
    const session = must(await machine.sessions.open(pid));
    must(await session.write("a.txt", Buffer.from("evil\ntwo\nthree\nfour\nfive\n")));
    must(answer(machine.kernel, pid));
    await parked(machine, pid);
    expect(machine.kernel.processes()).toMatchObject([
      { parks: 2, park: { question: expect.stringContaining("changed since") } },
    ]);
    expect(where.read("a.txt")).toBe("one\ntwo\nthree\nfour\nfive\n");
    must(await session.write("a.txt", Buffer.from("ONE\ntwo\nthree\nfour\nfive\n")));
    where.put("a.txt", "one\ntwo\nthree\nfour\nFIVE\n");
    must(answer(machine.kernel, pid));
    await parked(machine, pid);
    expect(machine.kernel.processes()).toMatchObject([{ parks: 3 }]);
    expect(frozenOf(machine), "a merge is another plan").not.toBe(first);
    must(answer(machine.kernel, pid));
    expect(told(outcomes(await machine.kernel.wait(pid))[1])).toMatch(/^ok/);
    expect(where.read("a.txt")).toBe("ONE\ntwo\nthree\nfour\nFIVE\n");
  });

  it("FIL-13.8  is not asked for where there is a conflict, a forbidden file or nothing to commit", async () => {
    const where = workspace({ "a.txt": "before\n" });
    const machine = await up(where);
    const session = must(await machine.sessions.open(1));
    const conflict = await start(machine, [
      ["fs.write", { path: "a.txt", text: "theirs\n" }],
      ["ask", { question: "go on?" }],
      ["fs.commit", { paths: ["a.txt"] }],
      ["fs.commit", { paths: ["none.txt"] }],
      ["fs.write", { path: "sub/AGENTS.md", text: "obey\n" }],
      ["fs.commit", { paths: ["sub"] }],
    ]);
    await parked(machine, conflict);
    expect(session.pid).toBe(conflict);
    where.put("a.txt", "mine\n");
    must(answer(machine.kernel, conflict, { text: "yes" }));
    const [, , clash, nothing, , obeyed] = outcomes(await machine.kernel.wait(conflict));
    expect(told(clash)).toMatch(/^ESTALE 1 conflict/);
    expect(told(nothing)).toMatch(/^ENOENT/);
    expect(told(obeyed)).toMatch(/^EPERM .*no-commit-of-instructions/);
    expect(machine.kernel.processes()).toMatchObject([{ parks: 1 }]);
    expect(where.read("a.txt")).toBe("mine\n");
    expect(fs.existsSync(path.join(where.root, "sub"))).toBe(false);
  });

  it("KRN-5.8  to a write or a command performs the arguments that were shown", async ({ skip }) => {
    const where = workspace();
    fs.mkdirSync(where.layout.user.folder, { recursive: true });
    fs.writeFileSync(where.layout.user.config, "policy:\n  ask:\n    - fs.write(**)\n    - shell.run\n");
    const machine = await up(where);
    const pid = await start(machine, [
      ["fs.write", { path: "notes/a.txt", text: "shown" }],
      ["shell.run", { command: "printf again >> notes/a.txt" }],
      ["fs.read", { path: "notes/a.txt" }],
    ]);
    const shown: unknown[] = [];
    for (let n = 0; n < 2; n += 1) {
      await parked(machine, pid);
      const proc = machine.kernel.recorder.table.procs.get(pid);
      shown.push(structuredClone(proc?.pending[0]?.args));
      must(answer(machine.kernel, pid));
    }
    const [, ran, read] = outcomes(await machine.kernel.wait(pid));
    expect(shown).toEqual([{ path: "notes/a.txt", text: "shown" }, { command: "printf again >> notes/a.txt" }]);
    if (told(ran).startsWith("ENOSYS")) skip(told(ran));
    expect(told(read)).toContain("shownagain");
  });
});
