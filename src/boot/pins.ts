/**
 * Pins: what the tools of an MCP server were like when they were accepted, kept in the user's own folder, where no repository, server or process writes.
 *   BOO-28.1  All that a server declares of its tools is pinned, for this workspace, when it is connected for the first time.
 *   BOO-28.2  A tool that is not as it was pinned, or was not there, is not called until a person accepts it; the refusal says what to type, and quotes nothing.
 *   BOO-28.3  A pin that is damaged, or lies where others can write, accepts no tool.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical, isObject, parseJson, type Json } from "../lib/json.ts";
import { done, ok, type Result } from "../lib/result.ts";
import { checkUserFolder, type Layout } from "./layout.ts";
import { readText } from "./read.ts";

/** The tools as their server declared them, by name. */
export type Pin = ReadonlyMap<string, Json>;

export interface Drift {
  readonly changed: readonly string[];
  readonly added: readonly string[];
  readonly gone: readonly string[];
}

export function pinOf(tools: readonly Json[]): Pin {
  return new Map(
    tools.flatMap((tool) => (isObject(tool) && typeof tool["name"] === "string" ? [[tool["name"], tool] as const] : [])),
  );
}

/** null where the server was never connected in this workspace. */
export function readPin(layout: Layout, server: string): Result<Pin | null, SysError> {
  const sound = checkUserFolder(layout);
  if (!sound.ok) return sound;
  const text = readText(fileOf(layout, server), limits.trustBytesMax);
  if (!text.ok) return text.error.errno === "ENOENT" ? ok(null) : text;
  const json = parseJson(text.value.text);
  if (isObject(json) && json["server"] === server && json["workspace"] === layout.root && Array.isArray(json["tools"]))
    return ok(pinOf(json["tools"] as readonly Json[]));
  return fail(
    "EUCLEAN",
    `what was accepted of the MCP server "${server}" is damaged; accept it anew with \`daimon config trust mcp.${server}\``,
  );
}

export function writePin(layout: Layout, server: string, pin: Pin): Result<void, SysError> {
  const file = fileOf(layout, server);
  const temporary = `${file}.${process.pid}.tmp`;
  const text = JSON.stringify({ workspace: layout.root, server, tools: [...pin.values()] });
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    fs.writeFileSync(temporary, `${text}\n`, { mode: 0o600, flush: true });
    fs.renameSync(temporary, file);
    return done;
  } catch {
    fs.rmSync(temporary, { force: true });
    return fail(
      "EIO",
      "cannot write what is accepted of MCP servers into your daimon configuration folder; make that folder writable",
    );
  }
}

export function driftOf(pin: Pin, now: Pin): Drift {
  const names = [...now.keys()];
  return {
    changed: names.filter((name) => pin.has(name) && canonical(pin.get(name)) !== canonical(now.get(name))),
    added: names.filter((name) => !pin.has(name)),
    gone: [...pin.keys()].filter((name) => !now.has(name)),
  };
}

function fileOf({ user, root }: Layout, server: string): string {
  return path.join(user.folder, "mcp", `${sha256(JSON.stringify([root, server])).slice(0, 32)}.json`);
}
