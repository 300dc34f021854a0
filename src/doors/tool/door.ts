/**
 * Tool door: a server of the Model Context Protocol for one process, behind which stand daimon's own calls and the servers of the configuration.
 *   DRT-1.1  Every tool, resource, prompt and completion that a client asks for goes through the gate; a name that the process does not hold is unknown.
 *   DRT-1.2  Both eras are served: with sessions to 2025-11-25, and stateless from 2026-07-28.
 *   DRT-1.3  What a server asks and tells while a call is under way reaches the client that called, if it declared that it can be asked.
 *   DRT-1.4  A client that cancels its request cancels the call.
 *   DRT-1.5  An argument that its tool wants in a header as well is the same in both, or the call is not made.
 */
import { McpServer, ProtocolError, type Server, type ServerContext } from "@modelcontextprotocol/server";
import type { CallSpec } from "../../abi/call.ts";
import type { ChangeKind, Exchange, Gate } from "../../abi/gate.ts";
import { limits } from "../../abi/limits.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { blockForm, methodResult, toolResult, withUri, type Shown } from "./answers.ts";
import { namesOf, type NameMode, type Names } from "./names.ts";
import { readOn, Texts } from "./texts.ts";

export interface DoorOptions {
  readonly gate: Gate;
  readonly mode: NameMode;
  readonly version: string;
}

/** One server of the SDK for one connection or, in the stateless era, for one request. */
export interface ToolDoor {
  serve(era: Exchange["era"], session: AbortSignal): McpServer;
  watch(listener: (kind: ChangeKind) => void): () => void;
}

export function toolDoor({ gate, mode, version }: DoorOptions): ToolDoor {
  const texts = new Texts();
  let known: { readonly specs: readonly CallSpec[]; readonly names: Names } | null = null;
  // Asked for each request, because what the process may hold can change under it.
  const names = (): Names => {
    const specs = gate.specs();
    if (known?.specs !== specs) known = { specs, names: namesOf(specs, mode) };
    return known.names;
  };
  return {
    serve: (era, session) => new Desk({ gate, mode, version, texts, names, era, session }).served,
    watch: (listener) => gate.watch(listener),
  };
}

interface DeskOptions extends DoorOptions {
  readonly texts: Texts;
  readonly names: () => Names;
  readonly era: Exchange["era"];
  readonly session: AbortSignal;
}

/** Tells a client that what it may ask for has changed. */
export function tellChange({ server }: McpServer, kind: ChangeKind): Promise<void> {
  if (kind === "tools") return server.sendToolListChanged();
  return kind === "prompts" ? server.sendPromptListChanged() : server.sendResourceListChanged();
}

const invalidParams = -32602;

/** Whatever a method's result is: it was made by a server of the same protocol, or by answers.ts. */
type Answers = (params: JsonObject, exchange: Exchange) => Promise<JsonObject>;

/** The SDK compares headers with arguments where a server knows its tools' schemas; it asks for them here, and everything else goes to the handlers. */
class Served extends McpServer {
  readonly #schemaOf: (name: string) => JsonObject | undefined;

  constructor(info: ConstructorParameters<typeof McpServer>[0], schemaOf: (name: string) => JsonObject | undefined) {
    super(info);
    this.#schemaOf = schemaOf;
  }

  override toolInputSchemaJson(name: string): JsonObject | undefined {
    return this.#schemaOf(name);
  }
}

class Desk {
  readonly served: McpServer;
  readonly #gate: Gate;
  readonly #mode: NameMode;
  readonly #texts: Texts;
  readonly #names: () => Names;
  readonly #era: Exchange["era"];
  readonly #session: AbortSignal;

  constructor(options: DeskOptions) {
    this.#gate = options.gate;
    this.#mode = options.mode;
    this.#texts = options.texts;
    this.#names = options.names;
    this.#era = options.era;
    this.#session = options.session;
    const names = this.#names();
    const has = (method: string): boolean => names.servers(method).length > 0;
    const capabilities = {
      tools: { listChanged: true },
      ...(has("resources/list") && { resources: { listChanged: true, subscribe: has("resources/subscribe") } }),
      ...(has("prompts/list") && { prompts: { listChanged: true } }),
      ...(has("completion/complete") && { completions: {} }),
      ...(has("logging/setLevel") && { logging: {} }),
    };
    this.served = new Served({ name: "daimon", version: options.version }, (name) => this.#schemaOf(name));
    this.#server.registerCapabilities(capabilities);
    this.#answer("tools/list", () => Promise.resolve(this.#listTools()));
    this.#answer("tools/call", (params, exchange) => this.#callTool(params, exchange));
    if (has("resources/list")) this.#answerResources();
    if (has("prompts/list")) {
      this.#answer("prompts/list", (_params, exchange) => this.#listPrompts(exchange));
      this.#answer("prompts/get", (params, exchange) => this.#getPrompt(params, exchange));
    }
    if (has("completion/complete")) this.#answer("completion/complete", (params, exchange) => this.#complete(params, exchange));
    if (has("logging/setLevel")) this.#answer("logging/setLevel", (params, exchange) => this.#setLevel(params, exchange));
  }

  get #server(): Server {
    return this.served.server;
  }

  #schemaOf(name: string): JsonObject | undefined {
    const spec = this.#names().tools.get(name);
    const declared = spec?.mcp?.definition?.["inputSchema"];
    return isObject(declared) ? declared : spec?.input;
  }

  #answerResources(): void {
    this.#answer("resources/list", (_params, exchange) => this.#listResources("resources/list", "resources", exchange));
    this.#answer("resources/templates/list", (_params, exchange) =>
      this.#listResources("resources/templates/list", "resourceTemplates", exchange),
    );
    for (const method of ["resources/read", "resources/subscribe", "resources/unsubscribe"]) {
      this.#answer(method, (params, exchange) => this.#resource(method, params, exchange));
    }
  }

  /** The SDK types each method's parameters and result; here they pass from one server to another unread. */
  #answer(method: string, answers: Answers): void {
    const handler = (request: { readonly params?: unknown }, context: ServerContext): Promise<JsonObject> =>
      answers(isObject(request.params) ? request.params : {}, this.#exchange(context));
    this.#server.setRequestHandler(method as "tools/list", handler as never);
  }

  #listTools(): JsonObject {
    const tools = [...this.#names().tools].map(([name, spec]) => definitionOf(name, spec, this.#mode));
    return { tools: this.#mode.type === "identity" ? tools : [...tools, readOn] };
  }

  async #callTool({ name = null, arguments: given }: JsonObject, exchange: Exchange): Promise<JsonObject> {
    const args = given ?? {};
    if (this.#mode.type === "namespaced" && name === readOn.name) return this.#readOn(args);
    const names = this.#names();
    const spec = typeof name === "string" ? names.tools.get(name) : undefined;
    if (spec === undefined)
      throw new ProtocolError(invalidParams, `Unknown tool: ${JSON.stringify(name).slice(0, limits.quoteCharsMax)}`);
    const outcome = await this.#gate.call(spec.name, args, exchange);
    return toolResult(outcome, this.#shown(names, spec.mcp?.server ?? ""));
  }

  #readOn(args: Json): JsonObject {
    const { text, from } = isObject(args) ? args : {};
    const more =
      typeof text === "string" && typeof from === "number" ? this.#texts.read(text, Math.max(0, Math.trunc(from))) : null;
    if (more !== null) return { content: [{ type: "text", text: more }] };
    const gone = "there is no such text any more; make the call that gave it again";
    return { content: [{ type: "text", text: gone }], isError: true };
  }

  async #listResources(method: string, field: string, exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    const lists = names.servers(method).map(async (server) => {
      const rows = await this.#list(names, server, method, field, exchange);
      return rows.map((row) => ({
        ...withUri(row, { uri: (uri) => names.uri(server, uri) }),
        ...(typeof row.uriTemplate === "string" && { uriTemplate: names.uri(server, row.uriTemplate) }),
      }));
    });
    return { [field]: (await Promise.all(lists)).flat() };
  }

  async #listPrompts(exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    const lists = names.servers("prompts/list").map(async (server) => {
      const rows = await this.#list(names, server, "prompts/list", "prompts", exchange);
      return rows.map((row) => (typeof row.name === "string" ? { ...row, name: names.prompt(server, row.name) } : row));
    });
    return { prompts: (await Promise.all(lists)).flat() };
  }

  /** All pages of one server's list. With one server behind, its failure is the list's; of several, the others are listed. */
  async #list(names: Names, server: string, method: string, field: string, exchange: Exchange): Promise<readonly JsonObject[]> {
    const call = names.method(server, method);
    const rows: JsonObject[] = [];
    let cursor: Json | undefined;
    for (let page = 0; call !== undefined && page < limits.doorPagesMax; page += 1) {
      const outcome = await this.#gate.call(call.name, cursor === undefined ? {} : { cursor }, exchange);
      if (!outcome.ok && this.#mode.type === "namespaced") break;
      const result = methodResult(outcome);
      if (Array.isArray(result[field])) rows.push(...(result[field] as readonly Json[]).filter(isObject));
      cursor = result.nextCursor;
      if (typeof cursor !== "string") break;
    }
    return rows;
  }

  async #resource(method: string, params: JsonObject, exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    const placed = typeof params.uri === "string" ? names.uriOf(params.uri) : null;
    const call = placed === null ? undefined : names.method(placed.server, method);
    if (placed === null || call === undefined) throw new ProtocolError(invalidParams, "Resource not found", { uri: params.uri });
    const result = methodResult(await this.#gate.call(call.name, { uri: placed.name }, exchange));
    if (!Array.isArray(result.contents)) return method === "resources/read" ? result : {};
    const shown = this.#shown(names, placed.server);
    const contents = (result.contents as readonly Json[]).map((content) =>
      isObject(content) ? withUri(content, shown) : content,
    );
    return { ...result, contents };
  }

  async #getPrompt(params: JsonObject, exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    const placed = typeof params.name === "string" ? names.promptOf(params.name) : null;
    const call = placed === null ? undefined : names.method(placed.server, "prompts/get");
    if (placed === null || call === undefined) throw new ProtocolError(invalidParams, "Prompt not found");
    const args = isObject(params.arguments) ? { arguments: params.arguments } : {};
    const result = methodResult(await this.#gate.call(call.name, { name: placed.name, ...args }, exchange));
    if (!Array.isArray(result.messages)) return result;
    const shown = this.#shown(names, placed.server);
    const messages = (result.messages as readonly Json[]).map((message) =>
      isObject(message) ? { ...message, content: blockForm(message.content ?? null, shown) } : message,
    );
    return { ...result, messages };
  }

  async #complete({ ref, argument, context }: JsonObject, exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    const about = isObject(ref) ? ref : {};
    const named = typeof about.name === "string" ? names.promptOf(about.name) : null;
    const placed = typeof about.uri === "string" ? names.uriOf(about.uri) : named;
    const call = placed === null ? undefined : names.method(placed.server, "completion/complete");
    if (placed === null || call === undefined) throw new ProtocolError(invalidParams, "Nothing of this name can be completed");
    const own = typeof about.uri === "string" ? { ...about, uri: placed.name } : { ...about, name: placed.name };
    const args = { ref: own, argument: argument ?? {}, ...(isObject(context) && { context }) };
    return methodResult(await this.#gate.call(call.name, args, exchange));
  }

  /** Of every server that logs: the client does not know how many there are. */
  async #setLevel({ level }: JsonObject, exchange: Exchange): Promise<JsonObject> {
    const names = this.#names();
    for (const server of names.servers("logging/setLevel")) {
      const call = names.method(server, "logging/setLevel");
      if (call !== undefined) methodResult(await this.#gate.call(call.name, { level: level ?? "" }, exchange));
    }
    return {};
  }

  #shown(names: Names, server: string): Shown {
    if (this.#mode.type === "identity") return { uri: (uri) => uri, text: (text) => text };
    return { uri: (uri) => names.uri(server, uri), text: (text) => this.#texts.shorten(text) };
  }

  #exchange({ mcpReq }: ServerContext): Exchange {
    const stateless = this.#era === "stateless";
    const capabilities = stateless ? declaredIn(mcpReq.envelope) : jsonOf(this.#server.getClientCapabilities());
    const { inputResponses } = mcpReq;
    const requestState = mcpReq.requestState();
    return {
      era: this.#era,
      session: this.#session,
      signal: mcpReq.signal,
      capabilities,
      resume: {
        ...(inputResponses !== undefined && { inputResponses: inputResponses as JsonObject }),
        ...(typeof requestState === "string" && { requestState }),
      },
      tell: (method, params) => void tell(this.#server, mcpReq, method, params).catch(() => undefined),
      ask: async (method, params) => {
        const kind = asks[method];
        if (kind === undefined || stateless || !isObject(capabilities[kind])) throw new Error("the client cannot be asked this");
        return (await mcpReq.send({ method, params: { ...params } }, asItIs)) as JsonObject;
      },
    };
  }
}

/** Of a stateless client each request says what it can be asked. */
function declaredIn(envelope: unknown): JsonObject {
  return jsonOf(jsonOf(envelope)["io.modelcontextprotocol/clientCapabilities"]);
}

function jsonOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** What a server may ask a client, and the capability by which the client says that it can be asked. */
const asks: Readonly<Record<string, string>> = {
  "sampling/createMessage": "sampling",
  "elicitation/create": "elicitation",
  "roots/list": "roots",
};

/** Taken as it is: it goes on to the server that asked. */
const asItIs = { "~standard": { version: 1 as const, vendor: "daimon", validate: (value: unknown) => ({ value }) } };

/** Notifications that belong to a request; any other is a server's own affair. */
async function tell(server: Server, mcpReq: ServerContext["mcpReq"], method: string, params: JsonObject): Promise<void> {
  if (method === "notifications/progress") {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken !== undefined) await mcpReq.notify({ method, params: { ...params, progressToken } });
  } else if (method === "notifications/message") {
    await mcpReq.notify({ method, params: { ...params } });
  } else if (method === "notifications/resources/updated" && typeof params.uri === "string") {
    await server.sendResourceUpdated({ uri: params.uri });
  }
}

function definitionOf(name: string, spec: CallSpec, mode: NameMode): JsonObject {
  const definition = spec.mcp?.definition ?? null;
  if (definition === null) return { name, description: spec.summary, inputSchema: spec.input };
  return mode.type === "identity" ? definition : { ...definition, name, description: spec.summary };
}
