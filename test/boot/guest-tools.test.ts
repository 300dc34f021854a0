/** What guests find behind their tool door, on a whole machine with a real MCP server, and a real client in a real sandbox. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { Machine } from "../../src/boot/boot.ts";
import type { GuestAsk } from "../../src/boot/guests.ts";
import { ok } from "../../src/lib/result.ts";
import { place, type Place } from "../cli/shell.ts";
import { down, must, up, workspace, type Workspace } from "./machine.ts";
import { rule } from "../drivers/sandbox/sandboxed.ts";

const server = path.join(import.meta.dirname, "../drivers/tool/mcp-server.ts");
const entry = JSON.stringify({ command: process.execPath, args: ["--disable-warning=ExperimentalWarning", server, "plain"] });
const withServer = (policy: string): string => `mcp:\n  servers:\n    docs: ${entry}\npolicy:\n  ${policy}\n`;

const ask: GuestAsk = { name: "bash", command: ["bash", "-c", "true"], cwd: "/", limits: noLimits };
const ended = ok({ exitCode: 0, full: null });

function configured(text: string): Workspace {
  const where = workspace();
  fs.mkdirSync(path.dirname(where.layout.user.config), { recursive: true });
  fs.writeFileSync(where.layout.user.config, text);
  return where;
}

async function doorsOf(machine: Machine): Promise<readonly number[]> {
  const held = must(await machine.guests.open(ask));
  const ports = [held.open.doors.model, held.open.doors.tools].flatMap((door) => (door === null ? [] : [door.port]));
  must(await held.ended(ended));
  return ports;
}

describe("guest tools", () => {
  rule(
    "BOO-42.1  a door is opened where there is something behind it: a server, or a page that some rule may permit",
    async () => {
      expect(await doorsOf(await up(configured("")))).toEqual([4141]);
      expect(await doorsOf(await up(configured("policy:\n  deny: [net.fetch]\n")))).toEqual([4141]);
      expect(await doorsOf(await up(configured("policy:\n  allow: [net.fetch(docs.example)]\n")))).toEqual([4141, 4142]);
      expect(await doorsOf(await up(configured(withServer("allow: []"))))).toEqual([4141, 4142]);
    },
  );

  rule(
    "BOO-42.3  BOO-40.6  a door ends with its guest and with the kernel; what a kernel left behind goes with the next door",
    async () => {
      const where = configured(withServer("allow: []"));
      const folder = path.dirname(where.layout.socket);
      const sockets = (): readonly string[] => fs.readdirSync(folder).filter((name) => /^t.*\.sock$/.test(name));
      const first = await up(where);
      const [one, two] = [must(await first.guests.open(ask)), must(await first.guests.open(ask))];
      expect(sockets()).toEqual(["t1.sock", "t2.sock"]);
      expect(one.open.doors.tools?.socket).toBe(path.join(folder, "t1.sock"));
      must(await one.ended(ended));
      await gone(path.join(folder, "t1.sock"));
      expect(sockets()).toEqual(["t2.sock"]);
      first.guests.lost(two.open.pid);
      await gone(path.join(folder, "t2.sock"));
      must(await first.guests.open(ask));
      await down(first);
      expect(sockets()).toEqual([]);
      fs.writeFileSync(path.join(folder, "tzz.sock"), "");
      const second = await up(where);
      expect(sockets()).toEqual(["tzz.sock"]);
      must(await second.guests.open(ask));
      expect(sockets()).toEqual(["t4.sock"]);
    },
  );

  rule(
    "BOO-42.2  a program in its sandbox calls a server's tool, is offered nothing else, and the call is journaled as its call",
    () => {
      const where = placed(withServer("allow: [mcp__docs]"));
      where.put("client.mjs", client);
      const ran = where.run("exec", "--", "node", "client.mjs");
      expect(ran.code, ran.err).toBe(0);
      const { tools, said, unknown, foreign } = JSON.parse(ran.out) as Told;
      expect(tools).toContain("docs__echo");
      expect(tools).toContain("daimon__read_on");
      expect(tools.filter((name) => !/^(?:docs__|daimon__read_on$)/.test(name))).toEqual([]);
      expect(said).toBe("from inside");
      expect(unknown).toContain("Unknown tool");
      expect(foreign).toBe(401);
      expect(where.run("log", "1").out).toMatch(/call +1\.0\.0 mcp\.docs\.echo/);
      expect(ran.err).toContain("0 model calls · 1 tool call");
    },
  );

  rule("BOO-42.1  without a door a program finds no trace of one", () => {
    const where = placed("");
    expect(where.run("exec", "-q", "--", "env").out).not.toContain("DAIMON_MCP");
  });
});

/** A socket goes a moment after its guest. */
async function gone(file: string): Promise<void> {
  while (fs.existsSync(file)) await new Promise<void>((resolve) => setImmediate(resolve));
}

function placed(config: string): Place {
  const where = place();
  where.put("../home/.config/daimon/config.yaml", config);
  return where;
}

interface Told {
  readonly tools: readonly string[];
  readonly said: string;
  readonly unknown: string;
  readonly foreign: number;
}

/** What a program that speaks the protocol does with the two variables. */
const client = `
const { DAIMON_MCP_URL: url, DAIMON_MCP_TOKEN: token } = process.env;
const post = (body, key = token, more = {}) => fetch(url, {
  method: "POST",
  headers: { authorization: "Bearer " + key, "content-type": "application/json", accept: "application/json, text/event-stream", ...more },
  body: JSON.stringify({ jsonrpc: "2.0", ...body }),
});
const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
const begun = await post({ id: 1, method: "initialize", params: hello });
const session = { "mcp-session-id": begun.headers.get("mcp-session-id") };
await begun.text();
await post({ method: "notifications/initialized" }, token, session);
let id = 1;
const ask = async (method, params) => {
  const reply = await (await post({ id: ++id, method, params }, token, session)).text();
  const line = reply.split("\\n").find((each) => each.startsWith("data: {"));
  return JSON.parse(line === undefined ? reply : line.slice(6));
};
const listed = await ask("tools/list", {});
const called = await ask("tools/call", { name: "docs__echo", arguments: { text: "from inside" } });
const unknown = await ask("tools/call", { name: "shell__run", arguments: { command: "id" } });
const foreign = await post({ id: 9, method: "ping" }, "wrong");
console.log(JSON.stringify({
  tools: listed.result.tools.map(({ name }) => name),
  said: called.result.content[0].text,
  unknown: unknown.error.message,
  foreign: foreign.status,
}));
process.exit(0);
`;
