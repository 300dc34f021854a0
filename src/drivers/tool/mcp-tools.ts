/** MCP tools: a server's declarations as specs of calls, bounded and cleaned. Rules: mcp.ts. */
import type { ArgRole, CallSpec } from "../../abi/call.ts";
import type { Finding } from "../../abi/finding.ts";
import { limits } from "../../abi/limits.ts";
import { isObject, type Json, type JsonObject, type JsonSchema } from "../../lib/json.ts";
import { visible, visibleJson } from "../../lib/visible.ts";
import { isMethodName } from "./mcp-methods.ts";

/** What configuration may say of a tool; it was written by the user and is believed. */
export type ToolRule = Partial<Pick<CallSpec, "effect" | "reversible" | "recovery" | "roles">>;

export interface ToolCalls {
  readonly specs: readonly { readonly tool: string; readonly spec: CallSpec; readonly declared: Declared }[];
  readonly findings: readonly Finding[];
}

/** What the server says of a tool: for the client, which needs all but the output, and the form of its structured content. */
export interface Declared {
  readonly definition: JsonObject;
  readonly output: JsonSchema | null;
}

export function toolCalls(server: string, tools: readonly Json[], rules: Readonly<Record<string, ToolRule>>): ToolCalls {
  const specs: { tool: string; spec: CallSpec; declared: Declared }[] = [];
  const findings: Finding[] = [];
  const leaveOut = (tool: string, why: string): void => {
    const where = `mcp.${server}.${visible(tool).slice(0, 60)}`;
    findings.push({ rule: "MCP-1.3", severity: "warning", where, message: `the tool is left out: ${why}` });
  };
  for (const tool of tools) {
    const name = isObject(tool) && typeof tool.name === "string" ? tool.name : "";
    if (specs.length >= limits.mcpToolsMax) leaveOut(name, `the server declares more than ${limits.mcpToolsMax} tools`);
    else if (!isObject(tool) || !/^[A-Za-z0-9_.-]{1,64}$/.test(name))
      leaveOut(name, "its name has other characters than letters, digits, '.', '-' and '_', or too many");
    else if (specs.some((known) => known.tool === name)) leaveOut(name, "the server declares it twice");
    else if (isMethodName(name)) leaveOut(name, "its name is that of a method of the protocol");
    else {
      const problem = inputProblem(tool.inputSchema) ?? sizeProblem("output", tool.outputSchema);
      if (problem === null)
        specs.push({ tool: name, spec: specOf(server, name, tool, rules[name] ?? {}), declared: declaredBy(tool) });
      else leaveOut(name, problem);
    }
  }
  return { specs, findings };
}

function specOf(server: string, name: string, tool: JsonObject, rule: ToolRule): CallSpec {
  const hints = isObject(tool.annotations) ? tool.annotations : {};
  const described = visible(typeof tool.description === "string" ? tool.description : "").trim();
  const input = cleanSchema(isObject(tool.inputSchema) ? tool.inputSchema : {});
  return {
    name: `mcp.${server}.${name}`,
    summary: `${described === "" ? name : described.slice(0, limits.mcpDescriptionCharsMax)} (a tool of the MCP server "${server}")`,
    input,
    output: { type: "object", properties: { text: { type: "string" }, failed: { type: "boolean" } }, required: ["text"] },
    effect: rule.effect ?? (hints.destructiveHint === true ? "irreversible" : "external"),
    reversible: rule.reversible ?? false,
    recovery: rule.recovery === "verify" ? "once" : (rule.recovery ?? "once"),
    roles: { ...rolesOf(input), ...rule.roles },
    mcp: { server, method: "tools/call", definition: visibleJson(tool) as JsonObject },
  };
}

function declaredBy({ outputSchema, ...definition }: JsonObject): Declared {
  return { definition, output: isObject(outputSchema) ? withoutDialect(outputSchema) : null };
}

/** An input that is not an object of bounded size and depth cannot be offered to a model. */
function inputProblem(schema: Json | undefined): string | null {
  if (!isObject(schema)) return "it declares no input schema";
  if (schema.type !== undefined && schema.type !== "object") return "its input is not an object";
  return sizeProblem("input", schema);
}

function sizeProblem(what: "input" | "output", schema: Json | undefined): string | null {
  if (schema === undefined) return null;
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > limits.mcpSchemaBytesMax)
    return `its ${what} schema has ${bytes} bytes; at most ${limits.mcpSchemaBytesMax} are taken`;
  return depthOf(schema, 0) > limits.jsonDepthMax ? `its ${what} schema is deeper than ${limits.jsonDepthMax}` : null;
}

function depthOf(value: Json, depth: number): number {
  if (typeof value !== "object" || value === null || depth > limits.jsonDepthMax) return depth;
  return Math.max(depth, ...Object.values(value as JsonObject).map((item) => depthOf(item, depth + 1)));
}

/** Words are cleaned wherever they stand. */
function cleanSchema(schema: JsonObject): JsonObject {
  return { ...withoutDialect(visibleJson(schema) as JsonObject), type: "object" };
}

/** Everything is checked as 2020-12. */
function withoutDialect({ $schema: _dialect, $id: _id, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** What an argument's name suggests; an unknown one counts as naming an object, which policy looks at. */
const roleWords: readonly (readonly [RegExp, ArgRole])[] = [
  [/(?:^|_)(?:path|paths|file|files|filename|dir|directory|folder|root)$/, "path"],
  [/(?:^|_)(?:command|cmd|script|shell|code|sql|expression|argv)$/, "command"],
  [/(?:^|_)(?:url|uri|host|hostname|endpoint|domain|server|address)$/, "host"],
  [/(?:^|_)(?:to|cc|bcc|recipient|recipients|email|channel|destination|target|webhook|phone)$/, "destination"],
  [/(?:^|_)(?:amount|price|total|quantity|cost|budget)$/, "amount"],
  [/(?:^|_)(?:token|secret|password|api_key|apikey|key|credential|credentials)$/, "credential"],
  [/(?:^|_)(?:user|username|owner|assignee|author|account)$/, "principal"],
  [
    /(?:^|_)(?:text|body|content|contents|message|query|q|prompt|description|comment|title|summary|note|notes|subject)$/,
    "content",
  ],
];

function rolesOf(input: JsonObject): Record<string, ArgRole> {
  const roles: Record<string, ArgRole> = {};
  for (const [name, schema] of Object.entries(isObject(input.properties) ? input.properties : {})) {
    const words = name
      .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
      .replaceAll("-", "_")
      .toLowerCase();
    const type = isObject(schema) ? schema.type : undefined;
    const option = type === "boolean" || (isObject(schema) && schema.enum !== undefined);
    const plain: ArgRole = option || type === "integer" || type === "number" ? "option" : "object";
    roles[name] = option ? "option" : (roleWords.find(([pattern]) => pattern.test(words))?.[1] ?? plain);
  }
  return roles;
}
