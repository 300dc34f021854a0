/**
 * MCP line: the connections to one server, and requests over them. One connection serves all agents and all stateless clients; a client with a
 * session has one of its own, because what a server asks and tells there is for that client alone.
 *   MCP-3.1  A server asks and tells a client with a session over that session's own connection, which ends with the session; over the shared
 *            one it can ask nothing.
 *   MCP-3.2  A tool whose definition is not the one it had when the server was connected is refused with ESTALE until a person looked at it.
 *   MCP-3.3  However often a server says that its tools have changed, they are listed at most once a second, and one such notice is passed on.
 */
import type { Tool } from "@modelcontextprotocol/client";
import type { CallContext } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { ChangeKind, Exchange } from "../../abi/gate.ts";
import { limits } from "../../abi/limits.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { done, ok, type Result } from "../../lib/result.ts";
import { codeOf, connect, listTools, quietly, whyNot, type Connection, type Peer, type Target } from "./mcp-connection.ts";

/** What a server answered: a result in its own form, or an error in its own words. */
export type Answer =
  | { readonly type: "result"; readonly result: JsonObject }
  | { readonly type: "error"; readonly code: number; readonly text: string; readonly data: Json };

export interface Asked {
  readonly method: string;
  readonly params: JsonObject;
  /** Of a tool's call: the definition that it was accepted with. */
  readonly tool: { readonly name: string; readonly definition: JsonObject } | null;
}

interface Session extends Peer {
  readonly exchanges: Set<Exchange>;
  connecting: Promise<Result<Connection, SysError>>;
}

export class Line {
  readonly #target: Target;
  readonly #known: ReadonlyMap<string, Digest>;
  #now: ReadonlyMap<string, Digest>;
  readonly #sessions = new Map<AbortSignal, Session>();
  readonly #watchers = new Set<(kind: ChangeKind) => void>();
  readonly #due = new Map<ChangeKind, NodeJS.Timeout>();
  readonly #told = new Map<ChangeKind, number>();
  #shared: Connection | null;
  #connecting: Promise<Result<Connection, SysError>> | null = null;
  #sessionless = false;

  private constructor(target: Target, shared: Connection) {
    this.#target = target;
    this.#shared = shared;
    this.#known = digestsOf(shared.tools);
    this.#now = this.#known;
  }

  static async open(target: Target): Promise<Result<readonly [Line, Connection], SysError>> {
    const made: { line: Line | null } = { line: null };
    const first = await connect(target, null, (method) => made.line?.changed(method));
    if (!first.ok) return first;
    made.line = new Line(target, first.value);
    made.line.#listen(first.value);
    return ok([made.line, first.value]);
  }

  watch(listener: (kind: ChangeKind) => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  async request(asked: Asked, context: CallContext): Promise<Result<Answer, SysError>> {
    const { exchange } = context;
    const what = asked.tool?.name ?? asked.method;
    const ready = await this.#ready(exchange);
    if (!ready.ok) return ready;
    const same = this.#unchanged(asked.tool?.name);
    if (!same.ok) return same;
    const signal = exchange === undefined ? context.signal : AbortSignal.any([context.signal, exchange.signal]);
    const session = exchange === undefined ? undefined : this.#sessions.get(exchange.session);
    if (exchange !== undefined) session?.exchanges.add(exchange);
    try {
      const result = await send(ready.value, asked, exchange, signal);
      return ok({ type: "result", result });
    } catch (error) {
      if (signal.aborted) return fail("ECANCELED", `the call of ${what} on the MCP server "${this.#target.name}" was cancelled`);
      return this.#failure(what, error, ready.value.open);
    } finally {
      if (exchange !== undefined) session?.exchanges.delete(exchange);
    }
  }

  /** A notice that something the server offers has changed; the methods are `notifications/KIND/list_changed`. */
  changed(method: string): void {
    const kind = (["tools", "resources", "prompts"] as const).find((each) => method === `notifications/${each}/list_changed`);
    if (kind === undefined || this.#due.has(kind)) return;
    const wait = Math.max(0, (this.#told.get(kind) ?? 0) + limits.mcpRelistMsMin - performance.now());
    const timer = setTimeout(() => void this.#look(kind), wait);
    timer.unref();
    this.#due.set(kind, timer);
  }

  async close(): Promise<void> {
    for (const timer of this.#due.values()) clearTimeout(timer);
    const shared = this.#shared;
    this.#shared = null;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all([shared === null ? undefined : quietly(shared.client.close()), ...sessions.map(closeSession)]);
  }

  async #look(kind: ChangeKind): Promise<void> {
    this.#told.set(kind, performance.now());
    this.#due.delete(kind);
    try {
      if (kind === "tools" && this.#shared !== null) this.#now = digestsOf(await listTools(this.#shared.client));
    } catch {
      // It says that its tools have changed and does not say how: none of them is known any more.
      this.#now = new Map();
    }
    for (const watcher of this.#watchers) watcher(kind);
  }

  /** A stateless server tells of changes only where it is listened to. One that cannot be is looked at when it is connected again. */
  #listen({ client, era, offers }: Connection): void {
    if (era !== "stateless") return;
    const tells = (what: Json | undefined): boolean => isObject(what) && what.listChanged === true;
    const filter = {
      toolsListChanged: tells(offers.tools),
      promptsListChanged: tells(offers.prompts),
      resourcesListChanged: tells(offers.resources),
    };
    if (Object.values(filter).includes(true)) client.listen(filter).catch(() => undefined);
  }

  #unchanged(tool: string | undefined): Result<void, SysError> {
    if (tool === undefined || this.#now.get(tool) === this.#known.get(tool)) return done;
    const { name } = this.#target;
    const what = `the MCP server "${name}" changed what it says of ${tool} since it was connected`;
    return fail(
      "ESTALE",
      `${what}; it is not called until a person has looked: restart, then \`daimon config trust mcp.${name}\``,
    );
  }

  async #ready(exchange: Exchange | undefined): Promise<Result<Connection, SysError>> {
    if (exchange?.era === "sessions" && !this.#sessionless) {
      const own = await this.#session(exchange);
      // A server that knows no sessions has none to keep apart.
      this.#sessionless = !own.ok && this.#shared?.era === "stateless";
      if (!this.#sessionless) return own;
    }
    if (this.#shared?.open === true) return ok(this.#shared);
    this.#connecting ??= connect(this.#target, null, (method) => this.changed(method));
    const made = await this.#connecting;
    this.#connecting = null;
    if (!made.ok) return made;
    this.#now = digestsOf(made.value.tools);
    this.#sessionless = false;
    this.#shared = made.value;
    this.#listen(made.value);
    return made;
  }

  async #session(exchange: Exchange): Promise<Result<Connection, SysError>> {
    const { session: signal, capabilities } = exchange;
    if (signal.aborted) return fail("ECANCELED", "the client is gone");
    const known = this.#sessions.get(signal);
    if (known !== undefined) {
      const connected = await known.connecting;
      if (connected.ok && connected.value.open) return connected;
      // Another request may have begun anew meanwhile.
      if (this.#sessions.get(signal) !== known) return await this.#session(exchange);
    }
    const exchanges = known?.exchanges ?? new Set<Exchange>();
    const peer: Peer = { capabilities: askable(capabilities), current: () => [...exchanges].at(-1) ?? null };
    const session: Session = { ...peer, exchanges, connecting: connect(this.#target, peer, () => undefined) };
    this.#sessions.set(signal, session);
    signal.addEventListener("abort", () => void this.#leave(signal), { once: true });
    const made = await session.connecting;
    if (made.ok) this.#now = this.#target.transport.type === "stdio" ? digestsOf(made.value.tools) : this.#now;
    return made;
  }

  async #leave(signal: AbortSignal): Promise<void> {
    const session = this.#sessions.get(signal);
    this.#sessions.delete(signal);
    if (session !== undefined) await closeSession(session);
  }

  /** Errors a server sends are its words and become a value; everything else is ours. */
  #failure(what: string, error: unknown, open: boolean): Result<Answer, SysError> {
    const code = codeOf(error);
    const server = `the MCP server "${this.#target.name}"`;
    if (typeof code === "number") {
      const data = typeof error === "object" && error !== null && "data" in error ? (error.data as Json) : null;
      return ok({ type: "error", code, text: error instanceof Error ? error.message : "", data: data ?? null });
    }
    if (code === "REQUEST_TIMEOUT") {
      return fail("ETIMEDOUT", `${server} did not finish ${what} in time; look whether it happened before calling again`);
    }
    if (!open || code === "CONNECTION_CLOSED" || code === "NOT_CONNECTED" || code === "SEND_FAILED") {
      const stopped = `${server} stopped during ${what}; look whether it happened before calling again`;
      return fail("EIO", `${stopped}, which starts the server anew`);
    }
    if (code === "INVALID_RESULT" || code === "UNSUPPORTED_RESULT_TYPE")
      return fail("EPROTO", `${server} gave a result for ${what} that breaks the protocol`);
    return fail("EIO", `${server} failed at ${what}: ${whyNot(error)}`);
  }
}

/** Taken as it is: what is in it is judged where it is read. */
const asItIs = {
  "~standard": { version: 1 as const, vendor: "daimon", validate: (value: unknown) => ({ value: value as JsonObject }) },
};

async function send(
  { client, era }: Connection,
  { method, params, tool }: Asked,
  exchange: Exchange | undefined,
  signal: AbortSignal,
): Promise<JsonObject> {
  // Whatever the era of the client is: the door asks one with a session on the server's behalf.
  const stateless = era === "stateless" && exchange !== undefined;
  const options = {
    signal,
    // Whoever is asked meanwhile is a person.
    timeout: exchange === undefined ? limits.mcpCallTimeoutMs : limits.mcpAskTimeoutMs,
    ...(stateless ? { allowInputRequired: true } : {}),
    ...(exchange === undefined
      ? {}
      : { onprogress: (progress: object) => exchange.tell("notifications/progress", progress as JsonObject) }),
  };
  const meta = stateless ? { _meta: { "io.modelcontextprotocol/clientCapabilities": exchange.capabilities } } : {};
  const all = { ...params, ...(stateless ? exchange.resume : {}), ...meta };
  if (tool === null) return (await client.request({ method, params: all }, asItIs, options)) as JsonObject;
  // Without the output, which the client would check with patterns of the server's own making on an engine that can hang.
  const toolDefinition = tool.definition as unknown as Tool;
  const asking = { ...all, name: tool.name } as Parameters<typeof client.callTool>[0];
  return (await client.callTool(asking, { ...options, toolDefinition })) as unknown as JsonObject;
}

/** The requests that a server may make of a client; what else a client can do is no business of the server's. */
function askable({ sampling, elicitation, roots }: JsonObject): JsonObject {
  return {
    ...(isObject(sampling) && { sampling }),
    ...(isObject(elicitation) && { elicitation }),
    ...(isObject(roots) && { roots: {} }),
  };
}

async function closeSession({ connecting }: Session): Promise<void> {
  const made = await connecting;
  if (made.ok) await quietly(made.value.client.close());
}

function digestsOf(tools: readonly Json[]): ReadonlyMap<string, Digest> {
  return new Map(tools.filter(isObject).map((tool) => [typeof tool.name === "string" ? tool.name : "", sha256(canonical(tool))]));
}
