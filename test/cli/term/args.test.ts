import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { errnos } from "../../../src/abi/errno.ts";
import { commands as real } from "../../../src/cli/commands.ts";
import { defineCommand, findCommand, parseArgs, usageOf } from "../../../src/cli/term/args.ts";
import { completion, shells } from "../../../src/cli/term/completion.ts";
import { commandHelp, commandList } from "../../../src/cli/term/help.ts";
import { palette } from "../../../src/cli/term/screen.ts";
import { widthOf } from "../../../src/cli/term/width.ts";
import { ok } from "../../../src/lib/result.ts";
import { recorder } from "./screen.ts";

const run = defineCommand({
  name: "run",
  summary: "Run a program and don't leave `anything` $(behind)",
  details: "The program reads the folder and delivers its outputs.",
  options: {
    cpu: { type: "text", value: "CPU", short: "c", summary: "the model" },
    env: { type: "text", value: "NAME", many: true, summary: "pass a variable" },
    nice: { type: "number", short: "n", summary: "weight" },
    calls: { type: "count", summary: "most calls" },
    time: { type: "duration", summary: "most time" },
    memory: { type: "bytes", summary: "most memory" },
    budget: { type: "usd", summary: "most money: in [dollars]" },
    until: { type: "choice", choices: ["done", "turn", "call"], summary: "where to stop" },
    verbose: { type: "flag", short: "v", summary: "tell more" },
  },
  positionals: [
    { name: "program", summary: "its name or folder", complete: "file" },
    { name: "folder", summary: "what it works on", optional: true, complete: "folder" },
  ],
  run: () => ok(0),
});

const exec = defineCommand({
  name: "exec",
  summary: "Run a guest",
  options: { label: { type: "text", value: "TEXT", summary: "a name" } },
  positionals: [{ name: "command", summary: "the guest", many: true }],
  passthrough: true,
  run: () => ok(0),
});

const commands = [run, exec];

function parsed(...argv: readonly string[]) {
  const input = parseArgs(run, argv);
  if (!input.ok) throw new Error(input.error.message);
  return input.value;
}

function refusal(...argv: readonly string[]): string {
  const input = parseArgs(run, argv);
  expect(input).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
  return input.ok ? "" : input.error.message;
}

describe("arguments", () => {
  it("TTY-8.1  options mean what they mean elsewhere", () => {
    const forms = [
      ["--cpu", "x", "p"],
      ["--cpu=x", "p"],
      ["-c", "x", "p"],
      ["-cx", "p"],
      ["-c=x", "p"],
      ["p", "--cpu", "x"],
    ];
    for (const argv of forms)
      expect(parsed(...argv), argv.join(" ")).toMatchObject({ options: { cpu: "x" }, positionals: ["p"] });
    expect(parsed("-qv", "p").options).toMatchObject({ quiet: true, verbose: true });
    expect(parsed("-qvcx", "p").options).toMatchObject({ quiet: true, verbose: true, cpu: "x" });
    expect(parsed("p", "-n", "-5").options.nice).toBe(-5);
    expect(parsed("p", "--cpu=").options.cpu).toBe("");
    expect(parsed("-", "p").positionals).toEqual(["-", "p"]);
    expect(parsed("p", "--env", "A", "--env=B").options.env).toEqual(["A", "B"]);
    expectTypeOf(parsed("p").options.nice).toEqualTypeOf<number | undefined>();
    expectTypeOf(parsed("p").options.until).toEqualTypeOf<"done" | "turn" | "call" | undefined>();
    expectTypeOf(parsed("p").options.env).toEqualTypeOf<readonly string[]>();
    expectTypeOf(parsed("p").options.json).toEqualTypeOf<boolean>();
  });

  it("TTY-8.2  after -- everything is passed on untouched", () => {
    expect(parsed("p", "--", "--json", "--", "-x")).toMatchObject({ options: { json: false }, rest: ["--json", "--", "-x"] });
    expect(parsed("p", "--", "--help").options.help).toBe(false);
  });

  it("TTY-8.3  a guest's own options reach the guest", () => {
    for (const argv of [
      ["--json", "claude", "-p", "fix it", "--help"],
      ["--json", "--", "claude", "-p", "fix it", "--help"],
    ]) {
      expect(parseArgs(exec, argv)).toMatchObject({
        ok: true,
        value: { options: { json: true, help: false }, rest: ["claude", "-p", "fix it", "--help"] },
      });
    }
    expect(parseArgs(exec, ["--help"])).toMatchObject({ ok: true, value: { options: { help: true } } });
    expect(parseArgs(exec, [])).toMatchObject({ ok: false, error: { message: expect.stringContaining("COMMAND is missing") } });
  });

  it("TTY-8.4  values are checked, and the message says what is expected", () => {
    expect(
      parsed(
        "p",
        "--calls",
        "2k",
        "--time",
        "1h30m",
        "--memory",
        "512 MiB",
        "--budget",
        "2 USD",
        "--until",
        "turn",
        "--nice",
        "0.5",
      ).options,
    ).toMatchObject({
      calls: 2000,
      time: 5_400_000,
      memory: 536_870_912,
      budget: 2,
      until: "turn",
      nice: 0.5,
    });
    expect(refusal("p", "--time", "10")).toContain("`--time` needs a duration like `90s` or `1h30m`, and got `10`");
    expect(refusal("p", "--until", "trun")).toContain("one of done, turn, call, and got `trun`; did you mean `turn`?");
    for (const argv of [
      ["--calls", "many"],
      ["--memory", "big"],
      ["--budget", "3 EUR"],
      ["--nice", "x"],
      ["--nice", "Infinity"],
    ])
      expect(refusal("p", ...argv)).toContain("needs");
  });

  it("TTY-8.5  the unknown is EINVAL with the nearest known and the usage", () => {
    expect(refusal("p", "--jsn")).toBe(
      "unknown option `--jsn`; did you mean `--json`?; usage: daimon run [OPTIONS] PROGRAM [FOLDER]",
    );
    expect(refusal("p", "-z")).toContain("unknown option `-z`");
    expect(refusal("p", "--constructor")).toContain("unknown option");
    expect(findCommand(commands, "rnu")).toMatchObject({
      ok: false,
      error: { errno: "EINVAL", message: "there is no command `rnu`; did you mean `run`?" },
    });
    expect(findCommand(commands, "telepathy")).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining("daimon help") },
    });
    expect(findCommand(commands, "exec")).toEqual({ ok: true, value: exec });
    expect(errnos.EINVAL.exit).toBe(64);
  });

  it("TTY-8.6  missing, surplus and doubled arguments are refused", () => {
    expect(refusal()).toContain("PROGRAM is missing: its name or folder");
    expect(refusal("a", "b", "c")).toContain("`c` is one argument too many");
    expect(refusal("p", "--cpu")).toContain("`--cpu` needs a value, CPU");
    expect(refusal("p", "--cpu", "--json")).toContain("`--cpu` needs a value");
    expect(refusal("p", "--cpu", "a", "-cb")).toContain("`--cpu` stands twice");
    expect(refusal("p", "--json=1")).toContain("takes no value");
    expect(parsed("p", "--json", "--json").options.json).toBe(true);
  });

  it("TTY-8.7  shared options are everywhere, and --help wins over what is wrong", () => {
    expect(parsed("p", "--json", "--cwd", "/x", "--quiet", "--no-color").options).toMatchObject({
      json: true,
      cwd: "/x",
      quiet: true,
      "no-color": true,
    });
    for (const argv of [["--help"], ["--nope", "--help"], ["-h"], ["a", "b", "c", "-h"]])
      expect(parsed(...argv).options.help).toBe(true);
  });

  it("TTY-8.5  any argument list gives a result, never an exception", () => {
    const words = fc.oneof(
      fc.string(),
      fc.constantFrom("--cpu", "-c", "--", "-", "-n", "--env=1", "--json", "-qv", "--until=done", "--=", "p"),
    );
    fc.assert(
      fc.property(fc.array(words), (argv) =>
        [parseArgs(run, argv), parseArgs(exec, argv)].every((input) => input.ok || input.error.errno === "EINVAL"),
      ),
    );
  });
});

describe("help", () => {
  const none = palette(recorder(), {}, false);

  it("TTY-9.1  names every positional and option", () => {
    const text = commandHelp(run, 80, none);
    expect(text).toContain(usageOf(run));
    for (const word of [
      "PROGRAM",
      "FOLDER",
      "-c, --cpu CPU",
      "--env NAME",
      "-n, --nice N",
      "--time TIME",
      "--memory SIZE",
      "--budget USD",
      "--until done|turn|call",
      "-v, --verbose",
      "--json",
      "--cwd DIR",
      "--no-color",
    ]) {
      expect(text).toContain(word);
    }
    expect(usageOf(exec)).toBe("daimon exec [OPTIONS] -- COMMAND...");
    expect(commandList([{ title: "work", commands }], 80, none)).toMatch(
      /work:\n {2}run {3}Run a program.*\n {2}exec {2}Run a guest/,
    );
  });

  it("TTY-9.2  no line is wider than the terminal", () => {
    for (const width of [40, 60, 80, 120]) {
      for (const line of `${commandHelp(run, width, none)}${commandList([{ title: "work", commands }], width, none)}`.split("\n"))
        expect(widthOf(line), line).toBeLessThanOrEqual(width);
    }
  });
});

describe("completion", () => {
  /** What the shell complains of; empty when nothing. */
  function syntaxOf(shell: string, script: string): string {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "daimon-completion-"));
    fs.writeFileSync(path.join(folder, "script"), script);
    const checked = spawnSync(shell, ["-n", path.join(folder, "script")], { encoding: "utf8" });
    fs.rmSync(folder, { recursive: true });
    return checked.status === 0 ? checked.stderr : `${checked.stderr}status ${checked.status}`;
  }

  const has = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

  const quoted = (word: string): string => `'${word}'`;
  const sorted = (words: readonly string[]): readonly string[] => words.toSorted();

  function bash(table: Parameters<typeof completion>[1], words: readonly string[]): readonly string[] {
    const script = `${completion("bash", table)}
      COMP_WORDS=(daimon ${words.map(quoted).join(" ")}); COMP_CWORD=${words.length}; _daimon; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8", cwd: import.meta.dirname })
      .trim()
      .split("\n");
  }

  const complete = (...words: readonly string[]): readonly string[] => bash(commands, words);

  it("TTY-10.1  bash offers commands, options, choices, files and folders where they can stand", () => {
    expect(complete("")).toEqual(["run", "exec"]);
    expect(complete("e")).toEqual(["exec"]);
    expect(complete("run", "--ju")).toEqual([""]);
    expect(complete("run", "--js")).toEqual(["--json"]);
    expect(complete("run", "--until", "t")).toEqual(["turn"]);
    expect(complete("run", "args")).toEqual(["args.test.ts"]);
    expect(complete("exec", "--ver")).toEqual([""]);
    expect(complete("run", "--cpu", "x", "--verbose", "args"), "an option and its value are no place").toEqual(["args.test.ts"]);
    expect(complete("run", "p", "args"), "folders alone stand at the second place").toEqual([""]);
    for (const shell of shells)
      for (const word of ["run", "exec", "until", "done", "verbose", "json"]) expect(completion(shell, commands)).toContain(word);
  });

  /** The shells' own machinery where it is installed; bash is everywhere. */
  const offers: Readonly<Record<(typeof shells)[number], (words: readonly string[]) => readonly string[]>> = {
    bash: (words) => sorted(bash(real, words)),
    zsh: (words) => {
      // What the script hands to zsh's own completion: the specification of each place.
      const script = `compdef() { : }; _describe() { print -rl -- "\${(@)commands%%:*}" }; _arguments() { print -rl -- "$@" }
        ${completion("zsh", real)}
        words=(daimon ${words.map(quoted).join(" ")}); CURRENT=\${#words}; _daimon`;
      const handed = execFileSync("zsh", ["-f", "-c", script], { encoding: "utf8" }).trim().split("\n");
      if (words.length === 1) return sorted(handed);
      const place = handed.find((line) => line.startsWith(`${words.length - 1}:`) || line.startsWith("*:")) ?? "";
      return sorted((/:\((.*)\)$/.exec(place)?.[1] ?? "").split(" "));
    },
    fish: (words) => {
      const script = `${completion("fish", real)}\ncomplete -C "daimon ${words.join(" ")}"`;
      const home = fs.mkdtempSync(path.join(os.tmpdir(), "daimon-fish-"));
      const lines = execFileSync("fish", ["--no-config", "-c", script], {
        encoding: "utf8",
        env: { ...process.env, HOME: home },
      });
      fs.rmSync(home, { recursive: true });
      return sorted(
        lines
          .trim()
          .split("\n")
          .map((line) => line.split("\t")[0] ?? ""),
      );
    },
  };

  for (const shell of shells.filter(has)) {
    it(`TTY-10.1  ${shell} offers the words of daimon's own commands, each at its place`, () => {
      expect(offers[shell]([""])).toEqual(sorted(real.map(({ name }) => name)));
      expect(offers[shell](["log", ""])).toEqual(["archive", "reindex", "verify"]);
      expect(offers[shell](["config", ""]).filter((word) => word.endsWith("trust"))).toEqual(["distrust", "trust"]);
      expect(offers[shell](["completion", ""])).toEqual(["bash", "fish", "zsh"]);
      expect(offers[shell](["config", "trust", ""])).not.toContain("distrust");
      expect(offers[shell](["log", "verify", ""])).not.toContain("reindex");
    });
  }

  it("TTY-10.1  every script names each word that can stand at a place", () => {
    for (const shell of shells) {
      const script = completion(shell, real);
      for (const words of ["verify reindex archive", "trust distrust", "bash zsh fish"]) expect(script, shell).toContain(words);
    }
  });

  it("TTY-10.2  no summary can leave its quotes", () => {
    const evil = { ...exec, name: "evil", summary: "x'; touch /tmp/daimon-owned; echo '$(id) `id` \\" };
    const script = completion("fish", [evil]);
    expect(script).toContain("-d 'x\\'; touch /tmp/daimon-owned; echo \\'$(id) `id` \\\\'");
    expect(completion("zsh", [evil])).toContain("'evil:x'\\''; touch /tmp/daimon-owned; echo '\\''$(id) `id` \\'");
    for (const shell of shells.filter(has)) expect(syntaxOf(shell, completion(shell, [evil])), shell).toBe("");
  });

  it("TTY-10.3  each script passes its shell's syntax check", () => {
    expect(has("bash")).toBe(true);
    for (const shell of shells.filter(has)) {
      expect(syntaxOf(shell, completion(shell, commands)), shell).toBe("");
      expect(syntaxOf(shell, `${completion(shell, commands)} ' (`), shell).not.toBe("");
    }
  });
});
