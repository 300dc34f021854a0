/**
 * Keyboard: lines a person types, without what was typed too early.
 *   TTY-11.8  drain() forgets everything that arrived before it, a whole line or the beginning of one; a line is at most 1,024 characters.
 */
import type { Keyboard } from "./approval.ts";

/** What of process.stdin is used. */
export interface LineSource {
  readonly isTTY?: boolean | undefined;
  on(event: string, listener: (chunk: Buffer | string) => void): unknown;
  off(event: string, listener: (chunk: Buffer | string) => void): unknown;
  setRawMode?(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
}

const lineMax = 1_024;

/** Listens until close(). */
export function openKeyboard(source: LineSource): Keyboard & { close(): void } {
  const lines: string[] = [];
  let partial = "";
  let ended = false;
  let waiting: ((line: string | null) => void) | null = null;
  const settle = (): void => {
    if (waiting === null) return;
    const line = lines.shift() ?? (ended ? null : undefined);
    if (line === undefined) return;
    const wake = waiting;
    waiting = null;
    wake(line);
  };
  const onData = (chunk: Buffer | string): void => {
    const parts = (partial + chunk.toString()).split("\n");
    partial = (parts.pop() ?? "").slice(0, lineMax);
    for (const part of parts) lines.push(part.replace(/\r$/, "").slice(0, lineMax));
    settle();
  };
  const onEnd = (): void => {
    ended = true;
    settle();
  };
  source.on("data", onData);
  source.on("end", onEnd);
  source.resume();
  return {
    isTTY: source.isTTY === true,
    async drain() {
      // A line without its Enter waits in the terminal itself: without line mode it is handed over.
      source.setRawMode?.(true);
      // Two turns of the event loop: the first may already be past its reading, the second reads what the terminal holds.
      for (let turn = 0; turn < 2; turn++) await new Promise((wake) => setImmediate(wake));
      lines.length = 0;
      partial = "";
      source.setRawMode?.(false);
    },
    readLine: () =>
      new Promise((resolve) => {
        waiting = resolve;
        settle();
      }),
    close() {
      source.off("data", onData);
      source.off("end", onEnd);
      source.pause();
    },
  };
}
