/**
 * Schema: compile a JSON Schema (2020-12) into a check that says in words what is wrong.
 *   LIB-4.1  A value that does not fit gets one message that names the place, and what was expected there.
 *   LIB-4.2  `pattern` runs on a linear-time engine; `patternProperties` and references out of the schema are refused.
 *   LIB-4.4  An array whose items must differ has at most 200 of them, unless its schema bounds it.
 *   LIB-4.3  A schema that cannot be checked as it is written is refused when it is compiled, not when it is used.
 */
import { validator, type Json as Checked, type Schema, type ValidationError } from "@exodus/schemasafe";
import { isObject, type Json, type JsonSchema } from "./json.ts";
import { linearPattern } from "./pattern.ts";
import { err, ok, type Result } from "./result.ts";

/** null when the value fits; otherwise what is wrong. */
export type Check = (value: Json) => string | null;

export type Compile = (schema: JsonSchema) => Result<Check, string>;

/** Compiled checks are kept by schema object, so that asking twice costs nothing. */
export function schemaCompiler(): Compile {
  const known = new WeakMap<JsonSchema, Result<Check, string>>();
  return (schema) => {
    const found = known.get(schema) ?? compile(schema);
    known.set(schema, found);
    return found;
  };
}

const uniqueItemsMax = 200;

type Formats = Record<string, (text: string) => boolean>;

function compile(schema: JsonSchema): Result<Check, string> {
  const formats: Formats = {};
  try {
    const prepared = prepare(schema, formats);
    const options = { mode: "lax", includeErrors: true, allErrors: false, allowUnusedKeywords: true, formats } as const;
    const validate = validator(prepared as Schema, {
      ...options,
      $schemaDefault: "https://json-schema.org/draft/2020-12/schema",
    });
    return ok((value) => (validate(value as Checked) ? null : describe(validate.errors?.[0], prepared)));
  } catch (error) {
    return err(error instanceof Error ? error.message : "not a JSON Schema");
  }
}

/** The schema with each pattern as a format of its own, which the linear engine answers. Formats of the schema's own are annotations. */
function prepare(value: Json, formats: Formats): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => prepare(item, formats));
  if (!isObject(value)) return value;
  if (value["patternProperties"] !== undefined) throw new Error("patternProperties is not supported; name the properties");
  const out: Record<string, Json> = {};
  /** Comparing every item with every other takes the square of their number. */
  if (value["uniqueItems"] === true && typeof value["maxItems"] !== "number") out["maxItems"] = uniqueItemsMax;
  for (const [key, item] of Object.entries(value)) {
    if (key === "format" && typeof item === "string") continue;
    if (isLiteral(key)) out[key] = item;
    else if (key === "pattern" && typeof item === "string") out["format"] = patternFormat(item, formats);
    else out[key] = prepare(item, formats);
  }
  return out;
}

/** Where a schema holds values, not schemas. */
function isLiteral(key: string): boolean {
  return key === "enum" || key === "const" || key === "default" || key === "examples";
}

function patternFormat(pattern: string, formats: Formats): string {
  const name = `pattern ${pattern}`;
  const compiled = linearPattern(pattern);
  if (!compiled.ok) throw new Error(`the pattern ${JSON.stringify(pattern)} cannot be used: ${compiled.error}`);
  formats[name] = compiled.value;
  return name;
}

function describe(error: ValidationError | undefined, schema: Json): string {
  if (error === undefined) return "the value does not fit";
  const place = error.instanceLocation === "#" ? "the value" : pointer(error.instanceLocation).join(".");
  const path = pointer(error.keywordLocation);
  const keyword = path.at(-1) ?? "";
  return `${place} ${expectation(keyword, at(schema, path))}`;
}

/** The words for one keyword; `expected` is what stands at it in the schema. */
function expectation(keyword: string, expected: Json | undefined): string {
  const shown = JSON.stringify(expected) ?? "";
  switch (keyword) {
    case "type":
      return `must be ${Array.isArray(expected) ? expected.join(" or ") : plain(expected)}`;
    case "required":
      return "is missing";
    case "additionalProperties":
    case "unevaluatedProperties":
      return "is not known here; leave it out";
    case "enum":
      return `must be one of ${shown}`;
    case "const":
      return `must be ${shown}`;
    case "format":
      return `must match ${plain(expected)}`;
    case "minLength":
    case "minItems":
    case "minProperties":
      return `must have at least ${shown} ${unit(keyword)}`;
    case "maxLength":
    case "maxItems":
    case "maxProperties":
      return `must have at most ${shown} ${unit(keyword)}`;
    case "minimum":
      return `must be at least ${shown}`;
    case "maximum":
      return `must be at most ${shown}`;
    case "exclusiveMinimum":
      return `must be more than ${shown}`;
    case "exclusiveMaximum":
      return `must be less than ${shown}`;
    case "multipleOf":
      return `must be a multiple of ${shown}`;
    case "uniqueItems":
      return "must not hold the same item twice";
    default:
      return `does not fit ${keyword === "" ? "the schema" : `"${keyword}"`}`;
  }
}

function plain(value: Json | undefined): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function unit(keyword: string): string {
  if (keyword.endsWith("Length")) return "characters";
  return keyword.endsWith("Items") ? "items" : "properties";
}

function pointer(location: string): string[] {
  return location
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function at(schema: Json, path: readonly string[]): Json | undefined {
  let here: Json | undefined = schema;
  for (const part of path) {
    const target: Json | undefined = part === "$ref" && isObject(here) ? here["$ref"] : undefined;
    if (typeof target === "string") here = at(schema, pointer(target));
    else if (Array.isArray(here)) here = (here as readonly Json[])[Number(part)];
    else if (isObject(here)) here = here[part];
    else return undefined;
  }
  return here;
}
