/**
 * Replay: run the journal again and prove that it gives what it gave.
 *   RPL-1.1  Every process's digest at its exit, and every checkpoint's, is computed again and must equal the recorded one.
 *   RPL-1.2  A body is executed again with its calls answered from the journal: it must make the same calls and end the same way.
 *            One that was ended from outside, killed or with its parent, is held to the calls it made until then.
 *   RPL-1.3  `until` stops after any entry; the table then is what it was at that moment.
 */
import type { Entry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import type { ExitStatus, Pid } from "../abi/process.ts";
import type { BlobDriver, LogDriver } from "../abi/store.ts";
import type { Body } from "../abi/sys.ts";
import type { Digest } from "../lib/hash.ts";
import { canonical, type Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { orphaned } from "./exit.ts";
import { foldInput } from "./recorder.ts";
import { foldLog } from "./recover.ts";
import { digestOf, tableDigest } from "./snapshot.ts";
import { callDigest, emptyTable, type Proc, type Table, type Taped, type TapeValue } from "./table.ts";

export interface ReplayOptions {
  readonly log: LogDriver;
  readonly blobs: BlobDriver;
  /** Stop after this seq; null replays everything. */
  readonly until: number | null;
  /** Report on this process alone; null reports on all. */
  readonly pid: Pid | null;
}

export interface ReplayReport {
  readonly entries: number;
  /** Digests that were recorded and computed again. */
  readonly proved: number;
  readonly findings: readonly Finding[];
  /** The table's digest where the replay ended. */
  readonly digest: Digest;
  readonly table: Table;
}

export function replay(options: ReplayOptions): Result<ReplayReport, SysError> {
  let findings: Finding[] = [];
  let entries = 0;
  let proved = 0;
  const folded = foldLog({
    log: options.log,
    from: 0,
    input: foldInput(options.blobs),
    start: () => {
      findings = [];
      entries = 0;
      proved = 0;
      return emptyTable();
    },
    observe: (table, entry, seq) => {
      if (options.until !== null && seq > options.until) return false;
      const claim = claimOf(table, entry, options.pid);
      if (claim !== null) proved += 1;
      if (claim !== null && claim.recorded !== claim.computed) findings.push(differs(seq, claim));
      entries += 1;
      return true;
    },
  });
  if (!folded.ok) return folded;
  const { table } = folded.value;
  return ok({ entries, proved, findings, digest: tableDigest(table), table });
}

interface Claim {
  readonly what: string;
  readonly recorded: Digest;
  readonly computed: Digest;
}

/** The digest this entry claims for the state before it. */
function claimOf(table: Table, entry: Entry, pid: Pid | null): Claim | null {
  if (entry.kind === "checkpoint" && pid === null) {
    return { what: "the checkpoint", recorded: entry.digest, computed: tableDigest(table) };
  }
  if (entry.kind !== "exit" || (pid !== null && entry.pid !== pid)) return null;
  const proc = table.procs.get(entry.pid);
  return proc === undefined ? null : { what: `process ${entry.pid}`, recorded: entry.digest, computed: digestOf(proc) };
}

function differs(seq: number, claim: Claim): Finding {
  const message = `${claim.what} was recorded with digest ${claim.recorded} and replays to ${claim.computed}`;
  return { rule: "RPL-1.1", severity: "error", where: `entry ${seq}`, message };
}

/** Execute a body again over what the journal says its calls gave. */
export async function replayBody(
  options: ReplayOptions & { readonly pid: Pid; readonly body: Body },
): Promise<Result<readonly Finding[], SysError>> {
  const recorded = recordOf(options);
  if (!recorded.ok) return recorded;
  const { goal, calls, exit, cutOff } = recorded.value;
  const input = foldInput(options.blobs);
  const findings: Finding[] = [];
  let made = 0;
  let reach: (end: null) => void = () => {};
  const end = new Promise<null>((resolve) => (reach = resolve));
  const running = options.body({
    pid: options.pid,
    goal,
    call: async (name, args) => {
      const call = calls[made];
      made += 1;
      const same = call?.call === callDigest(name, args);
      if (cutOff && (call === undefined || (same && call.answer === null))) {
        reach(null);
        return await new Promise<never>(() => {});
      }
      if (same && call.answer !== null) return given(call.answer, (blob) => input.value(blob));
      findings.push(diverges(options.pid, made - 1, call?.name ?? null, name));
      return fail("EPROTO", "the journal has another call here");
    },
  });
  const status = await Promise.race([running, end]);
  if (exit !== null && !cutOff && canonical(status) !== canonical(exit)) {
    findings.push({
      rule: "RPL-1.2",
      severity: "error",
      where: `pid ${options.pid}`,
      message: "the program ended differently when run again",
    });
  }
  return ok(findings);
}

interface RecordedBody {
  readonly goal: Json;
  readonly exit: ExitStatus | null;
  readonly calls: readonly Taped[];
  /** It was ended from outside: it may have been anywhere behind its last answer. */
  readonly cutOff: boolean;
}

/** The body's tape as it was when it ended, or as it is now. */
function recordOf(options: ReplayOptions & { readonly pid: Pid }): Result<RecordedBody, SysError> {
  let ended: RecordedBody | null = null;
  const folded = foldLog({
    log: options.log,
    from: 0,
    input: foldInput(options.blobs),
    start: () => {
      ended = null;
      return emptyTable();
    },
    /** To the end of the log: a later boot can say that this end never counted. */
    observe: (table, entry) => {
      const proc = entry.kind === "exit" && entry.pid === options.pid ? table.procs.get(entry.pid) : undefined;
      if (proc !== undefined && entry.kind === "exit") ended = tapeOf(proc, entry.status);
      return true;
    },
  });
  if (!folded.ok) return folded;
  if (ended !== null) return ok(ended);
  const { table } = folded.value;
  const proc = table.procs.get(options.pid);
  return proc === undefined ? fail("ENOENT", `the journal has no process ${options.pid}`) : ok(tapeOf(proc, null));
}

function tapeOf(proc: Proc, exit: ExitStatus | null): RecordedBody {
  const cutOff = exit !== null && (proc.ending !== null || canonical(exit) === canonical(orphaned(proc.parent)));
  return { goal: proc.goal, exit, calls: [...(proc.tape?.values() ?? [])], cutOff };
}

function given(answer: TapeValue, value: (blob: Digest) => Json): Result<Json, SysError> {
  if ("error" in answer) return { ok: false, error: answer.error };
  return ok("blob" in answer ? value(answer.blob) : answer.value);
}

function diverges(pid: Pid, n: number, recorded: string | null, asked: string): Finding {
  const message = `call ${pid}.0.${n} is ${recorded ?? "not there"} in the journal and ${asked} when run again`;
  return { rule: "RPL-1.2", severity: "error", where: `pid ${pid}`, message };
}
