/** Calls: docs/reference/calls.md, from the kernel's call table. */
import type { CallSpec } from "../../src/abi/call.ts";
import { isObject, type JsonSchema } from "../../src/lib/json.ts";
import { anchor, code, generated, tableOf } from "./markdown.ts";

export function callsPage(table: readonly unknown[]): string {
  const specs = table.filter(isSpec).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const overview = specs.map((spec) => [
    `[${code(spec.name)}](#${anchor(spec.name)})`,
    spec.summary,
    spec.effect,
    spec.reversible ? "yes" : "no",
  ]);
  return `# Calls

${generated}

The system calls: all that a program, an agent or a guest can ask of the kernel. Each goes through one trap: schema, capability,
policy, budget, perform, journal.

${tableOf(["Call", "What it does", "Effect", "Reversible"], overview)}

${specs.map(section).join("\n\n")}
`;
}

function section(spec: CallSpec): string {
  const fields = properties(spec.input);
  const rows = fields.map(({ name, schema, required }) => [
    code(name),
    code(typeOf(schema)),
    required ? "yes" : "no",
    spec.roles[name] ?? "",
    typeof schema["description"] === "string" ? schema["description"] : "",
  ]);
  const argumentsTable =
    rows.length === 0 ? "It takes no arguments." : tableOf(["Argument", "Type", "Required", "Role", "Meaning"], rows);
  const given = properties(spec.output).map(({ name, schema }) => `${code(name)} (${code(typeOf(schema))})`);
  const gives = given.length === 0 ? code(typeOf(spec.output)) : given.join(", ");
  return `## ${spec.name}

${spec.summary}

Effect: ${spec.effect} · ${spec.reversible ? "can be undone" : "cannot be undone"} · after a crash: ${recoveries[spec.recovery]}

${argumentsTable}

It gives ${gives}.`;
}

const recoveries = {
  pure: "performed again",
  idempotent: "performed again under the same key",
  verify: "the world is looked at first",
  once: "a person decides",
} as const;

interface Property {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

function properties(schema: JsonSchema): readonly Property[] {
  const fields = schema["properties"];
  const required = schema["required"];
  if (!isObject(fields)) return [];
  return Object.entries(fields).map(([name, field]) => ({
    name,
    schema: isObject(field) ? field : {},
    required: Array.isArray(required) && required.includes(name),
  }));
}

function typeOf(schema: JsonSchema): string {
  const { type, enum: values, const: constant, items, anyOf } = schema;
  if (constant !== undefined) return JSON.stringify(constant);
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(anyOf)) return anyOf.map((one) => (isObject(one) ? typeOf(one) : "any")).join(" | ");
  if (type === "array") return `${isObject(items) ? typeOf(items) : "any"}[]`;
  if (Array.isArray(type)) return type.join(" | ");
  return typeof type === "string" ? type : "any";
}

/** A table entry is a spec, or a handler with one. */
function isSpec(value: unknown): value is CallSpec {
  return (
    typeof value === "object" && value !== null && "name" in value && "effect" in value && "input" in value && "roles" in value
  );
}
