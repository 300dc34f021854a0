/**
 * Capability: what a manifest's call list lets a process do, and that a child never gets more than its parent.
 * `fs.read` is a call, `fs.*` a family, `*` every call; `fs.read(inbox/**)` holds for these paths, `net.fetch(example.com)` for this
 * host, `shell.run(git *)` for simple commands of this text. A pattern of an `fs.` call is a path glob; elsewhere `*` is any text.
 *   CAP-1.1  A call is held only if a capability names it and each of its privileged arguments is covered by such a capability.
 *   CAP-1.2  Paths are compared normalised, hosts lower-cased; an argument that cannot be read so is not covered.
 *   CAP-1.3  A pattern with `*` covers a command only if it is one simple command.
 *   CAP-1.4  A malformed capability is an error of the manifest, and grants nothing wherever it slips through.
 *   CAP-2.1  A child's capability must be covered by one of the parent's for every argument; where that is not certain, it is refused.
 */
import type { ArgRole, CallSpec } from "../abi/call.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { covers, coversText, matches, matchesText, parseGlob, type Glob } from "../lib/glob.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { done, err, ok, type Result } from "../lib/result.ts";
import { isSimpleCommand } from "./policy/command.ts";
import { normalPath } from "./question.ts";

export interface Capabilities {
  /** Whether the call is held at all, whatever its arguments: what a model is offered. */
  mayHold(name: string): boolean;
  /** null when the call with these arguments is held; otherwise which capability is missing. */
  refuse(spec: CallSpec, args: JsonObject): string | null;
}

/** What the argument must be like; `any` where the capability says nothing of it. */
type Pattern =
  { readonly kind: "any" } | { readonly kind: "path"; readonly glob: Glob } | { readonly kind: "text"; readonly text: string };

interface Capability {
  /** A call's name, a family ending in `.`, or the empty text for every call. */
  readonly call: string;
  readonly family: boolean;
  readonly pattern: Pattern;
}

const any: Pattern = { kind: "any" };

/** Ok when each is well-formed; else the first that is not, why, and what to write. */
export function checkCapabilities(list: readonly string[]): Result<void, SysError> {
  for (const text of list) {
    const capability = parse(text);
    if (!capability.ok) {
      return fail(
        "ENOEXEC",
        `the capability ${JSON.stringify(text)} cannot be used: ${capability.error}; write CALL, FAMILY.* or CALL(PATTERN)`,
      );
    }
  }
  return done;
}

export function compileCapabilities(list: readonly string[]): Capabilities {
  const capabilities = wellFormed(list);
  const naming = (name: string): readonly Capability[] => capabilities.filter((capability) => names(capability, name));
  return {
    mayHold: (name) => naming(name).length > 0,
    refuse: (spec, args) => {
      const held = naming(spec.name);
      if (held.length === 0)
        return `${spec.name} is not among the calls this process holds (${list.join(", ")}); use one of these`;
      if (held.some(({ pattern }) => pattern.kind === "any")) return null;
      const privileged = privilegedValues(spec, args);
      const bare = privileged.find(({ role, value }) => !held.some(({ pattern }) => coversValue(pattern, role, value)));
      if (privileged.length > 0 && bare === undefined) return null;
      const what = bare === undefined ? "without a path, host or command" : `with ${JSON.stringify(bare.value)}`;
      return `${spec.name} ${what} is beyond what this process holds (${list.join(", ")}); keep within it`;
    },
  };
}

/** null when every capability of the child is covered by the parent's; otherwise the first that is not. */
export function attenuates(parent: readonly string[], child: readonly string[]): string | null {
  const held = wellFormed(parent);
  const beyond = (text: string): boolean => {
    const wanted = parse(text);
    return !wanted.ok || !held.some((capability) => coversCapability(capability, wanted.value));
  };
  return child.find(beyond) ?? null;
}

function wellFormed(list: readonly string[]): readonly Capability[] {
  return list.flatMap((text) => {
    const capability = parse(text);
    return capability.ok ? [capability.value] : [];
  });
}

function parse(text: string): Result<Capability, string> {
  if (text === "*") return ok({ call: "", family: true, pattern: any });
  const shape = /^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(\.\*)?(?:\(([^]*)\))?$/.exec(text);
  const [, name = "", star, argument] = shape ?? [];
  if (shape === null) return err("it is not a call's name, a family, or one with a pattern in brackets");
  const call = star === undefined ? name : `${name}.`;
  const pattern = argument === undefined ? ok(any) : parsePattern(call, argument);
  return pattern.ok ? ok({ call, family: star !== undefined, pattern: pattern.value }) : pattern;
}

function parsePattern(call: string, argument: string): Result<Pattern, string> {
  if (argument.trim() === "") return err("its pattern is empty");
  if (!call.startsWith("fs.")) return ok({ kind: "text", text: argument });
  const glob = parseGlob(argument);
  return glob.ok ? ok({ kind: "path", glob: glob.value }) : glob;
}

function names(capability: Capability, call: string): boolean {
  return capability.family ? call.startsWith(capability.call) : call === capability.call;
}

interface Privileged {
  readonly role: ArgRole;
  readonly value: Json;
}

const harmless: ReadonlySet<ArgRole> = new Set(["content", "option"]);

function privilegedValues(spec: CallSpec, args: JsonObject): readonly Privileged[] {
  return Object.entries(spec.roles).flatMap(([name, role]) => {
    const value = args[name];
    if (value === undefined || harmless.has(role)) return [];
    return Array.isArray(value) ? (value as readonly Json[]).map((item) => ({ role, value: item })) : [{ role, value }];
  });
}

function coversValue(pattern: Pattern, role: ArgRole, value: Json): boolean {
  if (pattern.kind === "any") return true;
  if (typeof value !== "string") return false;
  if (role === "path") {
    const path = normalPath(value);
    if (!path.ok) return false;
    return pattern.kind === "path" ? matches(pattern.glob, path.value) : matchesText(pattern.text, path.value);
  }
  if (pattern.kind === "path") return false;
  if (role === "host") {
    const host = hostOf(value);
    return host !== null && matchesText(pattern.text.toLowerCase(), host);
  }
  if (role === "command" && pattern.text.includes("*") && !isSimpleCommand(value)) return false;
  return matchesText(pattern.text, value);
}

function hostOf(value: string): string | null {
  return URL.canParse(value) ? new URL(value).hostname.toLowerCase().replace(/\.$/, "") : null;
}

function coversCapability(outer: Capability, inner: Capability): boolean {
  /** A family's own text ends in a dot, or is empty: it is no call's name. */
  const named = outer.family ? inner.call.startsWith(outer.call) : inner.call === outer.call;
  return named && coversPattern(outer.pattern, inner.pattern);
}

/** A pattern with a star holds for simple commands only, so it does not cover an exact text that is not one. */
function coversPattern(outer: Pattern, inner: Pattern): boolean {
  if (outer.kind === "any") return true;
  if (outer.kind === "path") return inner.kind === "path" && covers(outer.glob, inner.glob);
  if (inner.kind !== "text") return false;
  if (outer.text === inner.text) return true;
  return isSimpleCommand(inner.text.replaceAll("*", "x")) && coversText(outer.text, inner.text);
}
