/**
 * Screen: what the terminal layer needs of an output stream, and whether and how to colour it.
 *   TTY-3.1  `--no-color`, then NO_COLOR, then FORCE_COLOR, then TERM=dumb, then being a terminal decide, in this order.
 *   TTY-3.2  Without colour, painted text is the text itself.
 */
import { styleText } from "node:util";

/** process.stdout fits; so does a list of strings in a test. */
export interface Screen {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export type Tone = "strong" | "dim" | "good" | "warn" | "bad" | "name";

export interface Palette {
  readonly colour: boolean;
  paint(tone: Tone, text: string): string;
}

export function palette(screen: Screen, env: Environment, noColour: boolean): Palette {
  const colour = wantsColour(screen, env, noColour);
  return { colour, paint: (tone, text) => (colour ? styleText(styles[tone], text, { validateStream: false }) : text) };
}

/** May the screen be painted again in place? */
export function isLive(screen: Screen, env: Environment): boolean {
  return screen.isTTY === true && env["TERM"] !== "dumb" && env["CI"] === undefined;
}

/** Columns to fill; 80 where nobody knows, null for a pipe, which has no edge. */
export function columnsOf(screen: Screen): number | null {
  return screen.isTTY === true ? Math.max(20, screen.columns ?? 80) : null;
}

const styles = { strong: "bold", dim: "dim", good: "green", warn: "yellow", bad: "red", name: "cyan" } as const;

function wantsColour(screen: Screen, env: Environment, noColour: boolean): boolean {
  const force = env["FORCE_COLOR"];
  if (noColour || (env["NO_COLOR"] ?? "") !== "") return false;
  if (force !== undefined) return force !== "0" && force !== "false";
  return screen.isTTY === true && env["TERM"] !== "dumb";
}
