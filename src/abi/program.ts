/** Program: the manifest of a program as its folder declares it: front matter of PROGRAM.md, or the default export of a module. */
import type { JsonSchema } from "../lib/json.ts";
import type { Limits } from "./budget.ts";
import type { Body } from "./sys.ts";

/** A stage with a typed contract. Its instructions are the Markdown section with its name. */
export interface Pass {
  readonly name: string;
  readonly instructions: string;
  /** Names of earlier passes whose output it gets, and of program inputs. */
  readonly takes: readonly string[];
  readonly output: JsonSchema;
  readonly calls: readonly string[];
  readonly limits: Limits;
  readonly stepsMax: number;
}

/** What must hold before a claim of done counts. `file`: exists and is not empty · `links`: every sentence's link resolves · `schema`: the result fits. */
export type Predicate =
  | { readonly check: "file"; readonly path: string }
  | { readonly check: "links"; readonly path: string }
  | { readonly check: "schema"; readonly pass: string; readonly schema: JsonSchema };

export interface Program {
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  /** The shape of its arguments. */
  readonly input: JsonSchema;
  /** Files it delivers, relative to the workspace. */
  readonly outputs: readonly string[];
  readonly passes: readonly Pass[];
  readonly done: readonly Predicate[];
  readonly calls: readonly string[];
  readonly limits: Limits;
  /** Null runs the passes in order; a module may bring its own body. */
  readonly body: Body | null;
}
