import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { put } from "./folder.ts";
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
