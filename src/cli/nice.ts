/**
 * daimon nice: a process's share of the CPU.
 *   CLI-16.2  A weight that is no whole number from 1 to 10000 is EINVAL before any kernel is asked.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import { print, printJson, type Io } from "./io.ts";
import { parsePid, steer } from "./workspace.ts";

export async function run(words: readonly string[], io: Io): Promise<Result<number, SysError>> {
  const pid = parsePid(words[0] ?? "");
  if (!pid.ok) return pid;
  const weight = Number(words[1]);
  if (!Number.isInteger(weight) || weight < 1 || weight > 10_000)
    return fail(
      "EINVAL",
      `\`${(words[1] ?? "").slice(0, 64)}\` is no weight; give a whole number from 1 to 10000, where 100 is the default`,
    );
  const set = await steer(io, { op: "nice", pid: pid.value, weight }, ({ kernel }) => kernel.nice(pid.value, weight));
  if (!set.ok) return set;
  if (io.json) printJson(io, { pid: pid.value, weight });
  else if (!io.quiet) print(io, `process ${pid.value}: weight ${weight}`);
  return ok(0);
}
