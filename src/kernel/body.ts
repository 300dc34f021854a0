/**
 * Body: run a program written as a function. After a restart the function runs again from its start, and every call it made before is
 * answered from the journal; it notices nothing. (The technique is event-sourced re-execution, as in Temporal and Restate.)
 *   KRN-8.1  A call that has an outcome in the journal is never performed again.
 *   KRN-8.2  A body that asks for another call than the one in the journal is not deterministic; it ends with EPROTO and says where.
 *   KRN-8.4  A body whose program is gone or has changed is parked until it is back.
 *   KRN-8.3  A body that throws has failed with EIO; the kernel goes on.
 */
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { ExitStatus } from "../abi/process.ts";
import type { Body, Sys } from "../abi/sys.ts";
import { Panic } from "../lib/assert.ts";
import type { Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { Turn } from "../lib/turn.ts";
import type { Core, Running } from "./core.ts";
import { exit } from "./exit.ts";
import { performPending } from "./perform.ts";
import { Halted } from "./recorder.ts";
import { callDigest, type Proc, type TapeValue } from "./table.ts";

export async function runBody(core: Core, proc: Proc, running: Running, body: Body): Promise<void> {
  const tape = new Tape(core, proc, running);
  const left = new Promise<null>((resolve) => running.signal.addEventListener("abort", () => resolve(null), { once: true }));
  const status = await Promise.race([finish(body, tape.sys()), left]);
  if (status !== null) exit(core, proc, status);
}

async function finish(body: Body, sys: Sys): Promise<ExitStatus> {
  try {
    return await body(sys);
  } catch (error) {
    if (error instanceof Panic || error instanceof Halted) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return fail("EIO", `the program failed: ${why}; this is a fault of the program, not of its input`);
  }
}

/** What a body gets whose process has ended or whose kernel leaves: it waits, and is forgotten. An exception it could catch, and ask again. */
function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}

/** One body's calls: answered from the journal as far as it reaches, then made. */
class Tape {
  readonly #core: Core;
  readonly #proc: Proc;
  readonly #running: Running;
  /** Calls already in the log when this kernel started. Those without an outcome among them are to be recovered. */
  readonly #known: number;
  #made = 0;
  /** One call at a time enters the trap, so that ids and entries have one order. */
  readonly #turn = new Turn();

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
    try {
      return await this.#turn.take(() => this.#answer(id, n, name, args));
    } catch (error) {
      if (!(error instanceof Halted)) throw error;
      this.#core.halt(error.error);
      return await never();
    }
  }

  async #answer(id: string, n: number, name: string, args: Json): Promise<Result<Json, SysError>> {
    if (this.#gone()) return await never();
    if (n >= this.#known) this.#decide(id, name, args);
    const taped = this.#proc.tape?.get(id);
    if (taped === undefined) return await never();
    if (taped.call !== callDigest(name, args)) return await this.#diverged(id, taped.name, name);
    while (taped.answer === null) {
      if (this.#gone()) return await never();
      await this.#perform();
    }
    return this.#played(taped.answer);
  }

  #decide(id: string, name: string, args: Json): void {
    const { recorder, trap, clock } = this.#core;
    const intent = trap.decide(this.#proc, name, args);
    recorder.record({ kind: "call", at: clock.now(), pid: this.#proc.pid, id, name, args, intent });
  }

  async #perform(): Promise<void> {
    if (this.#proc.state === "parked") await this.#core.answered(this.#proc.pid);
    else await performPending({ core: this.#core, proc: this.#proc, running: this.#running });
  }

  #played(taped: TapeValue): Result<Json, SysError> {
    if ("error" in taped) return { ok: false, error: taped.error };
    return ok("blob" in taped ? this.#core.recorder.value(taped.blob) : taped.value);
  }

  #diverged(id: string, recorded: string, asked: string): Promise<never> {
    const others = recorded === asked ? `${asked} with other arguments` : asked;
    const message = `call ${id} is ${recorded} in the journal and ${others} now; a program must make the same calls when it runs again`;
    exit(this.#core, this.#proc, { ok: false, error: sysError("EPROTO", message) });
    return never();
  }

  #gone(): boolean {
    return this.#proc.state === "zombie" || this.#core.stopping;
  }
}
