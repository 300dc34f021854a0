/**
 * Errors: a failure as a person reads it, and the exit code a script reads.
 *   TTY-7.1  What happened, why, and the next step stand on lines of their own; a message without a next step gets the errno's.
 *   TTY-7.2  The exit code is the errno table's; of our own bugs 70.
 *   TTY-7.3  No stack is shown unless DAIMON_DEBUG=1.
 *   TTY-7.4  With --json the error is one JSON object on standard error.
 *   TTY-7.5  Everything in a message is neutralised.
 */
import { inertJson } from "./inert-json.ts";
import { errnos, type Retry, type SysError } from "../../abi/errno.ts";
import { neutralise } from "./neutralise.ts";
import type { Environment, Palette, Screen } from "./screen.ts";

export interface ErrorStyle {
  readonly screen: Screen;
  readonly env: Environment;
  readonly colours: Palette;
  readonly json: boolean;
}

const panicExit = 70;

/** Prints to standard error; returns the exit code. */
export function printError(error: SysError, style: ErrorStyle): number {
  const row = errnos[error.errno];
  if (style.json) {
    style.screen.write(`${inertJson({ error: { ...error, exit: row.exit } })}\n`);
    return row.exit;
  }
  const { what, next } = split(error.message);
  const why = error.cause === undefined ? `${row.text} (${error.errno})` : `${row.text} (${error.errno}): ${error.cause}`;
  print(style, what, why, next ?? nexts[row.retry]);
  return row.exit;
}

/** An exception that came through: always a bug of ours, or of a library. */
export function printPanic(thrown: unknown, style: ErrorStyle): number {
  const message = thrown instanceof Error ? thrown.message : "something that is no error was thrown";
  if (style.json) style.screen.write(`${inertJson({ error: { errno: "EPANIC", message, exit: panicExit } })}\n`);
  else
    print(
      style,
      "an internal rule broke, and the kernel stopped before it could do harm",
      message,
      "run `daimon fsck`, then report this; DAIMON_DEBUG=1 shows where it happened",
    );
  if (style.env["DAIMON_DEBUG"] === "1" && thrown instanceof Error) style.screen.write(`${neutralise(thrown.stack ?? "")}\n`);
  return panicExit;
}

const nexts: Readonly<Record<Retry, string>> = {
  never: "trying again will not help; `daimon why` tells what decided",
  later: "try again in a while",
  "after-change": "change what is named above, then try again",
};

/** House messages read `what: why; next step`. Lines below the first belong to what happened. */
function split(message: string): { readonly what: string; readonly next: string | null } {
  const [first = "", ...lines] = message.split("\n");
  const at = first.indexOf("; ");
  const what = at === -1 ? first : first.slice(0, at);
  return { what: [what, ...lines.map((line) => `  ${line}`)].join("\n"), next: at === -1 ? null : first.slice(at + 2) };
}

function print({ screen, colours }: ErrorStyle, what: string, why: string, next: string): void {
  screen.write(`${colours.paint("bad", "daimon:")} ${neutralise(what)}\n`);
  screen.write(`${colours.paint("dim", "why:")} ${neutralise(why)}\n`);
  screen.write(`${colours.paint("dim", "next:")} ${neutralise(next)}\n`);
}
