/**
 * MCP: the tools of a Model Context Protocol server as calls of this system, `mcp.SERVER.TOOL`.
 *   MCP-1.1  A tool is external, not reversible and never repeated after a crash, whatever the server says of it; only configuration
 *            widens that, and only a hint that it is destructive narrows it.
 *   MCP-1.2  What a server says (results, failures, its own errors) is untrusted text in a value, bounded, and never part of an error.
 *   MCP-1.3  Names, descriptions and schemas are bounded and freed of invisible characters; a tool that does not fit is left out with a finding.
 *   MCP-1.4  A server that stops is EIO with its name; the next call starts it again, and refuses with ESTALE when its tools have changed.
 *   MCP-1.5  A server we start gets a search path, a home, a mark of its own and what its configuration gives it, and nothing else of the environment.
 *   MCP-1.7  Structured content has the form that its tool declares, or the call is EPROTO in our own words; a tool of which that cannot be checked
 *            is not called.
 *   MCP-1.6  A server cannot ask anything of us: no sampling, no elicitation, no roots.
 */
import type { Client, Tool, Transport } from "@modelcontextprotocol/client";
import type { CallContext, CallHandler, CallValue } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Finding } from "../../abi/finding.ts";
import { limits } from "../../abi/limits.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical, tooDeep, type Json, type JsonObject } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { schemaCompiler, type Check } from "../../lib/schema.ts";
import { toolCalls, visible, type Declared, type ToolRule } from "./mcp-tools.ts";
import { boundText, readResult } from "./mcp-results.ts";
import { ServerProcess, type ServerCommand } from "./mcp-stdio.ts";

export type McpTransport =
  | ({ readonly type: "stdio" } & ServerCommand)
  | { readonly type: "http"; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export interface McpConfig {
  /** Letters, digits, `-` and `_`. */
  readonly name: string;
  readonly transport: McpTransport;
  readonly tools?: Readonly<Record<string, ToolRule>>;
}

export interface McpServer {
  readonly name: string;
  readonly calls: readonly CallHandler[];
  readonly findings: readonly Finding[];
  /** Over the tools as the server declared them; a boot measures it. */
  readonly digest: Digest;
  close(): Promise<void>;
}

/** Starts or reaches the server, and lists its tools once. */
export async function connectMcp(config: McpConfig): Promise<Result<McpServer, SysError>> {
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(config.name))
    return fail(
      "EINVAL",
      `an MCP server's name has letters, digits, "-" and "_"; "${visible(config.name).slice(0, 60)}" has others`,
    );
  const first = await connect(config);
  if (!first.ok) return first;
  const digest = digestOf(first.value.tools);
  const line = new Line(config, digest, first.value);
  const { specs, findings } = toolCalls(config.name, first.value.tools, config.tools ?? {});
  const calls = specs.map(({ tool, spec, declared }): CallHandler => ({
    spec,
    perform: (args: JsonObject, context: CallContext) => line.call(tool, declared, args, context),
  }));
  return ok({ name: config.name, calls, findings, digest, close: () => line.close() });
}

interface Connection {
  readonly client: Client;
  readonly tools: readonly Json[];
  open: boolean;
}

/** The connection to one server, made again when it is lost. */
class Line {
  readonly #config: McpConfig;
  readonly #digest: Digest;
  readonly #compile = schemaCompiler();
  #connection: Connection | null;
  #connecting: Promise<Result<Connection, SysError>> | null = null;

  constructor(config: McpConfig, digest: Digest, connection: Connection) {
    this.#config = config;
    this.#digest = digest;
    this.#connection = connection;
  }

  async call(
    tool: string,
    { definition, output }: Declared,
    args: JsonObject,
    context: CallContext,
  ): Promise<Result<CallValue, SysError>> {
    const form = output === null ? null : this.#compile(output);
    if (form?.ok === false) {
      const what = `the output that ${tool} of the MCP server "${this.#config.name}" declares cannot be checked`;
      return fail("EPROTO", `${what}, so it was not called; go on without it`);
    }
    const ready = await this.#ready();
    if (!ready.ok) return ready;
    const { name } = this.#config;
    try {
      const result = await ready.value.client.callTool(
        { name: tool, arguments: args },
        // Without the output, which the client would check with patterns of the server's own making on an engine that can hang.
        { signal: context.signal, timeout: limits.mcpCallTimeoutMs, toolDefinition: definition as unknown as Tool },
      );
      const content = result as unknown as JsonObject;
      if (form === null || fits(content, form.value)) return ok(readResult(name, tool, content));
      const what = `the MCP server "${name}" gave a result for ${tool} that is not what the tool declares`;
      return fail("EPROTO", `${what}; look whether it happened before calling again`);
    } catch (error) {
      if (context.signal.aborted) return fail("ECANCELED", `the call of ${tool} on the MCP server "${name}" was cancelled`);
      return failure(name, tool, error, ready.value.open);
    }
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null) await quietly(connection.client.close());
  }

  async #ready(): Promise<Result<Connection, SysError>> {
    if (this.#connection?.open === true) return ok(this.#connection);
    this.#connecting ??= connect(this.#config);
    const made = await this.#connecting;
    this.#connecting = null;
    if (!made.ok) return made;
    if (digestOf(made.value.tools) !== this.#digest) {
      await quietly(made.value.client.close());
      return fail(
        "ESTALE",
        `the MCP server "${this.#config.name}" came back with other tools than it had; restart to look at them again`,
      );
    }
    this.#connection = made.value;
    return made;
  }
}

/** A failure is words, whatever form the tool declares. */
function fits(result: JsonObject, form: Check): boolean {
  const { isError, structuredContent } = result;
  if (isError === true) return true;
  return structuredContent !== undefined && !tooDeep(structuredContent, limits.jsonDepthMax) && form(structuredContent) === null;
}

async function connect(config: McpConfig): Promise<Result<Connection, SysError>> {
  const { Client } = await import("@modelcontextprotocol/client");
  const http = config.transport.type === "http";
  const client = new Client(
    { name: "daimon", version: "0" },
    { capabilities: {}, ...(http ? { versionNegotiation: { mode: "auto" } } : {}) },
  );
  const options = { timeout: limits.mcpConnectTimeoutMs };
  let said: () => string = () => "";
  try {
    const [transport, lastWords] = await openTransport(config.transport);
    said = lastWords;
    await client.connect(transport, options);
    const connection: Connection = {
      client,
      tools: (await client.listTools(undefined, options)).tools as unknown as Json[],
      open: true,
    };
    client.onclose = () => void (connection.open = false);
    return ok(connection);
  } catch (error) {
    await quietly(client.close());
    const how =
      config.transport.type === "stdio"
        ? `started with "${config.transport.command}"`
        : `reached at ${hostOf(config.transport.url)}`;
    return fail(
      "EIO",
      `the MCP server "${config.name}" could not be ${how}: ${whyNot(error)}; check its entry in the configuration`,
      said() || undefined,
    );
  }
}

async function openTransport(transport: McpTransport): Promise<readonly [Transport, () => string]> {
  if (transport.type === "http") {
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
    const options = { requestInit: { headers: { ...transport.headers } }, redirectPolicy: "same-origin" as const };
    return [new StreamableHTTPClientTransport(new URL(transport.url), options), () => ""];
  }
  const codec = await import("@modelcontextprotocol/client");
  const server = new ServerProcess(transport, codec);
  return [server, () => visible(server.lastWords).trim().slice(-limits.quoteCharsMax)];
}

/** Errors a server sends are its words and become a value; everything else is ours. */
function failure(name: string, tool: string, error: unknown, open: boolean): Result<CallValue, SysError> {
  const code = codeOf(error);
  if (typeof code === "number") {
    const text = boundText(error instanceof Error ? error.message : "");
    return ok({
      value: { failed: true, code, text },
      source: `mcp.${name}.${tool}`,
      label: { integrity: "untrusted", confidentiality: "workspace" },
    });
  }
  if (code === "REQUEST_TIMEOUT")
    return fail(
      "ETIMEDOUT",
      `the MCP server "${name}" did not finish ${tool} within ${limits.mcpCallTimeoutMs / 1000} s; look whether it happened before calling again`,
    );
  if (!open || code === "CONNECTION_CLOSED" || code === "NOT_CONNECTED" || code === "SEND_FAILED") {
    return fail(
      "EIO",
      `the MCP server "${name}" stopped during ${tool}; look whether it happened before calling again, which starts the server anew`,
    );
  }
  if (code === "INVALID_RESULT" || code === "UNSUPPORTED_RESULT_TYPE")
    return fail("EPROTO", `the MCP server "${name}" gave a result for ${tool} that breaks the protocol`);
  return fail("EIO", `the MCP server "${name}" failed at ${tool}: ${whyNot(error)}`);
}

/** Our own words for why a connection failed: a server's words do not belong in an error. */
function whyNot(error: unknown): string {
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
function codeOf(error: unknown, depth = 0): string | number | null {
  if (typeof error !== "object" || error === null || depth > 4) return null;
  if ("code" in error && (typeof error.code === "string" || typeof error.code === "number")) return error.code;
  return "cause" in error ? codeOf(error.cause, depth + 1) : null;
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? "an address that is not one";
}

/** The order in which a server lists its tools says nothing. */
function digestOf(tools: readonly Json[]): Digest {
  return sha256(tools.map(canonical).sort().join("\n"));
}

/** A connection that is gone already cannot be closed any better. */
async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch {
    return;
  }
}
