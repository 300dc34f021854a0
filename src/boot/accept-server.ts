/**
 * Accept a server: a person looks at what an MCP server says of its tools now, beside what it said when they were accepted, and accepts it.
 *   BOO-28.4  Each tool that is new, changed or gone is told with what it says now and said before, and what is suspicious in it; what was told is pinned.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical, isObject, type Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { visible } from "../lib/visible.ts";
import { inspectTools } from "../security/tool-text.ts";
import type { Accepted } from "./accept.ts";
import type { Config } from "./config.ts";
import type { Layout } from "./layout.ts";
import { driftOf, pinOf, readPin, writePin, type Pin } from "./pins.ts";
import { connectServer, othersOf } from "./servers.ts";

export async function acceptServer(
  layout: Layout,
  config: Config,
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  own: readonly string[],
): Promise<Result<Accepted, SysError>> {
  const entry = config.mcp[name];
  if (entry === undefined) return fail("ENOENT", `no MCP server "${name}" is in force; \`daimon config\` lists those that are`);
  const connected = await connectServer(name, entry, layout, env);
  if (!connected.ok) return connected;
  const server = connected.value;
  try {
    const before = readPin(layout, name);
    const old: Pin = before.ok ? (before.value ?? new Map<string, Json>()) : new Map<string, Json>();
    const now = pinOf(server.definitions);
    const { changed, added, gone } = driftOf(old, now);
    const signs = inspectTools(name, server.definitions, othersOf(server, [server], own));
    const adds = [
      ...added.map((tool) => `${visible(tool)} is new: ${shown(now.get(tool))}`),
      ...changed.map((tool) => `${visible(tool)} is ${shown(now.get(tool))}, it was ${shown(old.get(tool))}`),
      ...gone.map((tool) => `${visible(tool)} is gone`),
      ...signs.map(({ where, message }) => `look at ${where}: ${message}`),
    ];
    const written = writePin(layout, name, now);
    return written.ok ? ok({ path: `mcp.${name}`, digest: sha256(canonical([...now.values()])), adds }) : written;
  } finally {
    await server.close();
  }
}

/** The description, then the rest as JSON: what a model would read, with nothing hidden. */
function shown(tool: Json | undefined): string {
  if (!isObject(tool)) return "nothing";
  const { name: _name, description, ...rest } = tool;
  const text = `${typeof description === "string" ? `"${description}" ` : ""}${JSON.stringify(rest)}`;
  const plain = visible(text).replace(/\s+/g, " ");
  return plain.length <= limits.reviewLineCharsMax * 4
    ? plain
    : `${plain.slice(0, limits.reviewLineCharsMax * 4)}… (${plain.length} characters)`;
}
