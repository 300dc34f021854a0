/**
 * Configuration: the scopes' files merged into what is in force, each value with its origin.
 * Organisation stands above project, project above user. A limit is a ceiling for everyone; nothing a lower scope says widens an upper one.
 *   BOO-3.10  Of a limit (budget, window, sandbox) the smallest value of all scopes is in force, and its origin is the scope that set it.
 *   BOO-3.11  Denies, asks and allows of all scopes are kept with their origins, upper scopes first: none cancels another's deny.
 *   BOO-3.12  Of a choice (cpu, a model provider, an MCP server of one name) the highest scope's whole entry is in force.
 *   BOO-3.13  A project file that nobody has trusted restricts but does not widen: its allows, model providers, MCP servers and credentials for hosts are held
 *             back,
 *             its policy files may only forbid, and a finding says what is held and how to trust it.
 *   BOO-3.14  A project's instruction and policy files lie inside the workspace; other paths are errors with file and line.
 *   BOO-3.15  One broken file refuses the whole configuration, with every problem: half a policy is none.
 *   BOO-3.16  Values of MCP environments and headers are never shown; effective() marks them as set.
 *   BOO-3.17  With no file there is no parsing, and the YAML reader is not even loaded.
 */
import * as path from "node:path";
import { ok, type Result } from "../lib/result.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Limits } from "../abi/budget.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import type { ConfigFile, EgressEntry, McpEntry, NumberKey, Placed, PolicyKey } from "./config-file.ts";
import { describeServer, noRules, type Rules, type Terms } from "./terms.ts";

export const configScopes = ["organisation", "project", "user"] as const;
export type ConfigScope = (typeof configScopes)[number];

/** The text of one file. `name` is how people know it, `folder` what its paths start from. */
export interface ConfigSource {
  readonly scope: ConfigScope;
  readonly format: "yaml" | "mcp";
  readonly name: string;
  readonly folder: string;
  readonly text: string;
  /** False for a project file that may have come with someone else's repository, or asks for more than the version a person trusted. */
  readonly trusted: boolean;
  /** What that version said; null where there is none, and in scopes that need no trust. */
  readonly accepted: Terms | null;
  /** By what this one asks for more. */
  readonly widened: readonly string[];
}

export interface Origin {
  readonly scope: ConfigScope;
  readonly file: string;
  /** Counted from 1; 0 where the format has no lines. */
  readonly line: number;
}

export interface FromFile {
  readonly value: string;
  readonly origin: Origin;
}

/** `path` is absolute. Its permits count always, as long as they are those a person trusted, or never (null). */
export interface PolicyFile {
  readonly path: string;
  readonly permits: "all" | Rules | null;
  readonly origin: Origin;
}

export interface ModelSetting {
  readonly baseUrl: string | null;
  /** The environment variable that holds the key; null takes the driver's own. */
  readonly keyEnv: string | null;
}

export interface SandboxLimits {
  readonly timeoutMs: number;
  readonly memoryBytesMax: number;
  readonly processesMax: number;
  readonly outputBytesMax: number;
}

export interface Config {
  readonly cpu: string | null;
  readonly models: Readonly<Record<string, ModelSetting>>;
  readonly policy: {
    readonly files: readonly PolicyFile[];
    readonly allow: readonly FromFile[];
    readonly ask: readonly FromFile[];
    readonly deny: readonly FromFile[];
  };
  readonly limits: Limits;
  readonly windowTokens: number | null;
  readonly sandbox: SandboxLimits;
  readonly mcp: Readonly<Record<string, McpEntry>>;
  /** By host. */
  readonly egress: Readonly<Record<string, EgressEntry>>;
  /** Absolute paths, in load order: organisation, user, project. */
  readonly instructions: readonly FromFile[];
  /** `budget.costUsd`, `cpu`, `models.NAME`, `mcp.NAME`: who set it. What is absent is a default. */
  readonly origins: Readonly<Record<string, Origin>>;
  readonly findings: readonly Finding[];
}

interface Read {
  readonly source: ConfigSource;
  readonly file: ConfigFile;
}

export async function loadConfig(sources: readonly ConfigSource[]): Promise<Result<Config, SysError>> {
  const ordered = sources.toSorted((a, b) => configScopes.indexOf(a.scope) - configScopes.indexOf(b.scope));
  if (ordered.length === 0) return ok(merge([], new Map(), [], []));
  const files: Read[] = [];
  const problems: string[] = [];
  const findings: Finding[] = [];
  const foreign = new Map<string, McpEntry>();
  for (const source of ordered) {
    if (source.format === "mcp") {
      const { parseMcpJson } = await import("./mcp.ts");
      const read = parseMcpJson(source.name, source.text);
      findings.push(...read.findings);
      if (source.trusted) for (const [name, entry] of read.servers) foreign.set(name, entry);
      else if (read.servers.size > 0) findings.push(held(source, [`${read.servers.size} MCP server(s)`]));
      continue;
    }
    const { parseConfigFile } = await import("./config-file.ts");
    const read = parseConfigFile(source.name, source.text);
    problems.push(...read.problems, ...outside(source, read.file));
    const { file, withheld } = withhold(source, read.file);
    if (withheld.length + source.widened.length > 0) findings.push(held(source, withheld));
    files.push({ source, file }, ...kept(source, read.file));
  }
  if (problems.length > 0)
    return fail(
      "EINVAL",
      `the configuration has errors; correct the lines that are named, then start again\n${problems.join("\n")}`,
    );
  const mcpSource = ordered.find((source) => source.format === "mcp");
  return ok(merge(files, foreign, mcpSource === undefined ? [] : [mcpSource], findings));
}

/** What `daimon config` prints: every key, its value in force, and where it comes from. */
export function effective(config: Config): readonly { readonly key: string; readonly value: string; readonly origin: string }[] {
  const rows: { key: string; value: string; origin: string }[] = [];
  const row = (key: string, value: string | number | null): void => {
    const origin = config.origins[key];
    rows.push({
      key,
      value: value === null ? "none" : String(value),
      origin: origin === undefined ? "default" : describe(origin),
    });
  };
  row("cpu", config.cpu);
  for (const [key, value] of Object.entries(config.limits)) row(`budget.${key}`, value as number | null);
  row("windowTokens", config.windowTokens);
  for (const [key, value] of Object.entries(config.sandbox)) row(`sandbox.${key}`, value as number);
  for (const [name, { baseUrl, keyEnv }] of Object.entries(config.models))
    row(`models.${name}`, `${baseUrl ?? "its own address"}, key from ${keyEnv ?? "its own variable"}`);
  for (const [name, entry] of Object.entries(config.mcp)) row(`mcp.${name}`, describeServer(entry));
  for (const [host, { header, keyEnv }] of Object.entries(config.egress)) row(`egress.${host}`, `${header} from ${keyEnv}`);
  for (const file of config.policy.files) {
    rows.push({
      key: "policy.files",
      value: `${file.path}${file.permits === null ? " (forbids only)" : ""}`,
      origin: describe(file.origin),
    });
  }
  for (const verb of ["deny", "ask", "allow"] as const) {
    for (const { value, origin } of config.policy[verb]) rows.push({ key: `policy.${verb}`, value, origin: describe(origin) });
  }
  for (const { value, origin } of config.instructions) rows.push({ key: "instructions", value, origin: describe(origin) });
  return rows;
}

function merge(
  files: readonly Read[],
  foreign: ReadonlyMap<string, McpEntry>,
  foreignSource: readonly ConfigSource[],
  findings: readonly Finding[],
): Config {
  const origins: Record<string, Origin> = {};
  const least = (key: NumberKey): number | null => {
    let value: number | null = null;
    for (const { source, file } of files) {
      const placed = file.numbers.get(key);
      if (placed === undefined || (value !== null && placed.value >= value)) continue;
      value = placed.value;
      origins[key] = at(source, placed.line);
    }
    return value;
  };
  const mine = files.find(({ file }) => file.cpu !== null);
  if (mine?.file.cpu) origins["cpu"] = at(mine.source, mine.file.cpu.line);
  const sources: readonly Choice<McpEntry>[] = foreignSource.flatMap((source) =>
    [...foreign].map(([name, value]) => ({ name, value, origin: at(source, 0) })),
  );
  const mcp = choices(files, (file) => file.mcp);
  const models = choices(files, (file) => file.models).map(({ name, value, origin }) => {
    return { name, origin, value: { baseUrl: value.baseUrl?.value ?? null, keyEnv: value.keyEnv?.value ?? null } };
  });
  return {
    cpu: mine?.file.cpu?.value ?? null,
    models: highest("models", models, origins),
    policy: policyOf(files),
    limits: {
      costUsd: least("budget.costUsd"),
      tokens: least("budget.tokens"),
      calls: least("budget.calls"),
      timeMs: least("budget.timeMs"),
    },
    windowTokens: least("windowTokens"),
    sandbox: {
      timeoutMs: least("sandbox.timeoutMs") ?? limits.shellTimeoutMs,
      memoryBytesMax: least("sandbox.memoryBytesMax") ?? limits.shellMemoryBytesMax,
      processesMax: least("sandbox.processesMax") ?? limits.shellProcessesMax,
      outputBytesMax: least("sandbox.outputBytesMax") ?? limits.shellOutputBytesMax,
    },
    // `.mcp.json` is a project file: it stands behind the project's own configuration and before the user's.
    mcp: highest("mcp", [...mcp, ...sources].toSorted(byScope), origins),
    egress: highest(
      "egress",
      choices(files, (file) => file.egress),
      origins,
    ),
    instructions: inLoadOrder(files).flatMap(({ source, file }) => {
      return file.instructions.map(({ value, line }) => ({
        value: path.resolve(source.folder, value),
        origin: at(source, line),
      }));
    }),
    origins,
    findings,
  };
}

interface Choice<T> {
  readonly name: string;
  readonly value: T;
  readonly origin: Origin;
}

function choices<T>(
  files: readonly Read[],
  pick: (file: ConfigFile) => ReadonlyMap<string, { readonly value: T; readonly line: number }>,
): readonly Choice<T>[] {
  return files.flatMap(({ source, file }) =>
    [...pick(file)].map(([name, { value, line }]) => ({ name, value, origin: at(source, line) })),
  );
}

function highest<T>(section: string, list: readonly Choice<T>[], origins: Record<string, Origin>): Readonly<Record<string, T>> {
  const chosen = new Map<string, T>();
  for (const { name, value, origin } of list) {
    if (chosen.has(name)) continue;
    chosen.set(name, value);
    origins[`${section}.${name}`] = origin;
  }
  return Object.fromEntries(chosen);
}

function policyOf(files: readonly Read[]): Config["policy"] {
  const list = (key: PolicyKey): readonly FromFile[] => {
    return files.flatMap(({ source, file }) => file.policy[key].map(({ value, line }) => ({ value, origin: at(source, line) })));
  };
  const policyFiles = files.flatMap(({ source, file }) =>
    file.policy.files.map(({ value, line }) => {
      return { path: path.resolve(source.folder, value), permits: permitsOf(source, value), origin: at(source, line) };
    }),
  );
  return { files: policyFiles, allow: list("allow"), ask: list("ask"), deny: list("deny") };
}

function permitsOf(source: ConfigSource, file: string): PolicyFile["permits"] {
  if (source.scope !== "project") return "all";
  return source.trusted ? (source.accepted?.files[file] ?? noRules) : null;
}

/** What the trusted version restricted restricts on until the one that takes it out is trusted: a limit, a deny, an ask. */
function kept(source: ConfigSource, file: ConfigFile): readonly Read[] {
  if (source.trusted || source.accepted === null) return [];
  const { limits, deny, ask } = source.accepted;
  const missing = (from: readonly string[], among: readonly { readonly value: string }[]): readonly Placed<string>[] =>
    from.filter((text) => !among.some(({ value }) => value === text)).map((value) => ({ value, line: 0 }));
  const numbers = new Map(Object.entries(limits).map(([key, value]) => [key as NumberKey, { value, line: 0 }]));
  const policy = { files: [], allow: [], ask: missing(ask, file.policy.ask), deny: missing(deny, file.policy.deny) };
  const restrictions = { cpu: null, models: new Map(), mcp: new Map(), egress: new Map(), instructions: [], numbers, policy };
  return [{ source: { ...source, name: `${source.name} (as trusted)` }, file: restrictions }];
}

/** Instructions go from the general to the particular: the last word is the project's. */
function inLoadOrder(files: readonly Read[]): readonly Read[] {
  const place = { organisation: 0, user: 1, project: 2 } as const;
  return files.toSorted((a, b) => place[a.source.scope] - place[b.source.scope]);
}

function withhold(source: ConfigSource, file: ConfigFile): { readonly file: ConfigFile; readonly withheld: readonly string[] } {
  if (source.trusted) return { file, withheld: [] };
  const withheld: string[] = [];
  if (file.policy.allow.length > 0) withheld.push(`${file.policy.allow.length} allow rule(s)`);
  if (file.policy.files.length > 0) withheld.push(`the permits of ${file.policy.files.length} policy file(s)`);
  if (file.models.size > 0) withheld.push(`${file.models.size} model provider(s)`);
  if (file.mcp.size > 0) withheld.push(`${file.mcp.size} MCP server(s)`);
  if (file.egress.size > 0) withheld.push(`the credentials for ${file.egress.size} host(s)`);
  if (file.cpu !== null) withheld.push("its choice of CPU");
  const none = { models: new Map(), mcp: new Map(), egress: new Map(), cpu: null };
  return { file: { ...file, policy: { ...file.policy, allow: [] }, ...none }, withheld };
}

function held(source: ConfigSource, withheld: readonly string[]): Finding {
  const { accepted, widened } = source;
  const why = accepted === null ? "not trusted yet" : `not as you trusted it (${told(widened)})`;
  const restricts = accepted === null ? "its limits, denies and asks are" : "the limits, denies and asks of both versions are";
  const what = withheld.length === 0 ? restricts : `${withheld.join(", ")} are not in force, while ${restricts}`;
  const message = `${why}, so ${what}${withheld.length === 0 ? " in force" : ""}`;
  const next = `read the file, then run \`daimon config trust ${source.name}\``;
  return { rule: "BOO-3.13", severity: "warning", where: source.name, message: `${message}; ${next}` };
}

function told(widened: readonly string[]): string {
  const left = widened.length - toldMax;
  return [...widened.slice(0, toldMax), ...(left > 0 ? [`and ${left} more`] : [])].join("; ");
}

const toldMax = 10;

function outside(source: ConfigSource, file: ConfigFile): readonly string[] {
  if (source.scope !== "project") return [];
  return [...file.instructions, ...file.policy.files].flatMap(({ value, line }) => {
    const relative = path.relative(source.folder, path.resolve(source.folder, value));
    if (!path.isAbsolute(value) && relative !== "" && relative !== ".." && !relative.startsWith(`..${path.sep}`)) return [];
    return [`${source.name}:${line}: \`${value}\` lies outside the workspace; name a file inside it, relative to ${source.name}`];
  });
}

function at(source: ConfigSource, line: number): Origin {
  return { scope: source.scope, file: source.name, line };
}

function byScope(a: Choice<unknown>, b: Choice<unknown>): number {
  return configScopes.indexOf(a.origin.scope) - configScopes.indexOf(b.origin.scope);
}

function describe(origin: Origin): string {
  return `${origin.scope} ${origin.file}${origin.line > 0 ? `:${origin.line}` : ""}`;
}
