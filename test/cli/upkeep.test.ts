import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Health } from "../../src/cli/doctor.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { snapshot } from "../boot/folder.ts";
import { daimon, documents, place } from "./shell.ts";

interface Settings {
  readonly settings: readonly { readonly key: string; readonly origin: string }[];
  readonly files: readonly unknown[];
}

interface Doctor {
  readonly healthy: boolean;
  readonly checks: readonly Health[];
}

describe("a fresh folder", () => {
  const here = place();

  it("CLI-5.1  commands that look find nothing, say how to start, and make nothing", () => {
    for (const args of [
      ["ps"],
      ["top"],
      ["log"],
      ["log", "verify"],
      ["why", "1"],
      ["replay"],
      ["diff", "1"],
      ["approve"],
      ["kill", "1"],
      ["run", "--resume"],
      ["fsck"],
    ]) {
      const ran = here.run(...args);
      expect([args[0], ran.code]).toEqual([args[0], 66]);
      expect(ran.err).toContain("daimon run brief FOLDER");
    }
    for (const args of [["doctor"], ["config"], ["help"]]) expect([args[0], here.run(...args).code]).toEqual([args[0], 0]);
    expect(fs.readdirSync(here.folder)).toEqual([]);
  });

  it("CLI-14.1  init makes a commented daimon.yaml, trusted, and .daimon, and nothing else", () => {
    const made = here.json("init");
    expect(made).toMatchObject({ root: here.folder, trusted: "daimon.yaml" });
    expect(fs.readdirSync(here.folder).toSorted()).toEqual([".daimon", "daimon.yaml"]);
    expect(fs.statSync(path.join(here.folder, ".daimon")).mode & 0o777).toBe(0o700);
    const lines = here.read("daimon.yaml").split("\n");
    expect(lines.every((line) => line === "" || line.startsWith("#"))).toBe(true);
    const json = here.json<Settings>("config");
    expect(json.files).toEqual([{ scope: "project", name: "daimon.yaml", trusted: true, widened: [] }]);
    expect(json.settings.every((row) => row.origin === "default")).toBe(true);
  });

  it("CLI-14.1  every commented setting is valid once its mark is taken away", () => {
    const other = place();
    other.run("init", ".");
    const text = other
      .read("daimon.yaml")
      .replaceAll(/^# (?=[a-z]+:| )/gm, "")
      .replace(/^cpu: reflex\n/m, "");
    other.put("docs/house-rules.md", "Be brief.\n");
    other.put("daimon.yaml", text);
    other.run("config", "trust", "daimon.yaml");
    const shown = other.run("config");
    expect(shown).toMatchObject({ code: 0 });
    for (const key of ["budget.costUsd", "policy.allow", "policy.ask", "policy.deny", "instructions"])
      expect(shown.out).toContain(key);
  });

  it("CLI-14.2  an existing daimon.yaml is left alone", () => {
    here.put("daimon.yaml", "cpu: reflex\n");
    expect(here.run("init")).toMatchObject({ code: 17 });
    expect(here.read("daimon.yaml")).toBe("cpu: reflex\n");
    expect(here.run("init", "deeper/down").code).toBe(0);
    expect(here.has("deeper/down/daimon.yaml")).toBe(true);
  });

  it("CLI-25.1  settings come with their value and origin, and secrets are not shown", () => {
    here.put("daimon.yaml", "cpu: reflex\nbudget:\n  calls: 7\n");
    here.run("config", "trust", "daimon.yaml");
    const { settings } = here.json<Settings>("config");
    const row = (key: string): unknown => settings.find((one) => one.key === key);
    expect(row("cpu")).toEqual({ key: "cpu", value: "reflex", origin: "project daimon.yaml:1" });
    expect(row("budget.calls")).toEqual({ key: "budget.calls", value: "7", origin: "project daimon.yaml:3" });
    const { out } = here.run("config");
    expect(out).toContain("project daimon.yaml:3");
    for (const row of [/^sandbox\.timeout +2 min +default$/m, /^sandbox\.memory +1 GiB +default$/m, /^window +none +default$/m])
      expect(out).toMatch(row);
    here.put(".mcp.json", JSON.stringify({ mcpServers: { mail: { command: "mail", env: { TOKEN: "hunter2hunter2" } } } }));
    here.run("config", "trust", ".mcp.json");
    const shown = here.run("config");
    expect(shown.out).toContain("mcp.mail");
    expect(shown.out + shown.err + JSON.stringify(here.json("config"))).not.toContain("hunter2");
    fs.rmSync(path.join(here.folder, ".mcp.json"));
  });

  it("CLI-25.2  trust accepts a file as it is, distrust takes it back, and nothing outside is accepted", () => {
    here.put("a/CLAUDE.md", "x");
    expect(here.json("config", "trust", "CLAUDE.md", "--cwd", "a")).toEqual({
      trusted: "a/CLAUDE.md",
      digest: sha256("x"),
      adds: [],
    });
    expect(here.json("config", "distrust", "a/CLAUDE.md")).toEqual({ distrusted: "a/CLAUDE.md", acceptances: 1 });
    expect(here.run("config", "trust", "/etc/hostname")).toMatchObject({ code: 64 });
    const none = here.run("config", "trust", "none.md");
    expect(none).toMatchObject({ code: 66, err: expect.stringContaining("next: name one that is there, such as daimon.yaml") });
    expect(here.run("config", "trust", ".")).toMatchObject({ code: 64, err: expect.stringContaining("is no file") });
    expect(here.run("config", "trust")).toMatchObject({ code: 64 });
    expect(here.run("config", "trsut", "x").err).toContain("did you mean `trust`?");
  });

  it("CLI-25.2  trust tells what it adds, and a version that asks for more is shown with its changes until it is trusted", () => {
    const there = place();
    there.put("daimon.yaml", "budget:\n  calls: 10\npolicy:\n  deny:\n    - Bash\n");
    expect(there.json("config", "trust", "daimon.yaml").adds).toEqual([]);
    expect(there.json("config").files).toMatchObject([{ name: "daimon.yaml", trusted: true, widened: [] }]);
    there.put("daimon.yaml", "budget:\n  calls: 20\npolicy:\n  allow:\n    - WebFetch\n");
    const shown = there.run("config");
    for (const part of ["budget.calls is 20, it was 10", "policy.deny Bash is gone", "policy.allow WebFetch is new"])
      expect(shown.err).toContain(part);
    expect(shown.out).toMatch(/budget\.calls +10 +project daimon\.yaml \(as trusted\)/);
    expect(shown.out).not.toContain("WebFetch");
    const trusted = there.run("config", "trust", "daimon.yaml");
    expect(trusted.out).toMatch(/^daimon\.yaml is trusted as it is now \([0-9a-f]{12}\), with:\n {2}budget\.calls is 20/);
    expect(there.run("config")).toMatchObject({ err: "", out: expect.stringContaining("WebFetch") });
    there.put("lib/a.ts", "export const a = 1;");
    there.put("p.ts", `import "./lib/a.ts"; export default {};`);
    expect(there.json("config", "trust", "p.ts").adds).toEqual(["lib/a.ts is new", "p.ts is new"]);
    there.put("lib/a.ts", "export const a = 2;");
    expect(there.run("run", "p.ts")).toMatchObject({ code: 76, err: expect.stringContaining("lib/a.ts changed") });
  });

  it("CLI-25.3  trust mcp.SERVER shows what its tools say now and said before, and accepts them", () => {
    const there = place();
    const script = path.resolve(import.meta.dirname, "../drivers/tool/mcp-server.ts");
    const args = ["--disable-warning=ExperimentalWarning", script, "swap", path.join(there.home, "swapped")];
    there.put(".mcp.json", JSON.stringify({ mcpServers: { docs: { command: process.execPath, args } } }));
    expect(there.run("config", "trust", "mcp.docs")).toMatchObject({ code: 66, err: expect.stringContaining("no MCP server") });
    there.run("config", "trust", ".mcp.json");
    expect(there.run("config", "trust", "mcp.docs").out).toMatch(
      /^mcp\.docs is trusted as it is now .*\n {2}echo is new: "Says it again\."/,
    );
    expect(there.json("config", "trust", "mcp.docs").adds).toEqual([]);
    const checked = (): readonly Health[] =>
      there.json<{ readonly checks: readonly Health[] }>("doctor").checks.filter(({ name }) => name === "mcp docs");
    expect(checked()).toMatchObject([{ state: "fine", detail: expect.stringMatching(/^\d+ tools accepted$/) }]);
    fs.writeFileSync(path.join(there.home, "swapped"), "");
    expect(there.json("config", "trust", "mcp.docs").adds[0]).toContain(`it was "Says it again."`);
  });

  it("CLI-26.4  doctor tells what is suspicious in what was accepted of a server, and does not start it", () => {
    const there = place();
    const script = path.resolve(import.meta.dirname, "../drivers/tool/mcp-server.ts");
    const started = path.join(there.home, "started");
    const command = `echo >> ${started}; exec ${process.execPath} --disable-warning=ExperimentalWarning ${script} odd`;
    there.put(".mcp.json", JSON.stringify({ mcpServers: { odd: { command: "sh", args: ["-c", command] } } }));
    there.run("config", "trust", ".mcp.json");
    const checked = (): readonly Health[] =>
      there.json<{ readonly checks: readonly Health[] }>("doctor").checks.filter(({ name }) => name === "mcp odd");
    expect(checked()).toMatchObject([{ state: "fine", detail: expect.stringContaining("not connected yet") }]);
    there.run("config", "trust", "mcp.odd");
    expect(checked().slice(1)).toMatchObject([
      {
        state: "degraded",
        detail: expect.stringContaining("mcp.odd.hidden: what it says of itself hides zero-width characters"),
      },
      { state: "degraded", detail: expect.stringContaining("mcp.odd.whisper") },
    ]);
    expect(fs.readFileSync(started, "utf8")).toBe("\n");
  });

  it("CLI-1.3  a configuration with an error is refused with file and line, by every command that boots", () => {
    here.put("daimon.yaml", "budgt:\n  calls: 7\n");
    documents(here);
    for (const args of [["config"], ["run", "brief", "inbox"]]) {
      const ran = here.run(...args);
      expect(ran.code).toBe(64);
      expect(ran.err).toContain("daimon.yaml:1");
      expect(ran.err).toContain("budget");
      expect(ran.err).toContain("next: correct the lines that are named, then start again\n");
    }
    expect(here.run("doctor")).toMatchObject({ code: 1, out: expect.stringContaining("daimon.yaml:1") });
    here.put("daimon.yaml", "");
  });
});

describe("doctor", () => {
  const here = place();

  it("CLI-26.1  every line is fine, degraded or missing, and what is not fine has a next step", () => {
    const { healthy, checks } = here.json<Doctor>("doctor");
    expect(healthy).toBe(true);
    const names = checks.map((one) => one.name);
    for (const name of ["node", "sandbox", "overlay", "ripgrep", "disk", "cpu reflex", "keys", "settings", "policy", "workspace"])
      expect(names).toContain(name);
    for (const one of checks) expect(one.state === "fine" || one.next !== null).toBe(true);
    const bare = daimon(here.folder, ["doctor", "--json"], here.env({ PATH: "/nowhere" }));
    expect((JSON.parse(bare.out) as Doctor).checks.find((one) => one.name === "ripgrep")).toMatchObject({
      state: "degraded",
      next: expect.stringContaining("apt-get install"),
    });
  });

  it("CLI-26.2  keys are named, their values never shown", () => {
    const ran = daimon(here.folder, ["doctor"], here.env({ ANTHROPIC_API_KEY: "very-private-value" }));
    expect(ran.out).toContain("ANTHROPIC_API_KEY set");
    expect(ran.out).toContain("cpu anthropic");
    expect(ran.out + ran.err).not.toContain("very-private-value");
  });

  it("CLI-26.3  it makes nothing in the workspace", () => {
    here.run("doctor");
    expect(fs.readdirSync(here.folder)).toEqual([]);
  });
});

describe("fsck", () => {
  const here = place();
  beforeAll(() => {
    documents(here);
    expect(here.run("run", "brief", "inbox", "--quiet").code).toBe(0);
  }, 60_000);

  it("CLI-24.1  a sound workspace is clean, and --yes alone answers nothing", () => {
    expect(here.run("fsck", "--yes")).toMatchObject({ code: 64 });
    expect(here.json("fsck")).toEqual({ clean: true, findings: [] });
    expect(here.run("fsck", "--repair", "--yes")).toMatchObject({ code: 0 });
    expect(here.json("fsck", "--list")).toEqual({ repairs: [] });
  });

  it("CLI-24.2  a repair asks, and without a terminal needs --yes", () => {
    fs.chmodSync(path.join(here.folder, ".daimon/keys"), 0o755);
    const found = here.run("fsck");
    expect(found).toMatchObject({ code: 1, out: expect.stringContaining("fix:") });
    expect(here.run("fsck", "--repair")).toMatchObject({ code: 75, err: expect.stringContaining("--yes") });
    expect(fs.statSync(path.join(here.folder, ".daimon/keys")).mode & 0o777).toBe(0o755);
    const mended = here.json("fsck", "--repair", "--yes");
    expect(mended).toMatchObject({ repaired: { repairs: [{ explain: expect.stringContaining("mode") }] }, findings: [] });
    expect(fs.statSync(path.join(here.folder, ".daimon/keys")).mode & 0o777).toBe(0o700);
  });

  it("CLI-24.3  a repair is listed and put back", () => {
    const [repair] = here.json("fsck", "--list").repairs;
    expect(here.json("fsck", "--undo", repair.id).undone.id).toBe(repair.id);
    expect(fs.statSync(path.join(here.folder, ".daimon/keys")).mode & 0o777).toBe(0o755);
    expect(here.run("fsck", "--undo", "nothing")).toMatchObject({ code: 66 });
    expect(here.run("fsck", "--undo", repair.id, "--list")).toMatchObject({ code: 64 });
    here.run("fsck", "--repair", "--yes");
  });

  it("BOO-17.1  a preview measures what the next boot measures, and a changed file is named", () => {
    here.put("AGENTS.md", "Write in plain words.\n");
    const { findings } = here.json("fsck");
    expect(findings).toMatchObject([{ rule: "boot-integrity", where: "instructions:AGENTS.md", severity: "warning" }]);
    fs.rmSync(path.join(here.folder, "AGENTS.md"));
    expect(here.json("fsck").findings).toEqual([]);
  });

  it("BOO-17.2  a policy with an error is a finding, and the rest is still checked", () => {
    here.put("daimon.yaml", "policy:\n  files:\n    - broken.cedar\n");
    here.put("broken.cedar", "permit(principal, action, resource\n");
    here.run("config", "trust", "daimon.yaml");
    fs.chmodSync(path.join(here.folder, ".daimon/keys"), 0o755);
    const ran = here.run("fsck");
    expect(ran.code).toBe(1);
    expect(ran.out).toContain("broken.cedar");
    expect(ran.out).toContain(".daimon/keys");
    expect(here.run("run", "brief", "inbox").err).toContain("broken.cedar");
    fs.rmSync(path.join(here.folder, "daimon.yaml"));
    fs.chmodSync(path.join(here.folder, ".daimon/keys"), 0o700);
  });

  it("BOO-18.1  while sessions are looked at, no kernel starts: the lock is free again afterwards", () => {
    expect(here.run("diff", "1").code).toBe(0);
    expect(fs.readdirSync(path.join(here.folder, ".daimon/run/lock"))).toEqual([]);
  });

  it("CLI-18.2  a damaged journal is printed as far as it is whole, and the error comes last", () => {
    const journal = path.join(here.folder, ".daimon/journal");
    const file = path.join(journal, fs.readdirSync(journal).find((name) => /^\d/.test(name)) ?? "");
    const bytes = fs.readFileSync(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    fs.writeFileSync(file, bytes);
    const ran = here.run("log");
    expect(ran.code).toBe(117);
    expect(ran.out.split("\n").length).toBeGreaterThan(10);
    expect(ran.err).toContain("EUCLEAN");
    expect(here.run("log", "verify")).toMatchObject({ code: 1, out: expect.stringContaining("NOT sound") });
    expect(here.run("run", "brief", "inbox").code).toBe(117);
    for (const command of ["ps", "replay"]) expect([command, here.run(command).code]).toEqual([command, 117]);
  });

  it("CLI-24.4  the damaged end is set aside with every byte, is put back by number, and the workspace boots again", () => {
    const daimonFolder = path.join(here.folder, ".daimon");
    const looked = here.run("fsck");
    expect(looked).toMatchObject({ code: 1, out: expect.stringContaining("set the journal aside from its damage on") });
    const before = snapshot(daimonFolder);
    const { repaired } = here.json("fsck", "--repair", "--yes");
    expect(here.run("fsck", "--list").out).toContain(`${repaired.id}  `);
    expect(here.run("log", "verify")).toMatchObject({ code: 0 });
    expect(here.json("fsck", "--undo", repaired.id).undone.id).toBe(repaired.id);
    expect(snapshot(daimonFolder)).toEqual(before);
    expect(here.run("log", "verify")).toMatchObject({ code: 1 });

    const again = here.json("fsck", "--repair", "--yes").repaired;
    expect(here.json("fsck").findings).toEqual([]);
    expect(here.run("ps", "--all").code).toBe(0);
    expect(here.run("run", "brief", "inbox", "--quiet").code).toBe(0);
    const after = snapshot(daimonFolder);
    expect(here.run("fsck", "--undo", again.id)).toMatchObject({
      code: 16,
      err: expect.stringContaining("the journal went on since"),
    });
    expect(snapshot(daimonFolder)).toEqual(after);
  });
});
