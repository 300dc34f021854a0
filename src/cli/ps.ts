/**
 * daimon ps: the process table, read beside whoever writes it.
 *   CLI-15.3  Without --all only those that have not ended are listed, and where there are none it says how many have.
 *   CLI-15.4  JSON: { kernel: "running" | "none", processes: [ProcessSummary] }.
 */
import type { SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import type { psOptions } from "./commands.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { processTable, rowsOf, stateOf } from "./processes.ts";
import type { Input } from "./term/args.ts";
import { columnsOf } from "./term/screen.ts";
import { isRunning, look } from "./workspace.ts";

export async function run(input: Input<typeof psOptions>, io: Io): Promise<Result<number, SysError>> {
  const seen = await look(io);
  if (!seen.ok) return seen;
  const { layout, table: processes, close } = seen.value;
  close();
  const running = await isRunning(layout);
  const rows = rowsOf(processes, input.options.all);
  if (io.json) {
    printJson(io, { kernel: running ? "running" : "none", processes: rows.map((row) => row.summary) });
    return ok(0);
  }
  if (rows.length === 0) {
    const ended = processes.procs.size;
    print(io, ended === 0 ? "no process has run here yet" : `no process is unfinished; ${ended} have ended: daimon ps --all`);
    return ok(0);
  }
  io.out.write(processTable(rows, running, io.clock.now(), columnsOf(io.out), io.colours));
  const parked = rows.filter(({ summary }) => summary.state === "parked").length;
  if (parked > 0) note(io, `${parked} ${parked === 1 ? "waits" : "wait"} for a person: daimon approve`);
  if (rows.some(({ summary }) => stateOf(summary, running) === "unfinished"))
    note(io, "no kernel runs here; go on with them: daimon run --resume");
  return ok(0);
}
