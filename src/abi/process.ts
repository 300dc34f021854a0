/** Process: manifests, states, signals and exits. A process is a fold over the journal; these are the fold's outer forms. */
import type { Digest } from "../lib/hash.ts";
import type { Json, JsonSchema } from "../lib/json.ts";
import type { Limits, Spend } from "./budget.ts";
import type { SysError } from "./errno.ts";
import type { CallId } from "./call.ts";

/** 1, 2, 3, … in order of spawning, never reused. 0 is the kernel. */
export type Pid = number;

/** What agents are told after their program's own instructions. `own`: what the user and the configuration say · `workspace`: AGENTS.md and CLAUDE.md of the workspace, too. */
export type Follows = "workspace" | "own";

/**
 * What a process may be and do. Content-addressed: processes of one program share one manifest.
 * An `agent` is driven by a model: window, reply, calls, outcomes. A `body` is a TypeScript function over `Sys`. A `guest` is somebody else's
 * program: it keeps its own window, thinks through the model door and acts in its sandbox.
 */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly kind: "agent" | "body" | "guest";
  /** agent: the system prompt, frozen. body: the name of a registered function. guest: the name of the guest and its command, as JSON. */
  readonly instructions: string;
  /** `DRIVER` or `DRIVER/MODEL`; null takes the machine's default. */
  readonly cpu: string | null;
  /** Capabilities: `fs.read`, `fs.*`, `fs.read(inbox/**)`. A child's are a subset of its parent's. */
  readonly calls: readonly string[];
  /** The contract of the result; an agent's final value must fit it. */
  readonly output: JsonSchema | null;
  readonly limits: Limits;
  /** The context budget; null takes the model's window. */
  readonly windowTokens: number | null;
  readonly stepsMax: number;
  /** Files this program may commit to the workspace without asking. */
  readonly outputs: readonly string[];
  /** Holds for the process and all below it; absent: the workspace's, too. */
  readonly follows?: Extract<Follows, "own">;
}

export type ParkReason =
  /** `frozen` is the plan in the blob store that is asked about, where the call's arguments do not say it all. */
  | { readonly type: "approval"; readonly call: CallId; readonly question: string; readonly frozen?: Digest }
  | { readonly type: "question"; readonly call: CallId; readonly question: string }
  | {
      readonly type: "budget";
      readonly limit: keyof Limits;
      readonly group: Pid;
      readonly question: string;
      readonly unpriced?: true;
    }
  | { readonly type: "uncertain"; readonly call: CallId; readonly question: string }
  | { readonly type: "degraded"; readonly error: SysError; readonly question: string }
  | { readonly type: "stopped"; readonly question: string };

/** ready: has work · parked: waits for a person · waiting: waits for a child · zombie: exited, kept for wait(). */
export type ProcessState = "ready" | "waiting" | "parked" | "zombie";

export type Signal = "stop" | "continue" | "interrupt" | "kill" | "budget";

export type ExitStatus = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly error: SysError };

/** What `ps` shows of a process. */
export interface ProcessSummary {
  readonly pid: Pid;
  readonly parent: Pid;
  readonly name: string;
  readonly kind: Manifest["kind"];
  readonly state: ProcessState;
  readonly park: ParkReason | null;
  /** How often it was parked. While it is, this is the number an answer has to name. */
  readonly parks: number;
  readonly exit: ExitStatus | null;
  readonly step: number;
  readonly weight: number;
  readonly cpu: string;
  readonly spend: Spend;
  /** More than 0: the cost in `spend` leaves out this many tokens, whose price is not known. */
  readonly unpricedTokens: number;
  readonly windowTokens: number;
  readonly windowTokensMax: number;
  readonly pages: number;
  readonly pagesEvicted: number;
  readonly refused: number;
  /** Why the model failed it the last time, while it has not answered since. */
  readonly trouble: SysError | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** The pid whose copy-on-write session it works in. */
  readonly session: Pid;
}
