/**
 * Short-hand: the `allow`, `ask` and `deny` lists people know from coding agents, as Cedar.
 * An allow or ask entry is exact or refused; a deny entry, where it cannot be exact, covers more.
 *   POL-13.1  Every entry becomes one Cedar policy that passes the schema, or an error with file, line and what to write instead.
 *   POL-13.2  An allow for a path pattern allows nothing the pattern does not match: `Read(src/*)` is not `src/a/b`.
 *   POL-13.3  A deny ignores the case of a path, covers what lies below it, and a name without a slash at any depth.
 *   POL-13.4  An allow for a command matches one simple command only; `Bash(git status)` is neither `git status; x` nor `git status > x`.
 *   POL-13.5  A deny for a command matches where any command of the line begins with its words, behind wrappers and quotes too.
 *   POL-13.6  `domain:H` allows that host alone and denies its subdomains too; `domain:*.H` is the subdomains of H.
 *   POL-13.9  `H:PORT` is that port alone. Without a port a deny covers every port, and an allow or ask for a guest's connections 80 and 443.
 *   POL-13.10  A deny of `WebFetch` also holds for a guest's connections; an allow of it does not.
 *   POL-13.7  A deny wins over every allow and ask, whatever list or file they stand in.
 *   POL-13.8  An entry about an MCP server or tool that is not connected decides nothing and is no error.
 */
import type { ArgRole, CallSpec } from "../../abi/call.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import type { Finding } from "../../abi/finding.ts";
import type { PolicyScope, PolicyText } from "../../abi/policy.ts";
import { foldPath } from "../../lib/fold.ts";
import { anyDepth, parseGlob } from "../../lib/glob.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { isSimpleCommand, patternWordsMax } from "./command.ts";
import { cedarPattern, cedarString, globCondition } from "./glob-cedar.ts";

export interface ShorthandEntry {
  readonly text: string;
  /** Where it stands in its file, from 1. */
  readonly line: number;
}

export type ShorthandVerb = "allow" | "ask" | "deny";

export type Shorthand = Readonly<Record<ShorthandVerb, readonly ShorthandEntry[]>>;

export interface ShorthandPlace {
  readonly scope: PolicyScope;
  readonly file: string;
  /** The call table: names are checked against it, and `fs.*` means the calls it has now. */
  readonly calls: readonly CallSpec[];
}

export interface ShorthandFault extends SysError {
  readonly findings: readonly Finding[];
}

export function shorthandToCedar(shorthand: Shorthand, place: ShorthandPlace): Result<PolicyText, ShorthandFault> {
  const policies: string[] = [];
  const lines: number[] = [];
  const findings: Finding[] = [];
  for (const verb of ["deny", "ask", "allow"] as const) {
    for (const { text, line } of shorthand[verb]) {
      const policy = entryToCedar(verb, text, place);
      if (!policy.ok) findings.push({ rule: "policy", severity: "error", where: `${place.file}:${line}`, ...policy.error });
      else if (policy.value === null) policies.push(`// ${JSON.stringify(text)}: not connected`);
      else {
        policies.push(policy.value);
        lines.push(line);
      }
    }
  }
  if (findings.length === 0) return ok({ scope: place.scope, file: place.file, text: `${policies.join("\n")}\n`, lines });
  const message = findings.map(({ where, message: what, fix }) => `${where}: ${what}; ${fix ?? "correct it"}`).join("\n");
  return err({ ...sysError("ENOEXEC", message), findings });
}

interface Trouble {
  readonly message: string;
  readonly fix: string;
}

/** What coding agents call their tools, as calls of the table. A deny of an edit also holds for committing it. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  Read: ["fs.read", "fs.list", "fs.search", "fs.diff"],
  Grep: ["fs.search"],
  Glob: ["fs.list", "fs.search"],
  LS: ["fs.list"],
  Edit: ["fs.write", "fs.edit"],
  MultiEdit: ["fs.write", "fs.edit"],
  NotebookEdit: ["fs.write", "fs.edit"],
  Write: ["fs.write", "fs.edit"],
  Bash: ["shell.run"],
  WebFetch: ["net.fetch"],
  Task: ["proc.spawn"],
};

const editing = new Set(["Edit", "MultiEdit", "NotebookEdit", "Write"]);
const commitCall = "fs.commit";
const connectCall = "net.connect";

function entryToCedar(verb: ShorthandVerb, entry: string, place: ShorthandPlace): Result<string | null, Trouble> {
  const shape = /^\s*([^()\s]+)\s*(?:\((.*)\))?\s*$/s.exec(entry);
  const name = shape?.[1];
  if (name === undefined || !entry.isWellFormed())
    return trouble(`${JSON.stringify(entry)} is not an entry`, 'write NAME or NAME(PATTERN), such as "Bash(git diff:*)"');
  const calls = callsOf(verb, name, place.calls);
  if (!calls.ok) return calls;
  if (calls.value === null) return ok(null);
  const argument = shape?.[2]?.trim();
  const condition = argument === undefined ? ok("") : conditionOf(verb, name, argument, calls.value, place.calls);
  if (!condition.ok) return condition;
  const names = calls.value.map((call) => `Action::${cedarString(call)}`);
  const action =
    name === "*"
      ? "action"
      : names.length === 1
        ? `action ${isGroup(name) ? "in" : "=="} ${names[0]}`
        : `action in [${names.join(", ")}]`;
  const asking = verb === "ask" ? `@ask(${cedarString(`Allow ${entry.trim()}?`)}) ` : "";
  const when = condition.value === "" ? "" : ` when { ${condition.value} }`;
  return ok(
    `@source(${cedarString(`${verb}: ${entry.trim()}`)}) ${asking}${verb === "deny" ? "forbid" : "permit"}(principal, ${action}, resource)${when};`,
  );
}

function trouble(message: string, fix: string): Result<never, Trouble> {
  return err({ message, fix });
}

function isGroup(name: string): boolean {
  return /^mcp__[^_]+(?:_[^_]+)*$/.test(name) && name.split("__").length === 2;
}

/** The calls a name stands for; null where it names an MCP server or tool that is not connected. */
function callsOf(verb: ShorthandVerb, name: string, calls: readonly CallSpec[]): Result<readonly string[] | null, Trouble> {
  const known = new Set([...calls.map((call) => call.name), commitCall]);
  if (name === "*") return ok([]);
  if (name.startsWith("mcp__")) {
    const [, server = "", ...tool] = name.split("__");
    const call = `mcp.${server}${tool.length > 0 ? `.${tool.join("__")}` : ""}`;
    if (tool.length === 0 || tool.join("__") === "*")
      return ok([...known].some((each) => each.startsWith(`mcp.${server}.`)) ? [`mcp.${server}`] : null);
    return ok(known.has(call) ? [call] : null);
  }
  if (Object.hasOwn(aliases, name)) {
    const meant = (aliases[name] ?? []).filter((call) => known.has(call));
    if (meant.length === 0) return trouble(`this kernel has no call for "${name}"`, "remove the entry");
    if (verb !== "deny") return ok(meant);
    if (editing.has(name)) return ok([...meant, commitCall]);
    return ok(name === "WebFetch" && known.has(connectCall) ? [...meant, connectCall] : meant);
  }
  if (name.endsWith(".*")) {
    const family = [...known].filter((call) => call.startsWith(name.slice(0, -1))).sort();
    if (family.length > 0) return ok(family);
    return name.startsWith("mcp.")
      ? ok(null)
      : trouble(`no call begins with "${name.slice(0, -1)}"`, `the calls are ${[...known].sort().join(", ")}`);
  }
  if (known.has(name)) return ok([name]);
  return name.startsWith("mcp.")
    ? ok(null)
    : trouble(
        `there is no call "${name}"`,
        `write one of ${[...known].sort().join(", ")}, or ${Object.keys(aliases).join(", ")}`,
      );
}

function conditionOf(
  verb: ShorthandVerb,
  name: string,
  argument: string,
  names: readonly string[],
  calls: readonly CallSpec[],
): Result<string, Trouble> {
  const roles = new Set(calls.filter((call) => names.includes(call.name)).flatMap((call) => Object.values(call.roles)));
  const asked: readonly ArgRole[] = (["path", "command", "host"] as const).filter(
    (role) => roles.has(role) || (role === "path" && names.includes(commitCall)),
  );
  const [role] = asked;
  if (role === undefined || asked.length > 1) return trouble(`"${name}" takes no pattern`, `write "${name}" alone`);
  if (argument === "") return trouble(`"${name}()" has an empty pattern`, `write "${name}" for every call`);
  if (role === "path") return pathCondition(verb, argument);
  return role === "command" ? commandCondition(verb, argument) : hostCondition(verb, argument, names.includes(connectCall));
}

function pathCondition(verb: ShorthandVerb, argument: string): Result<string, Trouble> {
  if (argument.startsWith("~") || argument.startsWith("//")) {
    return trouble(
      `${JSON.stringify(argument)} lies outside the workspace, which no call reaches`,
      "remove the entry, or give a path relative to the workspace",
    );
  }
  const anchored = argument.startsWith("/") || argument.startsWith("./");
  const plain = argument.replace(/^(?:\.?\/)+/, "").replace(/\/+$/, "/**") || ".";
  const written = parseGlob(plain);
  const glob = verb === "deny" && written.ok ? parseGlob(foldPath(plain)) : written;
  if (!glob.ok) return trouble(glob.error, "write a path relative to the workspace, with * ? and **");
  if (verb !== "deny") {
    const condition = globCondition(glob.value, "context.path", false);
    return condition.ok
      ? ok(`context has path && ${condition.value}`)
      : trouble(`${JSON.stringify(argument)}: ${condition.error}`, "or put the entry into `deny`, where it may cover more");
  }
  const floating = !anchored && glob.value.length === 1 && glob.value[0] !== anyDepth ? [anyDepth, ...glob.value] : glob.value;
  const below = floating.at(-1) === anyDepth ? floating : [...floating, anyDepth];
  const condition = globCondition(below, "context.pathFolded", true);
  return condition.ok
    ? ok(`context has pathFolded && ${condition.value}`)
    : trouble(condition.error, "write the path without it");
}

function commandCondition(verb: ShorthandVerb, argument: string): Result<string, Trouble> {
  const prefix = argument.endsWith(":*");
  const text = (prefix ? argument.slice(0, -2) : argument).trim();
  if (text === "") return trouble(`${JSON.stringify(argument)} names no command`, "write Bash for every command");
  if (prefix && text.includes("*")) return trouble(`${JSON.stringify(argument)} mixes * with :*`, "use one of them");
  if (verb === "deny") return commandDeny(text);
  if (!isSimpleCommand(text.replaceAll("*", "x"))) {
    return trouble(
      `${JSON.stringify(argument)} is more than one simple command, and an ${verb} entry matches only one`,
      "write one entry for each command, without operators, redirections or expansions",
    );
  }
  const simple = "context has command && context has simple && context.simple";
  if (prefix)
    return ok(`${simple} && (context.command == ${cedarString(text)} || context.command like ${cedarPattern(`${text} *`)})`);
  return ok(`${simple} && context.command ${text.includes("*") ? `like ${cedarPattern(text)}` : `== ${cedarString(text)}`}`);
}

/** Characters with which the same command can be written in another way. */
const disguises = ['"', "'", "\\", "$", "`", "{", "\n"];

function commandDeny(text: string): Result<string, Trouble> {
  const words = text.split(/\s+/);
  if (words.length > patternWordsMax) return trouble("the pattern has too many words", `keep to ${patternWordsMax}`);
  const star = words.findIndex((word) => word.includes("*"));
  const fixed = star < 0 ? words : words.slice(0, star);
  const begins = fixed.length === 0 ? "" : ` && ${beginsWith(fixed)}`;
  const rest = star < 0 ? [] : words.slice(star);
  if (rest.every((word) => word === "*")) return ok(`context has commands${begins}`);
  const fragments = rest
    .join("*")
    .split("*")
    .filter((fragment) => fragment !== "");
  const written = `context.command like ${cedarPattern(`*${fragments.join("*")}*`)}`;
  const disguised = disguises.map((char) => `context.command like ${cedarPattern(`*${char}*`)}`);
  return ok(`context has command && context has commands${begins} && (${[written, ...disguised].join(" || ")})`);
}

/** Each shorter run with an unknown next word may become these words. */
function beginsWith(words: readonly string[]): string {
  const [head = "", ...rest] = words;
  const known = [head.slice(head.lastIndexOf("/") + 1) || head, ...rest];
  const runs = [known.join(" "), ...known.map((_, at) => [...known.slice(0, at), "*"].join(" "))];
  return `(${runs.map((run) => `context.commands.contains(${cedarString(run)})`).join(" || ")})`;
}

/** `connects`: it is about a guest's connections, of which a pattern without a port means the two of the web. */
function hostCondition(verb: ShorthandVerb, argument: string, connects: boolean): Result<string, Trouble> {
  const [, pattern = "", port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(argument.replace(/^domain:/, "").trim()) ?? [];
  const host = pattern.toLowerCase().replace(/\.$/, "");
  const usual = connects && verb !== "deny" ? " && context has port && (context.port == 443 || context.port == 80)" : "";
  const ports = port === undefined ? usual : ` && context has port && context.port == ${Number(port)}`;
  if (host === "*") return ok(`context has host${ports}`);
  if (!/^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$|^\[[0-9a-f:.]+\]$/.test(host)) {
    return trouble(
      `${JSON.stringify(argument)} is not a host`,
      "write domain:example.com, domain:*.example.com or domain:example.com:8443 (a name beyond ASCII in its xn-- form)",
    );
  }
  if (host.startsWith("*.")) return ok(`context has host && context.host like ${cedarPattern(host)}${ports}`);
  const itself = `context.host == ${cedarString(host)}`;
  const named = verb === "deny" ? `(${itself} || context.host like ${cedarPattern(`*.${host}`)})` : itself;
  return ok(`context has host && ${named}${ports}`);
}
