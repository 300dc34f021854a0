/**
 * Guest: what has to be known of somebody else's agent to run it unmodified: how it is launched, what it speaks, what its tools do. One file each,
 * with the source of every fact.
 *   GUE-1.1  A tool that stands for a call of the table is decided on as that call, with the paths as policy knows them.
 *   GUE-1.2  A tool that is not known is `guest.tool`: it may do what the sandbox lets it, and policy sees its name. One that is known, and whose
 *            arguments cannot be read here, stands for its call without them, which is refused: the guest may read them all the same.
 *   GUE-1.4  Where an argument has several names every one that is given counts: which of them the guest heeds depends on its version.
 *   GUE-1.5  A tool of the tool door, by the name that the guest's model knows it under, is decided on as the call that it will be there. A guest that can be
 *            told of the door is told of it where there is something behind it.
 *   GUE-1.3  What lies outside the workspace is private to the sandbox: a path there is no file of the workspace, whatever its name.
 */
import type { StandsFor } from "../abi/call.ts";
import type { Format } from "../abi/upstream.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";

/** Where the doors are, seen from inside the sandbox. */
export interface DoorAddresses {
  /** `http://127.0.0.1:PORT` of the model door. */
  readonly model: string;
  /** `http://127.0.0.1:PORT/mcp` of the tool door; null: there is nothing behind it, so it is not there and the guest is not told of it. */
  readonly tools: string | null;
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
  /** The tool of the tool door that its model knows by this name; null: it is none. */
  toolAt(name: string): string | null;
  /** What surprises, with its source. */
  readonly quirks: readonly { readonly what: string; readonly source: string }[];
}

/** The name under which guests know the tool door, where they give servers names. */
export const doorName = "daimon";

/** What a tool of the tool door stands for; null: the door has no such tool. */
export type AtDoor = (tool: string) => readonly StandsFor[] | null;

/** The tool of the door behind a prefix of the guest's. */
export function after(prefix: string): (name: string) => string | null {
  return (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : null);
}

/** What a tool of the guest stands for. Empty: nothing that anyone else would notice. */
export function standsFor(
  guest: Pick<Guest, "tools" | "toolAt">,
  place: Place,
  atDoor: AtDoor,
  name: string,
  args: Json,
): readonly StandsFor[] {
  const unknown: readonly StandsFor[] = [{ name: "guest.tool", args: { tool: name } }];
  const meaning = Object.hasOwn(guest.tools, name) ? guest.tools[name] : undefined;
  if (meaning === undefined) {
    const tool = guest.toolAt(name);
    return (tool === null ? null : atDoor(tool)) ?? unknown;
  }
  if (typeof meaning === "function") return meaning(isObject(args) ? args : {}, place);
  switch (meaning.call) {
    case null:
      return [];
    case "shell.run": {
      const call = (command: Json): StandsFor => {
        const text = Array.isArray(command) ? words(command as readonly Json[]) : command;
        return { name: meaning.call, args: typeof text === "string" ? { command: text } : {} };
      };
      return each(given(args, meaning.command).map(call), meaning.call);
    }
    case "net.fetch": {
      const call = (url: Json): StandsFor => ({ name: meaning.call, args: typeof url === "string" ? { url } : {} });
      return each(given(args, meaning.url).map(call), meaning.call);
    }
    default: {
      const paths = given(args, meaning.path);
      if (paths.length === 0 && meaning.optional === true && isObject(args)) return [{ name: meaning.call, args: { path: "." } }];
      const calls = paths.flatMap((path): readonly StandsFor[] => {
        const inside = typeof path === "string" ? inWorkspace(path, place) : undefined;
        return inside === null ? unknown : [{ name: meaning.call, args: inside === undefined ? {} : { path: inside } }];
      });
      return each(calls, meaning.call);
    }
  }
}

/** What arguments have under any of the names. */
function given(args: Json, names: readonly string[]): readonly Json[] {
  return isObject(args) ? names.map((name) => args[name] ?? null).filter((value) => value !== null) : [];
}

/** None can be read: the call without what it needs. */
function each(calls: readonly StandsFor[], name: string): readonly StandsFor[] {
  return calls.length === 0 ? [{ name, args: {} }] : calls;
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
