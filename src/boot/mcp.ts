/**
 * MCP servers as other tools keep them: `.mcp.json` with `mcpServers`, read as it is found and never written.
 *   BOO-3.7  Servers of `.mcp.json` keep their command, arguments, environment, address and headers verbatim; `${NAME}` is not expanded here.
 *   BOO-3.8  What cannot be read is a finding with the server's name, not a refusal to boot: the file is not ours. Unknown keys are left alone.
 *   BOO-3.9  A credential written into the file is a finding that does not repeat it.
 */
import { isObject, parseJson, type Json } from "../lib/json.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import type { McpEntry } from "./config-file.ts";
import { looksSecret } from "./secret.ts";

export function parseMcpJson(
  name: string,
  text: string,
): { readonly servers: ReadonlyMap<string, McpEntry>; readonly findings: readonly Finding[] } {
  const servers = new Map<string, McpEntry>();
  const findings: Finding[] = [];
  const find = (message: string): void => void findings.push({ rule: "BOO-3.8", severity: "warning", where: name, message });
  const json = text.length > limits.configBytesMax ? undefined : parseJson(text.replace(/^\ufeff/, ""));
  const listed = isObject(json) ? json["mcpServers"] : undefined;
  if (!isObject(listed)) {
    find("no servers are read: the file is not JSON with an object `mcpServers`; compare it with another tool that reads it");
    return { servers, findings };
  }
  for (const [server, value] of Object.entries(listed)) {
    const entry = serverOf(value);
    if (entry === null) {
      find(`server \`${server}\` is left out: it needs a text \`command\` (with a list \`args\`) or an http \`url\``);
      continue;
    }
    const values = [...entry.args, ...Object.values(entry.env), ...Object.values(entry.headers), entry.url ?? ""];
    if (values.some(looksSecret)) {
      const message = `server \`${server}\` holds a credential; put it into an environment variable and write \${NAME} here`;
      findings.push({ rule: "BOO-3.9", severity: "warning", where: name, message });
    }
    servers.set(server, entry);
  }
  return { servers, findings };
}

function serverOf(value: Json): McpEntry | null {
  if (!isObject(value)) return null;
  const { command, args, env, url, headers } = value;
  const texts = Array.isArray(args) ? args.filter((arg): arg is string => typeof arg === "string") : [];
  if (typeof command === "string" && command !== "") {
    if (args !== undefined && (!Array.isArray(args) || texts.length !== args.length)) return null;
    return { command, args: texts, env: textsOf(env), url: null, headers: {} };
  }
  if (typeof url !== "string" || !/^(?:https?:\/\/|\$\{)/.test(url)) return null;
  return { command: null, args: [], env: {}, url, headers: textsOf(headers) };
}

function textsOf(value: Json | undefined): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).filter((field): field is [string, string] => typeof field[1] === "string"));
}
