import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { Finding } from "../../src/abi/finding.ts";
import { commands } from "../../src/cli/commands.ts";
import { printField } from "../../src/cli/field.ts";
import { interrupts, unless } from "../../src/cli/interrupt.ts";
import { note, print, printFinding, printJson } from "../../src/cli/io.ts";
import { palette } from "../../src/cli/term/screen.ts";
import { EventEmitter } from "node:events";
import { commandsPage } from "../../tools/docs/commands.ts";
import { recorder } from "./term/screen.ts";
import { daimon, place } from "./shell.ts";

const none = palette(recorder(), {}, false);
const here = place();

class FakeHost extends EventEmitter {
  readonly pid = 7;
  kill(): void {}
}

describe("the report of a run", () => {
  it("CLI-12.3  does not follow a link that stands where an output should be", () => {
    const where = place();
    fs.writeFileSync(path.join(where.home, "secret"), "hunter2\n");
    fs.symlinkSync(path.join(where.home, "secret"), path.join(where.folder, "out.md"));
    where.put(
      "made.ts",
      `export default { name: "made", version: "1.0.0", summary: "Make nothing.", input: { type: "object" }, calls: [], outputs: ["out.md"],
        body: async () => ({ ok: true, value: "well" }) };`,
    );
    expect(where.run("config", "trust", "made.ts").code).toBe(0);
    const ran = where.run("run", "made.ts");
    expect(ran.out).toContain("made (pid 1) is done");
    expect(ran.out).not.toContain("hunter2");
    expect(ran.out).not.toContain("out.md");
  });
});

describe("the table of commands", () => {
  it("CLI-1.1  a command's code is loaded when it is called: version loads no kernel, boot or driver", () => {
    const loaded = spawnSync(
      process.execPath,
      [
        "-e",
        `const { registerHooks } = require("node:module"); const seen = [];
         registerHooks({ resolve(name, context, next) { const found = next(name, context); seen.push(found.url); return found; } });
         import("${path.resolve("src/cli/main.ts")}").then(async ({ main }) => { await main(["version", "-q"]); console.log(JSON.stringify(seen)); });`,
      ],
      { encoding: "utf8" },
    );
    const files = (JSON.parse(loaded.stdout.split("\n")[1] ?? "[]") as string[]).filter((url) => url.startsWith("file:"));
    expect(files.some((url) => url.endsWith("src/cli/version.ts"))).toBe(true);
    const heavy = files.filter((url) =>
      /src\/(?:kernel|programs|security|memory|scheduler|files)\/|boot\/boot\.ts|node_modules/.test(url),
    );
    expect(heavy).toEqual([]);
  });

  it("CLI-1.1  every command of the table has a name, a summary and a usage that the reference page shows", () => {
    const names =
      "init run exec up mcp guests ps top kill nice log why replay diff commit rollback shared approve fsck doctor config version help completion";
    expect(commands.map((command) => command.name).toSorted()).toEqual(names.split(" ").toSorted());
    const page = commandsPage(commands);
    for (const command of commands) expect(page).toContain(`daimon ${command.name}`);
    expect(page).toContain("--policy-engine");
  });
});

describe("main", () => {
  it("CLI-1.2  an unknown command is exit 64 with the nearest one", () => {
    const ran = here.run("rnu");
    expect(ran.code).toBe(64);
    expect(ran.err).toContain("did you mean `run`?");
    expect(ran.out).toBe("");
    const option = here.run("ps", "--al");
    expect(option.code).toBe(64);
    expect(option.err).toContain("--all");
    const ahead = here.run("--jsn", "ps");
    expect(ahead.code).toBe(64);
    expect(ahead.err).toContain("did you mean `--json`?");
    expect(here.run("--all", "ps").err).toContain("a command's own options follow its name");
  });

  it("CLI-1.2  nothing at all, help and --help explain, with exit 0", () => {
    for (const args of [[], ["help"], ["--help"], ["-h"]]) {
      const ran = here.run(...args);
      expect(ran.code).toBe(0);
      expect(ran.out).toContain("usage: daimon COMMAND");
    }
    expect(here.run("--version").out).toBe(here.run("version").out);
  });

  it("CLI-1.3  a failure is three lines without a stack, and with --json one object; the exit code is the errno's", () => {
    const ran = here.run("why", "nonsense");
    expect(ran.code).toBe(64);
    expect(ran.err.split("\n").map((line) => line.split(":")[0])).toEqual(["daimon", "why", "next", ""]);
    expect(ran.err).not.toMatch(/\bat .*\.ts:\d+/);
    const json = here.run("why", "nonsense", "--json");
    expect(JSON.parse(json.err)).toMatchObject({ error: { errno: "EINVAL", exit: 64 } });
    expect(json.out).toBe("");
    expect(here.run("ps").code).toBe(66);
  });

  it("CLI-1.4  a reader that goes away is no error", () => {
    const bin = path.resolve("bin/daimon.mjs");
    const ran = spawnSync(
      "bash",
      ["-c", `'${process.execPath}' '${bin}' completion zsh | head -c 10 >/dev/null; echo "\${PIPESTATUS[0]}"`],
      {
        encoding: "utf8",
        env: here.env(),
      },
    );
    expect(ran.stdout.trim()).toBe("0");
    expect(ran.stderr).toBe("");
  });

  it("CLI-1.5  shared options may stand before the command", () => {
    expect(JSON.parse(here.run("--json", "version").out)).toMatchObject({ daimon: "0.1.0" });
    expect(here.run("--cwd", here.home, "ps").err).toContain("nothing has run here yet");
    expect(here.run("-q", "version").out).toBe("0.1.0\n");
  });

  it("CLI-1.6  --cwd must be an existing folder", () => {
    here.put("file.txt", "x");
    expect(here.run("ps", "--cwd", "nowhere")).toMatchObject({ code: 66 });
    expect(here.run("ps", "--cwd", "file.txt")).toMatchObject({ code: 64 });
  });
});

describe("io", () => {
  it("CLI-2.1  results go to standard output, findings to standard error", () => {
    const [out, err] = [recorder(), recorder()];
    const io = { out, err, quiet: false, errColours: none };
    print(io, "result");
    note(io, "beside");
    printFinding(io, { rule: "X-1", severity: "warning", where: "here", message: "odd" });
    expect(out.text()).toBe("result\n");
    expect(err.text()).toBe("beside\nwarning: here: odd\n");
  });

  it("CLI-2.2  a JSON document is one line, and no character in it acts on a terminal", () => {
    const out = recorder();
    const value = { a: "\u001b[2J\u009b2J\u202e\u2028é", b: "😀\u200d" };
    printJson({ out }, value);
    expect(JSON.parse(out.text())).toEqual(value);
    expect(out.text().trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e\u2028\u200d]/);
    expect(out.text()).toContain("é");
  });

  it("CLI-2.3  --quiet silences notes and warnings, never errors", () => {
    const err = recorder();
    const io = { err, quiet: true, errColours: none };
    const finding = (severity: Finding["severity"]): Finding => ({ rule: "X-1", severity, where: "here", message: severity });
    note(io, "beside");
    for (const severity of ["info", "warning", "error"] as const) printFinding(io, finding(severity));
    expect(err.text()).toBe("error: here: error\n");
  });

  it("CLI-2.4  what is printed is neutralised", () => {
    const out = recorder();
    print({ out }, "a\u001b[2Jb");
    printField({ out, colours: none }, "name", "c\u009bd");
    expect(out.text()).toBe("a␛[2Jb\nname        c⟨U+009B⟩d\n");
  });

  it("CLI-2.5  on a terminal a long text goes on under its own column, in a pipe it is one line", () => {
    const [pipe, screen] = [recorder(), recorder({ isTTY: true, columns: 40 })];
    const text = "word ".repeat(20).trim();
    printField({ out: pipe, colours: none }, "name", text);
    printField({ out: screen, colours: none }, "name", text);
    expect(pipe.text().trimEnd().split("\n")).toHaveLength(1);
    const rows = screen.text().trimEnd().split("\n");
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(40);
    for (const row of rows.slice(1)) expect(row.slice(0, 12).trim()).toBe("");
  });

  it("CLI-2.4  NO_COLOR and a pipe leave no escape in any output; FORCE_COLOR colours", () => {
    const plain = daimon(here.folder, ["help"], here.env({ NO_COLOR: "1", FORCE_COLOR: "1" }));
    expect(plain.out).not.toContain("\u001b");
    const coloured = daimon(here.folder, ["help"], here.env({ FORCE_COLOR: "1" }));
    expect(coloured.out).toContain("\u001b[");
    expect(daimon(here.folder, ["help", "--no-color"], here.env({ FORCE_COLOR: "1" })).out).not.toContain("\u001b");
  });
});

describe("interrupts", () => {
  it("CLI-3.1  the first signal ends the work in order, with 128 and its number", async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      const host = new FakeHost();
      const interrupt = interrupts(host);
      const work = unless(interrupt, new Promise<string>(() => {}));
      expect(interrupt.exitCode()).toBeNull();
      host.emit(signal);
      expect(await work).toBeNull();
      expect(interrupt.exitCode()).toBe(code);
    }
    const calm = interrupts(new FakeHost());
    expect(await unless(calm, Promise.resolve("done"))).toBe("done");
  });

  it("CLI-3.2  the second signal is nobody's but the system's", () => {
    const host = new FakeHost();
    const interrupt = interrupts(host);
    expect(host.listenerCount("SIGINT")).toBe(1);
    host.emit("SIGINT");
    expect(host.listenerCount("SIGINT") + host.listenerCount("SIGTERM")).toBe(0);
    interrupt.close();
  });
});

describe("help and completion", () => {
  it("CLI-4.1  every command stands in the list once, and help COMMAND is its --help", () => {
    const { out } = here.run("help");
    for (const { name } of commands)
      expect(out.split("\n").filter((line) => line.trimStart().startsWith(`${name} `))).toHaveLength(1);
    for (const name of ["run", "log", "approve"]) expect(here.run("help", name).out).toBe(here.run(name, "--help").out);
    expect(here.run("help", "nothing")).toMatchObject({ code: 64 });
    const listed = JSON.parse(here.run("help", "--json").out) as { commands: { name: string; usage: string }[] };
    expect(listed.commands).toHaveLength(commands.length);
    expect(listed.commands[0]?.usage).toMatch(/^daimon /);
  });

  it("CLI-4.1  the completion script passes the shell's own check and offers the real commands", () => {
    const { out, code } = here.run("completion", "bash");
    expect(code).toBe(0);
    expect(spawnSync("bash", ["-n"], { input: out }).status).toBe(0);
    const offered = spawnSync("bash", ["-c", `${out}\nCOMP_WORDS=(daimon ro); COMP_CWORD=1; _daimon; echo "\${COMPREPLY[@]}"`], {
      encoding: "utf8",
    });
    expect(offered.stdout.trim()).toBe("rollback");
    expect(here.run("completion", "bsh").err).toContain("did you mean `bash`?");
  });
});
