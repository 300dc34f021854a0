/** Core: what the loops share. Made by the kernel, passed to each of them. */
import type { CallContext, CallId } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import type { Exchange } from "../abi/gate.ts";
import type { Delta, ModelDriver, Usage } from "../abi/model.ts";
import type { SysError } from "../abi/errno.ts";
import type { Manifest, Pid } from "../abi/process.ts";
import type { Body } from "../abi/sys.ts";
import type { Digest } from "../lib/hash.ts";
import { Turn } from "../lib/turn.ts";
import type { CallTable } from "./calls.ts";
import type { Recorder } from "./recorder.ts";
import type { Slots } from "./slots.ts";
import type { Tools } from "./tools.ts";
import type { PendingCall, Proc } from "./table.ts";
import type { Trap } from "./trap.ts";

/** A CPU as processes name it: `reflex`, `anthropic/claude-…`. */
export interface Cpu {
  readonly driver: ModelDriver;
  readonly model: string;
  /** Dollars for this usage; null when the price is not known. */
  cost(usage: Usage): number | null;
}

export interface Core {
  readonly recorder: Recorder;
  readonly calls: CallTable;
  readonly trap: Trap;
  readonly clock: Clock;
  readonly slots: Slots;
  /** Loops that are about to act. One alone may wait for the disk in place. */
  active: number;
  /** The kernel leaves: what comes back now is not written down, the next kernel settles it. */
  stopping: boolean;
  cpu(name: string): Cpu | null;
  /** The calls a process may see, as tools; the same for every process of one manifest. */
  toolsOf(manifest: Manifest): Tools;
  body(manifest: Manifest): Body | null;
  onDelta: ((pid: Pid, delta: Delta) => void) | null;
  exited(proc: Proc): void;
  /** The log is dead: whoever finds out says so, and the kernel stops. */
  halt(error: SysError): void;
  /** Settles when a person has answered what parked the process, or it ended. */
  answered(pid: Pid): Promise<void>;
}

/** Whether a process may still act: much can have happened while it waited for the disk or the world. */
export function mayAct(core: Core, proc: Proc): boolean {
  return proc.state === "ready" && !core.stopping;
}

/** The live side of a process: what is not state and does not survive. */
export class Running {
  readonly pid: Pid;
  /** The loop that runs it now, if one does: the next one starts when it has left. */
  loop: Promise<void> | null = null;
  /** Calls that another kernel may have begun: each is looked at before it is performed. */
  doubt: Set<CallId> | null = null;
  #abreast: Abreast | null = null;
  #abort: AbortController | null = null;

  constructor(pid: Pid) {
    this.pid = pid;
  }

  /** Made for who needs it: a hundred thousand processes do not. */
  get abreast(): Abreast {
    this.#abreast ??= new Abreast();
    return this.#abreast;
  }

  exchangeOf(id: CallId): Exchange | undefined {
    return this.#abreast?.exchanges.get(id);
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  cancel(reason: string): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }
}

/** The live side of a guest, which has several calls and requests under way. */
export class Abreast {
  /** A person is asked about one at a time. */
  readonly question = new Turn();
  /** Calls that change something run one after the other. */
  readonly effect = new Turn();
  /** The requests of clients that its calls answer. */
  readonly exchanges = new Map<CallId, Exchange>();
}

/** A call's context; the abort signal is made only for a handler that looks at it. */
export class Context implements CallContext {
  readonly pid: Pid;
  readonly id: CallId;
  readonly now: number;
  readonly frozen: Digest | null;
  readonly exchange?: Exchange;
  readonly #running: Running;

  constructor(running: Running, { id, frozen }: PendingCall, now: number) {
    this.#running = running;
    this.pid = running.pid;
    this.id = id;
    this.now = now;
    this.frozen = frozen ?? null;
    const exchange = running.exchangeOf(id);
    if (exchange !== undefined) this.exchange = exchange;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }
}
