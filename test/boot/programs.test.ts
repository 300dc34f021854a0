import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { openPrograms } from "../../src/boot/programs.ts";
import { readTrust, withdrawTrust } from "../../src/boot/trust.ts";
import { down, must, parked, performer, start, told, up, workspace } from "./machine.ts";
import { answer } from "../kernel/answer.ts";

const program = (name: string): string => performer.replace('"performer"', `"${name}"`);

describe("programs", () => {
  it("BOO-13.1  a plain name is a shipped one, then the workspace's, which cannot take a shipped name; a path is the workspace's", async () => {
    const where = workspace({
      "programs/mine/program.ts": program("mine"),
      "tools/other.ts": program("other"),
      "programs/brief/program.ts": program("own-brief"),
    });
    for (const file of ["programs/mine/program.ts", "tools/other.ts", "programs/brief/program.ts"])
      must(await acceptFile(where.layout, file, 0));
    const { programs } = await up(where);
    expect(must(await programs.find("mine")).program.name).toBe("mine");
    expect(must(await programs.find("tools/other.ts")).program.name).toBe("other");
    expect(must(await programs.find("./tools/other.ts")).program.name).toBe("other");
    expect(must(await programs.find("brief")).program.name).toBe("brief");
    expect(must(await programs.find("programs/brief")).program.name).toBe("own-brief");
    expect(must(await programs.find("brief")).bodyName).toMatch(/^daimon:brief@[0-9a-f]{64}$/);
  });

  it("BOO-13.1  what is not there is ENOENT with what may be named", async () => {
    const { programs } = await up(workspace());
    for (const name of ["nothing", "no/where", "daimon:brief/../../package.json", ""]) {
      expect(await programs.find(name), name).toMatchObject({ ok: false });
    }
    expect(await programs.find("nothing")).toMatchObject({
      error: { errno: "ENOENT", message: expect.stringMatching(/"nothing".*brief/) },
    });
  });

  it("BOO-13.2  after a restart another content is refused with EKEYREJECTED and does not run, the same goes on", async () => {
    const where = workspace();
    const first = await up(where);
    const pid = await start(first, [["ask", { question: "?" }]]);
    await parked(first, pid);
    await down(first);
    where.put("programs/performer/program.ts", performer.replace("const results = [];", 'const results = ["changed"];'));
    must(await acceptFile(where.layout, "programs/performer/program.ts", 0));
    const second = await up(where);
    expect(second.findings).toMatchObject([
      { severity: "error", message: expect.stringMatching(/performer changed since .* put it back/) },
    ]);
    answer(second.kernel, pid, { text: "x" });
    expect(second.kernel.processes()).toMatchObject([{ pid, exit: null }]);
    await down(second);
    where.put("programs/performer/program.ts", performer);
    const third = await up(where);
    expect(third.findings).toEqual([]);
    expect(await third.kernel.wait(pid)).toEqual({ ok: true, value: [{ ok: true, value: "x" }] });
  });

  it("BOO-13.3  trust in a module is trust in every file it imports: a changed one is not loaded, and is named", async () => {
    const where = workspace();
    const mark = path.join(where.root, "ran");
    const spy = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(mark)}, "x");`;
    where.put("programs/deep/program.ts", `import { name } from "./lib/name.ts";\n${program("deep").replace('"deep"', "name")}`);
    where.put("programs/deep/lib/name.ts", `export { name } from "./text.ts";`);
    where.put("programs/deep/lib/text.ts", `export const name = "deep";`);
    must(await acceptFile(where.layout, "programs/deep/program.ts", 0));
    const { programs } = await up(where);
    const first = must(await programs.find("deep"));
    expect(first.program.name).toBe("deep");
    where.put("programs/deep/lib/text.ts", `${spy} export const name = "evil";`);
    expect(await programs.find("deep")).toMatchObject({
      error: {
        errno: "EKEYREJECTED",
        message: expect.stringMatching(
          /not as you trusted it \(programs\/deep\/lib\/text\.ts changed\).*daimon config trust programs\/deep/,
        ),
      },
    });
    expect(where.has("ran"), "the changed file was run").toBe(false);
    expect((await programs.restore([first.bodyName])).map(({ errno }) => errno)).toEqual(["EKEYREJECTED"]);
    where.put("programs/deep/lib/text.ts", `import "./more.ts"; export const name = "deep";`);
    where.put("programs/deep/lib/more.ts", "");
    expect(await programs.find("deep")).toMatchObject({ error: { message: expect.stringContaining("lib/more.ts is new") } });
    must(await acceptFile(where.layout, "programs/deep/program.ts", 0));
    const after = await openPrograms(where.layout, must(readTrust(where.layout)), () => 0).find("deep");
    expect(must(after).bodyName).not.toBe(first.bodyName);
  });

  it("BOO-13.2  a process is named by its module with all it imports: another import is another program", async () => {
    const where = workspace();
    const asks = program("asker").replace("const results = [];", "const results = [text];");
    where.put("programs/asker/program.ts", `import { text } from "./text.ts";\n${asks}`);
    where.put("programs/asker/text.ts", `export const text = "first";`);
    must(await acceptFile(where.layout, "programs/asker/program.ts", 0));
    const first = await up(where);
    const { bodyName } = must(await first.programs.find("asker"));
    await down(first);
    where.put("programs/asker/text.ts", `export const text = "second";`);
    must(await acceptFile(where.layout, "programs/asker/program.ts", 0));
    const second = await up(where);
    expect((await second.programs.restore([bodyName])).map(({ message }) => message)).toMatchObject([
      expect.stringMatching(/asker changed since its process started/),
    ]);
    expect(second.programs.body(bodyName)).toBeNull();
    where.put("programs/asker/text.ts", `export const text = "first";`);
    expect(await second.programs.restore([bodyName]), "an acceptance of before still stands").toEqual([]);
    expect(second.programs.body(bodyName)).not.toBeNull();
  });

  it("BOO-13.3  a module that nobody trusted is not even loaded; a changed one asks again; Markdown needs no trust", async () => {
    const where = workspace();
    const loads = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(path.join(where.root, "loaded"))}, "x");\n`;
    where.put("programs/spy/program.ts", `${loads}${program("spy")}`);
    const { programs } = await up(where);
    const refused = await programs.find("spy");
    expect(refused).toMatchObject({
      ok: false,
      error: { errno: "EKEYREJECTED", message: expect.stringContaining("daimon config trust programs/spy/program.ts") },
    });
    expect(where.has("loaded"), "the module was run").toBe(false);
    must(withdrawTrust(where.layout, "programs/performer/program.ts"));
    const later = await up(workspace());
    expect((await later.programs.find("performer")).ok).toBe(true);
    fs.cpSync(path.join(import.meta.dirname, "../../programs/brief"), path.join(where.root, "programs/copied"), {
      recursive: true,
    });
    const copied = await programs.find("copied");
    expect(copied.ok ? "ok" : told(copied)).toBe("ok");
  });
});
