/**
 * Configuration reader: finds the scopes' files and their standing; the merging is config.ts's.
 *   BOO-3.18  A missing file is an empty scope; one that exists and cannot be read is an error, for it may hold the denies;
 *             a foreign `.mcp.json` that cannot be read is a finding.
 *   BOO-3.20  A project's file is trusted while it asks for no more than the version that a person trusted last, and no process wrote it.
 *             What an MCP server's command names of the workspace's files counts as part of the file that names it.
 *   BOO-3.19  A link in place of `daimon.yaml` is refused; the user's and the organisation's files may be links, as dotfile tools make them.
 */
import * as path from "node:path";
import { ok, type Result } from "../lib/result.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import type { SysError } from "../abi/errno.ts";
import { sysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { configName, type Layout } from "./layout.ts";
import { readBytes, readText, type SourceText } from "./read.ts";
import { noTerms, serverReaches, termsOf, widenings, type FilesOf, type Terms } from "./terms.ts";
import type { Trust } from "./trust.ts";
import type { ConfigSource } from "./config.ts";
import type { McpEntry } from "./config-file.ts";

/** `produced` holds the digests of what processes wrote into the workspace, from the journal. */
export async function readConfigSources(
  layout: Layout,
  trust: Trust,
  produced: ReadonlySet<Digest>,
): Promise<Result<readonly ConfigSource[], SysError>> {
  const { organisation, user, root } = layout;
  const places = [
    { scope: "organisation", format: "yaml", file: organisation.config, name: organisation.config, folder: organisation.folder },
    { scope: "project", format: "yaml", file: layout.config, name: configName, folder: root },
    { scope: "project", format: "mcp", file: layout.mcp, name: ".mcp.json", folder: root },
    { scope: "user", format: "yaml", file: user.config, name: "~/.config/daimon/config.yaml", folder: user.folder },
  ] as const;
  const sources: ConfigSource[] = [];
  for (const { file, ...place } of places) {
    const text = readText(file, limits.configBytesMax, place.scope === "project" ? "refuse" : "follow");
    if (!text.ok && text.error.errno === "ENOENT") continue;
    if (!text.ok && place.format === "mcp") {
      // Not our file: its parser tells that it cannot be read, and the boot goes on without its servers.
      sources.push({ ...place, text: "", trusted: false, accepted: null, widened: [] });
      continue;
    }
    if (!text.ok) return { ok: false, error: sysError(text.error.errno, `${place.name}: ${text.error.message}`) };
    const own = place.scope !== "project";
    const standing = own ? known : await standingOf(layout, trust, produced, place.name, text.value);
    sources.push({ ...place, text: text.value.text, ...standing });
  }
  return ok(sources);
}

type Standing = Pick<ConfigSource, "trusted" | "accepted" | "widened">;

const known: Standing = { trusted: true, accepted: null, widened: [] };

async function standingOf(
  layout: Layout,
  trust: Trust,
  produced: ReadonlySet<Digest>,
  name: string,
  { text, digest }: SourceText,
): Promise<Standing> {
  const acceptance = trust.latest(name);
  const accepted = acceptance?.terms ?? null;
  if (acceptance === null || accepted === null) return { trusted: false, accepted: null, widened: [] };
  const now = await readProjectTerms(layout, name, text);
  const written = produced.has(digest) && acceptance.digest !== digest ? ["a process wrote this version"] : [];
  const widened = [...(now === null ? [] : widenings(accepted, now)), ...written];
  return { trusted: now !== null && widened.length === 0, accepted, widened };
}

/** null for a text with errors, which the loader tells. */
export async function readProjectTerms(layout: Layout, name: string, text: string): Promise<Terms | null> {
  const filesOf: FilesOf = (entry) => filesNamed(layout.root, entry);
  if (name !== configName) {
    const { parseMcpJson } = await import("./mcp.ts");
    return { ...noTerms, reaches: serverReaches(parseMcpJson(name, text).servers, filesOf) };
  }
  const { parseConfigFile } = await import("./config-file.ts");
  const { file, problems } = parseConfigFile(name, text);
  return problems.length > 0 ? null : termsOf(file, filesOf);
}

/** A server runs with the user's rights: the script it is started with is as good as its command. */
function filesNamed(root: string, { command, args }: McpEntry): readonly (readonly [string, Digest])[] {
  const words = [command ?? "", ...args].flatMap((word) => [word, word.slice(word.indexOf("=") + 1)]);
  return [...new Set(words)].flatMap((word) => {
    const file = path.resolve(root, word);
    if (word === "" || !file.startsWith(root + path.sep)) return [];
    const data = readBytes(file, limits.fileBytesMax, "follow");
    return data.ok ? [[path.relative(root, file), sha256(data.value)] as const] : [];
  });
}
