/**
 * daimon help: the commands in the order in which a person meets them, or one command's own page.
 *   CLI-4.1  Every command stands in the list once; `help COMMAND` is its --help.
 */
import { ok, type Result } from "../lib/result.ts";
import type { SysError } from "../abi/errno.ts";
import { commands } from "./commands.ts";
import { printJson, type Io } from "./io.ts";
import { findCommand } from "./term/args.ts";
import { commandHelp, commandList } from "./term/help.ts";
import { columnsOf } from "./term/screen.ts";

const groups: readonly { readonly title: string; readonly names: readonly string[] }[] = [
  { title: "work", names: ["init", "run", "exec", "up", "mcp", "guests", "approve"] },
  { title: "watch", names: ["ps", "top", "log", "why", "replay"] },
  { title: "steer", names: ["kill", "nice"] },
  { title: "files", names: ["diff", "commit", "rollback", "shared"] },
  { title: "keep in order", names: ["doctor", "fsck", "config"] },
  { title: "more", names: ["help", "completion", "version"] },
];

export function run(name: string | undefined, io: Io): Result<number, SysError> {
  if (name !== undefined) {
    const found = findCommand(commands, name);
    if (!found.ok) return found;
    printHelp(found.value, io);
    return ok(0);
  }
  if (io.json) printJson(io, { commands: commands.map(described) });
  else {
    const listed = groups.map(({ title, names }) => ({
      title,
      commands: commands.filter((command) => names.includes(command.name)).toSorted(byPlace(names)),
    }));
    const first = `Two to begin with: ${io.colours.paint("name", "daimon run brief FOLDER")} reads a folder and writes BRIEF.md; ${io.colours.paint("name", "daimon doctor")} tells what this machine can do.`;
    io.out.write(`${commandList(listed, columnsOf(io.out), io.colours)}\n${first}\n\`daimon help COMMAND\` explains one.\n`);
  }
  return ok(0);
}

export function printHelp(command: (typeof commands)[number], io: Io): void {
  if (io.json) printJson(io, described(command));
  else io.out.write(commandHelp(command, columnsOf(io.out), io.colours));
}

function described({ name, summary, usage, options, positionals }: (typeof commands)[number]): unknown {
  return { name, summary, usage, positionals, options };
}

function byPlace(names: readonly string[]): (a: { readonly name: string }, b: { readonly name: string }) => number {
  return (a, b) => names.indexOf(a.name) - names.indexOf(b.name);
}
