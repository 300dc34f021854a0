/**
 * daimon replay: the journal run again, with what it recorded in place of chance, models and the world.
 *   CLI-22.1  It tells how many entries it folded, how many recorded digests it proved, how fast, and what a process ended with.
 *   CLI-22.2  A program's body is executed again with the program as it is now; one that changed is a finding.
 *   CLI-22.3  Every difference is named, and the exit code is then 1.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import type { Pid } from "../abi/process.ts";
import type { Inspection } from "../boot/inspect.ts";
import { openPrograms } from "../boot/programs.ts";
import { readTrust } from "../boot/trust.ts";
import { replay, replayBody, type ReplayReport } from "../kernel/replay.ts";
import { summaryOf } from "../kernel/summary.ts";
import { ok, type Result } from "../lib/result.ts";
import { entryOf } from "./entries.ts";
import type { replayOptions } from "./commands.ts";
import { entryLine } from "./entry.ts";
import { print, printFinding, printJson, type Io } from "./io.ts";
import { stateOf } from "./processes.ts";
import type { Input } from "./term/args.ts";
import { formatCount, formatDuration, many } from "./term/format.ts";
import { columnsOf } from "./term/screen.ts";
import { look, parsePid, procOf } from "./workspace.ts";

export async function run(input: Input<typeof replayOptions>, io: Io): Promise<Result<number, SysError>> {
  const [word] = input.positionals;
  if (input.options.entries && io.json)
    return fail("EINVAL", "--entries prints for people, and --json is one document; `daimon log --json` has the entries");
  const pid = word === undefined ? ok(null) : parsePid(word);
  if (!pid.ok) return pid;
  const seen = await look(io);
  if (!seen.ok) return seen;
  const done = await perform(seen.value, pid.value, input.options, io);
  seen.value.close();
  return done;
}

async function perform(
  seen: Inspection,
  pid: Pid | null,
  { until, entries }: { readonly until: number | undefined; readonly entries: boolean },
  io: Io,
): Promise<Result<number, SysError>> {
  const { log, blobs, table } = seen;
  const known = pid === null ? ok(null) : procOf(table, pid);
  if (!known.ok) return known;
  if (entries) printEntries(seen, pid, until ?? Infinity, io);
  const since = performance.now();
  const report = replay({ log, blobs, until: until ?? null, pid });
  if (!report.ok) return report;
  const ms = performance.now() - since;
  const bodies = until === undefined ? await replayBodies(seen, pid) : ok({ run: 0, findings: [] });
  if (!bodies.ok) return bodies;
  const findings = [...report.value.findings, ...bodies.value.findings];
  const told = { report: report.value, pid, findings, bodies: bodies.value.run, ms };
  if (pid !== null && report.value.table.procs.get(pid) === undefined)
    return fail("ENOENT", `process ${pid} did not exist yet at entry ${until ?? 0}; leave out --until, or name a later entry`);
  show(told, io);
  return ok(findings.length === 0 ? 0 : 1);
}

function printEntries({ log, blobs }: Inspection, pid: Pid | null, until: number, io: Io): void {
  for (const record of log.read(0)) {
    if (!record.ok || record.value.seq > until) return;
    const entry = entryOf(record.value.text, blobs);
    if (pid === null || ("pid" in entry && entry.pid === pid))
      io.out.write(`${entryLine(record.value.seq, entry, columnsOf(io.out), io.colours)}\n`);
  }
}

interface Bodies {
  readonly run: number;
  readonly findings: readonly Finding[];
}

/** Bodies that have ended, each with its program as it is found now. */
async function replayBodies({ layout, table, log, blobs }: Inspection, pid: Pid | null): Promise<Result<Bodies, SysError>> {
  const procs = [...table.procs.values()].filter((proc) => proc.manifest.kind === "body" && (pid === null || proc.pid === pid));
  if (procs.length === 0) return ok({ run: 0, findings: [] });
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const programs = openPrograms(layout, trust.value, () => performance.now());
  const findings: Finding[] = [];
  let run = 0;
  for (const proc of procs) {
    const name = proc.manifest.instructions;
    const [problem] = await programs.restore([name]);
    const body = problem === undefined ? programs.body(name) : null;
    if (body === null) {
      const message = problem?.message ?? "its program is not there any more";
      findings.push({ rule: "CLI-22.2", severity: "error", where: `pid ${proc.pid}`, message });
      continue;
    }
    // One that has not ended waits for answers that nobody gives: the fold alone speaks for it.
    if (proc.exit === null) continue;
    const again = await replayBody({ log, blobs, until: null, pid: proc.pid, body });
    if (!again.ok) return again;
    findings.push(...again.value);
    run += 1;
  }
  return ok({ run, findings });
}

interface Replayed {
  readonly report: ReplayReport;
  readonly pid: Pid | null;
  readonly findings: readonly Finding[];
  readonly bodies: number;
  readonly ms: number;
}

function show({ report, pid, findings, bodies, ms }: Replayed, io: Io): void {
  const { entries, proved, digest, table } = report;
  const entriesPerSecond = Math.round(entries / Math.max(ms / 1000, 1e-6));
  const proc = pid === null ? undefined : table.procs.get(pid);
  const process = proc === undefined ? null : summaryOf(table, proc);
  if (io.json) return printJson(io, { pid, entries, proved, bodies, entriesPerSecond, ms, digest, process, findings });
  for (const finding of findings) printFinding(io, finding);
  const verdict = findings.length === 0 ? io.colours.paint("good", "equal") : io.colours.paint("bad", "DIFFERENT");
  io.out.write(
    `${verdict}: ${entries} entries folded again, ${many(proved, "recorded digest")} proved, ${many(bodies, "program body", "program bodies")} executed again\n`,
  );
  print(io, `${formatCount(entriesPerSecond)} entries/s, ${formatDuration(ms)}; state digest ${digest}`);
  if (process === null) return;
  const exit = process.exit === null ? "" : process.exit.ok ? "" : `: ${process.exit.error.message}`;
  print(io, `process ${process.pid} (${process.name}): ${stateOf(process, false)} at step ${process.step}${exit}`);
}
