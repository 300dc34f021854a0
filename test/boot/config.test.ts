import * as fs from "node:fs";
import { execFileSync } from "node:child_process";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { effective, loadConfig, type Config, type ConfigScope, type ConfigSource } from "../../src/boot/config.ts";
import { readConfigSources } from "../../src/boot/config-read.ts";
import { parseMcpJson } from "../../src/boot/mcp.ts";
import { looksSecret } from "../../src/boot/secret.ts";
import { readTrust } from "../../src/boot/trust.ts";
import { noRules } from "../../src/boot/terms.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { freshLayout, put } from "./folder.ts";

function source(text: string, scope: ConfigScope = "project", trusted = true): ConfigSource {
  const name = scope === "project" ? "daimon.yaml" : `${scope}.yaml`;
  return { scope, format: "yaml", name, folder: `/${scope}`, text, trusted, accepted: null, widened: [] };
}

async function load(...sources: readonly ConfigSource[]): Promise<Config> {
  const config = await loadConfig(sources);
  if (!config.ok) throw new Error(config.error.message);
  return config.value;
}

async function problemsOf(text: string): Promise<readonly string[]> {
  const config = await loadConfig([source(text)]);
  expect(config).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
  return config.ok ? [] : config.error.message.split("\n").slice(1);
}

const full = `
cpu: ollama/qwen3
models:
  ollama: { baseUrl: "http://localhost:11434/v1" }
  openai: { keyEnv: OPENAI_API_KEY }
policy:
  files: [policy/team.cedar]
  allow: ["fs.write(out/**)"]
  ask: ["net.fetch(*)"]
  deny: ["shell.run(rm *)"]
budget:
  costUsd: 2 USD
  tokens: 1_000_000
  calls: 200
  time: 10m
window: 32_000
sandbox: { timeout: 2m, memory: 512 MiB, processes: 64, output: 100 kB }
mcp:
  servers:
    files: { command: npx, args: [-y, server], env: { PORT: 8080, TOKEN: "\${TOKEN}" } }
    web: { url: "https://mcp.example/sse" }
egress:
  api.example.com: { header: X-Key, keyEnv: EXAMPLE_KEY }
instructions: [docs/style.md]
`;

describe("config", () => {
  it("reads every key, each with its origin", async () => {
    const config = await load(source(full));
    expect(config).toMatchObject({
      cpu: "ollama/qwen3",
      models: {
        ollama: { baseUrl: "http://localhost:11434/v1", keyEnv: null },
        openai: { baseUrl: null, keyEnv: "OPENAI_API_KEY" },
      },
      limits: { costUsd: 2, tokens: 1_000_000, calls: 200, timeMs: 600_000 },
      windowTokens: 32_000,
      sandbox: { timeoutMs: 120_000, memoryBytesMax: 536_870_912, processesMax: 64, outputBytesMax: 100_000 },
      mcp: { files: { command: "npx", args: ["-y", "server"], env: { PORT: "8080" } }, web: { url: "https://mcp.example/sse" } },
      origins: { cpu: { file: "daimon.yaml", line: 2 }, "budget.timeMs": { line: 15 }, "mcp.web": { line: 21 } },
      findings: [],
    });
    expect(config.policy.files).toEqual([
      { path: "/project/policy/team.cedar", permits: noRules, origin: { scope: "project", file: "daimon.yaml", line: 7 } },
    ]);
    expect(config.policy.deny).toEqual([
      { value: "shell.run(rm *)", origin: { scope: "project", file: "daimon.yaml", line: 10 } },
    ]);
    expect(config.instructions.map((file) => file.value)).toEqual(["/project/docs/style.md"]);
  });

  it("BOO-3.1  an unknown key names file, line and the nearest key", async () => {
    expect(await problemsOf("cpu: reflex\nbuget:\n  calls: 1\n")).toEqual([
      "daimon.yaml:2: the file has no key `buget`; did you mean `budget`? It knows `cpu`, `models`, `policy`, `budget`, `window`, `sandbox`, `mcp`, `egress`, `instructions`.",
    ]);
    expect((await problemsOf("budget: { token: 1 }"))[0]).toContain("did you mean `tokens`?");
    expect((await problemsOf("__proto__: { a: 1 }\nconstructor: 2"))[1]).toContain("no key `constructor`");
  });

  it("BOO-3.2  a wrong type or unit says what is expected", async () => {
    const cases: Readonly<Record<string, string>> = {
      "budget: { time: 10 }": "`budget.time` is a duration like `10m`",
      "budget: { costUsd: free }": "`budget.costUsd` is an amount like `2 USD`",
      "budget: { calls: true }": "`budget.calls` is a count",
      "budget: [1]": "`budget` is a map",
      "window: 3": "`window` is a count of tokens from 256 on",
      "sandbox: { memory: 1 KiB }": "a size from 1 MiB on",
      "policy: { deny: shell.run }": "`policy.deny` is a list",
      "cpu: [a]": "`cpu` is `DRIVER`",
      "cpu: a b": "`cpu` is `DRIVER`",
      "models: { x: { baseUrl: 'file:///etc' } }": "begins with http:// or https://",
      "models: { x: { baseUrl: 'https://me:pw@h' } }": "holds a password",
      "models: { x: { keyEnv: 'my key' } }": "name of an environment variable",
      "mcp: { servers: { a: { } } }": "needs a `command` to start or a `url` to reach",
      "- a\n- b": "the file is a map",
    };
    for (const [text, expected] of Object.entries(cases)) expect((await problemsOf(text))[0], text).toContain(expected);
  });

  it("BOO-3.3  broken YAML, duplicates, tags, documents, size and aliases are errors with a line", async () => {
    const bomb = `a: &a [x]\n${Array.from({ length: 40 }, () => "").join("\n")}`;
    expect((await problemsOf("cpu: reflex\nbudget: {"))[0]).toMatch(/^daimon\.yaml:[23]: not valid YAML/);
    expect(await problemsOf("cpu: a\nwindow: 300\ncpu: b")).toEqual(["daimon.yaml:3: the key stands twice; keep one"]);
    expect((await problemsOf("cpu: !!js/function x"))[0]).toContain("tags");
    expect((await problemsOf("cpu: a\n---\ncpu: b"))[0]).toContain("several documents");
    expect((await problemsOf(`# ${"x".repeat(limits.configBytesMax)}`))[0]).toContain("larger than");
    const aliases = `policy:\n  deny:\n    - &d fs.write\n${"    - *d\n".repeat(limits.configAliasesMax + 1)}`;
    expect((await problemsOf(aliases))[0]).toContain("aliases");
    expect((await problemsOf(bomb))[0]).toContain("no key `a`");
    const few = await load(source("policy:\n  deny: [&d fs.write, *d]"));
    expect(few.policy.deny.map((rule) => rule.value)).toEqual(["fs.write", "fs.write"]);
  });

  it("BOO-3.3  any text gives a result, never an exception", async () => {
    const words = fc.constantFrom(
      "budget",
      "cpu",
      "mcp",
      "policy",
      "*a",
      "&a",
      "deny",
      "x",
      "1",
      "~",
      "? ",
      ": ",
      "- ",
      "\n",
      "\n  ",
      "{",
      "}",
      "[",
      "]",
      "!!set ",
      "<<",
      "|",
      "\t",
      "'",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.array(words, { maxLength: 40 }).map((list) => list.join("")),
        ),
        async (text) => {
          const config = await loadConfig([source(text)]);
          expect(config.ok || config.error.errno === "EINVAL").toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("BOO-3.4  a credential is refused and not repeated", async () => {
    const key = `sk-ant-${"a1B2".repeat(10)}`;
    for (const text of [
      `models: { anthropic: { keyEnv: ${key} } }`,
      `mcp: { servers: { a: { command: x, env: { KEY: ${key} } } } }`,
      `cpu: ${key}`,
      `models: { ${key}: {} }`,
    ]) {
      const problems = (await problemsOf(text)).join("\n");
      expect(problems).toContain("credential");
      expect(problems).not.toContain("a1B2");
    }
    expect((await problemsOf(`models: { anthropic: { keyEnv: ${key} } }`))[0]).toContain("`keyEnv`");
  });

  it("BOO-3.5  all problems are told at once, in order, ten at most", async () => {
    expect(await problemsOf("window: x\ncpu: [a]\nbudget: { calls: no way }")).toHaveLength(3);
    const many = await problemsOf(Array.from({ length: 15 }, (_, n) => `k${n}: 1`).join("\n"));
    expect(many).toHaveLength(11);
    expect(many.map((line) => Number(line.split(":")[1])).slice(0, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(many.at(-1)).toBe("daimon.yaml: and 5 more");
  });

  it("BOO-3.6  the known credential formats are recognised, ordinary values are not", () => {
    const secrets = [
      `sk-proj-${"x".repeat(30)}`,
      "AKIAIOSFODNN7EXAMPLE",
      `ghp_${"a".repeat(36)}`,
      `AIza${"b".repeat(35)}`,
      "-----BEGIN OPENSSH PRIVATE KEY-----",
      `Bearer ${"c".repeat(24)}`,
    ];
    for (const secret of secrets) expect(looksSecret(secret), secret.slice(0, 8)).toBe(true);
    for (const plain of [
      "ANTHROPIC_API_KEY",
      "sk-learn",
      sha256("x"),
      "https://api.example.com/v1",
      "task-force-management-and-planning",
      "${TOKEN}",
      "fs.write(out/**)",
      "claude-sonnet-4-5-20250929",
    ]) {
      expect(looksSecret(plain), plain).toBe(false);
    }
  });

  it("BOO-3.7  .mcp.json is read as it is found", () => {
    const text = JSON.stringify({
      mcpServers: {
        a: { type: "stdio", command: "npx", args: ["-y", "x"], env: { T: "${T:-1}" }, other: 1 },
        b: { type: "http", url: "https://h/mcp", headers: { A: "${K}" } },
      },
    });
    const { servers, findings } = parseMcpJson(".mcp.json", text);
    expect(findings).toEqual([]);
    expect(servers.get("a")).toEqual({ command: "npx", args: ["-y", "x"], env: { T: "${T:-1}" }, url: null, headers: {} });
    expect(servers.get("b")).toEqual({ command: null, args: [], env: {}, url: "https://h/mcp", headers: { A: "${K}" } });
  });

  it("BOO-3.8  what cannot be read in .mcp.json is a finding and the rest is kept", () => {
    expect(parseMcpJson(".mcp.json", "{").findings[0]).toMatchObject({ rule: "BOO-3.8", where: ".mcp.json" });
    const { servers, findings } = parseMcpJson(
      ".mcp.json",
      `{"mcpServers":{"bad":{"args":[1]},"odd":{"command":"x","args":[1]},"good":{"command":"x"}}}`,
    );
    expect([...servers.keys()]).toEqual(["good"]);
    expect(findings.map((finding) => finding.message.split("`")[1])).toEqual(["bad", "odd"]);
  });

  it("BOO-3.9  a credential in .mcp.json is a finding that does not repeat it", () => {
    const key = `ghp_${"Zz9".repeat(12)}`;
    const { servers, findings } = parseMcpJson(".mcp.json", `{"mcpServers":{"a":{"command":"x","env":{"T":"${key}"}}}}`);
    expect(servers.size).toBe(1);
    expect(findings).toMatchObject([{ rule: "BOO-3.9", severity: "warning" }]);
    expect(JSON.stringify(findings)).not.toContain("Zz9");
  });

  it("BOO-3.10  of a limit the smallest of all scopes is in force", async () => {
    const amount = fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(amount, amount, amount, async (organisation, project, user) => {
        const set = { organisation, project, user };
        const sources = (["user", "organisation", "project"] as const).flatMap((scope) => {
          return set[scope] === undefined ? [] : [source(`budget: { calls: ${set[scope]} }\nwindow: ${set[scope] + 300}`, scope)];
        });
        const config = await load(...sources);
        const values = Object.values(set).filter((value) => value !== undefined);
        const least = values.length === 0 ? null : Math.min(...values);
        expect(config.limits.calls).toBe(least);
        expect(config.windowTokens).toBe(least === null ? null : least + 300);
        const origin = config.origins["budget.calls"];
        expect(origin === undefined ? null : set[origin.scope]).toBe(least);
      }),
      { numRuns: 60 },
    );
  });

  it("BOO-3.11  denies, asks and allows of all scopes are kept, upper scopes first", async () => {
    const config = await load(
      source("policy: { deny: [c], allow: [x] }", "user"),
      source("policy: { deny: [a], allow: [x] }", "organisation"),
      source("policy: { deny: [b] }"),
    );
    expect(config.policy.deny.map((rule) => `${rule.origin.scope} ${rule.value}`)).toEqual([
      "organisation a",
      "project b",
      "user c",
    ]);
    expect(config.policy.allow.map((rule) => rule.origin.scope)).toEqual(["organisation", "user"]);
  });

  it("BOO-3.12  of a choice the highest scope's whole entry is in force", async () => {
    const config = await load(
      source("cpu: low\nmodels: { a: { baseUrl: 'http://evil', keyEnv: LOW }, b: { keyEnv: B } }", "user"),
      source("cpu: high\nmodels: { a: { keyEnv: HIGH } }", "organisation"),
    );
    expect(config.cpu).toBe("high");
    expect(config.models).toEqual({ a: { baseUrl: null, keyEnv: "HIGH" }, b: { baseUrl: null, keyEnv: "B" } });
  });

  it("BOO-3.13  an untrusted project file restricts but does not widen", async () => {
    const mcp: ConfigSource = {
      scope: "project",
      format: "mcp",
      name: ".mcp.json",
      folder: "/project",
      text: `{"mcpServers":{"z":{"command":"curl"}}}`,
      trusted: false,
      accepted: null,
      widened: [],
    };
    const config = await load(source(full, "project", false), mcp);
    expect(config).toMatchObject({
      models: {},
      mcp: {},
      limits: { calls: 200 },
      policy: { allow: [], files: [{ permits: null }] },
    });
    expect(config.policy.deny).toHaveLength(1);
    expect(config.policy.ask).toHaveLength(1);
    expect(config.findings).toMatchObject([
      { rule: "BOO-3.13", where: "daimon.yaml", message: expect.stringContaining("daimon config trust daimon.yaml") },
      { rule: "BOO-3.13", where: ".mcp.json", message: expect.stringContaining("1 MCP server(s)") },
    ]);
  });

  it("BOO-3.14  a project's paths stay inside the workspace", async () => {
    expect(
      await problemsOf(
        "cpu: reflex\ninstructions:\n  - ../../etc/passwd\n  - /etc/passwd\n  - ok.md\npolicy: { files: [a/../../b] }",
      ),
    ).toEqual([
      "daimon.yaml:3: `../../etc/passwd` lies outside the workspace; name a file inside it, relative to daimon.yaml",
      "daimon.yaml:4: `/etc/passwd` lies outside the workspace; name a file inside it, relative to daimon.yaml",
      "daimon.yaml:6: `a/../../b` lies outside the workspace; name a file inside it, relative to daimon.yaml",
    ]);
    expect((await load(source("instructions: [/srv/rules.md]", "organisation"))).instructions[0]?.value).toBe("/srv/rules.md");
  });

  it("BOO-3.15  one broken file refuses the whole, with the problems of all", async () => {
    const config = await loadConfig([
      source("cpu: [", "user"),
      source("policy: { deny: [x] }", "organisation"),
      source("nope: 1"),
    ]);
    expect(config.ok).toBe(false);
    if (!config.ok) expect(config.error.message).toMatch(/daimon\.yaml:1: .*\n.*user\.yaml:1: /s);
  });

  it("BOO-3.21  a credential for a host is named by its variable, and what cannot be one is an error with its line", async () => {
    expect(effective(await load(source(full)))).toContainEqual({
      key: "egress.api.example.com",
      value: "X-Key from EXAMPLE_KEY",
      origin: expect.stringContaining("project daimon.yaml:") as string,
    });
    const entry = (host: string, header: string, keyEnv: string): string =>
      `egress:\n  "${host}": { header: "${header}", keyEnv: "${keyEnv}" }`;
    for (const [text, wanted] of [
      [entry("api.example.com:443", "X-Key", "KEY"), /name of a host/],
      [entry("API.example.com", "X-Key", "KEY"), /name of a host/],
      [entry("*.example.com", "X-Key", "KEY"), /name of a host/],
      [entry("localhost", "X-Key", "KEY"), /name of a host/],
      [entry("a.test", "Host", "KEY"), /not a header that a credential stands in/],
      [entry("a.test", "Proxy-Authorization", "KEY"), /not a header/],
      [entry("a.test", "X:Y", "KEY"), /not a header/],
      [entry("a.test", "X-Key", "a key"), /name of an environment variable/],
      ["egress:\n  a.test: { header: X-Key }", /needs a `header` and a `keyEnv`/],
      ["egress:\n  a.test: { header: X, keyEnv: K, value: v }", /has no key `value`/],
    ] as const) {
      const [problem] = await problemsOf(text);
      expect(problem, text).toMatch(wanted);
      expect(problem, text).toMatch(/^daimon\.yaml:2: /);
    }
  });

  it("BOO-3.13  a credential for a host is held back with all else that an untrusted file would widen", async () => {
    const config = await load(source(full, "project", false), source("egress: { a.test: { header: X, keyEnv: K } }", "user"));
    expect(config.egress).toEqual({ "a.test": { header: "X", keyEnv: "K" } });
    expect(config.findings.map(({ message }) => message).join()).toContain("the credentials for 1 host(s)");
  });

  it("BOO-3.16  effective() shows every value with its origin and no environment value", async () => {
    const rows = effective(
      await load(source("mcp: { servers: { a: { command: run, env: { TOKEN: hunter2 } } } }\nbudget: { calls: 5 }")),
    );
    expect(rows).toContainEqual({ key: "budget.calls", value: "5", origin: "project daimon.yaml:2" });
    expect(rows).toContainEqual({ key: "mcp.a", value: "TOKEN=(set) run", origin: "project daimon.yaml:1" });
    expect(rows).toContainEqual({ key: "cpu", value: "none", origin: "default" });
    expect(JSON.stringify(rows)).not.toContain("hunter2");
  });

  it("BOO-3.17  no file is the defaults, without loading the YAML reader", async () => {
    const config = await load();
    expect(config).toMatchObject({
      cpu: null,
      limits: { costUsd: null },
      sandbox: { timeoutMs: limits.shellTimeoutMs },
      findings: [],
    });
    const module = path.resolve(import.meta.dirname, "../../src/boot/config.ts");
    const loads = (sources: string): string => {
      const script = `import { registerHooks } from "node:module";
        let yaml = 0;
        registerHooks({ load(url, context, next) { if (url.includes("/yaml/")) yaml += 1; return next(url, context); } });
        const { loadConfig } = await import(${JSON.stringify(module)});
        const config = await loadConfig(${sources});
        console.log(config.ok, yaml > 0);`;
      return execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).trim();
    };
    expect(loads("[]")).toBe("true false");
    expect(loads(JSON.stringify([source("cpu: a")]))).toBe("true true");
  });

  it("BOO-3.18  a missing file is empty, an unreadable one is an error", async () => {
    const layout = freshLayout();
    const trust = readTrust(layout);
    if (!trust.ok) throw new Error(trust.error.message);
    expect(await readConfigSources(layout, trust.value, new Set())).toEqual({ ok: true, value: [] });
    fs.mkdirSync(layout.user.config, { recursive: true });
    expect(await readConfigSources(layout, trust.value, new Set())).toMatchObject({
      ok: false,
      error: { errno: "EINVAL", message: expect.stringContaining("~/.config/daimon/config.yaml") },
    });
  });

  it("BOO-3.18  an unreadable .mcp.json is a finding and the boot goes on", async () => {
    const layout = freshLayout();
    fs.mkdirSync(layout.mcp);
    const trust = readTrust(layout);
    const sources = trust.ok ? await readConfigSources(layout, trust.value, new Set()) : trust;
    expect((await load(...(sources.ok ? sources.value : []))).findings).toMatchObject([{ rule: "BOO-3.8", where: ".mcp.json" }]);
  });

  it("BOO-3.19  the user's file may be a link", async () => {
    const layout = freshLayout();
    put(path.join(layout.user.folder, "dotfiles.yaml"), "cpu: mine");
    fs.symlinkSync("dotfiles.yaml", layout.user.config);
    const trust = readTrust(layout);
    const sources = trust.ok ? await readConfigSources(layout, trust.value, new Set()) : trust;
    expect(sources).toMatchObject({ ok: true, value: [{ scope: "user", text: "cpu: mine" }] });
  });

  it("BOO-3.19  a link in place of daimon.yaml is refused", async () => {
    const layout = freshLayout();
    put(path.join(layout.root, "other.yaml"), "cpu: a");
    fs.symlinkSync("other.yaml", layout.config);
    const trust = readTrust(layout);
    if (trust.ok)
      expect(await readConfigSources(layout, trust.value, new Set())).toMatchObject({ ok: false, error: { errno: "EPERM" } });
    expect(trust.ok).toBe(true);
  });
});
