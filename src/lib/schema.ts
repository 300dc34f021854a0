/**
 * Schema: compile a JSON Schema (2020-12) into a check that says in words what is wrong.
 *   LIB-4.1  A value that does not fit gets one message that names the place, what stands there and what was expected.
 *   LIB-4.2  `pattern` runs on a linear-time engine; `$ref` never leaves the schema.
 */
import { Ajv2020, type ErrorObject, type Options } from "ajv/dist/2020.js";
import { RE2JS } from "re2js";
import type { Json, JsonSchema } from "./json.ts";
import { err, ok, type Result } from "./result.ts";

/** null when the value fits; otherwise what is wrong. */
export type Check = (value: Json) => string | null;

export type Compile = (schema: JsonSchema) => Result<Check, string>;

/** A compiler of its own, so that memory goes with its owner. Two schemas with one `$id` do not meet in it. */
export function schemaCompiler(): Compile {
  const engine = ajv();
  return (schema) => {
    try {
      const validate = engine.compile(schema);
      return ok((value) => (validate(value) ? null : describe(validate.errors ?? [])));
    } catch (error) {
      return err(error instanceof Error ? error.message : "not a JSON Schema");
    }
  };
}

function ajv(): Ajv2020 {
  const regExp = Object.assign(
    (pattern: string) => {
      const compiled = RE2JS.compile(pattern);
      return { test: (text: string) => compiled.matcher(text).find() };
    },
    { code: "linear" },
  );
  const options: Options = { strict: false, allErrors: false, validateFormats: false, addUsedSchema: false, code: { regExp } };
  return new Ajv2020(options);
}

function describe(errors: readonly ErrorObject[]): string {
  const first = errors[0];
  if (first === undefined) return "the value does not fit";
  const place = first.instancePath === "" ? "the value" : first.instancePath.slice(1).replaceAll("/", ".");
  const extra = typeof first.params["additionalProperty"] === "string" ? ` "${first.params["additionalProperty"]}"` : "";
  const allowed = Array.isArray(first.params["allowedValues"]) ? `: ${JSON.stringify(first.params["allowedValues"])}` : "";
  return `${place} ${first.message ?? "does not fit"}${extra}${allowed}`;
}
