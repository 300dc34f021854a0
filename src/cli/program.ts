/**
 * Program: from the words behind `daimon run PROGRAM` to the program's inputs.
 *   CLI-6.1  The words fill the program's inputs in order: the required ones first, then the others as they are declared; --input names them.
 *   CLI-6.2  A program's file, and an input that names documents, are paths as the person sees them from the working folder, and must lie
 *             inside the workspace.
 *   CLI-6.3  A missing, surplus, unknown or misfit input is EINVAL with the program's own usage line, before anything starts.
 */
import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import type { Program } from "../abi/program.ts";
import { isProgramPath, openPrograms, type FoundProgram } from "../boot/programs.ts";
import { readTrust } from "../boot/trust.ts";
import { isObject, parseJson, type Json, type JsonObject, type JsonSchema } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { print, printJson, type Io } from "./io.ts";
import { layoutHere } from "./workspace.ts";

export async function findProgram(name: string, io: Io): Promise<Result<FoundProgram & { readonly place: string }, SysError>> {
  const layout = layoutHere(io);
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const place = isProgramPath(name) ? inside(name, layout.root, io.world.cwd) : ok(name);
  if (!place.ok) return place;
  const found = await openPrograms(layout, trust.value, () => performance.now()).find(place.value);
  return found.ok ? ok({ ...found.value, place: place.value }) : found;
}

/** The program's goal. */
export async function inputsOf(
  program: Program,
  words: readonly string[],
  named: string | undefined,
  io: Io,
): Promise<Result<JsonObject, SysError>> {
  const given = named === undefined ? {} : parseJson(named);
  if (!isObject(given)) return fail("EINVAL", `--input takes a JSON object such as {"folder":"inbox"}; ${usage(program)}`);
  const names = inputNames(program);
  const free = names.filter((name) => !Object.hasOwn(given, name));
  const surplus = words[free.length];
  if (surplus !== undefined)
    return fail("EINVAL", `\`${surplus.slice(0, 64)}\` is one input more than ${program.name} takes; ${usage(program)}`);
  const inputs: Record<string, Json> = { ...given };
  for (const [index, word] of words.entries()) {
    const name = free[index] ?? "";
    const value = valueOf(propertyOf(program, name), word);
    if (!value.ok) return fail("EINVAL", `${name} ${value.error}, and got \`${word.slice(0, 64)}\`; ${usage(program)}`);
    inputs[name] = value.value;
  }
  const missing = required(program).find((name) => !Object.hasOwn(inputs, name));
  if (missing !== undefined) return fail("EINVAL", `${missing.toUpperCase()} is missing; ${usage(program)}`);
  const misfit = await misfitOf(program, inputs);
  if (misfit !== null) return fail("EINVAL", `${program.name} cannot run with these inputs: ${misfit}; ${usage(program)}`);
  return withDocuments(program, inputs, io);
}

/** False where the name is no program: then the command's own help is shown. */
export async function printProgramHelp(name: string, io: Io): Promise<boolean> {
  const found = await findProgram(name, io);
  if (!found.ok) return false;
  const { program } = found.value;
  if (io.json) {
    const { name, version, summary, input, outputs, calls, limits } = program;
    printJson(io, {
      program: name,
      version,
      summary,
      input,
      outputs,
      calls,
      limits,
      passes: program.passes.map((pass) => pass.name),
    });
    return true;
  }
  const lines = inputNames(program).map((input) => {
    const { description } = propertyOf(program, input);
    const word = required(program).includes(input) ? input.toUpperCase() : `[${input.toUpperCase()}]`;
    return `  ${word.padEnd(12)}  ${typeof description === "string" ? description : ""}`.trimEnd();
  });
  const inputs = lines.length === 0 ? "" : `\n\ninputs:\n${lines.join("\n")}`;
  const delivers = program.outputs.length === 0 ? "" : `\n\ndelivers: ${program.outputs.join(", ")}`;
  const passes = program.passes.length === 0 ? "" : `\npasses: ${program.passes.map((pass) => pass.name).join(" → ")}`;
  print(
    io,
    `${usage(program)}\n\n${program.summary}${inputs}${delivers}${passes}\n\nThe options are those of \`daimon help run\`.`,
  );
  return true;
}

function usage(program: Program): string {
  const words = inputNames(program).map((name) =>
    required(program).includes(name) ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  );
  return ["usage: daimon run [OPTIONS]", program.name, ...words].join(" ");
}

function inputNames(program: Program): readonly string[] {
  const properties = isObject(program.input["properties"]) ? Object.keys(program.input["properties"]) : [];
  const first = required(program);
  return [...first, ...properties.filter((name) => !first.includes(name))];
}

function required(program: Program): readonly string[] {
  const names = program.input["required"];
  return Array.isArray(names) ? (names as readonly Json[]).filter((name) => typeof name === "string") : [];
}

function propertyOf(program: Program, name: string): JsonSchema {
  const properties = program.input["properties"];
  const property = isObject(properties) ? properties[name] : undefined;
  return isObject(property) ? property : {};
}

/** A word as the schema wants it; the error continues "NAME …". */
function valueOf(schema: JsonSchema, word: string): Result<Json, string> {
  const type = schema["type"];
  if (type === undefined || type === "string") return ok(word);
  const value = parseJson(word);
  return value === undefined
    ? { ok: false, error: `takes ${typeof type === "string" ? `a value of type ${type}` : "JSON"}` }
    : ok(value);
}

async function misfitOf(program: Program, inputs: JsonObject): Promise<string | null> {
  const { schemaCompiler } = await import("../lib/schema.ts");
  const check = schemaCompiler()(program.input);
  return check.ok ? check.value(inputs) : check.error;
}

function withDocuments(program: Program, inputs: JsonObject, io: Io): Result<JsonObject, SysError> {
  const name = program.documents;
  const value = name === null ? undefined : inputs[name];
  if (name === null || typeof value !== "string") return ok(inputs);
  const { root } = layoutHere(io);
  if (!existsSync(resolve(io.world.cwd, value)))
    return fail("ENOENT", `there is no file or folder \`${value}\` here; name what ${program.name} is to read`);
  const path = inside(value, root, io.world.cwd);
  return path.ok ? ok({ ...inputs, [name]: path.value }) : path;
}

/** As the workspace knows a path that a person typed. */
function inside(typed: string, root: string, cwd: string): Result<string, SysError> {
  const full = resolve(cwd, typed);
  const path = relative(root, full);
  if (path === "") return ok(".");
  // The folder itself may be reached by another name, such as a link above the workspace.
  const outer = path === ".." || path.startsWith(`..${sep}`) || isAbsolute(path);
  const real = outer ? relative(root, realOf(full)) : path;
  if (real !== ".." && !real.startsWith(`..${sep}`) && !isAbsolute(real)) return ok(real === "" ? "." : real);
  return fail(
    "EINVAL",
    `\`${typed}\` lies outside the workspace ${root}; go to a folder that holds it, or name that folder with --cwd`,
  );
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
