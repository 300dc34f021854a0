/** A tool door on a whole kernel with a rich server behind, and real clients of it. */
import { join } from "node:path";
import { tmpdir } from "node:os";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { CallHandler } from "../../../src/abi/call.ts";
import { toolDoor, type ToolDoor } from "../../../src/doors/tool/door.ts";
import { serveHttp, type HttpDoor } from "../../../src/doors/tool/http.ts";
import type { NameMode } from "../../../src/doors/tool/names.ts";
import { connectMcp, type McpServer } from "../../../src/drivers/tool/mcp.ts";
import { fail } from "../../../src/abi/errno.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { ok } from "../../../src/lib/result.ts";
import { handler, type Rig, type RigOptions } from "../../kernel/rig.ts";
import { guestGate } from "./guest-gate.ts";

export const credential = "door-credential-1";

export interface Opened {
  readonly door: ToolDoor;
  readonly http: HttpDoor;
  readonly url: string;
  readonly machine: Rig;
  readonly server: McpServer;
  close(): Promise<void>;
}

const own: readonly CallHandler[] = [
  handler({ name: "fs.read" }, () => ok({ value: { path: "a.txt", text: "own words" } })),
  handler({ name: "fs.gone" }, () => fail("ENOENT", "there is no such file")),
];

export async function openedDoor(
  mode: NameMode = { type: "namespaced" },
  options: RigOptions = {},
  calls: readonly string[] = ["*"],
): Promise<Opened> {
  const args = [join(import.meta.dirname, "../../drivers/tool/mcp-server.ts"), "rich"];
  const transport = { type: "stdio" as const, command: process.execPath, args, env: {}, cwd: tmpdir() };
  const server = await connectMcp({ name: "rich", transport });
  if (!server.ok) throw new Error(server.error.message);
  const { gate, machine } = guestGate([server.value], own, options, calls);
  const door = toolDoor({ gate, mode, version: "1" });
  const http = await serveHttp(door, { listen: { port: 0 }, credential });
  if (!http.ok) throw new Error(http.error.message);
  return {
    door,
    http: http.value,
    url: http.value.url ?? "",
    machine,
    server: server.value,
    close: async () => {
      await http.value.close();
      await machine.kernel.close();
      await server.value.close();
    },
  };
}

export async function clientOf(
  url: string,
  mode: "legacy" | "auto",
  capabilities: JsonObject = {},
  prepare: (client: Client) => void = () => undefined,
): Promise<Client> {
  const client = new Client({ name: "test", version: "1" }, { capabilities, versionNegotiation: { mode } });
  prepare(client);
  const requestInit = { headers: { authorization: `Bearer ${credential}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}
