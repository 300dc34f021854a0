/**
 * HTTP: the tool door as Streamable HTTP for one process: each message goes to the server that it is for.
 *   DRT-5.2  A session belongs to the client that began it and ends when it says so, when the door closes, or when there are too many; then what its
 *            servers ask has nobody to answer.
 */
import { randomUUID } from "node:crypto";
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport,
  type McpHttpHandler,
  type McpServer,
} from "@modelcontextprotocol/server";
import type { SysError } from "../../abi/errno.ts";
import type { ChangeKind } from "../../abi/gate.ts";
import { limits } from "../../abi/limits.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Result } from "../../lib/result.ts";
import { tellChange, type ToolDoor } from "./door.ts";
import { listenHttp, refusal, type Answering, type HttpDoor, type HttpOptions } from "./listener.ts";

export type { HttpDoor };

export function serveHttp(door: ToolDoor, options: HttpOptions): Promise<Result<HttpDoor, SysError>> {
  return listenHttp(options, () => Promise.resolve(new Counter(door)));
}

/** Hands each message to the server it is for. */
export class Counter implements Answering {
  readonly #door: ToolDoor;
  readonly #stateless: McpHttpHandler;
  readonly #all = new AbortController();
  /** The one used last is last. */
  readonly #sessions = new Map<string, Session>();
  readonly #unwatch: () => void;

  constructor(door: ToolDoor) {
    this.#door = door;
    this.#stateless = createMcpHandler(() => door.serve("stateless", this.#all.signal), { legacy: "reject" });
    this.#unwatch = door.watch((kind) => this.#changed(kind));
  }

  async answer(request: Request, body: JsonObject | null): Promise<Response> {
    const id = request.headers.get("mcp-session-id");
    if (body === null && id === null) return await this.#stateless.fetch(request);
    if (body !== null && !(await isLegacyRequest(request, body)))
      return await this.#stateless.fetch(request, { parsedBody: body });
    if (id === null && isInitializeRequest(body)) return await this.#begin(request, body);
    if (id === null) return refusal({ status: 400, message: "a session begins with initialize" });
    const session = this.#sessions.get(id);
    if (session === undefined) return refusal({ status: 404, message: "there is no such session" });
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return await session.transport.handleRequest(request, body === null ? {} : { parsedBody: body });
  }

  async close(): Promise<void> {
    this.#unwatch();
    this.#all.abort("the door closes");
    await Promise.all([this.#stateless.close(), ...[...this.#sessions.values()].map((session) => session.server.close())]);
  }

  async #begin(request: Request, body: JsonObject | null): Promise<Response> {
    const gone = new AbortController();
    const server = this.#door.serve("sessions", gone.signal);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void this.#sessions.set(id, { server, transport }),
    });
    server.server.onclose = () => {
      if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
      gone.abort("the session ended");
    };
    await server.connect(transport);
    await this.#makeRoom();
    return await transport.handleRequest(request, { parsedBody: body });
  }

  async #makeRoom(): Promise<void> {
    for (const session of this.#sessions.values()) {
      if (this.#sessions.size < limits.doorSessionsMax) return;
      await session.server.close();
    }
  }

  #changed(kind: ChangeKind): void {
    const { notify } = this.#stateless;
    if (kind === "tools") notify.toolsChanged();
    else if (kind === "prompts") notify.promptsChanged();
    else notify.resourcesChanged();
    for (const { server } of this.#sessions.values()) tellChange(server, kind).catch(() => undefined);
  }
}

interface Session {
  readonly server: McpServer;
  readonly transport: WebStandardStreamableHTTPServerTransport;
}
