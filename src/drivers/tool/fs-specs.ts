/** Fs specs: the file calls as data: names, schemas, effect classes, recovery, roles. */
import type { CallSpec } from "../../abi/call.ts";
import type { JsonSchema } from "../../lib/json.ts";

const path: JsonSchema = { type: "string", minLength: 1, description: "Relative to the workspace, like src/a.ts." };
const anyPath: JsonSchema = {
  type: "string",
  minLength: 1,
  description: "Relative to the workspace, like src/a.ts; /shared holds what processes shared, /platform daimon's documentation.",
};
const digest: JsonSchema = { type: "string" };
const line: JsonSchema = { type: "integer", minimum: 1 };
const glob: JsonSchema = {
  type: "string",
  minLength: 1,
  description: "Only paths that fit, like **/*.md; * is within a folder.",
};

function object(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema {
  return { type: "object", properties, required: [...required], additionalProperties: false };
}

const texts = { type: "string" } as const;
const count = { type: "integer" } as const;

export const fsSpecs = {
  read: {
    name: "fs.read",
    summary: "Read a text file. Returns numbered lines (`N│ text`), which of how many they are, and the file's digest.",
    input: object(
      { path: anyPath, from: { ...line, description: "First line; 1 by default." }, to: { ...line, description: "Last line." } },
      ["path"],
    ),
    output: object({ path: texts, lines: texts, digest, text: texts }, ["path", "lines", "digest", "text"]),
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { path: "path", from: "option", to: "option" },
  },
  write: {
    name: "fs.write",
    summary: "Write a whole text file, making folders as needed. Returns its digest. To change a part, use fs.edit.",
    input: object(
      {
        path,
        text: { type: "string", minLength: 1, description: "The whole new text." },
        expect: {
          type: ["string", "null"],
          description: "The digest you saw; null if the file must not exist yet. Refused if it differs.",
        },
      },
      ["path", "text"],
    ),
    output: object({ path: texts, digest, lines: count }, ["path", "digest"]),
    effect: "write",
    reversible: true,
    recovery: "verify",
    roles: { path: "path", text: "content", expect: "option" },
  },
  edit: {
    name: "fs.edit",
    summary: "Replace one exact piece of a text file by another. Returns the line and the new digest.",
    input: object(
      {
        path,
        old: { type: "string", minLength: 1, description: "The exact text, without line numbers; it must occur once." },
        new: { type: "string", description: "What takes its place." },
        all: { type: "boolean", description: "Replace every occurrence." },
      },
      ["path", "old", "new"],
    ),
    output: object({ path: texts, digest, replaced: count, line: count }, ["path", "digest", "replaced"]),
    effect: "write",
    reversible: true,
    recovery: "verify",
    roles: { path: "path", old: "content", new: "content", all: "option" },
  },
  list: {
    name: "fs.list",
    summary: "List a folder, or what is below it. Returns one path a line with its size; folders end with /.",
    input: object(
      { path: anyPath, depth: { ...line, maximum: 64, description: "Levels; 1 by default, all with `glob`." }, glob },
      [],
    ),
    output: object({ path: texts, entries: { type: "array" }, text: texts }, ["path", "entries", "text"]),
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { path: "path", depth: "option", glob: "option" },
  },
  search: {
    name: "fs.search",
    summary: "Find lines in text files. Returns `path:line: text`, one a line.",
    input: object(
      {
        query: { type: "string", minLength: 1, description: "The text to find, or an expression in RE2 syntax with `regex`." },
        path: anyPath,
        glob,
        regex: { type: "boolean" },
        ignoreCase: { type: "boolean" },
      },
      ["query"],
    ),
    output: object({ query: texts, hits: count, files: count, text: texts }, ["query", "hits", "files", "text"]),
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { query: "content", path: "path", glob: "option", regex: "option", ignoreCase: "option" },
  },
  diff: {
    name: "fs.diff",
    summary: "Show what this process changed in its session so far, as a unified diff.",
    input: object({ paths: { type: "array", items: path, description: "Only these files and folders." } }, []),
    output: { type: "string" },
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { paths: "path" },
  },
  share: {
    name: "fs.share",
    summary:
      "Put a copy of a file of this session into the shared tier, where every process can read it. Returns its path there.",
    input: object({ path, to: { ...path, description: "Its path below /shared; the same path by default." } }, ["path"]),
    output: object({ path: texts, digest }, ["path", "digest"]),
    effect: "external",
    reversible: true,
    recovery: "idempotent",
    roles: { path: "path", to: "path" },
  },
  commit: {
    name: "fs.commit",
    summary: "Put this process's changes to the named files into the workspace itself. All or nothing; conflicts are named.",
    input: object({ paths: { type: "array", items: path, minItems: 1, description: "Files and folders to commit." } }, ["paths"]),
    output: object({ committed: { type: "array", items: texts, description: "The paths, as they were given." } }, ["committed"]),
    effect: "external",
    reversible: true,
    recovery: "verify",
    roles: { paths: "path" },
  },
} as const satisfies Record<string, CallSpec>;
