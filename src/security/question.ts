/**
 * Question: turn a call into the questions policy is asked, one for each privileged argument.
 *   TRP-1.1  Paths reach policy normalised: relative, no `.`, `..`, empty segment, NUL or back-slash trick; anything else is EINVAL.
 *   TRP-1.4  A tier is named by the file calls that look, and a call that would change one is EROFS whatever policy permits.
 *   TRP-1.2  A call with several paths asks for each; the worst answer counts.
 *   TRP-1.3  A host reaches policy lower-cased and without a trailing dot, its port as a number, that of its scheme where none is said; a URL that is
 *            not http(s) or carries a user is EINVAL.
 */
import type { CallSpec } from "../abi/call.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Label } from "../abi/label.ts";
import { limits } from "../abi/limits.ts";
import type { EntityRef, PolicyEntity, PolicyRequest } from "../abi/policy.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { foldPath } from "../lib/fold.ts";
import { ok, type Result } from "../lib/result.ts";
import { inTier, tierPath } from "../lib/tier.ts";
import { isSimpleCommand, subCommands } from "./policy/command.ts";

export interface Subject {
  readonly principal: PolicyEntity;
  readonly outputs: readonly string[];
  readonly label: Label;
}

/** What a process is to policy. Made once for each process. */
export function principalOf(program: string): PolicyEntity {
  const root = program.split("/")[0] ?? program;
  return { type: "Process", id: program, attrs: { program: root }, parents: [{ type: "Program", id: root }] };
}

/** What a call is to policy. Made once for each call of the table. */
export function actionOf(spec: CallSpec): PolicyEntity {
  const parents: EntityRef[] = [{ type: "Action", id: spec.effect }];
  const server = /^mcp\.([^.]+)\./.exec(spec.name)?.[1];
  if (server !== undefined) parents.push({ type: "Action", id: `mcp.${server}` });
  return { type: "Action", id: spec.name, attrs: {}, parents };
}

/** The questions of one call, and its arguments with paths normalised. */
export function questionsOf(
  spec: CallSpec,
  action: PolicyEntity,
  args: JsonObject,
  subject: Subject,
): Result<readonly PolicyRequest[], SysError> {
  const context = commonContext(spec, subject);
  const questions: PolicyRequest[] = [];
  const ask = (resource: PolicyEntity, extra: JsonObject): void => {
    questions.push({ principal: subject.principal, action, resource, context: { ...context, ...extra } });
  };
  for (const name in spec.roles) {
    const value = args[name];
    if (value === undefined) continue;
    const role = spec.roles[name];
    if (role === "path") {
      for (const each of Array.isArray(value) ? (value as readonly Json[]) : [value]) {
        const path = pathOf(spec, each);
        if (!path.ok) return path;
        ask(entity("Path", path.value), pathContext(path.value, subject.outputs));
      }
    } else if (role === "host") {
      const host = hostOf(value);
      if (!host.ok) return host;
      const method = typeof args["method"] === "string" ? args["method"].toUpperCase() : "GET";
      ask(entity("Host", host.value.host), { ...host.value, method });
    } else if (role === "command" && typeof value === "string") {
      ask(entity("Command", value), { command: value, simple: isSimpleCommand(value), commands: subCommands(value) });
    }
  }
  if (questions.length === 0) ask(entity("Call", spec.name), {});
  return ok(questions);
}

function commonContext(spec: CallSpec, subject: Subject): JsonObject {
  return {
    effect: spec.effect,
    reversible: spec.reversible,
    session: staysInSession(spec),
    declared: false,
    integrity: subject.label.integrity,
    confidentiality: subject.label.confidentiality,
  };
}

/** A tool of a server acts where the server is, whatever class it was given. */
function staysInSession(spec: CallSpec): boolean {
  if (spec.effect === "external" || spec.effect === "irreversible") return false;
  return spec.name !== "fs.commit" && !spec.name.startsWith("mcp.");
}

function pathContext(path: string, outputs: readonly string[]): JsonObject {
  return { path, pathFolded: foldPath(path), declared: outputs.includes(path) };
}

function entity(type: string, id: string): PolicyEntity {
  return { type, id, attrs: {}, parents: [] };
}

/** A tier may be looked at by its absolute path, as the file calls of daimon do; nothing may name one to change it. */
function pathOf(spec: CallSpec, value: Json): Result<string, SysError> {
  const named = spec.name.startsWith("fs.") && typeof value === "string" ? tierPath(value) : null;
  if (named === null) return normalPath(value);
  const inner = normalPath(named.path);
  if (!inner.ok) return inner;
  const path = inTier(named.tier, inner.value);
  return spec.effect === "read"
    ? ok(path)
    : fail(
        "EROFS",
        `${path} cannot be changed; write a file of your session, whose path is relative, and fs.share gives it to all`,
      );
}

/** `./a//b` is `a/b`; the root is `.`. What could mean two things to two readers is refused. */
export function normalPath(value: Json): Result<string, SysError> {
  if (typeof value !== "string") return fail("EINVAL", "a path is a string; give it relative to the workspace");
  if (value.includes("\0")) return fail("EINVAL", "a path has no NUL byte; give a plain relative path");
  if (value.startsWith("/") || value.startsWith("~")) {
    return fail(
      "EINVAL",
      `${JSON.stringify(value)} is not inside the workspace; give the path relative to it, such as "docs/a.md"`,
    );
  }
  if (Buffer.byteLength(value) > limits.pathBytesMax) return fail("E2BIG", `a path has at most ${limits.pathBytesMax} bytes`);
  const segments = value.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) {
    return fail("EINVAL", `${JSON.stringify(value)} leaves its folder with ".."; give the path without it`);
  }
  return ok(segments.length === 0 ? "." : segments.join("/"));
}

function hostOf(value: Json): Result<{ readonly host: string; readonly port: number }, SysError> {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : null;
  if (url === null) return fail("EINVAL", "a URL is absolute, such as https://example.com/page");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return fail("EINVAL", `${url.protocol} is not fetched; only http: and https: are`);
  }
  if (url.username !== "" || url.password !== "") return fail("EINVAL", "a URL carries no user or password; remove it");
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return ok({ host: url.hostname.toLowerCase().replace(/\.$/, ""), port });
}
