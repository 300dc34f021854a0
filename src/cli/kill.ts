/**
 * daimon kill: a signal to a process, through the kernel that runs it, or through one started for the purpose.
 *   CLI-16.1  The signal is journaled by the person's name; without a running kernel the process ends in the journal all the same.
 */
import type { SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import type { killOptions } from "./commands.ts";
import { print, printJson, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { parsePid, personOf, steer } from "./workspace.ts";

export async function run(input: Input<typeof killOptions>, io: Io): Promise<Result<number, SysError>> {
  const pid = parsePid(input.positionals[0] ?? "");
  if (!pid.ok) return pid;
  const signal = input.options.signal ?? "kill";
  const by = personOf(io);
  const sent = await steer(io, { op: "signal", pid: pid.value, signal, by }, ({ kernel }) =>
    kernel.signal(pid.value, signal, by),
  );
  if (!sent.ok) return sent;
  if (io.json) printJson(io, { pid: pid.value, signal, by });
  else if (!io.quiet) print(io, `process ${pid.value}: ${words[signal]}`);
  return ok(0);
}

const words = {
  kill: "ended, and everything below it",
  stop: "stopped; `daimon kill --signal continue` lets it go on",
  interrupt: "interrupted; it waits for a person: daimon approve",
  continue: "goes on",
} as const;
