/**
 * Kernel calls: those whose effect is the process table itself: processes, memory, the end of a task, a question.
 *   KRN-11.1  proc.spawn performed again for one call id returns the process it made the first time.
 *   KRN-11.5  A program's name holds nothing but letters, digits and `. _ / -`: it stands beside the kernel's words.
 *   KRN-11.4  proc.exec replaces instructions, calls, contract, goal and window, never widens, and keeps pid, parent, session, label and spend.
 *   KRN-11.2  task.done is refused with the reason when its value does not fit the process's contract.
 *   KRN-11.6  proc.measure gives the window and the head that proc.spawn of the same would have, and starts nothing.
 *   KRN-11.3  mem.read brings back an evicted page's text, with the source and label it had.
 */
import type { CallContext, CallHandler, CallValue } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Limits } from "../../abi/budget.ts";
import type { Manifest } from "../../abi/process.ts";
import { limits } from "../../abi/limits.ts";
import { assert } from "../../lib/assert.ts";
import type { Json, JsonSchema } from "../../lib/json.ts";
import { ok, type Awaitable, type Result } from "../../lib/result.ts";
import type { Check } from "../../lib/schema.ts";
import type { Kernel } from "../kernel.ts";
import type { Proc } from "../table.ts";
import { render } from "../window.ts";
import { specs } from "./specs.ts";

type Outcome = Awaitable<Result<CallValue, SysError>>;

interface SpawnArgs {
  readonly manifest: Pick<Manifest, "name" | "instructions"> &
    Partial<Omit<Manifest, "limits">> & { readonly limits?: Partial<Limits> };
  readonly goal: Json;
  readonly weight?: number;
}

/** `kernel` is asked for at each call: the table of calls is made before the kernel that answers them. */
export function kernelCalls(kernel: () => Kernel): readonly CallHandler[] {
  const checks = new WeakMap<JsonSchema, Check>();
  return [
    { spec: specs.spawn, perform: (args: SpawnArgs, context) => spawn(kernel(), args, context) },
    { spec: specs.measure, perform: (args: SpawnArgs, context) => measure(kernel(), args, context) },
    { spec: specs.exec, perform: (args: SpawnArgs, context) => exec(kernel(), args, context) },
    { spec: specs.wait, perform: (args: { readonly pid: number }, context) => wait(kernel(), args.pid, context) },
    { spec: specs.kill, perform: (args: { readonly pid: number }, context) => kill(kernel(), args.pid, context) },
    {
      spec: specs.memRead,
      perform: (args: { readonly page: string; readonly from?: number }, context) => memRead(kernel(), args, context),
    },
    { spec: specs.memNote, perform: (args: { readonly key: string }) => ok({ value: `noted ${args.key}` }) },
    { spec: specs.memPin, perform: (args: { readonly page: string }, context) => memPin(kernel(), args.page, context) },
    {
      spec: specs.taskDone,
      perform: (args: { readonly value: Json }, context) => taskDone(kernel(), args.value, context, checks),
    },
    { spec: specs.guestTool, perform: () => fail("ENOSYS", "a guest's own tool is the guest's to perform") },
    { spec: specs.ask, perform: () => fail("ENOSYS", "a question is answered by a person, not performed") },
  ];
}

function procOf(kernel: Kernel, context: CallContext): Proc {
  const proc = kernel.recorder.table.procs.get(context.pid);
  assert(proc !== undefined, "the caller exists");
  return proc;
}

function spawn(kernel: Kernel, args: SpawnArgs, context: CallContext): Outcome {
  const caller = procOf(kernel, context);
  for (const pid of caller.children) {
    if (kernel.recorder.table.procs.get(pid)?.call === context.id) return ok({ value: { pid } });
  }
  const { manifest, goal, weight } = args;
  const pid = kernel.spawn({
    manifest: completed(manifest, caller),
    goal,
    parent: caller.pid,
    call: context.id,
    ...(weight === undefined ? {} : { weight }),
  });
  return pid.ok ? ok({ value: { pid: pid.value } }) : pid;
}

function measure(kernel: Kernel, { manifest, goal }: SpawnArgs, context: CallContext): Outcome {
  const caller = procOf(kernel, context);
  const measured = kernel.measure(caller, completed(manifest, caller), goal);
  return measured.ok ? ok({ value: { ...measured.value } }) : measured;
}

/** Without an outcome after it: what made the call is not there any more. */
function exec(kernel: Kernel, { manifest, goal }: SpawnArgs, context: CallContext): Outcome {
  const caller = procOf(kernel, context);
  const done = kernel.exec(caller.pid, { ...completed(manifest, caller), name: caller.manifest.name }, goal);
  return done.ok ? ok({ value: "gone on" }) : done;
}

/** A child's manifest with what was left out: an agent of its parent's version and CPU, with no call it was not given. */
function completed(part: SpawnArgs["manifest"], parent: Proc): Manifest {
  return {
    name: `${parent.manifest.name}/${part.name}`,
    version: part.version ?? parent.manifest.version,
    kind: part.kind ?? "agent",
    instructions: part.instructions,
    cpu: part.cpu ?? null,
    calls: part.calls ?? [],
    output: part.output ?? null,
    limits: { costUsd: null, tokens: null, calls: null, timeMs: null, ...part.limits },
    windowTokens: part.windowTokens ?? null,
    stepsMax: part.stepsMax ?? limits.stepsMax,
    outputs: part.outputs ?? [],
  };
}

async function wait(kernel: Kernel, pid: number, context: CallContext): Promise<Result<CallValue, SysError>> {
  const caller = procOf(kernel, context);
  if (!caller.children.includes(pid))
    return fail("ENOENT", `process ${pid} is not a child of yours; you have ${caller.children.join(", ") || "none"}`);
  const status = await Promise.race([Promise.resolve(kernel.wait(pid)), aborted(context.signal)]);
  if (status === null) return fail("ECANCELED", "the wait was cancelled");
  const child = kernel.recorder.table.procs.get(pid);
  const value: Json = status.ok ? { ok: true, value: status.value } : { ok: false, error: { ...status.error } };
  return ok({ value, source: `process ${pid}`, ...(child === undefined ? {} : { label: child.label }) });
}

function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
}

function kill(kernel: Kernel, pid: number, context: CallContext): Outcome {
  const caller = procOf(kernel, context);
  if (!caller.children.includes(pid))
    return fail("ENOENT", `process ${pid} is not a child of yours; a process ends only its own children`);
  const killed = kernel.signal(pid, "kill", `process ${caller.pid}`);
  return killed.ok || killed.error.errno === "ENOENT" ? ok({ value: `process ${pid} ended` }) : killed;
}

function memRead(kernel: Kernel, args: { readonly page: string; readonly from?: number }, context: CallContext): Outcome {
  const proc = procOf(kernel, context);
  const page = proc.pages.find((known) => known.id === args.page);
  if (page === undefined)
    return fail("ENOENT", `there is no page ${JSON.stringify(args.page)}; the stubs in your window name those that are`);
  const from = args.from ?? 0;
  const text = page.blob === null ? residentText(proc, page.id) : render(kernel.recorder.value(page.blob));
  if (from > 0 && from >= text.length)
    return fail("EINVAL", `page ${page.id} has ${text.length} characters; nothing stands at ${from}`);
  return ok({ value: text.slice(from), source: page.source, label: page.label });
}

function residentText(proc: Proc, page: string): string {
  for (const message of proc.messages) {
    for (const part of message.parts) if (part.type === "result" && part.page === page) return part.text;
  }
  return "";
}

function memPin(kernel: Kernel, id: string, context: CallContext): Outcome {
  const page = procOf(kernel, context).pages.find((known) => known.id === id);
  if (page === undefined) return fail("ENOENT", `there is no page ${JSON.stringify(id)} to pin`);
  if (!page.resident) return fail("ESTALE", `page ${id} was evicted; bring it back with mem.read and pin what that returns`);
  return ok({ value: `pinned ${id}` });
}

function taskDone(kernel: Kernel, value: Json, context: CallContext, checks: WeakMap<JsonSchema, Check>): Outcome {
  const { output, name } = procOf(kernel, context).manifest;
  if (output === null) return ok({ value });
  let check = checks.get(output);
  if (check === undefined) {
    const compiled = kernel.calls.compile(output);
    if (!compiled.ok) return fail("ENOEXEC", `the contract of ${name} is broken: ${compiled.error}`);
    check = compiled.value;
    checks.set(output, check);
  }
  const misfit = check(value);
  if (misfit !== null)
    return fail("EINVAL", `the result does not fit the contract: ${misfit}; correct it and call task.done again`);
  return ok({ value });
}
