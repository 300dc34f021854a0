/**
 * Guest: what has to be known of somebody else's agent to run it unmodified: how it is launched, what it speaks, what its tools do. One file each,
 * with the source of every fact.
 *   GUE-1.1  A tool that stands for a call of the table is decided on as that call, with the paths as policy knows them.
 *   GUE-1.2  A tool that is not known, or whose arguments cannot be read, is `guest.tool`: it may do what the sandbox lets it, and policy sees its name.
 *   GUE-1.3  What lies outside the workspace is private to the sandbox: a path there is no file of the workspace, whatever its name.
 */
import type { Format } from "../abi/upstream.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";

/** Where the doors are, seen from inside the sandbox. */
export interface DoorAddresses {
  /** `http://127.0.0.1:PORT` of the model door. */
  readonly model: string;
  /** What the guest shows at every door; it is nobody's key. */
  readonly credential: string;
}

/** Where the guest lives: absolute paths, the same inside and outside. */
export interface Place {
  readonly home: string;
  readonly workspace: string;
  readonly cwd: string;
}

export interface Launch {
  readonly env: Readonly<Record<string, string>>;
  /** Written into its private home, or shown read-only at a system path. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** Between the program and the person's own arguments. */
  readonly args: readonly string[];
}

/** A call of the table, with the arguments that policy looks at. */
export interface StandsFor {
  readonly name: string;
  readonly args: JsonObject;
}

/** The call of the table that a tool stands for, and which of its arguments is that call's path, command or address. */
export type Meaning =
  | {
      readonly call: "fs.read" | "fs.list" | "fs.search" | "fs.write" | "fs.edit";
      readonly path: readonly string[];
      readonly optional?: true;
    }
  | { readonly call: "shell.run"; readonly command: readonly string[] }
  | { readonly call: "net.fetch"; readonly url: readonly string[] }
  /** It touches nothing but the guest's own state. */
  | { readonly call: null }
  | ((args: JsonObject, place: Place) => readonly StandsFor[]);

export interface Guest {
  readonly name: string;
  readonly title: string;
  /** Base names of its program. */
  readonly programs: readonly string[];
  readonly package: string | null;
  /** Versions that test/e2e/guests.test.ts ran. */
  readonly verified: readonly string[];
  readonly speaks: readonly Format[];
  launch(doors: DoorAddresses, place: Place): Launch;
  readonly tools: Readonly<Record<string, Meaning>>;
  /** What surprises, with its source. */
  readonly quirks: readonly { readonly what: string; readonly source: string }[];
}

/** What a tool of the guest stands for. Empty: nothing that anyone else would notice. */
export function standsFor(guest: Pick<Guest, "tools">, place: Place, name: string, args: Json): readonly StandsFor[] {
  const unknown: readonly StandsFor[] = [{ name: "guest.tool", args: { tool: name } }];
  /** Those of the tool door are decided on there. */
  if (/^mcp__daimon__|^daimon__/.test(name)) return [];
  const meaning = Object.hasOwn(guest.tools, name) ? guest.tools[name] : undefined;
  if (meaning === undefined || !isObject(args)) return unknown;
  if (typeof meaning === "function") return meaning(args, place);
  switch (meaning.call) {
    case null:
      return [];
    case "shell.run": {
      const command = first(args, meaning.command);
      const text = Array.isArray(command) ? words(command as readonly Json[]) : command;
      return typeof text === "string" ? [{ name: "shell.run", args: { command: text } }] : unknown;
    }
    case "net.fetch": {
      const url = first(args, meaning.url);
      return typeof url === "string" ? [{ name: "net.fetch", args: { url } }] : unknown;
    }
    default: {
      const path = first(args, meaning.path);
      if (path === undefined && meaning.optional === true) return [{ name: meaning.call, args: { path: "." } }];
      if (typeof path !== "string") return unknown;
      const inside = inWorkspace(path, place);
      return inside === null ? unknown : [{ name: meaning.call, args: { path: inside } }];
    }
  }
}

function first(args: JsonObject, names: readonly string[]): Json | undefined {
  const name = names.find((each) => args[each] !== undefined);
  return name === undefined ? undefined : args[name];
}

/** `["bash", "-lc", "ls"]` is the command `ls`; any other list is its words, each quoted where it has to be. */
function words(command: readonly Json[]): string | undefined {
  if (!command.every((word) => typeof word === "string")) return undefined;
  const [shell = "", flag = "", script] = command;
  if (
    /^(?:\/(?:usr\/)?bin\/)?(?:ba|z|da)?sh$/.test(shell) &&
    /^-l?i?c$/.test(flag) &&
    script !== undefined &&
    command.length === 3
  )
    return script;
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}

/** The path relative to the workspace; null where it is outside. */
export function inWorkspace(path: string, { workspace, cwd }: Place): string | null {
  if (path.startsWith("~") || path.includes("\0")) return null;
  const segments: string[] = [];
  for (const segment of (path.startsWith("/") ? path : `${cwd}/${path}`).split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  const whole = `/${segments.join("/")}`;
  if (whole === workspace) return ".";
  return whole.startsWith(`${workspace}/`) ? whole.slice(workspace.length + 1) : null;
}
