/**
 * Configuration reader: finds the scopes' files and their standing; the merging is config.ts's.
 *   BOO-3.18  A missing file is an empty scope; one that exists and cannot be read is an error, for it may hold the denies;
 *             a foreign `.mcp.json` that cannot be read is a finding.
 *   BOO-3.19  A link in place of `daimon.yaml` is refused; the user's and the organisation's files may be links, as dotfile tools make them.
 */
import { ok, type Result } from "../lib/result.ts";
import type { Digest } from "../lib/hash.ts";
import type { SysError } from "../abi/errno.ts";
import { sysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { configName, type Layout } from "./layout.ts";
import { readText } from "./read.ts";
import { trustsConfig, type Trust } from "./trust.ts";
import type { ConfigSource } from "./config.ts";

/** `produced` holds the digests of what processes wrote into the workspace, from the journal. */
export function readConfigSources(
  layout: Layout,
  trust: Trust,
  produced: ReadonlySet<Digest>,
): Result<readonly ConfigSource[], SysError> {
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
      sources.push({ ...place, text: "", trusted: false });
      continue;
    }
    if (!text.ok) return { ok: false, error: sysError(text.error.errno, `${place.name}: ${text.error.message}`) };
    const trusted = place.scope !== "project" || trustsConfig(trust, place.name, text.value.digest, produced);
    sources.push({ ...place, text: text.value.text, trusted });
  }
  return ok(sources);
}
