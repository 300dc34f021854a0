/**
 * Interrupt: an orderly end at Ctrl-C and at a stop from outside.
 *   CLI-3.1  The first SIGINT, SIGTERM or SIGHUP asks the command to come to an end; the exit code is 128 and the signal's number.
 *   CLI-3.2  The second one ends it at once: what is journaled stays, and the next kernel goes on from there.
 */
import type { Host } from "./term/progress.ts";

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Null until a signal came. */
  exitCode(): number | null;
  close(): void;
}

const numbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

export function interrupts(host: Host): Interrupt {
  const abort = new AbortController();
  let code: number | null = null;
  const listeners = Object.entries(numbers).map(([name, number]) => {
    const listener = (): void => {
      code = 128 + number;
      close();
      abort.abort(name);
    };
    host.on(name, listener);
    return [name, listener] as const;
  });
  // With our listeners gone the next signal does what it always does.
  const close = (): void => {
    for (const [name, listener] of listeners) host.off(name, listener);
  };
  return { signal: abort.signal, exitCode: () => code, close };
}

/** Null when the signal came first. */
export function unless<T>(interrupt: Interrupt, work: Promise<T>): Promise<T | null> {
  const { signal } = interrupt;
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(null);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
