import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isSimpleCommand, subCommands } from "../../../src/security/policy/command.ts";
import { matches, parseGlob } from "../../../src/lib/glob.ts";
import { globCondition } from "../../../src/security/policy/glob-cedar.ts";
import { engineOf, question } from "./fixture.ts";

test.each([
  "git status",
  "git diff -- 'a;b' \"c d\"",
  "ls *.ts",
  "git diff HEAD~1",
  "a\\ b c",
  "x --y=z",
  "  ls  ",
  "/bin/ls",
  "find . -name '*.ts'",
  "echo '$(x)'",
])("POL-11.1  %j is simple", (command) => {
  expect(isSimpleCommand(command)).toBe(true);
});

test.each([
  "",
  " ",
  "a;b",
  "a&b",
  "a|b",
  "a&&b",
  "a||b",
  "a\nb",
  "a\rb",
  "a>b",
  "a<b",
  "a $(b)",
  "a `b`",
  'a "$(b)"',
  'a "`b`"',
  "a $b",
  "a ${b}",
  "A=1 b",
  "(a)",
  "{ a; }",
  "a #b",
  "a 'b",
  'a "b',
  "a \\",
  "!a",
  "a\0b",
  "if a",
  "*",
  "~/x",
  "a \u202eb",
  "a \\\nb",
  "a <(b)",
  "a {b,$c}",
  "[ a ]",
  "# a",
  "a\u0085b",
])("POL-11.1  %j is not simple", (command) => {
  expect(isSimpleCommand(command)).toBe(false);
});

test("POL-11.1  a real shell runs a simple command as one program, and says so of nothing else", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    " ",
    " ",
    "'",
    '"',
    "\\",
    ";",
    "&",
    "|",
    "$",
    "`",
    "(",
    ")",
    "<",
    ">",
    "\n",
    "#",
    "=",
    "!",
    "{",
    "}",
    "*",
    "x=1",
    "$(a)",
    "~",
  );
  const commands = fc.array(piece, { minLength: 1, maxLength: 10 }).map((pieces) => pieces.join(""));
  const sample = fc.sample(commands, { numRuns: 6_000, seed: 11 }).filter(isSimpleCommand).slice(0, 150);
  expect(sample.length).toBeGreaterThan(60);
  // The shell only reads each line into a function: nothing of it runs, and `declare -f` prints what it understood.
  for (const command of sample) {
    const shell = spawnSync("bash", ["-c", `f() {\n${command}\n}; declare -f f`], { encoding: "utf8" });
    expect([command, shell.status]).toEqual([command, 0]);
    const body = shell.stdout.split("\n").slice(2, -2);
    expect([command, body.length]).toEqual([command, 1]);
    expect(body[0]?.replaceAll(/'[^']*'|"[^"]*"|\\./g, "")).not.toMatch(/[;&|<>`$]/);
  }
});

test.each([
  ["git push -f", ["git", "git push", "git push -f"]],
  ["/usr/bin/git push", ["/usr/bin/git", "git", "git push"]],
  ["a; b", ["a", "b"]],
])("POL-11.2  %j starts %j", (command, wanted) => {
  expect(subCommands(command)).toEqual(wanted);
});

test.each([
  "sudo rm x",
  "env -i A=1 rm x",
  "sh -c 'cd y; rm x'",
  "bash -c \"sh -c 'rm x'\"",
  "xargs rm x",
  "y | xargs -0 rm x",
  "timeout 5 rm x",
  "(rm x)",
  "{ rm x; }",
  "! rm x",
  "A=1 rm x",
  "r'm' x",
  "2>/dev/null rm x",
  "rm >y x",
  "cat <<E\n$(rm x)\nE",
  "echo \"a $(echo 'b' `rm x`)\"",
  "eval 'rm x'",
  "while rm x; do :; done",
  "case a in a) rm x;; esac",
])("POL-11.2  %j starts rm x", (command) => {
  expect(subCommands(command)).toContain("rm x");
});

test.each([
  ["$X y", "*"],
  ["git $X", "git *"],
  ['"$X" y', "*"],
  ["git {push,x}", "git *"],
  ["a `b`", "a *"],
  ["a <(b)", "*"],
  ["/bin/r? x", "*"],
  ["x".repeat(20_000), "*"],
  [`eval "eval \\"eval \\\\\\"eval 'rm x'\\\\\\"\\""`, "*"],
])("POL-11.3  what %j runs is not known: %j", (command, wanted) => {
  expect(subCommands(command)).toContain(wanted);
});

test("POL-11.3  a hostile line takes no time and stays bounded", () => {
  const started = performance.now();
  for (const line of [
    "$(".repeat(8_000),
    "sudo ".repeat(3_000),
    "`".repeat(16_000),
    'sh -c "'.repeat(2_000),
    "(".repeat(16_000),
    "a;".repeat(8_000),
  ]) {
    expect(subCommands(line).length).toBeLessThan(10_000);
    isSimpleCommand(line);
  }
  expect(performance.now() - started).toBeLessThan(3_000);
});

const globs = fc
  .array(fc.constantFrom("a", "b", "*", "**", "a*", "*b", "*.c", 'q"\\u', "x\u00a0y"), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"));
const paths = fc.array(
  fc
    .array(fc.constantFrom("a", "b", "ab", "axb", "x.c", ".c", 'q"', "x\u00a0y"), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join("/")),
  { minLength: 8, maxLength: 8 },
);

function holds(condition: string, path: string): boolean {
  const engine = engineOf([
    { scope: "project", file: "p", text: `permit(principal, action, resource) when { context has path && ${condition} };` },
  ]);
  return engine.decide(question("fs.read", path)).verb === "allow";
}

test("POL-12.1  an exact condition holds for a path if and only if the glob matches", () => {
  fc.assert(
    fc.property(globs, paths, (text, list) => {
      const glob = parseGlob(text);
      const condition = glob.ok ? globCondition(glob.value, "context.path", false) : glob;
      if (!glob.ok || !condition.ok) return;
      for (const path of list)
        expect([text, path, holds(condition.value, path)]).toEqual([text, path, matches(glob.value, path)]);
    }),
    { numRuns: 120 },
  );
});

test("POL-12.2  a widened condition always exists and holds wherever the glob matches", () => {
  fc.assert(
    fc.property(globs, paths, (text, list) => {
      const glob = parseGlob(text);
      if (!glob.ok) return;
      const condition = globCondition(glob.value, "context.path", true);
      expect(condition.ok).toBe(true);
      for (const path of list)
        if (condition.ok && matches(glob.value, path))
          expect([text, path, holds(condition.value, path)]).toEqual([text, path, true]);
    }),
    { numRuns: 120 },
  );
});
