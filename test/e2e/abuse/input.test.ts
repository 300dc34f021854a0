/** Bad input as a person would meet it: each has an error that says what, why and the next step, its errno's exit code, and nothing is lost. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { errnos, type Errno } from "../../../src/abi/errno.ts";
import { documents, place, type Place, type Ran } from "../../cli/shell.ts";

/** The three parts of an error, and no more: no stack, no path of the host. */
function refused(ran: Ran, errno: Errno, says: RegExp): void {
  expect(ran.err).toMatch(says);
  expect(ran.err).toMatch(/^(?:why|next): /m);
  expect(ran.err).not.toMatch(/\n\s+at |node:internal|file:\/\/|daimon-cli-/);
  expect(ran.code).toBe(errnos[errno].exit);
}

const text = (ran: Ran): string => `${ran.out}\n${ran.err}`;

/** A read of every document as the run's own record has it. */
function skipped(where: Place): string {
  return text(where.run("run", "brief", "inbox", "--json"));
}

describe("bad input", () => {
  const configs: readonly (readonly [string, string, RegExp])[] = [
    ["a syntax error", "policy:\n  deny: [fs.read\n", /daimon\.yaml:[23]/],
    ["an unknown key", "polcy:\n  deny: []\n", /daimon\.yaml:1.*`policy`/],
    ["a wrong type", "window: many\n", /daimon\.yaml:1/],
    ["two documents", "cpu: reflex\n---\ncpu: gullible\n", /daimon\.yaml/],
    [
      "a bomb of aliases",
      `a: &a [x]\n${Array.from({ length: 30 }, (_, n) => `b${n}: &b${n} [*a, *a]`).join("\n")}\n`,
      /daimon\.yaml/,
    ],
    ["no text at all", "\u0000\u0001\u0002", /daimon\.yaml/],
  ];
  for (const [what, yaml, says] of configs) {
    it(`a daimon.yaml with ${what} refuses the boot with file and line`, () => {
      const where = place();
      documents(where);
      where.put("daimon.yaml", yaml);
      refused(where.run("run", "brief", "inbox"), "EINVAL", says);
      expect(where.has("BRIEF.md")).toBe(false);
      fs.rmSync(path.join(where.folder, "daimon.yaml"));
      expect(where.run("run", "brief", "inbox").code).toBe(0);
    });
  }

  it("a policy file with an error refuses the boot and names file, line and fix", () => {
    const where = place();
    documents(where);
    where.put("daimon.yaml", "policy:\n  files:\n    - rules/team.cedar\n");
    where.put("rules/team.cedar", '\npermit(principal, action == Action::"fs.raed", resource);\n');
    const ran = where.run("run", "brief", "inbox");
    expect(ran.err).toMatch(/rules\/team\.cedar:2.*fs\.raed/);
    expect(ran.err).toMatch(/did you mean/);
    expect(ran.code).not.toBe(0);
    expect(text(where.run("fsck"))).toMatch(/rules\/team\.cedar:2/);
  });

  const programs: readonly (readonly [string, string, RegExp])[] = [
    ["front matter that is no YAML", "---\nname: [x\n---\n# X\n", /PROGRAM\.md:[23]/],
    ["front matter that does not end", "---\nname: x\n", /PROGRAM\.md/],
    ["no front matter", "# Hello\n", /PROGRAM\.md/],
    ["an unknown key", "---\nname: x\nversion: '1'\nsummary: s\npases: []\n---\n", /PROGRAM\.md:5: pases/],
    [
      "a schema with an error",
      "---\nname: x\nversion: '1.0.0'\nsummary: s\ninput: { type: objekt }\npasses:\n  - name: one\n    output: { type: object }\n---\n## one\n\nDo it.\n",
      /PROGRAM\.md:5/,
    ],
  ];
  for (const [what, markdown, says] of programs) {
    it(`a program with ${what} is refused with its line`, () => {
      const where = place();
      where.put("programs/x/PROGRAM.md", markdown);
      refused(where.run("run", "x"), "ENOEXEC", says);
    });
  }

  it("a program that is not there, and input that does not fit, are told apart", () => {
    const where = place();
    refused(where.run("run", "nothing"), "ENOENT", /"nothing"/);
    const missing = where.run("run", "brief", "not-here");
    expect(missing.code).not.toBe(0);
    expect(text(missing)).toContain("not-here");
  });

  it("huge, binary, odd-named and linked documents are skipped with their reason, and the others are read", () => {
    const where = place();
    documents(where);
    where.put(".env", "TOKEN=hunter2hunter2\n");
    fs.writeFileSync(path.join(where.folder, "inbox/picture.png"), Buffer.from("89504e470d0a1a0a0000", "hex"));
    fs.writeFileSync(path.join(where.folder, "inbox/blob.txt"), Buffer.from([0, 1, 2, 255, 254]));
    fs.writeFileSync(path.join(where.folder, "inbox/huge.txt"), Buffer.alloc(70 * 1024 * 1024, "a"));
    where.put("inbox/new\nline.md", "The door alarm was tested on 5 May 2026 and it works as planned.\n");
    where.put("inbox/Case.md", "The upper hall was painted on 6 May 2026 by the contractor.\n");
    where.put("inbox/case.md", "The lower hall was painted on 7 May 2026 by the contractor.\n");
    fs.symlinkSync("../.env", path.join(where.folder, "inbox/notes.md"));
    fs.symlinkSync("/etc/passwd", path.join(where.folder, "inbox/users.md"));
    fs.symlinkSync("loop.md", path.join(where.folder, "inbox/loop.md"));
    const ran = where.run("run", "brief", "inbox");
    expect(ran.err).not.toMatch(/\n\s+at /);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^left out {4}6: /m);
    const brief = where.read("BRIEF.md");
    expect(brief).not.toMatch(/hunter2|root:/);
    expect(brief).toMatch(/upper hall/);
    expect(brief).toMatch(/lower hall/);
    const all = `${skipped(where)}${text(where.run("log", "--json"))}`;
    for (const name of ["picture.png", "blob.txt", "huge.txt", "notes.md", "users.md", "loop.md"])
      expect(all, name).toContain(name);
    expect(all).not.toMatch(/hunter2hunter2|root:x:0/);
  });

  it("a document that may not be read is skipped with its reason", ({ skip }) => {
    const root = process.getuid?.() === 0;
    const setpriv = root && spawnSync("setpriv", ["--version"]).status === 0;
    if (root && !setpriv) skip("root reads everything, and setpriv is not here");
    const where = place();
    documents(where);
    where.put("inbox/closed.md", "Nobody reads this sentence about the 8 May 2026.\n");
    if (root) {
      const folders = spawnSync("chown", ["-R", "65534:65534", path.dirname(where.folder)]);
      expect(folders.status).toBe(0);
      fs.chmodSync(path.dirname(path.dirname(where.folder)), 0o755);
    }
    fs.chmodSync(path.join(where.folder, "inbox/closed.md"), 0);
    const bin = path.resolve(import.meta.dirname, "../../../bin/daimon.mjs");
    const argv = [process.execPath, bin, "run", "brief", "inbox"];
    const [command = "", ...args] = root ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...argv] : argv;
    const ran = spawnSync(command, args, { cwd: where.folder, env: where.env(), encoding: "utf8", timeout: 60_000 });
    if (ran.stderr.includes("EACCES: permission denied, access") || ran.stderr.includes("Cannot find module"))
      skip("the other user cannot reach the source");
    expect(`${ran.stderr}`).not.toMatch(/\n\s+at /);
    expect(ran.status).toBe(0);
    expect(fs.readFileSync(path.join(where.folder, "BRIEF.md"), "utf8")).toContain("closed.md");
    expect(fs.readFileSync(path.join(where.folder, "BRIEF.md"), "utf8")).not.toContain("Nobody reads");
  });
});
