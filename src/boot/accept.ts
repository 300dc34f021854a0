/**
 * Accept: a person trusts a file of the workspace as it is at this moment.
 *   BOO-26.1  Settings are accepted with their terms, a program that is code with every file it imports, anything else by its digest.
 *   BOO-26.2  What was looked at is what is accepted: each file is read once.
 *   BOO-26.3  The answer names what the acceptance adds to the one before, so that a person sees what they said yes to.
 */
import { existsSync } from "node:fs";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Digest } from "../lib/hash.ts";
import { ok, type Result } from "../lib/result.ts";
import { readProjectTerms } from "./config-read.ts";
import { configName, type Layout } from "./layout.ts";
import { changesOf, measureModules } from "./modules.ts";
import { readText, type SourceText } from "./read.ts";
import { noRules, noTerms, rulesIn, rulesWidened, widenings, type Rules } from "./terms.ts";
import { readTrust, recordAcceptance, type Acceptance } from "./trust.ts";

export interface Accepted {
  /** Relative to the workspace. */
  readonly path: string;
  readonly digest: Digest;
  /** One line each: what a person had not trusted before. */
  readonly adds: readonly string[];
}

export async function acceptFile(layout: Layout, file: string, now: number): Promise<Result<Accepted, SysError>> {
  const name = path.relative(layout.root, path.resolve(layout.root, file)).split(path.sep).join("/");
  if (name === "") return fail("EINVAL", `the workspace itself is no file; name one in it, such as ${configName}`);
  if (name.startsWith("../") || name === "..")
    return fail("EINVAL", "the file lies outside the workspace; only files of the workspace need trust");
  if (!existsSync(path.join(layout.root, name)))
    return fail("ENOENT", `there is no file ${name} in this workspace; name one that is there, such as ${configName}`);
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const before = trust.value.latest(name);
  const judged = await judge(layout, name, before);
  if (!judged.ok) return judged;
  const { adds, ...acceptance } = judged.value;
  const recorded = recordAcceptance(layout, { path: name, at: now, ...acceptance });
  return recorded.ok ? ok({ path: name, digest: acceptance.digest, adds }) : recorded;
}

type Judged = Pick<Acceptance, "digest" | "terms" | "files"> & Pick<Accepted, "adds">;

async function judge(layout: Layout, name: string, before: Acceptance | null): Promise<Result<Judged, SysError>> {
  if (/\.[cm]?[jt]s$/.test(name)) {
    const graph = await measureModules(layout.root, name);
    if (!graph.ok) return graph;
    const { digest, files } = graph.value;
    return ok({ digest, files, adds: changesOf(before?.files ?? {}, graph.value) });
  }
  const text = readText(path.join(layout.root, name), limits.configBytesMax);
  if (!text.ok) return text;
  const settings = name === configName || name === ".mcp.json";
  return settings ? await judgeSettings(layout, name, text.value, before) : ok({ digest: text.value.digest, adds: [] });
}

async function judgeSettings(
  layout: Layout,
  name: string,
  { text, digest }: SourceText,
  before: Acceptance | null,
): Promise<Result<Judged, SysError>> {
  const now = await readProjectTerms(layout, name, text);
  if (now === null) return fail("EINVAL", `${name} has errors; \`daimon config\` names them. Correct them, then trust it`);
  const was = before?.terms ?? noTerms;
  const adds = [...widenings(was, now)];
  const files: Record<string, Rules> = {};
  for (const file of Object.keys(now.files)) {
    const rules = await readRules(layout, file);
    if (!rules.ok) return rules;
    files[file] = rules.value;
    const widened = rulesWidened(was.files[file] ?? noRules, rules.value);
    if (widened !== null) adds.push(`policy.files ${file} ${widened}`);
  }
  return ok({ digest, terms: { ...now, files }, adds });
}

async function readRules(layout: Layout, file: string): Promise<Result<Rules, SysError>> {
  const text = readText(path.resolve(layout.root, file), limits.configBytesMax);
  const { parseUnchecked } = await import("../drivers/policy/cedar.ts");
  const parsed = text.ok ? parseUnchecked([{ scope: "project", file, text: text.value.text }]) : text;
  if (parsed.ok) return ok(rulesIn(parsed.value.rules));
  return fail(parsed.error.errno, `policy file ${file}: ${parsed.error.message}`);
}
