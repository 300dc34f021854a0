/** Program: the manifest of a program as its folder declares it: front matter of PROGRAM.md, or the default export of a module. */
import type { JsonSchema } from "../lib/json.ts";
import type { Limits } from "./budget.ts";
import type { Follows } from "./process.ts";
import type { Body } from "./sys.ts";

/**
 * Who does a pass. `agent`: a model, held to the contract. The others are steps of the runner, which no model can talk out of its job:
 * `conflicts`: facts of different documents that disagree · `links`: every quote is looked up again where it says it stands ·
 * `publish`: the templates are filled in and the outputs written.
 */
export const passKinds = ["agent", "conflicts", "links", "publish"] as const;
export type PassKind = (typeof passKinds)[number];

/** A stage with a typed contract. Its instructions are the Markdown section with its name. */
export interface Pass {
  readonly name: string;
  readonly by: PassKind;
  readonly instructions: string;
  /** `folder`, `extract.facts`: program inputs and what earlier passes gave; a path through lists gives all their items. It sees nothing else. */
  readonly takes: readonly string[];
  /** One agent for each item of `of`, which it finds as `as`; null: one agent. */
  readonly each: { readonly as: string; readonly of: string } | null;
  /**
   * The part of its output that can stand in for the first thing it takes. With it, what is too large for the window is done in pieces,
   * round by round, until it fits.
   */
  readonly reduce: string | null;
  /** links: the pass whose agents get one more try when a quote is not where they said. */
  readonly mends: string | null;
  /** Null only for the runner's own steps. */
  readonly output: JsonSchema | null;
  readonly calls: readonly string[];
  readonly limits: Limits;
  /** The context budget of each of its agents; null takes the model's window. */
  readonly windowTokens: number | null;
  readonly stepsMax: number;
}

/** What must hold before a claim of done counts. `file`: exists and is not empty · `links`: every sentence's link resolves and its line supports it · `schema`: the result fits. */
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
  /** The input that names a file or folder to read; its readable documents are `documents`, the others `skipped`. */
  readonly documents: string | null;
  /** Files it delivers, relative to the workspace. */
  readonly outputs: readonly string[];
  /** Output path → the template that a `publish` pass fills in. */
  readonly templates: Readonly<Record<string, string>>;
  readonly passes: readonly Pass[];
  readonly done: readonly Predicate[];
  readonly calls: readonly string[];
  readonly limits: Limits;
  /** `own` for a program whose work is none on the project that the workspace's AGENTS.md and CLAUDE.md speak of. */
  readonly follows: Follows;
  /** Null runs the passes in order; a module may bring its own body. */
  readonly body: Body | null;
}

/** A pass as a program writes it; what is left out takes the default. Its instructions stand beside it, for a module has no Markdown. */
export interface PassModule extends Partial<Omit<Pass, "name" | "each">> {
  readonly name: string;
  /** `{ document: "documents" }`: one agent for each item of a list, which it finds under the name. */
  readonly each?: Readonly<Record<string, string>>;
}

/** What a program's module exports by default: the front matter of PROGRAM.md as an object, and either passes or a body. */
export interface ProgramModule extends Partial<Omit<Program, "passes" | "limits" | "body">> {
  readonly name: string;
  readonly version: string;
  readonly summary: string;
  readonly passes?: readonly PassModule[];
  readonly limits?: Partial<Limits>;
  readonly body?: Body;
}
