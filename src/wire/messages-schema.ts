/**
 * Anthropic schema: a contract in the part of JSON Schema that structured output takes.
 * Source: platform.claude.com, "Structured outputs", JSON Schema limitations.
 *   MOD-6.5  What structured output does not check is told to the model in words; the contract's own check still sees the full schema.
 */
import { isObject, type Json, type JsonObject, type JsonSchema } from "../lib/json.ts";

/** The `format` field of `output_config`, as JSON text; null where the contract has an object with free names, which it cannot say. */
export function contractFormat(schema: JsonSchema): string | null {
  return hasFreeNames(schema) ? null : JSON.stringify({ type: "json_schema", schema: narrow(schema) });
}

function hasFreeNames(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.some((item) => hasFreeNames(item as Json));
  if (!isObject(schema)) return false;
  const isMap = schema.type === "object" && !isObject(schema.properties) && schema.additionalProperties !== false;
  return (
    isMap || isObject(schema.additionalProperties) || "patternProperties" in schema || Object.values(schema).some(hasFreeNames)
  );
}

const kept = new Set([
  "type",
  "properties",
  "required",
  "items",
  "enum",
  "const",
  "anyOf",
  "allOf",
  "$ref",
  "$defs",
  "definitions",
  "format",
  "title",
]);
const dropped = new Set(["$schema", "$id", "$comment", "examples", "default", "additionalProperties", "description"]);

function narrow(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const out: Record<string, Json> = {};
  const told: string[] = typeof schema.description === "string" ? [schema.description] : [];
  for (const [key, value] of Object.entries(schema)) {
    if (key === "oneOf") out.anyOf = narrowAll(value);
    else if (key === "minItems" && (value === 0 || value === 1)) out.minItems = value;
    else if (kept.has(key)) out[key] = narrowField(key, value);
    else if (!dropped.has(key)) told.push(`${key}: ${JSON.stringify(value)}`);
  }
  if (schema.type === "object" || schema.properties !== undefined) out.additionalProperties = false;
  if (told.length > 0) out.description = told.join("; ");
  return out;
}

function narrowField(key: string, value: Json): Json {
  switch (key) {
    case "properties":
    case "$defs":
    case "definitions":
      return isObject(value) ? narrowValues(value) : value;
    case "items":
      return narrow(value);
    case "anyOf":
    case "allOf":
      return narrowAll(value);
    default:
      return value;
  }
}

function narrowValues(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, narrow(item)]));
}

function narrowAll(value: Json): Json {
  return Array.isArray(value) ? value.map((item) => narrow(item as Json)) : value;
}
