/** `daimon up`: a kernel that stays, and its doors. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseJson } from "../../src/lib/json.ts";
import { bin, place, type Loose, type Place, type Processes } from "./shell.ts";

interface Up {
  /** What it told first. */
  readonly told: Loose;
  readonly lines: readonly Loose[];
  /** The variables of a client's shell. */
  readonly client: Readonly<Record<string, string>>;
  end(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): Promise<number | null>;
}

async function up(where: Place, ...args: string[]): Promise<Up> {
  const child = spawn(process.execPath, [bin, "up", "--json", ...args], {
    cwd: where.folder,
    env: where.env(),
    stdio: ["ignore", "pipe", "ignore"],
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: Loose[] = [];
  const first = Promise.withResolvers<Loose>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = parseJson(line) as Loose;
    first.resolve(said);
    lines.push(said);
  });
  void closed.then((code) => first.reject(new Error(`daimon up ended with ${code}`)));
  const told = await first.promise;
  const file = fs.readFileSync(told.client.file as string, "utf8");
  const client = Object.fromEntries([...file.matchAll(/^(\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]));
  return {
    told,
    lines,
    client,
    end: (signal) => {
      child.kill(signal);
      return closed;
    },
  };
}

const ask = (url: string, key: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${url}/v1/messages`, {
    method: "POST",
    headers: { "x-api-key": key, ...headers },
    body: JSON.stringify({ model: "m", max_tokens: 10, messages: [{ role: "user", content: "hi" }] }),
  });

const listTools = (url: string, key: string): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
    }),
  });

describe("daimon up", () => {
  it("BOO-50.1 its doors answer to the client's credential, on loopback, and to no other", async () => {
    const where = place();
    const { told, client, end } = await up(where);
    const { models, tools } = told.client as { models: string; tools: string };
    expect(models).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(client["ANTHROPIC_BASE_URL"]).toBe(models);
    expect(client["DAIMON_MCP_URL"]).toBe(tools);
    const key = client["ANTHROPIC_API_KEY"] ?? "";
    // No provider is configured here: the door says so, in the words of the format.
    const answered = await ask(models, key);
    expect(answered.status).toBe(400);
    expect(await answered.text()).toContain("no provider of this format is here");
    expect((await ask(models, "dmn_other")).status).toBe(403);
    expect((await ask(models, key, { origin: "http://example.com" })).status).toBe(403);
    expect((await listTools(tools, key)).status).toBe(200);
    expect((await listTools(tools, "dmn_other")).status).toBe(401);
    expect(await end("SIGTERM")).toBe(0);
    await expect(ask(models, key)).rejects.toThrow();
  });

  it("BOO-50.2 the client's file is the user's alone, is gone at the end, and one that a killed kernel left goes with the next", async () => {
    const where = place();
    const first = await up(where);
    const left = first.told.client.file as string;
    expect(fs.statSync(left).mode & 0o777).toBe(0o600);
    await first.end("SIGKILL");
    expect(fs.existsSync(left)).toBe(true);
    const second = await up(where);
    const file = second.told.client.file as string;
    expect(fs.readdirSync(path.dirname(file)).filter((name) => name.endsWith(".env"))).toEqual([path.basename(file)]);
    expect(second.client["OPENAI_API_KEY"]).not.toBe(first.client["OPENAI_API_KEY"]);
    expect(await second.end("SIGINT")).toBe(0);
    expect(fs.existsSync(file)).toBe(false);
    const { processes } = where.json<Processes>("ps", "--all");
    expect(processes.map(({ name, exit }) => [name, exit?.ok])).toEqual([
      ["client", false],
      ["client", true],
    ]);
  });

  it("CLI-50.1 it stays for other terminals, and the next kernel has what it left", async () => {
    const where = place();
    where.put("docs/a.md", "# A\n\nThe store is full.\n");
    const parked = await where.start("run", "brief", "docs", "--calls", "1");
    expect(parked.code).toBe(75);
    const { told, end } = await up(where);
    expect(told.resumed).toEqual([1]);
    const { kernel } = await where.startJson<Processes>("ps");
    expect(kernel).toBe("running");
    expect((await where.start("up")).err).toContain("EBUSY");
    expect(await end("SIGINT")).toBe(0);
    expect((await where.start("ps")).out).toMatch(/brief +parked/);
  });

  it("CLI-50.2 it tells where its doors and the client's file are, and the credential nowhere", async () => {
    const where = place();
    const child = spawn(process.execPath, [bin, "up"], { cwd: where.folder, env: where.env() });
    onTestFinished(() => void child.kill("SIGKILL"));
    let said = "";
    const announced = new Promise<string>((resolve) =>
      child.stderr.on("data", (piece: Buffer) => {
        said += piece.toString();
        const file = /set -a; \. (\S+?\.env)/.exec(said)?.[1];
        if (file !== undefined) resolve(file);
      }),
    );
    const variables = fs.readFileSync(await announced, "utf8");
    const key = /ANTHROPIC_API_KEY='(.+)'/.exec(variables)?.[1] ?? "";
    expect(key).toMatch(/^dmn_/);
    expect(said).toContain(/ANTHROPIC_BASE_URL='(.+)'/.exec(variables)?.[1]);
    expect(said).toContain(/DAIMON_MCP_URL='(.+)'/.exec(variables)?.[1]);
    expect(said).not.toContain(key);
    expect((await where.start("log")).out).not.toContain(key);
  });

  it("CLI-50.3 it tells what ends while it stays", async () => {
    const where = place();
    const { told, lines, end } = await up(where);
    expect((await where.start("kill", String(told.client.pid))).code).toBe(0);
    expect(await end("SIGINT")).toBe(0);
    expect(lines.slice(1)).toMatchObject([{ entry: { kind: "exit", pid: told.client.pid } }]);
  });
});
