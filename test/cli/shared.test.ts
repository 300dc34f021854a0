/** The shared tier as a person sees it. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { answer } from "../kernel/answer.ts";
import { down, must, parked, start, up, workspace, type Workspace } from "../boot/machine.ts";
import { bin, daimon, type Ran } from "./shell.ts";

function command(where: Workspace, ...args: string[]): Ran {
  return daimon(where.root, args, { PATH: process.env["PATH"] ?? "", HOME: where.home });
}

async function shared(text: string): Promise<Workspace> {
  const where = workspace();
  const machine = await up(where);
  const pid = await start(machine, [
    ["fs.write", { path: "notes/a.md", text }],
    ["fs.share", { path: "notes/a.md" }],
  ]);
  await parked(machine, pid);
  must(answer(machine.kernel, pid));
  await machine.kernel.wait(pid);
  await down(machine);
  return where;
}

describe("daimon shared", () => {
  it("CLI-29.1  lists each file with who shared it and its label, and says so where there is none", async () => {
    const where = await shared("hello\n");
    const listed = command(where, "shared");
    expect(listed).toMatchObject({ code: 0, err: "" });
    expect(listed.out).toMatch(/^PATH +BYTES +BY +INTEGRITY +READERS\nnotes\/a\.md +6 +1 +untrusted +workspace\n$/);
    const { files } = JSON.parse(command(where, "shared", "--json").out);
    expect(files).toMatchObject([{ path: "notes/a.md", bytes: 6, by: 1, label: { integrity: "untrusted" } }]);
    const empty = workspace();
    await down(await up(empty));
    expect(command(empty, "shared")).toMatchObject({ code: 0, out: expect.stringContaining("no process has shared a file") });
  });

  it("CLI-29.2  shows a file by either name, as it is to a pipe; one that is not there is ENOENT", async () => {
    const where = await shared("\u001b[31mred\n");
    expect(command(where, "shared", "notes/a.md")).toMatchObject({ code: 0, out: "\u001b[31mred\n" });
    expect(command(where, "shared", "/shared/notes/a.md").out).toBe("\u001b[31mred\n");
    expect(command(where, "shared", "none.md")).toMatchObject({
      code: 66,
      err: expect.stringContaining("`daimon shared` lists"),
    });
  });

  it("CLI-29.2  shows bytes that are no text as they are", async () => {
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00, 0x0a]);
    const where = workspace({ "a.bin": bytes });
    const machine = await up(where);
    const pid = await start(machine, [["fs.share", { path: "a.bin" }]]);
    await parked(machine, pid);
    must(answer(machine.kernel, pid));
    await machine.kernel.wait(pid);
    await down(machine);
    const env = { PATH: process.env["PATH"] ?? "", HOME: where.home };
    const shown = spawnSync(process.execPath, [bin, "shared", "a.bin"], { cwd: where.root, env });
    expect(shown.stdout).toEqual(bytes);
  });

  it("CLI-29.3  takes a file out through the kernel that runs", async () => {
    const where = await shared("hello\n");
    const machine = await up(where);
    expect(machine.kernel.recorder.table.shared.has("notes/a.md")).toBe(true);
    const child = spawn(process.execPath, [bin, "shared", "--remove", "/shared/notes/a.md"], {
      cwd: where.root,
      env: { PATH: process.env["PATH"] ?? "", HOME: where.home },
      stdio: "ignore",
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(machine.kernel.recorder.table.shared.size).toBe(0);
  });

  it("CLI-29.3  takes a file out where no kernel runs, and the journal tells", async () => {
    const where = await shared("hello\n");
    expect(command(where, "shared", "--remove", "notes/a.md")).toMatchObject({ code: 0 });
    expect(JSON.parse(command(where, "shared", "--json").out)).toEqual({ files: [] });
    expect(command(where, "shared", "--remove", "notes/a.md")).toMatchObject({ code: 66 });
    expect(command(where, "shared", "--remove")).toMatchObject({ code: 64, err: expect.stringContaining("name the file") });
    expect(command(where, "log", "--kind", "share").out).toContain("/shared/notes/a.md is taken out");
  });
});
