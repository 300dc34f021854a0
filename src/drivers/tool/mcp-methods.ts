/**
 * MCP methods: the resources, prompts and completions of a server as calls, `mcp.SERVER.METHOD` with the method's words joined by dots.
 *   MCP-4.1  A server's resources are listed and read, and its prompts given, by calls of class `read`; a server that has none of a kind has no such call.
 *   MCP-4.2  Agents are offered what lists and reads resources; the rest is for clients that speak MCP.
 */
import type { CallSpec } from "../../abi/call.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

interface Method {
  readonly method: string;
  /** The capability of the server that has it. */
  readonly needs: string;
  readonly summary: string;
  readonly properties: JsonObject;
  readonly required: readonly string[];
  readonly forAgents?: true;
}

const text = { type: "string" };
const cursor = { cursor: { ...text, description: "Where the last page ended." } };
const uri = { uri: { ...text, description: "As the list of resources has it." } };

const methods: readonly Method[] = [
  {
    method: "resources/list",
    needs: "resources",
    summary: "Lists the resources",
    properties: cursor,
    required: [],
    forAgents: true,
  },
  {
    method: "resources/templates/list",
    needs: "resources",
    summary: "Lists the templates of resources",
    properties: cursor,
    required: [],
    forAgents: true,
  },
  {
    method: "resources/read",
    needs: "resources",
    summary: "Reads a resource",
    properties: uri,
    required: ["uri"],
    forAgents: true,
  },
  {
    method: "resources/subscribe",
    needs: "resources",
    summary: "Watches a resource",
    properties: uri,
    required: ["uri"],
  },
  {
    method: "resources/unsubscribe",
    needs: "resources",
    summary: "Watches a resource no more",
    properties: uri,
    required: ["uri"],
  },
  { method: "prompts/list", needs: "prompts", summary: "Lists the prompts", properties: cursor, required: [] },
  {
    method: "prompts/get",
    needs: "prompts",
    summary: "Gives a prompt",
    properties: { name: text, arguments: { type: "object" } },
    required: ["name"],
  },
  {
    method: "completion/complete",
    needs: "completions",
    summary: "Completes an argument",
    properties: { ref: { type: "object" }, argument: { type: "object" }, context: { type: "object" } },
    required: ["ref", "argument"],
  },
  {
    method: "logging/setLevel",
    needs: "logging",
    summary: "Sets the level of the log",
    properties: { level: text },
    required: ["level"],
  },
];

export function methodSpecs(server: string, offers: JsonObject): readonly CallSpec[] {
  const has = ({ method, needs }: Method): boolean => {
    const offered = offers[needs];
    if (!isObject(offered)) return false;
    return !method.endsWith("subscribe") || offered.subscribe === true;
  };
  return methods.filter(has).map((each) => specOf(server, each));
}

/** `mcp.SERVER.METHOD`. */
export function methodCall(server: string, method: string): string {
  return `mcp.${server}.${method.replaceAll("/", ".")}`;
}

/** A tool may not have the name that a method's call has. */
export function isMethodName(tool: string): boolean {
  return methods.some(({ method }) => method.replaceAll("/", ".") === tool);
}

function specOf(server: string, { method, summary, properties, required, forAgents }: Method): CallSpec {
  return {
    name: methodCall(server, method),
    summary: `${summary} of the MCP server "${server}".`,
    input: { type: "object", properties, required },
    output: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: {},
    ...(forAgents === true ? {} : { offered: false as const }),
    mcp: { server, method, definition: null },
  };
}
