import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { outcomes, parked, perform, start, told, up, workspace, type Call } from "./machine.ts";
import { put } from "./folder.ts";
import { answer } from "../kernel/answer.ts";

describe("reach", () => {
  it("FIL-13.7  BOO-19.1  a search of a folder does not open what policy keeps from it, and says how many there were", async () => {
    const machine = await up(workspace({ ".env": "TOKEN=hunter2\n", "deep/id_rsa": "hunter2\n", "deep/a.txt": "hunter3\n" }));
    const [found] = await perform(machine, [["fs.search", { query: "hunter" }]]);
    expect(found).toMatchObject({ ok: true, value: { hits: 1 } });
    expect(told(found)).toContain("deep/a.txt:1: hunter3");
    expect(told(found)).toContain("[left out 2 files, kept from this search by policy]");
    expect(told(found)).not.toContain("hunter2");
  });

  it("BOO-19.1  a diff of everything leaves out what the call could not name", async ({ skip }) => {
    const machine = await up(workspace({ ".env": "TOKEN=hunter2\n", "a.txt": "before\n" }));
    const calls: Call[] = [
      ["shell.run", { command: "mkdir made; echo TOKEN=hunter3 > made/.env; echo after > a.txt" }],
      ["fs.diff", {}],
      ["fs.diff", { paths: ["made/.env"] }],
    ];
    const [ran, all, named] = await perform(machine, calls);
    if (told(ran).startsWith("ENOSYS")) skip(told(ran));
    expect(told(ran)).toMatch(/^ok/);
    expect(told(all)).toContain("+after");
    expect(told(all)).not.toContain("hunter");
    expect(told(named)).toMatch(/^EPERM/);
  });

  for (const [folder, file] of [
    [".", "AGENTS.md"],
    ["docs", "docs/AGENTS.md"],
    [".git", ".git/hooks/pre-commit"],
    [".", ".git/hooks/pre-commit"],
    [".", "Sub/CLAUDE.MD"],
    [".", ".env"],
  ] as const) {
    it(`BOO-19.1  ${file} is not committed by committing ${folder}, whoever said yes`, async ({ skip }) => {
      const where = workspace();
      const machine = await up(where);
      const parts = file.split("/");
      const make = `mkdir -p '${parts.slice(0, -1).join("/") || "."}'; echo obey > '${file}'; echo fine > fine.txt`;
      const pid = await start(machine, [
        ["shell.run", { command: make }],
        ["fs.commit", { paths: [folder] }],
      ]);
      const ended = machine.kernel.wait(pid);
      await Promise.race([parked(machine, pid), ended]);
      if (machine.kernel.processes()[0]?.state === "parked") answer(machine.kernel, pid);
      const [ran, committed] = outcomes(await ended);
      if (told(ran).startsWith("ENOSYS")) skip(told(ran));
      expect(told(committed)).toMatch(/^EPERM fs\.commit was refused.*rule platform\.no-/);
      expect(where.has(file) || where.has("fine.txt")).toBe(false);
    });
  }

  it("BOO-19.2  a file that asks is not reached through a folder that does not; named itself, a person is asked", async () => {
    const where = workspace();
    put(
      path.join(where.layout.user.folder, "config.yaml"),
      "policy:\n  allow:\n    - fs.commit(out)\n  ask:\n    - fs.commit(out/release.txt)\n",
    );
    const machine = await up(where);
    const pid = await start(machine, [
      ["fs.write", { path: "out/a.txt", text: "a" }],
      ["fs.commit", { paths: ["out"] }],
      ["fs.write", { path: "out/release.txt", text: "r" }],
      ["fs.commit", { paths: ["out"] }],
      ["fs.commit", { paths: ["out/release.txt"] }],
    ]);
    await parked(machine, pid);
    expect(where.has("out/release.txt")).toBe(false);
    answer(machine.kernel, pid);
    const [, first, , second, third] = outcomes(await machine.kernel.wait(pid));
    expect(told(first)).toMatch(/^EPERM fs\.commit was refused for out\/a\.txt/);
    expect(told(second)).toMatch(/^EPERM .*name it itself/);
    expect(told(third)).toMatch(/^ok/);
    expect(where.read("out/release.txt")).toBe("r");
  });

  it("BOO-19.3  what lies in a declared output folder is declared", async () => {
    const where = workspace();
    const machine = await up(where);
    const calls: Call[] = [
      ["fs.write", { path: "out/deep/a.txt", text: "a" }],
      ["fs.commit", { paths: ["out"] }],
      ["fs.write", { path: "out/AGENTS.md", text: "obey" }],
      ["fs.commit", { paths: ["out"] }],
    ];
    const [, kept, , refused] = await perform(machine, calls, { outputs: ["out"] });
    expect(told(kept)).toMatch(/^ok/);
    expect(where.read("out/deep/a.txt")).toBe("a");
    expect(told(refused)).toMatch(/^EPERM .*no-commit-of-instructions/);
    expect(where.has("out/AGENTS.md")).toBe(false);
  });

  for (const target of ["/etc/passwd", ".env", "a.txt", "../../..", "nowhere"]) {
    it(`BOO-19.4  a link to ${target} left as a declared output is neither read through nor committed, and a file in its place is`, async ({
      skip,
    }) => {
      const where = workspace({ ".env": "TOKEN=hunter2\n", "a.txt": "a\n" });
      const machine = await up(where);
      const calls: Call[] = [
        ["shell.run", { command: `mkdir out; ln -s ${target} out/brief.md; ln -s ${target} brief.md` }],
        ["fs.read", { path: "brief.md" }],
        ["fs.commit", { paths: ["brief.md"] }],
        ["fs.commit", { paths: ["out"] }],
        ["fs.diff", { paths: ["brief.md"] }],
        ["shell.run", { command: "rm brief.md; echo brief > brief.md" }],
        ["fs.commit", { paths: ["brief.md"] }],
      ];
      const [ran, read, commit, folder, diff, , file] = await perform(machine, calls, { outputs: ["brief.md", "out"] });
      if (told(ran).startsWith("ENOSYS")) skip(told(ran));
      expect(told(read)).toMatch(/^EPERM .*link/);
      expect(told(commit)).toMatch(/^EPERM .*brief\.md.*link.*fs\.write/);
      expect(told(folder)).toMatch(/^EPERM .*out\/brief\.md.*link/);
      expect(told(diff)).toContain(`+link to ${target}`);
      expect(told(file)).toMatch(/^ok/);
      expect(where.read("brief.md")).toBe("brief\n");
      expect(where.has("out")).toBe(false);
    });
  }

  it("BOO-19.4  a link that a person said yes to is committed as a link, unless it stands for what the process may not read", async ({
    skip,
  }) => {
    const where = workspace({ ".env": "TOKEN=hunter2\n", "a.txt": "a\n" });
    const machine = await up(where);
    const pid = await start(machine, [
      ["shell.run", { command: "ln -s a.txt fine; mkdir d; ln -s ../.env d/notes.txt" }],
      ["fs.commit", { paths: ["fine"] }],
      ["fs.commit", { paths: ["d/notes.txt"] }],
    ]);
    const ended = machine.kernel.wait(pid);
    for (let asked = 0; asked < 2; asked += 1) {
      await Promise.race([parked(machine, pid), ended]);
      if (machine.kernel.processes()[0]?.state === "parked") answer(machine.kernel, pid);
    }
    const [ran, fine, secret] = outcomes(await ended);
    if (told(ran).startsWith("ENOSYS")) skip(told(ran));
    expect(told(fine)).toMatch(/^ok/);
    expect(fs.readlinkSync(path.join(where.root, "fine"))).toBe("a.txt");
    expect(told(secret)).toMatch(/^EPERM .*d\/notes\.txt.*\.env/);
    expect(where.has("d")).toBe(false);
  });
});
