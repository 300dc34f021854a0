/**
 * Servers: the MCP servers of the configuration, as calls of the one table.
 *   BOO-14.1  A server that does not start is a finding; the workspace boots without its tools.
 *   BOO-14.2  Without configured servers the MCP client is not even loaded.
 */
import type { BootStep } from "../abi/entry.ts";
import type { CallHandler } from "../abi/call.ts";
import type { Finding } from "../abi/finding.ts";
import type { McpServer } from "../drivers/tool/mcp.ts";
import type { McpTransport } from "../drivers/tool/mcp-connection.ts";
import type { Config } from "./config.ts";
import type { McpEntry } from "./config-file.ts";
import type { Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";

export interface Servers {
  readonly calls: readonly CallHandler[];
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
  close(): Promise<void>;
}

export async function connectServers(config: Config, layout: Layout): Promise<Servers> {
  const entries = Object.entries(config.mcp);
  if (entries.length === 0) return { calls: [], steps: [], findings: [], close: async () => {} };
  const { connectMcp } = await import("../drivers/tool/mcp.ts");
  const servers: McpServer[] = [];
  const findings: Finding[] = [];
  const connected = await Promise.all(
    entries.map(([name, entry]) => connectMcp({ name, transport: transportOf(entry, layout) })),
  );
  for (const [n, result] of connected.entries()) {
    const name = entries[n]?.[0] ?? "";
    if (result.ok) servers.push(result.value);
    else findings.push({ rule: "BOO-14.1", severity: "warning", where: `mcp ${name}`, message: result.error.message });
  }
  return {
    calls: servers.flatMap((server) => server.calls),
    steps: servers.map((server) => bootStep(`mcp:${server.name}`, server.digest, 0, 0)),
    findings: [...findings, ...servers.flatMap((server) => server.findings)],
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

function transportOf(entry: McpEntry, layout: Layout): McpTransport {
  if (entry.url !== null) return { type: "http", url: entry.url, headers: entry.headers };
  return { type: "stdio", command: entry.command ?? "", args: entry.args, env: entry.env, cwd: layout.root };
}
