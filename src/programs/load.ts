/**
 * Load: find a program and read it: a folder with PROGRAM.md or program.ts, a Markdown file, or a module.
 *   PRG-2.1  What is not there, not readable or no program is refused with its name and what would be one.
 *   PRG-2.2  A module's program has the same shape and passes the same checks as one in Markdown.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Program } from "../abi/program.ts";
import { ok, type Result } from "../lib/result.ts";
import { schemaCompiler } from "../lib/schema.ts";
import { completeProgram, parseProgram } from "./format.ts";

/** How the loader sees the machine. Paths are the caller's; messages show them as they were given. */
export interface ProgramFiles {
  kind(path: string): Promise<"file" | "folder" | "none">;
  read(path: string): Promise<Result<string, SysError>>;
  /** The default export of a module. */
  load(path: string): Promise<Result<unknown, SysError>>;
}

export interface LoadedProgram {
  readonly program: Program;
  /** The file that was read, for measuring. */
  readonly file: string;
}

const entryNames = ["PROGRAM.md", "program.ts", "program.js", "program.mjs"];

export async function loadProgram(path: string, files: ProgramFiles): Promise<Result<LoadedProgram, SysError>> {
  const file = await entryOf(path, files);
  if (!file.ok) return file;
  const program = /\.[cm]?[jt]s$/.test(file.value) ? await loadModule(file.value, files) : await loadMarkdown(file.value, files);
  return program.ok ? ok({ program: program.value, file: file.value }) : program;
}

async function entryOf(path: string, files: ProgramFiles): Promise<Result<string, SysError>> {
  const kind = await files.kind(path);
  if (kind === "none")
    return fail("ENOENT", `there is no program ${path}; name a folder with PROGRAM.md, a .md file or a .ts module`);
  if (kind === "file") return ok(path);
  for (const name of entryNames) if ((await files.kind(`${path}/${name}`)) === "file") return ok(`${path}/${name}`);
  return fail("ENOEXEC", `${path} holds no program: there is none of ${entryNames.join(", ")}; add PROGRAM.md`);
}

async function loadMarkdown(file: string, files: ProgramFiles): Promise<Result<Program, SysError>> {
  const text = await files.read(file);
  return text.ok ? parseProgram({ file, text: text.value }, schemaCompiler()) : text;
}

async function loadModule(file: string, files: ProgramFiles): Promise<Result<Program, SysError>> {
  const value = await files.load(file);
  return value.ok ? completeProgram(file, value.value, schemaCompiler()) : value;
}
