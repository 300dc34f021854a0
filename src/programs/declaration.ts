/** Declaration: the JSON Schema of a program's front matter. The documentation's table of fields is made of it. */
import { passKinds } from "../abi/program.ts";
import type { JsonSchema } from "../lib/json.ts";

const name: JsonSchema = { type: "string", minLength: 1, maxLength: 48, description: "Lower-case letters, digits and hyphens." };
const texts: JsonSchema = { type: "array", items: { type: "string", minLength: 1, maxLength: 1024 }, maxItems: 256 };
const limit: JsonSchema = { type: ["number", "null"], minimum: 0 };
const outputPath: JsonSchema = {
  type: "string",
  minLength: 1,
  maxLength: 1024,
  description: "Relative to the workspace, without `..`.",
};

const limitsSchema: JsonSchema = {
  type: "object",
  properties: { costUsd: limit, tokens: limit, calls: limit, timeMs: limit },
  additionalProperties: false,
  description: "The budget: dollars, tokens, calls and milliseconds. What is left out is unlimited.",
};

const window: JsonSchema = { type: "integer", minimum: 1_000, description: "The context budget of an agent, in tokens." };

const pass: JsonSchema = {
  type: "object",
  properties: {
    name,
    by: { enum: [...passKinds], description: "Who does it; agent unless said." },
    takes: { ...texts, description: "Inputs and earlier passes, with a dotted path into them; the pass sees nothing else." },
    each: {
      type: "object",
      additionalProperties: { type: "string" },
      minProperties: 1,
      maxProperties: 1,
      description: "{ document: documents }: one agent for each item of a list, which it finds under the name.",
    },
    reduce: {
      type: "string",
      description: "The part of the output that can stand in for the first thing taken, so that it can be done in pieces.",
    },
    mends: { type: "string", description: "For links: the pass that gets one more try." },
    output: { type: "object", description: "JSON Schema of what it must give." },
    calls: { ...texts, description: "Capabilities of its agents; the program's unless said." },
    limits: limitsSchema,
    windowTokens: window,
    stepsMax: { type: "integer", minimum: 1, maximum: 10_000 },
  },
  required: ["name"],
  additionalProperties: false,
};

const predicate: JsonSchema = {
  oneOf: [
    {
      type: "object",
      properties: { check: { enum: ["file", "links"] }, path: outputPath },
      required: ["check", "path"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { check: { const: "schema" }, pass: { type: "string" }, schema: { type: "object" } },
      required: ["check", "pass", "schema"],
      additionalProperties: false,
    },
  ],
};

export const declarationSchema: JsonSchema = {
  type: "object",
  properties: {
    name,
    version: { type: "string", maxLength: 64, description: "Semantic version, in quotes." },
    summary: { type: "string", minLength: 1, maxLength: 400 },
    input: { type: "object", description: "JSON Schema of the arguments." },
    documents: { type: "string", description: "The input that names a file or folder to read." },
    outputs: { type: "array", items: outputPath, maxItems: 64, description: "Files it delivers, relative to the workspace." },
    output: { type: "object", description: "The contract of a program without passes." },
    passes: { type: "array", items: pass, maxItems: 64 },
    done: { type: "array", items: predicate, maxItems: 64, description: "What must hold before the program has succeeded." },
    calls: { ...texts, description: "Capabilities: what the program may do at most." },
    limits: limitsSchema,
    windowTokens: window,
    follows: {
      enum: ["workspace", "own"],
      description: "own: its agents are not told AGENTS.md and CLAUDE.md of the workspace; workspace unless said.",
    },
  },
  required: ["name", "version", "summary"],
  additionalProperties: false,
};
