/**
 * Schema: the Cedar schema of the call table, so that a policy naming what does not exist is refused at load.
 *   POL-10.1  Every call is an action, a member of its effect class; a tool of an MCP server also of `mcp.SERVER`.
 *   POL-10.2  An attribute of the context is required where every question of the call has it, else it must be tested with `has`.
 */
import type { ArgRole, CallSpec, EffectClass } from "../../abi/call.ts";
import type { JsonObject } from "../../lib/json.ts";
import { assert } from "../../lib/assert.ts";

const effects: readonly EffectClass[] = ["pure", "read", "write", "external", "irreversible"];

const text: JsonObject = { type: "String" };
const truth: JsonObject = { type: "Boolean" };
const count: JsonObject = { type: "Long" };

/** What every question carries. */
const common: JsonObject = {
  effect: text,
  reversible: truth,
  session: truth,
  declared: truth,
  integrity: text,
  confidentiality: text,
};

interface RoleShape {
  readonly resource: string;
  readonly context: JsonObject;
}

/** The roles policy is asked about: the resource's type and the attributes that come with it. */
const roleShapes: Readonly<Partial<Record<ArgRole, RoleShape>>> = {
  path: { resource: "Path", context: { path: text, pathFolded: text } },
  host: { resource: "Host", context: { host: text, port: count, method: text } },
  command: { resource: "Command", context: { command: text, simple: truth, commands: { type: "Set", element: text } } },
  object: { resource: "Object", context: {} },
};

/** Cedar's JSON schema, without a namespace. */
export function policySchema(calls: readonly CallSpec[]): JsonObject {
  const actions: Record<string, JsonObject> = {};
  for (const effect of effects) actions[effect] = {};
  actions[commitAction] = actionOf({
    name: commitAction,
    effect: "write",
    roles: { path: "path" },
    input: { required: ["path"] },
  });
  for (const spec of calls) {
    assert(!(effects as readonly string[]).includes(spec.name), `a call is not named like an effect class: ${spec.name}`);
    for (const group of groupsOf(spec.name)) actions[group] ??= {};
    actions[spec.name] = actionOf(spec);
  }
  return {
    "": {
      entityTypes: {
        Process: { memberOfTypes: ["Program", "Group"], shape: { type: "Record", attributes: { program: text } } },
        Program: {},
        Group: { memberOfTypes: ["Group"] },
        Path: {},
        Host: {},
        Command: {},
        Object: {},
        Call: {},
      },
      actions,
    },
  };
}

/** Putting a session's change into the workspace: policy decides on it even where no call of the table does it. */
const commitAction = "fs.commit";

type Acted = Pick<CallSpec, "name" | "effect" | "roles" | "input">;

function actionOf(spec: Acted): JsonObject {
  const entries = Object.entries(spec.roles).flatMap(([argument, role]) => {
    const shape = roleShapes[role];
    return shape === undefined ? [] : [{ argument, shape }];
  });
  const certain =
    new Set(entries.map(({ shape }) => shape)).size === 1 && entries.some(({ argument }) => isRequired(spec, argument));
  const attributes: Record<string, JsonObject> = {};
  for (const { shape } of entries) {
    for (const [name, type] of Object.entries(shape.context)) attributes[name] = { ...(type as JsonObject), required: certain };
  }
  return {
    memberOf: [spec.effect, ...groupsOf(spec.name)].map((id) => ({ id })),
    appliesTo: {
      principalTypes: ["Process"],
      resourceTypes: [...new Set([...entries.map(({ shape }) => shape.resource), ...(certain ? [] : ["Call"])])],
      context: { type: "Record", attributes: { ...common, ...attributes } },
    },
  };
}

function isRequired(spec: Acted, argument: string): boolean {
  const { required, properties } = spec.input;
  if (!Array.isArray(required) || !required.includes(argument)) return false;
  const property = (properties as JsonObject | undefined)?.[argument] as JsonObject | undefined;
  return property === undefined || property["type"] === "string";
}

function groupsOf(name: string): readonly string[] {
  const server = /^mcp\.([^.]+)\./.exec(name)?.[1];
  return server === undefined ? [] : [`mcp.${server}`];
}
