/**
 * Body: run a program written as a function. After a restart the function runs again from its start, and every call it made before is
 * answered from the journal; it notices nothing. (The technique is event-sourced re-execution, as in Temporal and Restate.)
 *   KRN-8.1  A call that has an outcome in the journal is never performed again.
 *   KRN-8.2  A body that asks for another call than the one in the journal is not deterministic; it ends with EPROTO and says where.
 *   KRN-8.3  A body that throws has failed with EIO; the kernel goes on.
 */
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { ExitStatus } from "../abi/process.ts";
import type { Body, Sys } from "../abi/sys.ts";
import { Panic } from "../lib/assert.ts";
import type { Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Core, Running } from "./core.ts";
import { exit } from "./exit.ts";
import { performPending } from "./perform.ts";
import { Halted } from "./recorder.ts";
import { callDigest, type Proc, type TapeValue } from "./table.ts";

export async function runBody(core: Core, proc: Proc, running: Running, body: Body): Promise<void> {
  const tape = new Tape(core, proc, running);
  const status = await finish(body, tape.sys());
  if (status !== null && proc.state !== "zombie") exit(core, proc, status);
}

/** null when the process has ended or its kernel leaves. A dead log is the kernel's to know. */
async function finish(body: Body, sys: Sys): Promise<ExitStatus | null> {
  try {
    return await body(sys);
  } catch (error) {
    if (error instanceof Panic || error instanceof Halted) throw error;
    if (error instanceof Unwound) return null;
    const why = error instanceof Error ? error.message : String(error);
    return fail("EIO", `the program failed: ${why}; this is a fault of the program, not of its input`);
  }
}

/** Ends a body whose process has ended or whose kernel stops. */
class Unwound extends Error {}

/** One body's calls: answered from the journal as far as it reaches, then made. */
class Tape {
  readonly #core: Core;
  readonly #proc: Proc;
  readonly #running: Running;
  /** Calls already in the log when this kernel started. Those without an outcome among them are to be recovered. */
  readonly #known: number;
  #made = 0;
  /** One call at a time enters the trap, so that ids and entries have one order. */
  #turn: Promise<void> = Promise.resolve();

  constructor(core: Core, proc: Proc, running: Running) {
    this.#core = core;
    this.#proc = proc;
    this.#running = running;
    this.#known = proc.step;
  }

  sys(): Sys {
    const { pid, goal } = this.#proc;
    return { pid, goal, call: (name, args) => this.#call(name, args) };
  }

  async #call(name: string, args: Json): Promise<Result<Json, SysError>> {
    const n = this.#made;
    this.#made += 1;
    const id = `${this.#proc.pid}.0.${n}`;
    const before = this.#turn;
    let leave = (): void => {};
    this.#turn = new Promise((resolve) => (leave = resolve));
    await before;
    try {
      return await this.#answer(id, n, name, args);
    } finally {
      leave();
    }
  }

  async #answer(id: string, n: number, name: string, args: Json): Promise<Result<Json, SysError>> {
    const recovered = n < this.#known;
    if (!recovered) this.#decide(id, name, args);
    const taped = this.#proc.tape?.get(id);
    if (taped === undefined) throw new Unwound();
    if (recovered && taped.call !== callDigest(name, args)) this.#diverged(id, taped.name, name);
    while (taped.answer === null) await this.#perform(recovered);
    return this.#played(taped.answer);
  }

  #decide(id: string, name: string, args: Json): void {
    this.#check();
    const { recorder, trap, clock } = this.#core;
    const intent = trap.decide(recorder.table, this.#proc, name, args, 0);
    recorder.record({ kind: "call", at: clock.now(), pid: this.#proc.pid, id, name, args, intent });
  }

  async #perform(recovered: boolean): Promise<void> {
    this.#check();
    if (this.#proc.state === "parked") await this.#core.answered(this.#proc.pid);
    else await performPending({ core: this.#core, proc: this.#proc, running: this.#running, recovered });
  }

  #played(taped: TapeValue): Result<Json, SysError> {
    if ("error" in taped) return { ok: false, error: taped.error };
    return ok("blob" in taped ? this.#core.recorder.value(taped.blob) : taped.value);
  }

  #diverged(id: string, recorded: string, asked: string): never {
    const others = recorded === asked ? `${asked} with other arguments` : asked;
    const message = `call ${id} is ${recorded} in the journal and ${others} now; a program must make the same calls when it runs again`;
    exit(this.#core, this.#proc, { ok: false, error: sysError("EPROTO", message) });
    throw new Unwound();
  }

  #check(): void {
    if (this.#proc.state === "zombie" || this.#running.cancelled) throw new Unwound();
  }
}
