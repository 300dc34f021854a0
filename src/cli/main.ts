/**
 * Main: from the words typed to the command, and from what it returns to the exit code.
 *   CLI-1.2  An unknown command or option is exit 64 with the nearest known one; `daimon` alone and --help explain, with exit 0.
 *   CLI-1.3  A command that fails prints what happened, why and the next step, and exits with the errno's code; nobody sees a stack.
 *   CLI-1.4  A closed pipe behind standard output is no error.
 *   CLI-1.5  The options every command has may also stand before the command.
 *   CLI-1.6  --cwd must be a folder; everything happens as if daimon had been started there.
 */
import { realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { isatty } from "node:tty";
import { fail, type SysError } from "../abi/errno.ts";
import { didYouMean } from "../boot/suggest.ts";
import { systemClock } from "../drivers/clock/system.ts";
import { ok, type Result } from "../lib/result.ts";
import { commands, type Listed } from "./commands.ts";
import type { Io } from "./io.ts";
import { findCommand, parseArgs, sharedOptions } from "./term/args.ts";
import { printError, printPanic, type ErrorStyle } from "./term/errors.ts";
import { palette, type Screen } from "./term/screen.ts";

/** Runs one command line; the result is the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const out = pipe(1, () => process.stdout);
  const err = pipe(2, () => process.stderr);
  // Until the options are read, the words themselves tell how errors are to look.
  const typed = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  const noColour = typed.includes("--no-color");
  const style: ErrorStyle = {
    screen: err,
    env: process.env,
    colours: palette(err, process.env, noColour),
    json: typed.includes("--json"),
  };
  try {
    const code = await dispatch(argv, { out, err, style, noColour });
    return code.ok ? code.value : printError(code.error, style);
  } catch (thrown) {
    return printPanic(thrown, style);
  }
}

interface Streams {
  readonly out: Screen;
  readonly err: Screen;
  readonly style: ErrorStyle;
  readonly noColour: boolean;
}

async function dispatch(argv: readonly string[], streams: Streams): Promise<Result<number, SysError>> {
  const words = reorder(argv);
  const [name, ...rest] = words.length === 0 || words[0] === "--help" || words[0] === "-h" ? ["help", ...words.slice(1)] : words;
  const found = findCommand(commands, name === "--version" || name === "-V" ? "version" : (name ?? "help"));
  if (!found.ok) return name?.startsWith("-") === true ? strayOption(name) : found;
  const input = parseArgs(found.value, rest);
  if (!input.ok) return input;
  const { options } = input.value;
  const cwd = folderOf(options.cwd);
  if (!cwd.ok) return cwd;
  const io = ioOf(streams, cwd.value, options);
  if (options.help) {
    await explain(found.value, input.value.positionals, io);
    return ok(0);
  }
  return await found.value.run(input.value, io);
}

/** `daimon run PROGRAM --help` explains the program, where there is one. */
async function explain(command: Listed, positionals: readonly string[], io: Io): Promise<void> {
  const [program] = positionals;
  if (command.name === "run" && program !== undefined && (await (await import("./program.ts")).printProgramHelp(program, io)))
    return;
  (await import("./help.ts")).printHelp(command, io);
}

/** `daimon --json ps` is `daimon ps --json`. */
function reorder(argv: readonly string[]): readonly string[] {
  const ahead: string[] = [];
  let at = 0;
  while (at < argv.length) {
    const word = argv[at] ?? "";
    const spec = Object.entries(sharedOptions).find(([name]) => word === `--${name}` || word.startsWith(`--${name}=`))?.[1];
    if ((spec === undefined && word !== "-q") || word === "--help") break;
    const values = spec?.type === "text" && !word.includes("=") ? 2 : 1;
    ahead.push(...argv.slice(at, at + values));
    at += values;
  }
  const [command, ...rest] = argv.slice(at);
  return command === undefined ? (ahead.length === 0 ? [] : ["help", ...ahead]) : [command, ...ahead, ...rest];
}

/** What stands before the command and is no option of every command. */
function strayOption(word: string): Result<never, SysError> {
  const known = [...Object.keys(sharedOptions), "version"].map((name) => `--${name}`);
  const hint =
    didYouMean(word.replace(/=.*/s, ""), known) || "; a command's own options follow its name, `daimon help` lists the commands";
  return fail("EINVAL", `\`${word.slice(0, 64)}\` is no option that can stand before a command${hint}`);
}

function folderOf(cwd: string | undefined): Result<string, SysError> {
  if (cwd === undefined) return ok(process.cwd());
  try {
    const folder = realpathSync(resolve(cwd));
    if (statSync(folder).isDirectory()) return ok(folder);
    return fail("EINVAL", `--cwd \`${cwd}\` is a file; name a folder`);
  } catch {
    return fail("ENOENT", `--cwd \`${cwd}\` does not exist; name a folder that does`);
  }
}

function ioOf(
  { out, err, style, noColour }: Streams,
  cwd: string,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
): Io {
  const { env } = process;
  const home = env["HOME"] !== undefined && env["HOME"] !== "" ? env["HOME"] : homedir();
  return {
    world: { cwd, env, home, uid: process.getuid?.() ?? 0 },
    out,
    err,
    // Touched only by the commands that read: to look at standard input is to open it.
    get input() {
      return process.stdin;
    },
    clock: systemClock(),
    host: process,
    colours: palette(out, env, noColour),
    errColours: style.colours,
    json,
    quiet,
  };
}

/**
 * A stream that goes silent once its reader is gone. It is opened when it is first needed: that makes a pipe non-blocking for all who share it, and a
 * guest is one of them.
 */
function pipe(descriptor: number, stream: () => NodeJS.WriteStream): Screen {
  const isTTY = isatty(descriptor);
  let silent = false;
  let opened: NodeJS.WriteStream | null = null;
  const open = (): NodeJS.WriteStream => {
    opened ??= stream().on("error", () => (silent = true));
    return opened;
  };
  return {
    isTTY,
    write: (text) => {
      const to = open();
      return !silent && to.write(text);
    },
    get columns() {
      return isTTY ? open().columns : undefined;
    },
    get rows() {
      return isTTY ? open().rows : undefined;
    },
  };
}
