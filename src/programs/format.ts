/**
 * Format: a program as Markdown: YAML front matter, then instructions. Text before the first section is common to all passes;
 * `# pass: NAME` begins a pass's instructions and `# template: PATH` the template of an output, in a fenced block. Pure.
 *   PRG-1.1  A malformed program is refused with ENOEXEC and the file, the line, what is wrong and how to mend it.
 *   PRG-1.2  Duplicate keys, aliases, front matter that never ends and a file beyond the size limit are refused.
 *   PRG-1.3  A program without passes is one pass, `main`, with the whole body as its instructions.
 *   PRG-1.4  A pass takes only an input, `documents`, `sources`, `skipped`, `failures` or an earlier pass.
 *   PRG-1.5  Every schema of a program compiles when it is loaded, not when it is needed.
 *   PRG-1.6  The runner's own calls follow from what the program declares: its children, its documents, its outputs. Agents get only what is listed.
 *   PRG-1.7  A program follows the instructions of the workspace unless it says that it follows its own alone.
 */
import { isAlias, isNode, LineCounter, parseDocument, visit, type Document } from "yaml";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { noLimits } from "../abi/budget.ts";
import { passKinds, type Pass, type PassKind, type Predicate, type Program } from "../abi/program.ts";
import { isObject, type Json, type JsonObject, type JsonSchema } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Compile } from "../lib/schema.ts";
import { declarationSchema } from "./declaration.ts";

export interface ProgramSource {
  /** For messages: relative to the workspace or to the installation. */
  readonly file: string;
  readonly text: string;
}

/** The declaration of a program, with where each part of it stands. */
interface Declaration {
  readonly value: JsonObject;
  lineOf(place: readonly string[]): number;
}

export function parseProgram(source: ProgramSource, compile: Compile): Result<Program, SysError> {
  if (source.text.length > limits.configBytesMax) {
    return refuse(
      source,
      1,
      `the file has ${source.text.length} characters and the limit is ${limits.configBytesMax}`,
      "split the program",
    );
  }
  const parts = splitFrontMatter(source);
  if (!parts.ok) return parts;
  const declared = readYaml(source, parts.value.yaml);
  if (!declared.ok) return declared;
  const sections = readSections(parts.value.body);
  return assemble(source, declared.value, sections, compile);
}

/** A module's default export has the same shape, with the instructions inside its passes. */
export function completeProgram(file: string, value: unknown, compile: Compile): Result<Program, SysError> {
  const source = { file, text: "" };
  if (!isObject(value))
    return refuse(source, 1, "the module has no default export that is an object", "export default { name, version, … }");
  const body = (value as { body?: unknown }).body;
  if (body !== undefined && body !== null && typeof body !== "function") {
    return refuse(source, 1, "body is not a function", "make it (sys) => Promise<Result>");
  }
  const { body: _, templates, ...rest } = value;
  const plain = { ...rest, passes: Array.isArray(rest["passes"]) ? rest["passes"].map(withoutInstructions) : [] };
  const sections = sectionsOf(rest["passes"], templates);
  const made = assemble(source, { value: plain, lineOf: () => 1 }, sections, compile, typeof body === "function");
  return made.ok && typeof body === "function" ? ok({ ...made.value, body: body as Program["body"] }) : made;
}

function withoutInstructions(pass: Json): Json {
  if (!isObject(pass)) return pass;
  const { instructions: _, ...rest } = pass;
  return rest;
}

function sectionsOf(passes: unknown, templates: unknown): Sections {
  const found: Sections = { preamble: "", passes: new Map(), templates: new Map() };
  for (const pass of Array.isArray(passes) ? passes : []) {
    if (isObject(pass) && typeof pass["name"] === "string" && typeof pass["instructions"] === "string") {
      found.passes.set(pass["name"], pass["instructions"]);
    }
  }
  for (const [path, text] of Object.entries(isObject(templates) ? templates : {}))
    if (typeof text === "string") found.templates.set(path, text);
  return found;
}

function refuse(source: ProgramSource, line: number, what: string, fix: string): Result<never, SysError> {
  return fail("ENOEXEC", `${source.file}:${line}: ${what}; ${fix}`);
}

function splitFrontMatter(source: ProgramSource): Result<{ yaml: string; body: string }, SysError> {
  const text = source.text.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  if (!/^---[ \t]*\n/.test(text)) {
    return refuse(
      source,
      1,
      "a program begins with front matter, and this file does not",
      'begin the file with a line "---", then name, version and summary',
    );
  }
  const end = /\n---[ \t]*(?:\n|$)/.exec(text.slice(3));
  if (end === null) return refuse(source, 1, "the front matter never ends", 'close it with a line "---"');
  return ok({ yaml: text.slice(text.indexOf("\n") + 1, 3 + end.index + 1), body: text.slice(3 + end.index + end[0].length) });
}

function readYaml(source: ProgramSource, yaml: string): Result<Declaration, SysError> {
  const counter = new LineCounter();
  const document = parseDocument(yaml, {
    uniqueKeys: true,
    strict: true,
    version: "1.2",
    lineCounter: counter,
    prettyErrors: false,
  });
  /** The front matter begins on the file's second line. */
  const lineAt = (offset: number): number => counter.linePos(offset).line + 1;
  const error = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) {
    return refuse(source, lineAt(error.pos[0]), error.message.replace(/\s+/g, " "), "mend the YAML of the front matter");
  }
  const alias = firstAlias(document);
  if (alias !== null) return refuse(source, lineAt(alias), "aliases (*name) are not read", "write the value out");
  const value = document.toJS({ maxAliasCount: 0 }) as Json;
  if (!isObject(value)) return refuse(source, 2, "the front matter is not a mapping", 'write "name: …" and so on, one a line');
  return ok({ value, lineOf: (place) => lineAt(offsetOf(document, place)) });
}

function firstAlias(document: Document.Parsed): number | null {
  let at: number | null = null;
  visit(document, {
    Alias: (_, node) => {
      if (isAlias(node)) at ??= node.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return at;
}

/** Where the innermost known part of a place begins. */
function offsetOf(document: Document.Parsed, place: readonly string[]): number {
  for (let depth = place.length; depth > 0; depth -= 1) {
    const path = place.slice(0, depth).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node: unknown = document.getIn(path, true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

interface Sections {
  preamble: string;
  readonly passes: Map<string, string>;
  readonly templates: Map<string, string>;
}

const sectionHeading = /^#{1,2}\s+(pass|template):\s*(\S+)\s*$/;

/** Headings inside fences are text. */
function readSections(body: string): Sections {
  const sections: Sections = { preamble: "", passes: new Map(), templates: new Map() };
  let current: { kind: string; name: string } | null = null;
  let rows: string[] = [];
  let fence = "";
  const close = (): void => {
    const text = rows.join("\n").trim();
    if (current === null) sections.preamble = text;
    else if (current.kind === "pass") sections.passes.set(current.name, text);
    else sections.templates.set(current.name, unfenced(rows));
    rows = [];
  };
  for (const row of body.split("\n")) {
    const mark = /^(`{3,}|~{3,})/.exec(row)?.[1] ?? "";
    if (fence === "" ? mark !== "" : mark.startsWith(fence)) fence = fence === "" ? mark : "";
    const heading = fence === "" ? sectionHeading.exec(row) : null;
    if (heading === null) rows.push(row);
    else {
      close();
      current = { kind: heading[1] ?? "", name: heading[2] ?? "" };
    }
  }
  close();
  return sections;
}

/** The content of the first fenced block, else the text. */
function unfenced(rows: readonly string[]): string {
  const start = rows.findIndex((row) => /^(?:`{3,}|~{3,})/.test(row));
  if (start < 0) return rows.join("\n").trim();
  const fence = /^(`{3,}|~{3,})/.exec(rows[start] ?? "")?.[1] ?? "```";
  const end = rows.findIndex((row, index) => index > start && row.startsWith(fence));
  return rows.slice(start + 1, end < 0 ? undefined : end).join("\n");
}

function assemble(
  source: ProgramSource,
  declared: Declaration,
  sections: Sections,
  compile: Compile,
  hasBody = false,
): Result<Program, SysError> {
  const shape = compile(declarationSchema);
  if (!shape.ok) return fail("ENOEXEC", `the schema of programs does not compile: ${shape.error}`);
  const misfit = shape.value(declared.value);
  if (misfit !== null) {
    const place = (misfit.split(" ")[0] ?? "").split(".");
    return refuse(source, declared.lineOf(place), misfit, "docs/programs.md lists the fields of the front matter");
  }
  const program = programOf(declared.value, sections, hasBody);
  const wrong = firstWrong(program, sections, compile, hasBody);
  return wrong === null ? ok(program) : refuse(source, declared.lineOf(wrong.place), wrong.what, wrong.fix);
}

const stepsMaxDefault = 100;
const anyInput: JsonSchema = { type: "object" };

function programOf(value: JsonObject, sections: Sections, hasBody: boolean): Program {
  const calls = texts(value["calls"]);
  const common = { windowTokens: integer(value["windowTokens"]), calls };
  const declared = (Array.isArray(value["passes"]) ? (value["passes"] as readonly Json[]) : []).filter(isObject);
  const passes = declared.map((pass) => passOf(pass, sections, common));
  const single = passOf({ name: "main", takes: inputNames(value["input"]), output: value["output"] ?? null }, sections, common);
  const steps = passes.length > 0 || hasBody ? passes : [single];
  const outputs = texts(value["outputs"]);
  const documents = typeof value["documents"] === "string" ? value["documents"] : null;
  return {
    name: text(value["name"]),
    version: text(value["version"]),
    summary: text(value["summary"]),
    input: isObject(value["input"]) ? value["input"] : anyInput,
    documents,
    outputs,
    templates: Object.fromEntries(sections.templates),
    passes: steps,
    /** The declaration's schema has seen to its shape. */
    done: (value["done"] ?? []) as unknown as readonly Predicate[],
    calls: hasBody ? calls : [...new Set([...calls, ...runnerCalls(steps, outputs, documents)])],
    limits: { ...noLimits, ...(isObject(value["limits"]) ? value["limits"] : {}) },
    follows: value["follows"] === "own" ? "own" : "workspace",
    body: null,
  };
}

function runnerCalls(passes: readonly Pass[], outputs: readonly string[], documents: string | null): readonly string[] {
  const has = (kind: PassKind): boolean => passes.some((pass) => pass.by === kind);
  return [
    ...(has("agent") ? ["proc.measure", "proc.spawn", "proc.wait"] : []),
    ...(documents === null ? [] : ["fs.list"]),
    ...(documents !== null || has("links") || has("conflicts") || outputs.length > 0 ? ["fs.read"] : []),
    ...(has("publish") ? ["fs.write"] : []),
    ...(outputs.length > 0 ? ["fs.commit"] : []),
  ];
}

function inputNames(input: Json | undefined): readonly string[] {
  const properties = isObject(input) ? input["properties"] : undefined;
  return isObject(properties) ? Object.keys(properties) : [];
}

function passOf(
  pass: JsonObject,
  sections: Sections,
  common: { readonly windowTokens: number | null; readonly calls: readonly string[] },
): Pass {
  const name = text(pass["name"]);
  const own = sections.passes.get(name) ?? "";
  const each = isObject(pass["each"]) ? Object.entries(pass["each"])[0] : undefined;
  return {
    name,
    by: passKinds.find((kind) => kind === pass["by"]) ?? ("agent" satisfies PassKind),
    instructions: [sections.preamble, own].filter((text) => text !== "").join("\n\n"),
    takes: texts(pass["takes"]),
    each: each === undefined ? null : { as: each[0], of: text(each[1]) },
    reduce: typeof pass["reduce"] === "string" ? pass["reduce"] : null,
    mends: typeof pass["mends"] === "string" ? pass["mends"] : null,
    output: isObject(pass["output"]) ? pass["output"] : null,
    calls: pass["calls"] === undefined ? common.calls.filter((call) => !call.startsWith("proc.")) : texts(pass["calls"]),
    limits: { ...noLimits, ...(isObject(pass["limits"]) ? pass["limits"] : {}) },
    windowTokens: integer(pass["windowTokens"]) ?? common.windowTokens,
    stepsMax: integer(pass["stepsMax"]) ?? stepsMaxDefault,
  };
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function integer(value: Json | undefined): number | null {
  return typeof value === "number" ? value : null;
}

interface Wrong {
  readonly place: readonly string[];
  readonly what: string;
  readonly fix: string;
}

/** What no schema can say: names that refer to nothing, schemas that do not compile. */
function firstWrong(program: Program, sections: Sections, compile: Compile, hasBody: boolean): Wrong | null {
  const form = wrongForm(program);
  if (form !== null) return form;
  const known = new Set([...inputNames(program.input), "documents", "sources", "skipped", "failures", "input"]);
  for (const [index, pass] of program.passes.entries()) {
    const wrong = wrongPass(pass, ["passes", String(index)], known, compile);
    if (wrong !== null) return wrong;
    known.add(pass.name);
  }
  const names = program.passes.map((pass) => pass.name);
  for (const name of sections.passes.keys()) {
    if (!names.includes(name))
      return {
        place: ["passes"],
        what: `there is a section "# pass: ${name}" and no such pass`,
        fix: `declare it under passes, which are ${names.join(", ") || "none"}`,
      };
  }
  if (program.documents !== null && !inputNames(program.input).includes(program.documents)) {
    return {
      place: ["documents"],
      what: `documents names ${program.documents}, which is no input`,
      fix: "name a property of input",
    };
  }
  const missing = program.passes.some((pass) => pass.by === "publish")
    ? program.outputs.find((path) => !(path in program.templates))
    : undefined;
  if (missing !== undefined)
    return { place: ["outputs"], what: `output ${missing} has no template`, fix: `add a section "# template: ${missing}"` };
  if (program.passes.length === 0 && !hasBody)
    return { place: ["passes"], what: "there is nothing to run", fix: "declare passes" };
  const input = compile(program.input);
  return input.ok ? null : { place: ["input"], what: `input is not a JSON Schema: ${input.error}`, fix: "mend the schema" };
}

const namePattern = /^[a-z][a-z0-9-]*$/;
const versionPattern = /^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/;
const outputPattern = /^(?!.*(?:^|\/)\.{0,2}(?:\/|$))[^\\\u0000-\u001f]+$/;

function wrongForm(program: Program): Wrong | null {
  const name = [program.name, ...program.passes.map((pass) => pass.name)].find((word) => !namePattern.test(word));
  if (name !== undefined) {
    const at = program.passes.findIndex((pass) => pass.name === name);
    const place = at < 0 ? ["name"] : ["passes", String(at), "name"];
    return {
      place,
      what: `${JSON.stringify(name)} is no name`,
      fix: "use lower-case letters, digits and hyphens, a letter first",
    };
  }
  if (!versionPattern.test(program.version)) {
    return {
      place: ["version"],
      what: `${JSON.stringify(program.version)} is no version`,
      fix: 'write a semantic version in quotes, as "1.0.0"',
    };
  }
  const at = program.outputs.findIndex((path) => !outputPattern.test(path));
  if (at < 0) return null;
  const what = `output ${JSON.stringify(program.outputs[at])} is no path inside the workspace`;
  return { place: ["outputs", String(at)], what, fix: "name a relative path without . or .." };
}

function wrongPass(pass: Pass, place: readonly string[], known: ReadonlySet<string>, compile: Compile): Wrong | null {
  if (known.has(pass.name))
    return { place: [...place, "name"], what: `the name ${pass.name} is taken`, fix: "give every pass a name of its own" };
  for (const path of [
    ...pass.takes,
    ...(pass.each === null ? [] : [pass.each.of]),
    ...(pass.mends === null ? [] : [pass.mends]),
  ]) {
    const root = path.split(".")[0] ?? path;
    if (!known.has(root)) {
      return {
        place: [...place, "takes"],
        what: `pass ${pass.name} takes ${path}, and nothing before it gives ${root}`,
        fix: `take one of ${[...known].join(", ")}`,
      };
    }
  }
  if (pass.by !== "agent") return null;
  if (pass.instructions === "")
    return { place, what: `pass ${pass.name} has no instructions`, fix: `add a section "# pass: ${pass.name}"` };
  if (pass.reduce !== null && pass.takes.length === 0)
    return { place: [...place, "reduce"], what: `pass ${pass.name} reduces nothing`, fix: "name what it takes first" };
  if (pass.output === null) return null;
  const compiled = compile(pass.output);
  return compiled.ok
    ? null
    : {
        place: [...place, "output"],
        what: `the output of pass ${pass.name} is not a JSON Schema: ${compiled.error}`,
        fix: "mend the schema",
      };
}
