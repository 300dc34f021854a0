/**
 * Progress: what goes on now, what it has cost, and how long it will take.
 *   TTY-6.1  On a terminal the lines are repainted in place, each cut to the width, at most ten times a second.
 *   TTY-6.2  In a pipe, on a dumb terminal and in CI there are plain lines: at once when what is done changes, else at most one a second.
 *   TTY-6.3  The cursor comes back at finish(), when the process exits, and at SIGINT, SIGTERM and SIGHUP, which then do what they would have done.
 *   TTY-6.4  Time left is told once a tenth is done or three seconds have passed; an unknown cost is `?`.
 *   TTY-6.5  note() prints a line that stays, above the live ones.
 */
import type { Clock } from "../../abi/clock.ts";
import { formatDuration, formatUsd } from "./format.ts";
import { neutraliseLine } from "./neutralise.ts";
import { columnsOf, isLive, type Environment, type Palette, type Screen } from "./screen.ts";
import { cut } from "./width.ts";

export interface ProgressLine {
  /** Stable within one progress: `7`, `extract`. */
  readonly key: string;
  readonly label: string;
  readonly done?: number;
  readonly total?: number;
  /** What is counted where there is no total: `agents done`. */
  readonly what?: string;
  /** Null when the model's price is unknown; absent where nothing is paid. */
  readonly costUsd?: number | null;
}

export interface Progress {
  update(lines: readonly ProgressLine[]): void;
  note(text: string): void;
  /** Clears the live lines; the last state has been told in words by whoever finished. */
  finish(): void;
}

/** What of `process` the cursor's safety needs. */
export interface Host {
  readonly pid: number;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  listenerCount(event: string): number;
  kill(pid: number, signal: string): unknown;
}

export interface ProgressSettings {
  readonly screen: Screen;
  readonly env: Environment;
  readonly colours: Palette;
  readonly clock: Clock;
  readonly host: Host;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 100;
const plainMs = 1_000;
const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

export function progress(settings: ProgressSettings): Progress {
  return isLive(settings.screen, settings.env) ? live(settings) : plain(settings);
}

function live({ screen, colours, clock, host }: ProgressSettings): Progress {
  const since = clock.now();
  let lines: readonly ProgressLine[] = [];
  let drawn = 0;
  let cancel: (() => void) | null = null;
  let open = true;

  const erase = (): string => (drawn === 0 ? "" : `\u001b[${drawn}A\r\u001b[J`);
  const draw = (): void => {
    const now = clock.now();
    const width = (columnsOf(screen) ?? 80) - 1;
    const frame = frames[Math.floor((now - since) / frameMs) % frames.length] ?? "";
    // As many lines as fit: cursor movements cannot reach what has scrolled away.
    const room = Math.max(1, (screen.rows ?? 24) - 2);
    const hidden = lines.length - room;
    const shown = hidden > 0 ? lines.slice(0, room - 1) : lines;
    const texts = shown.map((line) => `${colours.paint("name", frame)} ${cut(describe(line, now - since), width - 2)}`);
    if (hidden > 0) texts.push(colours.paint("dim", cut(`  and ${hidden + 1} more`, width)));
    screen.write(`${drawn === 0 ? hideCursor : ""}${erase()}${texts.map((text) => `${text}\n`).join("")}`);
    drawn = texts.length;
  };
  const tick = (): void => {
    draw();
    cancel = clock.after(frameMs, tick);
  };
  const restore = guard(host, () => screen.write(showCursor));
  return {
    update(next) {
      lines = next;
      // The first is painted at once; the others wait for their frame.
      if (open && cancel === null) tick();
    },
    note(text) {
      screen.write(`${erase()}${neutraliseLine(text)}\n`);
      const had = drawn > 0;
      drawn = 0;
      if (had && open) draw();
    },
    finish() {
      if (!open) return;
      open = false;
      cancel?.();
      screen.write(erase());
      drawn = 0;
      restore();
    },
  };
}

function plain({ screen, clock }: ProgressSettings): Progress {
  const since = clock.now();
  const told = new Map<string, { readonly label: string; readonly text: string; readonly at: number }>();
  return {
    update(lines) {
      const now = clock.now();
      for (const line of lines) {
        const before = told.get(line.key);
        const text = describe(line, null);
        if (before?.text === text || (before?.label === line.label && now - before.at < plainMs)) continue;
        told.set(line.key, { label: line.label, text, at: now });
        screen.write(`${text}${now - since >= plainMs ? ` · ${formatDuration(now - since)}` : ""}\n`);
      }
    },
    note: (text) => void screen.write(`${neutraliseLine(text)}\n`),
    finish: () => {},
  };
}

/** `elapsedMs` null leaves the time out. */
function describe(line: ProgressLine, elapsedMs: number | null): string {
  const parts = [neutraliseLine(line.label)];
  const { done, total, what } = line;
  if (done !== undefined) parts.push(total === undefined ? `${done}${what === undefined ? "" : ` ${what}`}` : `${done}/${total}`);
  if (line.costUsd !== undefined) parts.push(formatUsd(line.costUsd));
  if (elapsedMs !== null) {
    parts.push(formatDuration(elapsedMs));
    const left = timeLeft(done, total, elapsedMs);
    if (left !== null) parts.push(`about ${formatDuration(left)} left`);
  }
  return parts.join(" · ");
}

function timeLeft(done: number | undefined, total: number | undefined, elapsedMs: number): number | null {
  if (done === undefined || total === undefined || done <= 0 || done >= total) return null;
  if (done / total < 0.1 && elapsedMs < 3_000) return null;
  return (elapsedMs / done) * (total - done);
}

/** Runs `restore` once: when called, at exit, or before a signal ends the process. */
function guard(host: Host, restore: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    restore();
    host.off("exit", close);
    for (const [signal, listener] of listeners) host.off(signal, listener);
  };
  const listeners = signals.map((signal) => {
    const listener = (): void => {
      close();
      // A listener of our own keeps the signal from doing its work: where nobody else listens, it is sent again.
      if (host.listenerCount(signal) === 0) host.kill(host.pid, signal);
    };
    return [signal, listener] as const;
  });
  host.on("exit", close);
  for (const [signal, listener] of listeners) host.on(signal, listener);
  return close;
}
