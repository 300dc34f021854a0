/** Summary: one process as `ps`, `top` and the console show it. */
import type { ProcessState, ProcessSummary } from "../abi/process.ts";
import { timeOf } from "./fold-time.ts";
import type { Proc, Table } from "./table.ts";

export function summaryOf(table: Table, proc: Proc): ProcessSummary {
  return {
    pid: proc.pid,
    parent: proc.parent,
    name: proc.manifest.name,
    kind: proc.manifest.kind,
    state: stateOf(table, proc),
    park: proc.park,
    parks: proc.parks,
    exit: proc.exit,
    step: proc.step,
    weight: proc.weight,
    cpu: proc.cpu,
    spend: { ...proc.spend, timeMs: timeOf(proc, table.at) },
    unpricedTokens: proc.unpricedTokens,
    windowTokens: proc.windowTokens,
    windowTokensMax: proc.windowTokensMax,
    pages: proc.swapped?.pages ?? proc.pages.length,
    pagesEvicted: proc.pagesEvicted,
    refused: proc.refused,
    trouble: proc.trouble,
    startedAt: proc.startedAt,
    endedAt: proc.endedAt,
    session: proc.session,
  };
}

function stateOf(table: Table, proc: Proc): ProcessState {
  if (proc.state !== "ready") return proc.state;
  const waits = proc.pending.some((call) => call.name === "proc.wait" && call.result === null);
  return waits && proc.children.some((pid) => table.procs.get(pid)?.state !== "zombie") ? "waiting" : "ready";
}
