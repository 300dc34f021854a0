/** What a guest wrote and a person commits: nothing slips in that acts without being asked for, and nothing leads out. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect } from "vitest";
import { place } from "./shell.ts";
import { rule } from "../drivers/sandbox/sandboxed.ts";

describe("what a guest may not slip in", () => {
  rule("CLI-20.10  hooks, start files and settings that a guest wrote, new ones too, are committed only by their names", () => {
    const where = place();
    where.put("src/a.ts", "1\n");
    spawnSync("git", ["init", "-q"], { cwd: where.folder });
    const planted = [
      ".git/hooks/pre-commit",
      ".git/config",
      ".vscode/tasks.json",
      "sub/.envrc",
      "AGENTS.md",
      ".claude/settings.json",
      ".mcp.json",
    ];
    const script = [...planted, "src/a.ts"].map((file) => `mkdir -p "$(dirname ${file})"; echo evil >> ${file}`).join("; ");
    expect(where.run("exec", "--", "bash", "-c", `${script}; ln -s .git/hooks way; echo evil > way/post-commit`).code).toBe(0);
    const refused = where.run("commit", "1");
    expect(refused.code).toBe(77);
    for (const file of [".git/hooks (2 files)", ".git/config (1 file)", ...planted.slice(2)]) expect(refused.err).toContain(file);
    expect(where.run("commit", "1", ".").code).toBe(77);
    expect(where.run("commit", "1", ".git/config", "src").code).toBe(0);
    expect(where.read("src/a.ts")).toBe("1\nevil\n");
    expect(where.read(".git/config")).toContain("evil");
    for (const file of planted.filter((name) => name !== ".git/config")) expect(where.has(file)).toBe(false);
    expect(where.run("commit", "1", "AGENTS.md", ".vscode").code).toBe(0);
    expect(where.has(".vscode/tasks.json")).toBe(true);
    expect(where.has(".git/hooks/pre-commit")).toBe(false);
  });

  rule("CLI-20.10  a link out of the workspace that a guest made is never committed, and nothing is written through it", () => {
    const where = place();
    fs.writeFileSync(path.join(where.home, "target"), "host\n");
    const target = path.join(where.home, "target");
    expect(where.run("exec", "--", "bash", "-c", `ln -s ${target} out; echo evil > out; ln -s .. up; echo x > plain`).code).toBe(
      0,
    );
    const refused = where.run("commit", "1");
    expect(refused.code).toBe(16);
    for (const name of ["out", "up"]) expect(refused.err).toContain(`${name}: it is a link to something outside the workspace`);
    expect(where.run("commit", "1", "plain").code).toBe(0);
    expect([where.has("plain"), where.has("out"), fs.readFileSync(target, "utf8")]).toEqual([true, false, "host\n"]);
  });
});
