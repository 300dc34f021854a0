/**
 * Arguments: a command's options and positionals, typed from its table.
 *   TTY-8.1  `--name value`, `--name=value`, `-n value`, `-nvalue` and joined flags `-qv` mean what they mean elsewhere; options may follow positionals.
 *   TTY-8.2  After `--` everything is passed on untouched.
 *   TTY-8.3  A passthrough command stops reading options at its first positional, so a guest's own options reach the guest.
 *   TTY-8.4  Numbers, counts, durations, sizes, amounts and choices are checked here, and the message says what is expected.
 *   TTY-8.5  An unknown option or command is EINVAL (exit 64) with the nearest known one and the usage line.
 *   TTY-8.6  A missing value or positional, one too many, or an option given twice is EINVAL, except where the table says many.
 *   TTY-8.7  Every command knows `--json --cwd DIR --quiet --help --no-color`; --help wins over whatever else is wrong.
 */
import type { Awaitable, Result } from "../../lib/result.ts";
import { ok } from "../../lib/result.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import { didYouMean } from "../../boot/suggest.ts";
import { parseBytes, parseCount, parseDuration, parseUsd } from "../../boot/units.ts";

interface OptionCommon {
  readonly summary: string;
  readonly short?: string;
}

export type OptionSpec =
  | (OptionCommon & { readonly type: "flag" })
  | (OptionCommon & { readonly type: "text"; readonly value: string; readonly many?: boolean; readonly complete?: Completes })
  /** number: any finite one · count: whole, not negative · duration: ms · bytes · usd: dollars. */
  | (OptionCommon & { readonly type: "number" | "duration" | "bytes" | "usd" })
  | (OptionCommon & { readonly type: "count"; readonly min?: number })
  | (OptionCommon & { readonly type: "choice"; readonly choices: readonly string[] });

export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** What a shell may offer. */
export type Completes = "file" | "folder" | "command";

export interface Positional {
  readonly name: string;
  readonly summary: string;
  readonly optional?: boolean;
  /** Only the last may be many. */
  readonly many?: boolean;
  readonly complete?: Completes;
  /** What can stand here, where that is a few words. */
  readonly words?: readonly string[];
}

type ValueOf<S extends OptionSpec> = S extends { readonly type: "flag" }
  ? boolean
  : S extends { readonly type: "text"; readonly many: true }
    ? readonly string[]
    : S extends { readonly type: "choice"; readonly choices: readonly (infer C)[] }
      ? C | undefined
      : S extends { readonly type: "text" }
        ? string | undefined
        : number | undefined;

export type ValuesOf<O extends OptionTable> = { readonly [K in keyof O]: ValueOf<O[K]> };

export const sharedOptions = {
  json: { type: "flag", summary: "print JSON" },
  cwd: { type: "text", value: "DIR", summary: "work in this folder", complete: "folder" },
  quiet: { type: "flag", short: "q", summary: "print results only" },
  help: { type: "flag", short: "h", summary: "explain the command" },
  "no-color": { type: "flag", summary: "print without colours" },
} as const satisfies OptionTable;

export interface Input<O extends OptionTable> {
  readonly options: ValuesOf<O> & ValuesOf<typeof sharedOptions>;
  readonly positionals: readonly string[];
  /** What followed `--`, or a passthrough command's first positional. */
  readonly rest: readonly string[];
}

/** `Io` is what the command line gives its commands: streams, clock, environment. */
export interface CommandSpec<O extends OptionTable, Io> {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs for --help. */
  readonly details?: string;
  readonly options: O;
  readonly positionals: readonly Positional[];
  /** `exec`: its first positional begins a foreign command. */
  readonly passthrough?: boolean;
  /** Returns the exit code, or the error to print. */
  run(input: Input<O>, io: Io): Awaitable<Result<number, SysError>>;
}

/** Any command: what completion, help and the dispatcher see. */
export type Command<Io = unknown> = CommandSpec<OptionTable, Io>;

/** Gives `run` its types from the table; changes nothing. */
export function defineCommand<const O extends OptionTable, Io>(spec: CommandSpec<O, Io>): CommandSpec<O, Io> {
  return spec;
}

export function parseArgs<O extends OptionTable, Io>(
  command: CommandSpec<O, Io>,
  argv: readonly string[],
): Result<Input<O>, SysError> {
  const table: OptionTable = { ...sharedOptions, ...command.options };
  const parser = new Parser(command, table);
  // Help is for those who have got something wrong: it comes before any complaint. A guest's own --help is not ours.
  const error = parser.read(argv);
  const own = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  const asked = own.some((arg) => arg === "--help" || arg === "-h");
  const help = command.passthrough === true ? parser.values()["help"] === true : asked;
  if (error !== null && !help) return fail("EINVAL", `${error}; usage: ${usageOf(command)}`);
  const values = help ? { ...parser.values(), help: true } : parser.values();
  // The parser filled `values` from the very table that O is the type of.
  return ok({ options: values as Input<O>["options"], positionals: parser.positionals, rest: parser.rest });
}

/** The named command, or why not. */
export function findCommand<C extends { readonly name: string }>(commands: readonly C[], name: string): Result<C, SysError> {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return ok(found);
  const hint =
    didYouMean(
      name,
      commands.map((command) => command.name),
    ) || "; `daimon help` lists the commands";
  return fail("EINVAL", `there is no command \`${name.slice(0, 64)}\`${hint}`);
}

/** `daimon run [OPTIONS] PROGRAM [FOLDER]` */
export function usageOf(command: Pick<Command<never>, "name" | "positionals" | "passthrough">): string {
  const words = command.positionals.map(({ name, optional, many }) => {
    const word = `${name.toUpperCase()}${many === true ? "..." : ""}`;
    return optional === true ? `[${word}]` : word;
  });
  return ["daimon", command.name, "[OPTIONS]", ...(command.passthrough === true ? ["--"] : []), ...words].join(" ");
}

/** Reads one command line; live only while it does. */
class Parser {
  readonly #table: OptionTable;
  readonly #command: Pick<Command<never>, "positionals" | "passthrough">;
  readonly #values: Record<string, boolean | string | number | string[]> = {};
  positionals: string[] = [];
  rest: readonly string[] = [];

  constructor(command: Pick<Command<never>, "positionals" | "passthrough">, table: OptionTable) {
    this.#command = command;
    this.#table = table;
  }

  /** Null, or what is wrong. */
  read(argv: readonly string[]): string | null {
    const queue = [...argv];
    for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
      if (arg === "--") {
        this.rest = queue;
        return this.#complete();
      }
      if (arg.startsWith("--")) {
        const error = this.#long(arg, queue);
        if (error !== null) return error;
      } else if (arg.startsWith("-") && arg !== "-" && !this.#isNumber(arg)) {
        const error = this.#shorts(arg, queue);
        if (error !== null) return error;
      } else if (this.#command.passthrough === true) {
        this.rest = [arg, ...queue];
        return this.#complete();
      } else this.positionals.push(arg);
    }
    return this.#complete();
  }

  values(): Readonly<Record<string, unknown>> {
    const values: Record<string, unknown> = {};
    for (const [name, spec] of Object.entries(this.#table)) {
      const empty = spec.type === "flag" ? false : spec.type === "text" && spec.many === true ? [] : undefined;
      values[name] = this.#values[name] ?? empty;
    }
    return values;
  }

  #long(arg: string, queue: string[]): string | null {
    const equals = arg.indexOf("=");
    const name = arg.slice(2, equals === -1 ? undefined : equals);
    const spec = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (spec === undefined)
      return `unknown option \`--${name.slice(0, 64)}\`${didYouMean(
        `--${name}`,
        Object.keys(this.#table).map((key) => `--${key}`),
      )}`;
    if (spec.type === "flag") return equals === -1 ? this.#set(name, spec, true) : `\`--${name}\` takes no value`;
    return this.#value(name, spec, equals === -1 ? this.#next(spec, queue) : arg.slice(equals + 1));
  }

  #shorts(arg: string, queue: string[]): string | null {
    for (let at = 1; at < arg.length; at++) {
      const letter = arg[at];
      const [name, spec] = Object.entries(this.#table).find(([, option]) => option.short === letter) ?? [];
      if (name === undefined || spec === undefined) return `unknown option \`-${letter ?? ""}\``;
      if (spec.type !== "flag") {
        const joined = arg.slice(at + 1).replace(/^=/, "");
        return this.#value(name, spec, joined === "" ? this.#next(spec, queue) : joined);
      }
      const error = this.#set(name, spec, true);
      if (error !== null) return error;
    }
    return null;
  }

  #next(spec: OptionSpec, queue: string[]): string | undefined {
    const next = queue[0];
    const numeric = spec.type === "number" && next !== undefined && this.#isNumber(next);
    return next === undefined || (next.startsWith("-") && next !== "-" && !numeric) ? undefined : queue.shift();
  }

  #value(name: string, spec: OptionSpec, text: string | undefined): string | null {
    if (text === undefined) return `\`--${name}\` needs ${expected(spec)}`;
    const value = read(spec, text);
    return value === null
      ? `\`--${name}\` needs ${expected(spec)}, and got \`${text.slice(0, 64)}\`${hint(spec, text)}`
      : this.#set(name, spec, value);
  }

  #set(name: string, spec: OptionSpec, value: boolean | string | number): string | null {
    const before = this.#values[name];
    if (spec.type === "text" && spec.many === true)
      this.#values[name] = [...(Array.isArray(before) ? before : []), String(value)];
    else if (before !== undefined && spec.type !== "flag") return `\`--${name}\` stands twice`;
    else this.#values[name] = value;
    return null;
  }

  #complete(): string | null {
    const { positionals, passthrough } = this.#command;
    const given = passthrough === true ? this.rest.length : this.positionals.length;
    const needed = positionals.filter(({ optional }) => optional !== true);
    const missing = needed[given];
    if (missing !== undefined) return `${missing.name.toUpperCase()} is missing: ${missing.summary}`;
    const last = positionals.at(-1);
    if (passthrough === true || last?.many === true || given <= positionals.length) return null;
    return `\`${this.positionals[positionals.length]?.slice(0, 64) ?? ""}\` is one argument too many`;
  }

  /** `-5` is a number where nobody named an option `5`. */
  #isNumber(arg: string): boolean {
    return /^-\d+(?:\.\d+)?$/.test(arg) && !Object.values(this.#table).some((spec) => spec.short === arg[1]);
  }
}

function read(spec: OptionSpec, text: string): string | number | null {
  switch (spec.type) {
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : null;
    case "count": {
      const count = parseCount(text);
      return count === null || count < (spec.min ?? 0) ? null : count;
    }
    case "duration":
      return parseDuration(text);
    case "bytes":
      return parseBytes(text);
    case "usd":
      return parseUsd(text);
    case "choice":
      return spec.choices.includes(text) ? text : null;
    case "text":
      return text;
    case "flag":
      return null;
  }
}

function expected(spec: OptionSpec): string {
  switch (spec.type) {
    case "number":
      return "a number";
    case "count":
      return spec.min === undefined ? "a count like `200` or `2k`" : `a count of ${spec.min} or more`;
    case "duration":
      return "a duration like `90s` or `1h30m`";
    case "bytes":
      return "a size like `512 MiB`";
    case "usd":
      return "an amount like `2 USD`";
    case "choice":
      return `one of ${spec.choices.join(", ")}`;
    case "text":
      return `a value, ${spec.value}`;
    case "flag":
      return "no value";
  }
}

function hint(spec: OptionSpec, text: string): string {
  return spec.type === "choice" ? didYouMean(text, spec.choices) : "";
}
