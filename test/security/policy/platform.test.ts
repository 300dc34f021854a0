import { expect, test } from "vitest";
import { parsePolicies } from "../../../src/drivers/policy/cedar.ts";
import { platformPolicy } from "../../../src/security/policy/platform.ts";
import { engineOf, question, schema, shorthandText } from "./fixture.ts";

const engine = engineOf([platformPolicy]);
const commit = (path: string, declared = false) => engine.decide(question("fs.commit", path, { declared }));

test("POL-14.1  pure, read and session writes are permitted; external calls are not; nothing warns", () => {
  for (const [call, argument] of [
    ["task.done"],
    ["fs.read", "a.md"],
    ["fs.list", "."],
    ["fs.write", "a.md"],
    ["shell.run", "make"],
    ["mem.note"],
  ] as const) {
    expect(engine.decide(question(call, argument)).verb).toBe("allow");
  }
  expect(engine.decide(question("net.fetch", "example.com"))).toEqual({ verb: "deny", rules: [] });
  expect(engine.decide(question("mcp.hub.push"))).toEqual({ verb: "deny", rules: [] });
  expect(engine.decide(question("fs.write", "a.md", { session: false })).verb).toBe("deny");
  const set = parsePolicies([platformPolicy], schema);
  expect(set.ok && set.value.warnings).toEqual([]);
});

test("POL-14.2  a declared output is committed, anything else asks until a plain permit settles it", () => {
  expect(commit("BRIEF.md", true)).toEqual({ verb: "allow", rules: ["platform.commit-declared"] });
  expect(commit("a.md")).toEqual({ verb: "ask", rules: ["platform.commit-ask"] });
  const settled = engineOf([platformPolicy, shorthandText({ allow: ["fs.commit(docs/**)"] })]);
  expect(settled.decide(question("fs.commit", "docs/a.md")).verb).toBe("allow");
  expect(settled.decide(question("fs.commit", "src/a.md")).verb).toBe("ask");
});

test("POL-14.6  sharing a file with other processes asks a person until a plain permit settles it", () => {
  expect(engine.decide(question("fs.share", "a.md"))).toEqual({ verb: "ask", rules: ["platform.share-ask"] });
  expect(engine.decide(question("fs.share", ".ssh/id_rsa")).verb).toBe("deny");
  const settled = engineOf([platformPolicy, shorthandText({ allow: ["fs.share(reports/**)"] })]);
  expect(settled.decide(question("fs.share", "reports/a.md")).verb).toBe("allow");
});

test.each([
  "AGENTS.md",
  "a/b/agents.MD",
  "CLAUDE.md",
  "x/SKILL.md",
  ".git",
  ".git/hooks/pre-commit",
  "sub/.git/config",
  ".daimon/policy/p.cedar",
  ".claude/settings.json",
  ".codex/config.toml",
  ".vscode/tasks.json",
  "a/.bashrc",
  ".mcp.json",
  "daimon.yaml",
  "daimon.cedar",
  ".github/workflows/ci.yml",
  ".envrc",
  ".husky/pre-commit",
  "packages/a/.pnpmfile.cjs",
  ".gitlab-ci.yml",
  "CODEOWNERS",
  ".cargo/config.toml",
  "a/b.code-workspace",
  "git~1/hooks/post-checkout",
])("POL-14.3  %s is never committed, declared or not, but may be read", (path) => {
  expect(commit(path, true).verb).toBe("deny");
  expect(commit(path, true).rules.every((rule) => rule.startsWith("platform.no-commit-of-"))).toBe(true);
  expect(engine.decide(question("fs.read", path)).verb).toBe("allow");
});

test.each([
  "gitignore.md",
  "x.git/a",
  "agents.md.txt",
  "git/hooks/a",
  "mygithub/workflows/ci.yml",
  "Makefile",
  "package.json",
  "tests/test_a.py",
])("POL-14.3  %s is an ordinary file", (path) => {
  expect(commit(path, true).verb).toBe("allow");
});

test.each([
  ".env",
  "a/.ENV",
  ".env.production",
  "prod.env",
  "keys/server.pem",
  "id_rsa",
  "home/.ssh/config",
  ".aws/credentials",
  "a/.kube/config",
  "x/service-account-1.json",
  ".netrc",
  ".docker/config.json",
])("POL-14.4  %s is neither read nor written nor committed, and the refusal has a reason", (path) => {
  for (const call of ["fs.read", "fs.search", "fs.write", "fs.commit"]) {
    const decision = engine.decide(question(call, path, { declared: true }));
    expect(decision.verb).toBe("deny");
    expect(engine.rule(decision.rules[0] ?? "")?.reason).toMatch(/./);
  }
});

test.each([
  ".env.example",
  "a/.env.template",
  "environment.md",
  "pem.md",
  "docs/ssh/readme.md",
  "id_rsa.pub",
  ".docker/Dockerfile",
  "keyboard.ts",
])("POL-14.4  %s may be read", (path) => {
  expect(engine.decide(question("fs.read", path)).verb).toBe("allow");
});

test("POL-14.4  a template's name opens no folder of credentials", () => {
  expect(engine.decide(question("fs.read", ".ssh/.env.example")).verb).toBe("deny");
});
