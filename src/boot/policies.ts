/**
 * Policies: gather the policy of every scope, have Cedar check it, and compile it.
 *   BOO-10.1  A policy file with an error refuses the boot, with file, line and what to do.
 *   BOO-10.3  Of a project that nobody trusted only forbids count, and so of a file that permits more, or forbids less, than when it was trusted.
 */
import { join, relative } from "node:path";
import type { BootStep } from "../abi/entry.ts";
import type { CallSpec } from "../abi/call.ts";
import { sysError, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import type { PolicyEngine, PolicyRule, PolicySet, PolicyText } from "../abi/policy.ts";
import { sha256 } from "../lib/hash.ts";
import type { JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { compilePolicies } from "../security/policy/engine.ts";
import { mayPermit } from "../security/policy/permits.ts";
import { platformPolicy } from "../security/policy/platform.ts";
import { actionOf } from "../security/question.ts";
import { policySchema } from "../security/policy/schema.ts";
import { shorthandToCedar, type ShorthandEntry } from "../security/policy/shorthand.ts";
import type { Config, FromFile, PolicyFile } from "./config.ts";
import type { Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";
import { readPolicyCache, writePolicyCache } from "./policy-cache.ts";
import { readText } from "./read.ts";
import { rulesIn, rulesWidened } from "./terms.ts";

export interface PolicyRequestOptions {
  readonly layout: Layout;
  readonly config: Config;
  readonly specs: readonly CallSpec[];
  readonly engine: "compiled" | "cedar";
  readonly tick: () => number;
}

export interface LoadedPolicies {
  readonly engine: PolicyEngine;
  /** Whether some rule permits the call to somebody; where none does it is always refused. */
  readonly mayPermit: (spec: CallSpec) => boolean;
  readonly steps: readonly BootStep[];
  readonly findings: readonly Finding[];
}

export async function loadPolicies(options: PolicyRequestOptions): Promise<Result<LoadedPolicies, SysError>> {
  const since = options.tick();
  const texts = gather(options);
  if (!texts.ok) return texts;
  const schema = policySchema(options.specs);
  const set = await parsed(options, texts.value, schema);
  if (!set.ok) return set;
  const { usable, findings } = withoutHeldBack(set.value, options);
  const steps = texts.value.map(({ scope, file, text }) =>
    bootStep(`policy:${scope}:${file}`, sha256(text), since, options.tick()),
  );
  const engine =
    options.engine === "cedar" ? (await import("../drivers/policy/cedar.ts")).cedarEngine(usable) : compilePolicies(usable);
  if (!engine.ok) return engine;
  const permitted = (spec: CallSpec): boolean => mayPermit(usable.rules, actionOf(spec));
  return ok({ engine: engine.value, mayPermit: permitted, steps, findings: [...set.value.warnings, ...findings] });
}

/** Permits of a file that may only restrict, or that asks for more than the version a person trusted, are left out. */
function withoutHeldBack(
  set: PolicySet,
  { config, layout }: PolicyRequestOptions,
): { readonly usable: PolicySet; readonly findings: readonly Finding[] } {
  const held = new Set<string>();
  const findings: Finding[] = [];
  for (const file of config.policy.files) {
    if (file.permits === "all") continue;
    const name = shownName(file, layout);
    const rules = set.rules.filter((rule) => rule.scope === "project" && rule.file === name);
    const widened = file.permits === null ? "" : rulesWidened(file.permits, rulesIn(rules));
    if (widened === null) continue;
    held.add(name);
    if (file.permits !== null) findings.push(notAsTrusted(name, widened, file));
  }
  const counts = (rule: PolicyRule): boolean => rule.effect === "forbid" || rule.scope !== "project" || !held.has(rule.file);
  return { usable: held.size === 0 ? set : { ...set, rules: set.rules.filter(counts) }, findings };
}

function notAsTrusted(name: string, widened: string, { origin }: PolicyFile): Finding {
  const message = `not as you trusted it (it ${widened}), so none of its permits is in force, while what it forbids is`;
  const next = `read the file, then run \`daimon config trust ${origin.file}\``;
  return { rule: "BOO-10.3", severity: "warning", where: name, message: `${message}; ${next}` };
}

/** How people know it, and no two files share it: from the workspace, or from the folder of its scope. */
function shownName(file: PolicyFile, layout: Layout): string {
  if (file.origin.scope === "project") return relative(layout.root, file.path);
  const { folder } = file.origin.scope === "user" ? layout.user : layout.organisation;
  return join(file.origin.scope === "user" ? "~/.config/daimon" : folder, relative(folder, file.path));
}

function gather(options: PolicyRequestOptions): Result<readonly PolicyText[], SysError> {
  const { layout, config } = options;
  const texts: PolicyText[] = [platformPolicy];
  const own = [
    { scope: "organisation", file: join(layout.organisation.folder, "policy.cedar"), name: "/etc/daimon/policy.cedar" },
    { scope: "user", file: join(layout.user.folder, "policy.cedar"), name: "~/.config/daimon/policy.cedar" },
  ] as const;
  for (const { scope, file, name } of own) {
    const read = readText(file, limits.configBytesMax);
    if (read.ok) texts.push({ scope, file: name, text: read.value.text });
    else if (read.error.errno !== "ENOENT") return err(sysError(read.error.errno, `${name}: ${read.error.message}`));
  }
  for (const file of config.policy.files) {
    const read = readText(file.path, limits.configBytesMax);
    if (!read.ok)
      return err(
        sysError(
          read.error.errno,
          `${file.origin.file}:${file.origin.line}: policy file ${shownName(file, layout)}: ${read.error.message}`,
        ),
      );
    const { scope } = file.origin;
    const name = shownName(file, layout);
    // Listed twice, or listed and found where it lies anyway: one file all the same.
    if (texts.some((known) => known.scope === scope && known.file === name)) continue;
    texts.push({ scope, file: name, text: read.value.text });
  }
  return shorthands(options, texts);
}

function shorthands({ config, specs }: PolicyRequestOptions, texts: PolicyText[]): Result<readonly PolicyText[], SysError> {
  const { allow, ask, deny } = config.policy;
  const files = new Map([...allow, ...ask, ...deny].map((item) => [`${item.origin.scope} ${item.origin.file}`, item.origin]));
  for (const { scope, file } of files.values()) {
    const of = (list: readonly FromFile[]): readonly ShorthandEntry[] =>
      list
        .filter((item) => item.origin.scope === scope && item.origin.file === file)
        .map((item) => ({ text: item.value, line: item.origin.line }));
    const compiled = shorthandToCedar({ allow: of(allow), ask: of(ask), deny: of(deny) }, { scope, file, calls: specs });
    if (!compiled.ok) return compiled;
    texts.push(compiled.value);
  }
  return ok(texts);
}

async function parsed(
  options: PolicyRequestOptions,
  texts: readonly PolicyText[],
  schema: JsonObject,
): Promise<Result<PolicySet, SysError>> {
  const { policyKey } = await import("../drivers/policy/key.ts");
  const cached = readPolicyCache(options.layout, policyKey(texts, schema));
  if (cached !== null) return ok(cached);
  const { parsePolicies } = await import("../drivers/policy/cedar.ts");
  const set = parsePolicies(texts, schema);
  if (set.ok) writePolicyCache(options.layout, set.value);
  return set;
}
