/** What a change to a trusted project is worth, on real files and whole machines. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { loadConfig, type Config, type ConfigSource } from "../../src/boot/config.ts";
import { readConfigSources } from "../../src/boot/config-read.ts";
import type { Layout } from "../../src/boot/layout.ts";
import { readTrust } from "../../src/boot/trust.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { freshLayout, put } from "./folder.ts";
import { down, must, perform, told, up, workspace } from "./machine.ts";

async function sourceOf(layout: Layout, name: string, produced: readonly string[] = []): Promise<ConfigSource> {
  const sources = must(await readConfigSources(layout, must(readTrust(layout)), new Set(produced)));
  const found = sources.find((source) => source.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

async function configOf(layout: Layout): Promise<Config> {
  return must(await loadConfig(must(await readConfigSources(layout, must(readTrust(layout)), new Set()))));
}

const settings = "budget:\n  calls: 10\npolicy:\n  allow: [fs.commit(docs/**)]\n  deny: [Read(private/**)]\n";

describe("trusted settings", () => {
  it("BOO-6.2  BOO-3.20  stay trusted while they restrict, and are untrusted again when they widen, whoever changed them", async () => {
    const layout = freshLayout();
    const write = (text: string): void => put(layout.config, text);
    write(settings);
    expect(await sourceOf(layout, "daimon.yaml")).toMatchObject({ trusted: false, accepted: null });
    must(await acceptFile(layout, "daimon.yaml", 1));
    expect(await sourceOf(layout, "daimon.yaml")).toMatchObject({ trusted: true, widened: [] });
    write(`# edited by hand\n${settings.replace("10", "5")}`);
    expect(await sourceOf(layout, "daimon.yaml")).toMatchObject({ trusted: true, widened: [] });
    write(settings.replace("docs/**", "**"));
    expect(await sourceOf(layout, "daimon.yaml")).toMatchObject({
      trusted: false,
      widened: ["policy.allow fs.commit(**) is new"],
    });
    write(settings);
    expect((await sourceOf(layout, "daimon.yaml")).trusted, "back as it was").toBe(true);
    write(settings.replace("docs/**", "**"));
    expect(must(await acceptFile(layout, "daimon.yaml", 2)).adds).toEqual(["policy.allow fs.commit(**) is new"]);
    expect((await sourceOf(layout, "daimon.yaml")).trusted).toBe(true);
    write(settings);
    expect((await sourceOf(layout, "daimon.yaml")).widened, "the last acceptance counts, not any").toEqual([
      "policy.allow fs.commit(docs/**) is new",
    ]);
  });

  it("BOO-3.20  are untrusted when a process wrote them, until a person trusts that version", async () => {
    const layout = freshLayout();
    put(layout.config, settings);
    must(await acceptFile(layout, "daimon.yaml", 1));
    const less = settings.replace("10", "5");
    put(layout.config, less);
    expect((await sourceOf(layout, "daimon.yaml", [sha256(less)])).widened).toEqual(["a process wrote this version"]);
    must(await acceptFile(layout, "daimon.yaml", 2));
    expect((await sourceOf(layout, "daimon.yaml", [sha256(less)])).trusted).toBe(true);
  });

  it("BOO-3.13  that are not as they were trusted hold back what widens, and what was trusted restricts on", async () => {
    const layout = freshLayout();
    put(layout.config, settings);
    must(await acceptFile(layout, "daimon.yaml", 1));
    expect((await configOf(layout)).policy.allow).toHaveLength(1);
    put(layout.config, "budget:\n  calls: 900\n  tokens: 7\npolicy:\n  allow: [WebFetch]\n  deny: [Bash]\n");
    const config = await configOf(layout);
    expect(config.limits).toMatchObject({ calls: 10, tokens: 7 });
    expect(config.policy.allow).toEqual([]);
    expect(config.policy.deny.map(({ value, origin }) => [value, origin.file])).toEqual([
      ["Bash", "daimon.yaml"],
      ["Read(private/**)", "daimon.yaml (as trusted)"],
    ]);
    expect(config.findings).toMatchObject([{ rule: "BOO-3.13", where: "daimon.yaml" }]);
    const message = config.findings[0]?.message;
    for (const part of [
      "budget.calls is 900, it was 10",
      "policy.deny Read(private/**) is gone",
      "policy.allow WebFetch is new",
      "daimon config trust daimon.yaml",
    ])
      expect(message).toContain(part);
    put(layout.config, settings.replace("10", "900").replace(/ {2}allow.*\n/, ""));
    const raised = await configOf(layout);
    expect([raised.limits.calls, raised.findings.length]).toEqual([10, 1]);
    must(await acceptFile(layout, "daimon.yaml", 2));
    expect([(await configOf(layout)).limits.calls, (await configOf(layout)).findings]).toEqual([900, []]);
    put(layout.config, `policy:\n  allow: [${Array.from({ length: 50 }, (_, n) => `fs.commit(a${n})`).join(", ")}]\n`);
    expect((await configOf(layout)).findings[0]?.message).toMatch(/fs\.commit\(a7\) is new; and 42 more\)/);
  });

  it("BOO-3.20  an MCP server is what it is started with: another script, argument or server asks again, fewer do not", async () => {
    const layout = freshLayout();
    const servers = { notes: { command: "node", args: ["tools/server.mjs", "--root=docs"] }, other: { url: "http://h/mcp" } };
    const write = (list: object): void => put(layout.mcp, JSON.stringify({ mcpServers: list }));
    put(path.join(layout.root, "tools/server.mjs"), "first");
    write(servers);
    expect(must(await acceptFile(layout, ".mcp.json", 1)).adds).toHaveLength(2);
    expect((await sourceOf(layout, ".mcp.json")).trusted).toBe(true);
    put(path.join(layout.root, "tools/server.mjs"), "second");
    expect((await sourceOf(layout, ".mcp.json")).widened).toEqual([
      "mcp.notes changed in what it runs or is given: node tools/server.mjs --root=docs",
    ]);
    expect((await configOf(layout)).mcp).toEqual({});
    put(path.join(layout.root, "tools/server.mjs"), "first");
    expect(Object.keys((await configOf(layout)).mcp)).toEqual(["notes", "other"]);
    write({ notes: servers.notes });
    expect((await sourceOf(layout, ".mcp.json")).trusted).toBe(true);
    write({ ...servers, other: { url: "http://evil/mcp" } });
    expect((await sourceOf(layout, ".mcp.json")).widened).toEqual(["mcp.other is http://evil/mcp, it was http://h/mcp"]);
  });

  it("BOO-10.3  a Cedar file that permits more or forbids less loses its permits until it is trusted; more forbids do not matter", async () => {
    const where = workspace();
    const permit = 'permit(principal, action == Action::"net.fetch", resource);\n';
    const forbid = 'forbid(principal, action == Action::"fs.list", resource);\n';
    const more = 'forbid(principal, action == Action::"fs.search", resource);\n';
    const wider = 'permit(principal, action == Action::"fs.commit", resource);\n';
    where.put("daimon.yaml", "policy:\n  files: [rules.cedar]\n");
    const tried = async (text: string): Promise<readonly string[]> => {
      where.put("rules.cedar", text);
      const machine = await up(where);
      const [fetched, listed] = await perform(machine, [
        ["net.fetch", { url: "http://127.0.0.1:1/" }],
        ["fs.list", {}],
      ]);
      const findings = machine.findings.filter(({ rule }) => rule === "BOO-10.3");
      await down(machine);
      return [
        told(fetched).includes("no rule permits") ? "no fetch" : "fetch",
        told(listed).startsWith("EPERM") ? "no list" : "list",
        ...findings.map(({ message }) => /\(it ([^)]*)\)/.exec(message)?.[1] ?? message),
      ];
    };
    where.put("rules.cedar", permit + forbid);
    must(await acceptFile(where.layout, "daimon.yaml", 1));
    expect(await tried(permit + forbid)).toEqual(["fetch", "no list"]);
    expect(await tried(`// words\n${forbid}${permit}${more}`)).toEqual(["fetch", "no list"]);
    expect(await tried(permit + forbid + wider)).toEqual(["no fetch", "no list", "permits more, by 1 rule"]);
    expect(await tried(permit)).toEqual(["no fetch", "list", "forbids less, by 1 rule"]);
    expect(must(await acceptFile(where.layout, "daimon.yaml", 2)).adds).toEqual([
      "policy.files rules.cedar forbids less, by 1 rule",
    ]);
    expect(await tried(permit)).toEqual(["fetch", "list"]);
  });
});

describe("accepting", () => {
  it("BOO-26.1  settings with their terms, a program with its files, anything else by its digest; one word of a broken one is refused", async () => {
    const layout = freshLayout();
    put(layout.config, settings);
    put(path.join(layout.root, "p.ts"), `import "./q.ts"; export default {};`);
    put(path.join(layout.root, "q.ts"), "");
    put(path.join(layout.root, "a.md"), "a");
    for (const file of ["daimon.yaml", "p.ts", "a.md"]) must(await acceptFile(layout, file, 1));
    const kept = must(readTrust(layout)).acceptances;
    expect(kept.map(({ path: file, terms, files }) => [file, terms?.allow ?? null, files ?? null])).toEqual([
      ["daimon.yaml", ["fs.commit(docs/**)"], null],
      ["p.ts", null, { "p.ts": sha256(`import "./q.ts"; export default {};`), "q.ts": sha256("") }],
      ["a.md", null, null],
    ]);
    put(layout.config, "budget: [");
    expect(await acceptFile(layout, "daimon.yaml", 2)).toMatchObject({ error: { errno: "EINVAL" } });
    put(layout.config, "policy:\n  files: [gone.cedar]\n");
    expect(await acceptFile(layout, "daimon.yaml", 2)).toMatchObject({
      error: { message: expect.stringContaining("gone.cedar") },
    });
    put(path.join(layout.root, "gone.cedar"), "permit(");
    expect((await acceptFile(layout, "daimon.yaml", 2)).ok).toBe(false);
    put(path.join(layout.root, "q.ts"), "export {");
    expect(await acceptFile(layout, "p.ts", 2)).toMatchObject({ error: { errno: "ENOEXEC" } });
    expect(must(readTrust(layout)).acceptances).toEqual(kept);
  });

  it("BOO-26.2  what is accepted is what was read: a trust file holds the digest of the text whose terms it holds", async () => {
    const layout = freshLayout();
    put(layout.config, settings);
    const { digest } = must(await acceptFile(layout, "daimon.yaml", 1));
    expect(digest).toBe(sha256(settings));
    expect(must(readTrust(layout)).latest("daimon.yaml")).toMatchObject({ digest, terms: { limits: { "budget.calls": 10 } } });
    expect(fs.statSync(layout.user.trust).mode & 0o777).toBe(0o600);
  });

  it("BOO-26.3  the answer names what is new: all of it the first time, then only that", async () => {
    const layout = freshLayout();
    put(layout.config, settings);
    expect(must(await acceptFile(layout, "daimon.yaml", 1)).adds).toEqual(["policy.allow fs.commit(docs/**) is new"]);
    expect(must(await acceptFile(layout, "daimon.yaml", 2)).adds).toEqual([]);
    put(path.join(layout.root, "p.ts"), `import "./q.ts"; export default {};`);
    put(path.join(layout.root, "q.ts"), "");
    expect(must(await acceptFile(layout, "p.ts", 1)).adds).toEqual(["p.ts is new", "q.ts is new"]);
    put(path.join(layout.root, "q.ts"), "export {};");
    expect(must(await acceptFile(layout, "p.ts", 2)).adds).toEqual(["q.ts changed"]);
    put(path.join(layout.root, "q.ts"), "");
    expect(must(await acceptFile(layout, "p.ts", 3)).adds, "the last acceptance counts").toEqual(["q.ts changed"]);
  });
});
