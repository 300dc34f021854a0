/** MCP connection: one client of one server, opened and closed, with our own words for why that failed. Rules: mcp.ts. */
import type { Client, Transport } from "@modelcontextprotocol/client";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Exchange } from "../../abi/gate.ts";
import { limits } from "../../abi/limits.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { visible } from "../../lib/visible.ts";
import { ServerProcess, type ServerCommand } from "./mcp-stdio.ts";

export type McpTransport =
  | ({ readonly type: "stdio" } & ServerCommand)
  | { readonly type: "http"; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export interface Target {
  readonly name: string;
  readonly transport: McpTransport;
}

export interface Connection {
  readonly client: Client;
  readonly era: Exchange["era"];
  readonly offers: JsonObject;
  readonly tools: readonly Json[];
  open: boolean;
}

/** Whom a server reaches through its connection; null where it reaches nobody. */
export interface Peer {
  readonly capabilities: JsonObject;
  /** The client's request that is under way, the newest of several. */
  current(): Exchange | null;
}

export async function connect(
  { name, transport }: Target,
  peer: Peer | null,
  notified: (method: string) => void,
): Promise<Result<Connection, SysError>> {
  const { Client } = await import("@modelcontextprotocol/client");
  // A client's session needs the era that has sessions; for ourselves the newest will do.
  const negotiation = transport.type === "http" && peer === null ? ({ mode: "auto" } as const) : ({ mode: "legacy" } as const);
  const client = new Client(
    { name: "daimon", version: "0" },
    { capabilities: peer?.capabilities ?? {}, versionNegotiation: negotiation, inputRequired: { autoFulfill: false } },
  );
  if (peer !== null) relay(client, peer);
  else client.fallbackNotificationHandler = ({ method }) => Promise.resolve(notified(method));
  let said: () => string = () => "";
  try {
    const [opened, lastWords] = await openTransport(transport);
    said = lastWords;
    const options = { timeout: limits.mcpConnectTimeoutMs };
    await client.connect(opened, options);
    const offers = (client.getServerCapabilities() ?? {}) as JsonObject;
    const tools = offers.tools === undefined ? [] : await listTools(client);
    const era = client.getProtocolEra() === "modern" ? "stateless" : "sessions";
    const connection: Connection = { client, era, offers, tools, open: true };
    client.onclose = () => void (connection.open = false);
    return ok(connection);
  } catch (error) {
    await quietly(client.close());
    const how = transport.type === "stdio" ? `started with "${transport.command}"` : `reached at ${hostOf(transport.url)}`;
    const what = `the MCP server "${name}" could not be ${how}: ${whyNot(error)}`;
    return fail("EIO", `${what}; check its entry in the configuration`, said() || undefined);
  }
}

/** As the server has them now, whatever was listed before. */
export async function listTools(client: Client): Promise<readonly Json[]> {
  const listed = await client.listTools(undefined, { timeout: limits.mcpConnectTimeoutMs, cacheMode: "refresh" });
  return listed.tools as unknown as readonly Json[];
}

/** What a server tells and asks goes to the client whose session this is, and to nobody else. */
function relay(client: Client, peer: Peer): void {
  client.fallbackNotificationHandler = ({ method, params }) => {
    peer.current()?.tell(method, isObject(params) ? params : {});
    return Promise.resolve();
  };
  client.fallbackRequestHandler = async ({ method, params }) => {
    const exchange = peer.current();
    if (exchange === null) throw new Error("no request of the client is under way");
    return await exchange.ask(method, isObject(params) ? params : {});
  };
}

async function openTransport(transport: McpTransport): Promise<readonly [Transport, () => string]> {
  const sdk = await import("@modelcontextprotocol/client");
  if (transport.type === "http") {
    const options = { requestInit: { headers: { ...transport.headers } }, redirectPolicy: "same-origin" as const };
    return [new sdk.StreamableHTTPClientTransport(new URL(transport.url), options), () => ""];
  }
  const server = new ServerProcess(transport, sdk);
  return [server, () => visible(server.lastWords).trim().slice(-limits.quoteCharsMax)];
}

/** Our own words for why a connection failed: a server's words do not belong in an error. */
export function whyNot(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
      return "the command was not found";
    case "EACCES":
      return "the command may not be run";
    case "ECONNREFUSED":
      return "connection refused";
    case "REQUEST_TIMEOUT":
      return `no answer within ${limits.mcpConnectTimeoutMs / 1000} s`;
    case "CONNECTION_CLOSED":
      return "it ended before it answered";
    case "CLIENT_HTTP_AUTHENTICATION":
    case "CLIENT_HTTP_FORBIDDEN":
      return "it refused our credentials";
    default:
      return code === null ? "it does not speak MCP or cannot be reached" : `it failed with ${String(code).slice(0, 60)}`;
  }
}

/** The code of an error or of what caused it. */
export function codeOf(error: unknown, depth = 0): string | number | null {
  if (typeof error !== "object" || error === null || depth > 4) return null;
  if ("code" in error && (typeof error.code === "string" || typeof error.code === "number")) return error.code;
  return "cause" in error ? codeOf(error.cause, depth + 1) : null;
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? "an address that is not one";
}

/** A connection that is gone already cannot be closed any better. */
export async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch {
    return;
  }
}
