import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { acceptServer } from "../../src/boot/accept-server.ts";
import { driftOf, pinOf, readPin, writePin } from "../../src/boot/pins.ts";
import { put } from "./folder.ts";
import { down, must, perform, told, up, workspace, type Workspace } from "./machine.ts";

const script = path.join(import.meta.dirname, "../drivers/tool/mcp-server.ts");
const echo = [["mcp.docs.echo", { text: "hi" }]] as const;

/** A workspace with one trusted server, which has other tools once `swapped` is there. */
async function withServer(): Promise<Workspace & { swap(): void }> {
  const where = workspace();
  const swapped = path.join(where.folder, "swapped");
  const args = ["--disable-warning=ExperimentalWarning", script, "swap", swapped];
  put(path.join(where.root, ".mcp.json"), JSON.stringify({ mcpServers: { docs: { command: process.execPath, args } } }));
  must(await acceptFile(where.layout, ".mcp.json", 0));
  put(where.layout.user.config, "policy:\n  allow: [mcp__docs]\n");
  return { ...where, swap: () => fs.writeFileSync(swapped, "") };
}

const pinFiles = ({ layout }: Workspace): readonly string[] => {
  const folder = path.join(layout.user.folder, "mcp");
  return fs.readdirSync(folder).map((file) => path.join(folder, file));
};

describe("pins", () => {
  it("BOO-28.1  what a server declares is pinned whole when it is first connected, in the user's own folder", async () => {
    const where = await withServer();
    await down(await up(where));
    const [file = ""] = pinFiles(where);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    const pin = must(readPin(where.layout, "docs"));
    expect(pin?.get("echo")).toMatchObject({ description: "Says it again.", annotations: { readOnlyHint: true } });
    expect(must(readPin(where.layout, "other"))).toBeNull();
    expect(must(readPin(workspace().layout, "docs"))).toBeNull();
  });

  it("BOO-28.2  a tool that changed is refused with what to type, the others are called, and a person's yes lets it go on", async () => {
    const where = await withServer();
    const first = await up(where);
    expect(told((await perform(first, echo))[0])).toMatch(/^ok/);
    await down(first);
    where.swap();
    const machine = await up(where);
    const finding = machine.findings.find(({ rule }) => rule === "BOO-28.2");
    expect(finding?.message).toMatch(/not called: echo; `daimon config trust mcp\.docs`/);
    const [changed, same] = await perform(machine, [...echo, ["mcp.docs.environment", {}]]);
    expect(told(changed)).toMatch(/^ESTALE.*daimon config trust mcp\.docs/);
    expect(told(changed)).not.toContain("sends it away");
    expect(told(same)).toMatch(/^ok/);
    const { config } = machine;
    await down(machine);
    const { adds } = must(await acceptServer(where.layout, config, "docs", process.env, []));
    expect(adds).toHaveLength(1);
    expect(adds[0]).toMatch(/^echo is "Says it again, and sends it away\." .*, it was "Says it again\." /);
    const again = await up(where);
    expect(again.findings.filter(({ rule }) => rule.startsWith("BOO-28"))).toEqual([]);
    expect(told((await perform(again, echo))[0])).toMatch(/^ok/);
  });

  it("BOO-28.3  a damaged pin, and one in a folder that others can write, accepts no tool", async () => {
    const where = await withServer();
    await down(await up(where));
    const [file = ""] = pinFiles(where);
    fs.writeFileSync(file, "{");
    const machine = await up(where);
    expect(machine.findings.map(({ rule }) => rule)).toContain("BOO-28.3");
    expect(told((await perform(machine, echo))[0])).toMatch(/^ESTALE/);
    await down(machine);
    fs.chmodSync(where.layout.user.folder, 0o777);
    expect(readPin(where.layout, "docs")).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    fs.chmodSync(where.layout.user.folder, 0o700);
  });

  it("BOO-28.4  what is new, changed and gone is told with its words, hidden ones taken out, and nothing is pinned of a server that does not start", async () => {
    const where = workspace();
    must(writePin(where.layout, "docs", pinOf([{ name: "a", description: "old" }, { name: "b" }])));
    const old = must(readPin(where.layout, "docs"));
    const now = pinOf([{ name: "a", description: "new" }, { name: "c" }]);
    expect(driftOf(old ?? new Map(), now)).toEqual({ changed: ["a"], added: ["c"], gone: ["b"] });
    const served = await withServer();
    const { config } = await up(served);
    const odd = { ...config.mcp["docs"], args: ["--disable-warning=ExperimentalWarning", script, "odd"] };
    const { adds } = must(await acceptServer(served.layout, { ...config, mcp: { docs: odd as never } }, "docs", process.env, []));
    expect(adds.find((line) => line.startsWith("whisper"))).toMatch(/^whisper is new: "Useful\. \[31m very /);
    expect(adds.find((line) => line.startsWith("look at mcp.docs.whisper"))).toContain("hides bidi, control, tag, zero-width");
    expect(adds.join("")).not.toMatch(/\u200b|\u202e|\u001b/);
    const gone = { ...config, mcp: { gone: { command: "no-such-program", args: [], env: {}, url: null, headers: {} } } };
    expect(await acceptServer(served.layout, gone, "gone", process.env, [])).toMatchObject({
      ok: false,
      error: { errno: "EIO" },
    });
    expect(must(readPin(served.layout, "gone"))).toBeNull();
    expect(await acceptServer(served.layout, config, "nobody", process.env, [])).toMatchObject({
      ok: false,
      error: { errno: "ENOENT" },
    });
  });
});
