/**
 * Servers: the MCP servers of the configuration, as calls of the one table.
 *   BOO-14.1  A server that does not start is a finding; the workspace boots without its tools.
 *   BOO-14.2  Without configured servers the MCP client is not even loaded.
 *   BOO-14.3  `${NAME}` and `${NAME:-OTHERWISE}` in a server's entry stand for that variable and no other; without it and an otherwise the server is not started.
 *   BOO-14.4  What is suspicious in a server's declarations is told when its tools are pinned, and when one of them drifts.
 */
import type { CallHandler } from "../abi/call.ts";
import type { BootStep } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import type { ChangeKind } from "../abi/gate.ts";
import { limits } from "../abi/limits.ts";
import type { McpServer } from "../drivers/tool/mcp.ts";
import type { McpTransport } from "../drivers/tool/mcp-connection.ts";
import { ok, type Result } from "../lib/result.ts";
import { visible } from "../lib/visible.ts";
import { inspectTools } from "../security/tool-text.ts";
import type { Config } from "./config.ts";
import type { McpEntry } from "./config-file.ts";
import type { Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";
import { driftOf, pinOf, readPin, writePin } from "./pins.ts";

export interface Servers {
  readonly calls: readonly CallHandler[];
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
  watch(listener: (kind: ChangeKind) => void): () => void;
  close(): Promise<void>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** `own`: the names of daimon's calls. */
export async function connectServers(config: Config, layout: Layout, env: Env, own: readonly string[]): Promise<Servers> {
  const entries = Object.entries(config.mcp);
  if (entries.length === 0) return { calls: [], steps: [], findings: [], watch: () => () => undefined, close: async () => {} };
  const servers: McpServer[] = [];
  const findings: Finding[] = [];
  const connected = await Promise.all(entries.map(([name, entry]) => connectServer(name, entry, layout, env)));
  for (const [n, result] of connected.entries()) {
    const name = entries[n]?.[0] ?? "";
    if (result.ok) servers.push(result.value);
    else findings.push({ rule: "BOO-14.1", severity: "warning", where: `mcp ${name}`, message: result.error.message });
  }
  const calls: CallHandler[] = [];
  for (const server of servers) {
    const held = holdToPin(layout, server, othersOf(server, servers, own));
    findings.push(...server.findings, ...held.findings);
    calls.push(...held.calls);
  }
  return {
    calls,
    steps: servers.map((server) => bootStep(`mcp:${server.name}`, server.digest, 0, 0)),
    findings,
    watch: (listener) => {
      const stops = servers.map((server) => server.watch(listener));
      return () => stops.forEach((stop) => stop());
    },
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

export async function connectServer(
  name: string,
  entry: McpEntry,
  layout: Layout,
  env: Env,
): Promise<Result<McpServer, SysError>> {
  const transport = transportOf(name, entry, layout, env);
  if (!transport.ok) return transport;
  const { connectMcp } = await import("../drivers/tool/mcp.ts");
  return await connectMcp({ name, transport: transport.value });
}

/** The calls of a server, those of which a person has to look at the tool first refused. */
function holdToPin(
  layout: Layout,
  server: McpServer,
  others: ReadonlySet<string>,
): { readonly calls: readonly CallHandler[]; readonly findings: readonly Finding[] } {
  const now = pinOf(server.definitions);
  const pin = readPin(layout, server.name);
  const first = pin.ok && pin.value === null;
  const written = first ? writePin(layout, server.name, now) : pin;
  const problem = written.ok ? null : written.error;
  const drift = driftOf(pin.ok ? (pin.value ?? now) : new Map(), now);
  const waiting = new Set(problem === null ? [...drift.changed, ...drift.added] : now.keys());
  const told = [...now].flatMap(([name, tool]) => (first || waiting.has(name) ? [tool] : []));
  const where = `mcp.${server.name}`;
  const findings: Finding[] = problem === null ? [] : [{ rule: "BOO-28.3", severity: "error", where, message: problem.message }];
  if (problem === null && waiting.size > 0) {
    const names = [...waiting].map((tool) => visible(tool).slice(0, limits.mcpFindingNameMax)).join(", ");
    const message = `changed since they were accepted, and are not called: ${names}; \`daimon config trust ${where}\` shows and accepts them`;
    findings.push({ rule: "BOO-28.2", severity: "warning", where, message });
  }
  findings.push(...inspectTools(server.name, told, others));
  const calls = server.calls.map((call) => (waiting.has(toolOf(call)) ? refused(call, server.name) : call));
  return { calls, findings };
}

function toolOf({ spec }: CallHandler): string {
  const name = spec.mcp?.definition?.["name"];
  return typeof name === "string" ? name : "";
}

function refused({ spec }: CallHandler, server: string): CallHandler {
  const what = `what the MCP server "${server}" says of this tool changed since it was accepted`;
  return {
    spec,
    perform: () => fail("ESTALE", `${what}; it waits until a person accepts it with \`daimon config trust mcp.${server}\``),
  };
}

/** What a model knows by name that is not this server's. */
export function othersOf(server: McpServer, servers: readonly McpServer[], own: readonly string[]): ReadonlySet<string> {
  const theirs = servers.filter((other) => other !== server).flatMap((other) => [...pinOf(other.definitions).keys()]);
  return new Set([...theirs, ...own, ...own.map((name) => name.replaceAll(".", "__"))]);
}

function transportOf(name: string, entry: McpEntry, layout: Layout, env: Env): Result<McpTransport, SysError> {
  const missing = new Set<string>();
  const full = (text: string): string =>
    text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g, (_whole, variable: string, otherwise?: string) => {
      const value = env[variable] ?? otherwise;
      if (value === undefined) missing.add(variable);
      return value ?? "";
    });
  const all = (values: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, full(value)]));
  const transport: McpTransport =
    entry.url === null
      ? { type: "stdio", command: full(entry.command ?? ""), args: entry.args.map(full), env: all(entry.env), cwd: layout.root }
      : { type: "http", url: full(entry.url), headers: all(entry.headers) };
  if (missing.size > 0) {
    const names = [...missing].join(", ");
    return fail(
      "EINVAL",
      `the MCP server "${name}" names ${names}, which is not set; set it, or give it an otherwise: \${NAME:-otherwise}`,
    );
  }
  if (transport.type === "http" && !/^https?:\/\//.test(transport.url))
    return fail("EINVAL", `the MCP server "${name}" has no http address once its variables are filled in; correct its url`);
  return ok(transport);
}
