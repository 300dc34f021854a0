import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { put, surroundings } from "./folder.ts";
import { down, must, perform, told, up, workspace, type Workspace } from "./machine.ts";

const server = path.join(import.meta.dirname, "../drivers/tool/mcp-server.ts");

function withServers(where: Workspace): void {
  const entry = (variant: string): object => ({
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", server, variant],
  });
  const servers = { good: entry("plain"), bad: entry("refuses"), gone: { command: "no-such-program" } };
  put(path.join(where.root, ".mcp.json"), JSON.stringify({ mcpServers: servers }));
}

describe("servers", () => {
  it("BOO-14.1  a server that does not start is a finding with its name, and the others' tools are calls", async () => {
    const where = workspace();
    withServers(where);
    must(await acceptFile(where.layout, ".mcp.json", 0));
    const machine = await up(where);
    const failed = machine.findings.filter((finding) => finding.rule === "BOO-14.1");
    expect(failed.map((finding) => finding.where)).toEqual(["mcp bad", "mcp gone"]);
    expect(machine.steps.map((step) => step.name).filter((name) => name.startsWith("mcp:"))).toEqual(["mcp:good"]);
    const tools = [...machine.kernel.calls.all()].map((call) => call.spec.name).filter((name) => name.startsWith("mcp.good."));
    expect(tools.length).toBeGreaterThan(0);
    const [worked] = await perform(machine, [["fs.write", { path: "a", text: "a" }]]);
    expect(told(worked)).toMatch(/^ok/);
  });

  it("BOO-14.1  the servers of a project that nobody trusted are not started", async () => {
    const where = workspace();
    put(
      path.join(where.root, ".mcp.json"),
      JSON.stringify({ mcpServers: { mark: { command: "touch", args: [path.join(where.root, "started")] } } }),
    );
    const machine = await up(where);
    expect(machine.findings.map((finding) => finding.message).join("\n")).toContain(".mcp.json");
    expect(where.has("started")).toBe(false);
  });

  it("BOO-14.3  a variable that an entry names is filled in, one that is not set keeps the server from starting, and no other is given", async () => {
    const where = workspace();
    const args = ["--disable-warning=ExperimentalWarning", server, "plain"];
    const env = { GIVEN: "${FROM_PERSON}", OTHER: "${NOT_SET:-otherwise}", PLAIN: "$FROM_PERSON" };
    const servers = {
      docs: { command: process.execPath, args, env },
      needs: { command: process.execPath, args: ["${NOT_SET}"] },
      file: { url: "${FILE_URL}" },
    };
    put(path.join(where.root, ".mcp.json"), JSON.stringify({ mcpServers: servers }));
    must(await acceptFile(where.layout, ".mcp.json", 0));
    put(where.layout.user.config, "policy:\n  allow: [mcp__docs]\n");
    const world = surroundings(where.folder);
    const given = { ...world.env, FROM_PERSON: "yes", SECRET: "sk-not-for-servers", FILE_URL: "file:///etc/passwd" };
    const machine = await up(where, { world: { ...world, env: given } });
    const [seen] = await perform(machine, [["mcp.docs.environment", {}]]);
    const value = seen?.ok === true && isObject(seen.value) ? seen.value : {};
    expect(parseJson(String(value["text"]))).toMatchObject({ GIVEN: "yes", OTHER: "otherwise", PLAIN: "$FROM_PERSON" });
    expect(told(seen)).not.toContain("sk-not-for-servers");
    const failed = machine.findings.filter((finding) => finding.rule === "BOO-14.1").map(({ message }) => message);
    expect(failed[0]).toMatch(/"needs" names NOT_SET, which is not set/);
    expect(failed[1]).toMatch(/"file" has no http address/);
  });

  it("BOO-14.4  what is suspicious is told once, when the tools are pinned", async () => {
    const where = workspace();
    const entry = { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", server, "odd"] };
    put(path.join(where.root, ".mcp.json"), JSON.stringify({ mcpServers: { odd: entry } }));
    must(await acceptFile(where.layout, ".mcp.json", 0));
    const first = await up(where);
    const told = first.findings.filter(({ rule }) => rule === "TTX-1.1").map(({ where: place }) => place);
    expect(told).toEqual(["mcp.odd.hidden", "mcp.odd.whisper"]);
    await down(first);
    const second = await up(where);
    expect(second.findings.filter(({ rule }) => rule.startsWith("TTX"))).toEqual([]);
  });

  it("BOO-14.2  without a server there is no step, no call and no finding; closing ends those that there are", async () => {
    const none = await up(workspace());
    expect([...none.kernel.calls.all()].some((call) => call.spec.name.startsWith("mcp."))).toBe(false);
    expect(none.steps.some((step) => step.name.startsWith("mcp"))).toBe(false);
    await down(none);
    const where = workspace();
    withServers(where);
    must(await acceptFile(where.layout, ".mcp.json", 0));
    const before = children();
    const machine = await up(where);
    expect(children().length).toBeGreaterThan(before.length);
    await down(machine);
    expect(children()).toEqual(before);
  });
});

function children(): readonly string[] {
  return fs.readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").filter(Boolean);
}
