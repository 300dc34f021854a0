/**
 * Agents: run jobs as child processes, a few at a time, and hold each to its contract.
 *   PRG-6.1  At most `sideBySideMax` children run at once, and they are started and awaited in order, so a body that runs again makes the same calls.
 *   PRG-6.2  A child's value is checked against the contract here too; an empty or misfit value is a failure with the pass's name and what was expected.
 *   PRG-6.3  A failed child is tried once more with the reason in its goal, unless it was cancelled, over budget or not permitted.
 *   PRG-6.4  A child that reads one document holds the right to read that document and no other.
 */
import { sysError, type Errno, type SysError } from "../abi/errno.ts";
import type { Pass } from "../abi/program.ts";
import type { Sys } from "../abi/sys.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Check } from "../lib/schema.ts";
import { isEmpty } from "./values.ts";

export interface Job {
  readonly pass: Pass;
  /** What it takes, by name. */
  readonly input: JsonObject;
  /** Null for a pass without a contract. */
  readonly check: Check | null;
  /** What was wrong with the try before. */
  readonly retry: string | null;
}

export const sideBySideMax = 4;

/** The outcomes, in the order of the jobs. */
export async function runJobs(sys: Sys, program: string, jobs: readonly Job[]): Promise<readonly Result<Json, SysError>[]> {
  const first = await runOnce(sys, program, jobs);
  const again = jobs.flatMap((job, index) => {
    const outcome = first[index];
    return outcome === undefined || outcome.ok || final.has(outcome.error.errno) || job.retry !== null
      ? []
      : [{ index, job: { ...job, retry: outcome.error.message } }];
  });
  if (again.length === 0) return first;
  const second = await runOnce(
    sys,
    program,
    again.map(({ job }) => job),
  );
  return first.map((outcome, index) => {
    const at = again.findIndex((retried) => retried.index === index);
    return at < 0 ? outcome : (second[at] ?? outcome);
  });
}

/** Trying again cannot help. */
const final: ReadonlySet<Errno> = new Set(["ECANCELED", "EDQUOT", "EACCES", "EPERM", "ENOEXEC", "ENOSYS"]);

async function runOnce(sys: Sys, program: string, jobs: readonly Job[]): Promise<readonly Result<Json, SysError>[]> {
  const outcomes: Result<Json, SysError>[] = [];
  const running: { readonly pid: Result<number, SysError>; readonly job: Job }[] = [];
  const reap = async (): Promise<void> => {
    const next = running.shift();
    if (next === undefined) return;
    outcomes.push(next.pid.ok ? await awaitChild(sys, next.pid.value, next.job) : next.pid);
  };
  for (const job of jobs) {
    if (running.length >= sideBySideMax) await reap();
    running.push({ pid: await spawn(sys, program, job), job });
  }
  while (running.length > 0) await reap();
  return outcomes;
}

async function spawn(sys: Sys, program: string, job: Job): Promise<Result<number, SysError>> {
  const spawned = await sys.call("proc.spawn", childOf(program, job));
  if (!spawned.ok) return spawned;
  const pid = isObject(spawned.value) ? spawned.value["pid"] : undefined;
  return typeof pid === "number"
    ? ok(pid)
    : err(sysError("EPROTO", `pass ${job.pass.name} could not start: the kernel named no process`));
}

/** The window that an agent of a pass would get, and what it would hold of it before any input. */
export async function measure(
  sys: Sys,
  program: string,
  pass: Pass,
): Promise<Result<{ readonly windowTokens: number; readonly headTokens: number }, SysError>> {
  const measured = await sys.call("proc.measure", childOf(program, { pass, input: {}, check: null, retry: null }));
  if (!measured.ok) return measured;
  const { windowTokens, headTokens } = isObject(measured.value) ? measured.value : {};
  return typeof windowTokens === "number" && typeof headTokens === "number"
    ? ok({ windowTokens, headTokens })
    : err(sysError("EPROTO", `the kernel did not say what window pass ${pass.name} gets`));
}

function childOf(program: string, job: Job): JsonObject {
  const { pass, input, retry } = job;
  const { name, instructions, output, limits, windowTokens, stepsMax } = pass;
  return {
    manifest: { name, instructions, calls: callsOf(job), output, limits: { ...limits }, windowTokens, stepsMax },
    goal: { program, pass: name, input, ...(retry === null ? {} : { retry: `The try before failed: ${retry}. Mend that.` }) },
  };
}

/** fs.read of a job with one document becomes fs.read(that document). */
function callsOf({ pass, input }: Job): string[] {
  const documents = Object.values(input).flatMap((value) =>
    isObject(value) && typeof value["path"] === "string" && !("line" in value) ? [value["path"]] : [],
  );
  const [only] = documents;
  const narrow = pass.each !== null && documents.length === 1 && only !== undefined && /^[\w./ -]+$/.test(only);
  return pass.calls.map((call) => (narrow && call === "fs.read" ? `fs.read(${only})` : call));
}

async function awaitChild(sys: Sys, pid: number, job: Job): Promise<Result<Json, SysError>> {
  const waited = await sys.call("proc.wait", { pid });
  if (!waited.ok) return waited;
  const status = waited.value;
  const { name } = job.pass;
  if (!isObject(status)) return err(sysError("EPROTO", `pass ${name}: the kernel gave no exit status for process ${pid}`));
  if (status["ok"] !== true) return err(named(name, status["error"]));
  const value = status["value"] ?? null;
  if (isEmpty(value)) return err(sysError("EINVAL", `pass ${name} gave an empty result; expected ${expected(job)}`));
  const misfit = job.check?.(value) ?? null;
  return misfit === null
    ? ok(value)
    : err(sysError("EINVAL", `pass ${name} gave a result that does not fit: ${misfit}; expected ${expected(job)}`));
}

function named(pass: string, error: Json | undefined): SysError {
  if (!isObject(error) || typeof error["errno"] !== "string" || typeof error["message"] !== "string") {
    return sysError("EPROTO", `pass ${pass} failed and the kernel gave no reason`);
  }
  return sysError(error["errno"] as Errno, `pass ${pass} failed: ${error["message"]}`);
}

function expected({ pass }: Job): string {
  const properties = isObject(pass.output) ? pass.output["properties"] : undefined;
  return isObject(properties) ? `an object with ${Object.keys(properties).join(", ")}` : "a value of its contract";
}
