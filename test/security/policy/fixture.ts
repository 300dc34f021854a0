/** Fixture: a call table, its schema, and engines over short-hand or Cedar text, for the policy tests. */
import { assert } from "../../../src/lib/assert.ts";
import type { CallSpec, EffectClass } from "../../../src/abi/call.ts";
import type { Decision, PolicyEngine, PolicyRequest, PolicyText } from "../../../src/abi/policy.ts";
import { parsePolicies, parseUnchecked } from "../../../src/drivers/policy/cedar.ts";
import { foldPath } from "../../../src/lib/fold.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { isSimpleCommand, subCommands } from "../../../src/security/policy/command.ts";
import { compilePolicies } from "../../../src/security/policy/engine.ts";
import { policySchema } from "../../../src/security/policy/schema.ts";
import { shorthandToCedar, type Shorthand, type ShorthandVerb } from "../../../src/security/policy/shorthand.ts";

function spec(
  name: string,
  effect: EffectClass,
  roles: CallSpec["roles"],
  required: readonly string[] = Object.keys(roles),
): CallSpec {
  const properties = Object.fromEntries(Object.keys(roles).map((role) => [role, { type: "string" }]));
  const input: JsonObject = { type: "object", properties, required };
  return { name, summary: name, input, output: {}, effect, reversible: true, recovery: "pure", roles };
}

export const calls: readonly CallSpec[] = [
  spec("fs.read", "read", { path: "path" }),
  spec("fs.list", "read", { path: "path" }, []),
  spec("fs.search", "read", { path: "path" }, []),
  spec("fs.write", "write", { path: "path", text: "content" }),
  spec("fs.edit", "write", { path: "path" }),
  spec("shell.run", "write", { command: "command" }),
  spec("net.fetch", "external", { url: "host" }),
  spec("net.connect", "external", { url: "host" }),
  spec("fs.share", "external", { path: "path" }),
  spec("task.done", "pure", {}),
  spec("mem.note", "write", { text: "content" }),
  spec("mcp.hub.push", "external", { branch: "object" }),
];

export const schema = policySchema(calls);

export function engineOf(texts: readonly PolicyText[], checked = true): PolicyEngine {
  const set = checked ? parsePolicies(texts, schema) : parseUnchecked(texts);
  assert(set.ok, set.ok ? "" : set.error.message);
  const engine = compilePolicies(set.value);
  assert(engine.ok, engine.ok ? "" : engine.error.message);
  return engine.value;
}

export function shorthandText(lists: Partial<Record<ShorthandVerb, readonly string[]>>): PolicyText {
  const entries = (verb: ShorthandVerb) => (lists[verb] ?? []).map((text, at) => ({ text, line: at + 1 }));
  const shorthand: Shorthand = { allow: entries("allow"), ask: entries("ask"), deny: entries("deny") };
  const text = shorthandToCedar(shorthand, { scope: "project", file: "daimon.yaml", calls });
  assert(text.ok, text.ok ? "" : text.error.message);
  return text.value;
}

/** The question the kernel asks for a call with one privileged argument. */
export function question(call: string, argument?: string, extra: JsonObject = {}): PolicyRequest {
  const found = calls.find((each) => each.name === call);
  const effect = call === "fs.commit" ? "write" : (found?.effect ?? "pure");
  const role = call === "fs.commit" ? "path" : Object.values(found?.roles ?? {})[0];
  const server = /^mcp\.[^.]+/.exec(call)?.[0];
  const [type, context] = about(role, argument);
  return {
    principal: { type: "Process", id: "brief/extract", attrs: { program: "brief" }, parents: [{ type: "Program", id: "brief" }] },
    action: {
      type: "Action",
      id: call,
      attrs: {},
      parents: [effect, ...(server === undefined ? [] : [server])].map((id) => ({ type: "Action", id })),
    },
    resource: { type, id: argument ?? call, attrs: {}, parents: [] },
    context: {
      effect,
      reversible: true,
      session: (effect === "write" && call !== "fs.commit") || effect === "read" || effect === "pure",
      declared: false,
      integrity: "derived",
      confidentiality: "workspace",
      ...context,
      ...extra,
    },
  };
}

function about(role: string | undefined, argument: string | undefined): [string, JsonObject] {
  if (argument === undefined) return ["Call", {}];
  if (role === "path") return ["Path", { path: argument, pathFolded: foldPath(argument) }];
  if (role === "host") return ["Host", { host: argument, port: 443, method: "GET" }];
  if (role === "command") {
    return ["Command", { command: argument, simple: isSimpleCommand(argument), commands: subCommands(argument) }];
  }
  return ["Call", {}];
}

export function verb(engine: PolicyEngine, call: string, argument?: string): Decision["verb"] {
  return engine.decide(question(call, argument)).verb;
}
