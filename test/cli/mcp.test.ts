import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { isObject, parseJson, type JsonObject } from "../../src/lib/json.ts";
import { bin, place, type Place } from "./shell.ts";

const rich = path.resolve(import.meta.dirname, "../drivers/tool/mcp-server.ts");

interface Connected {
  readonly child: ChildProcessWithoutNullStreams;
  readonly closed: Promise<number | null>;
  readonly told: () => string;
  readonly other: string[];
  ask(method: string, params?: JsonObject): Promise<JsonObject>;
}

/** `daimon mcp` as an MCP client starts it. */
async function connected(where: Place, ...args: string[]): Promise<Connected> {
  const child = spawn(process.execPath, [bin, "mcp", ...args], { cwd: where.folder, env: where.env() });
  let err = "";
  child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const waiting = new Map<unknown, (answer: JsonObject) => void>();
  const other: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = parseJson(line);
    if (!isObject(message) || message["jsonrpc"] !== "2.0") other.push(line);
    else waiting.get(message["id"])?.(message);
  });
  let id = 0;
  const ask = (method: string, params: JsonObject = {}): Promise<JsonObject> => {
    id += 1;
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  const clientInfo = { name: "test", version: "1" };
  await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  return { child, closed, told: () => err, other, ask };
}

async function left({ child, closed }: Connected): Promise<number | null> {
  child.stdin.end();
  return await closed;
}

const textOf = (answer: JsonObject): string => JSON.stringify(answer["result"] ?? answer["error"]);

describe("daimon mcp", () => {
  it("CLI-49.1  standard output is the protocol and nothing else, and CLI-49.2  the client is a guest whose files wait for a commit", async () => {
    const where = place();
    where.put("a.txt", "of the workspace\n");
    const client = await connected(where);
    const listed = textOf(await client.ask("tools/list"));
    for (const name of ["fs__read", "fs__write", "shell__run"]) expect(listed).toContain(`"${name}"`);
    for (const name of ["task__done", "mem__note", "proc__spawn", '"ask"']) expect(listed).not.toContain(name);
    expect(textOf(await client.ask("tools/call", { name: "fs__read", arguments: { path: "a.txt" } }))).toContain(
      "of the workspace",
    );
    await client.ask("tools/call", { name: "fs__write", arguments: { path: "b.txt", text: "made by a client\n" } });
    expect(textOf(await client.ask("tools/call", { name: "fs__read", arguments: { path: ".env" } }))).toContain('"isError":true');
    expect(where.json("ps").processes).toMatchObject([{ pid: 1, name: "mcp", kind: "guest", state: "ready" }]);
    expect(await left(client)).toBe(0);
    expect(client.other).toEqual([]);
    expect(client.told()).toMatch(/process 1 serves an MCP client here[^]*process 1 ended; `daimon diff 1`/);
    expect(where.has("b.txt")).toBe(false);
    expect(where.run("diff", "1").out).toContain("made by a client");
    expect(where.run("commit", "1")).toMatchObject({ code: 0 });
    expect(where.read("b.txt")).toBe("made by a client\n");
    expect(where.json("ps", "--all").processes).toMatchObject([{ pid: 1, state: "zombie", refused: 1 }]);
  });

  it("CLI-49.2  a client whose process is killed is let go, and an interrupt ends the process", async () => {
    const where = place();
    const first = await connected(where);
    expect(where.run("kill", "1")).toMatchObject({ code: 0 });
    expect(await first.closed).toBe(0);
    const second = await connected(where);
    second.child.kill("SIGTERM");
    expect(await second.closed).toBe(0);
    expect(where.json("ps", "--all").processes).toMatchObject([
      { pid: 1, state: "zombie" },
      { pid: 2, state: "zombie" },
    ]);
  });

  it("CLI-49.3  with --server one server is shown under its own names, behind the workspace's policy", async () => {
    const where = place();
    const args = ["--disable-warning=ExperimentalWarning", rich, "rich"];
    where.put(".mcp.json", JSON.stringify({ mcpServers: { rich: { command: process.execPath, args } } }));
    where.run("config", "trust", ".mcp.json");
    const client = await connected(where, "--server", "rich");
    const { tools } = (await client.ask("tools/list"))["result"] as { readonly tools: readonly { readonly name: string }[] };
    expect(tools.map(({ name }) => name)).toEqual(["ask_name", "change", "hang", "image", "links", "lists", "long", "tell"]);
    expect(textOf(await client.ask("resources/read", { uri: "file:///a" }))).toContain("of file:///a");
    const refused = textOf(await client.ask("tools/call", { name: "image", arguments: {} }));
    expect(refused).toContain("EPERM: mcp.rich.image was refused: no rule permits this external call");
    expect(await left(client)).toBe(0);
    const none = where.run("mcp", "--server", "nobody");
    expect(none).toMatchObject({ code: 66, out: "", err: expect.stringContaining('no MCP server "nobody"') });
  });
});
