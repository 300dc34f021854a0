/**
 * Io: what every command gets: where it runs, where it writes, and how.
 *   CLI-2.1  Results go to standard output; findings, progress and errors go to standard error.
 *   CLI-2.2  With --json a result is JSON: one document, or one document a line for a stream; no character in it acts on a terminal.
 *   CLI-2.3  --quiet silences notes and warnings, never results or errors.
 *   CLI-2.4  Everything printed is neutralised, whoever wrote it.
 */
import { inertJson } from "./term/inert-json.ts";
import type { Clock } from "../abi/clock.ts";
import type { Finding } from "../abi/finding.ts";
import type { Surroundings } from "../boot/layout.ts";
import type { LineSource } from "./term/keyboard.ts";
import { neutralise } from "./term/neutralise.ts";
import type { Host } from "./term/progress.ts";
import type { Palette, Screen } from "./term/screen.ts";

export interface Io {
  readonly world: Surroundings;
  readonly out: Screen;
  readonly err: Screen;
  readonly input: LineSource;
  readonly clock: Clock;
  readonly host: Host;
  /** For standard output. */
  readonly colours: Palette;
  /** For standard error. */
  readonly errColours: Palette;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** One document, one line. */
export function printJson(io: Pick<Io, "out">, value: unknown): void {
  io.out.write(`${inertJson(value)}\n`);
}

/** Lines of a result. */
export function print(io: Pick<Io, "out">, text: string): void {
  io.out.write(`${neutralise(text)}\n`);
}

/** A word beside the result, for the person who watches. */
export function note(io: Pick<Io, "err" | "quiet">, text: string): void {
  if (!io.quiet) io.err.write(`${neutralise(text)}\n`);
}

export function printFinding(io: Pick<Io, "err" | "errColours" | "quiet">, finding: Finding): void {
  if (io.quiet && finding.severity !== "error") return;
  const tone = finding.severity === "error" ? "bad" : finding.severity === "warning" ? "warn" : "dim";
  io.err.write(`${io.errColours.paint(tone, `${finding.severity}:`)} ${neutralise(`${finding.where}: ${finding.message}`)}\n`);
}

/** May a person be asked? */
export function isInteractive(io: Io): boolean {
  return io.err.isTTY === true && io.input.isTTY === true && !io.json && io.world.env["CI"] === undefined;
}
