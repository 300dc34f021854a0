/** Sandbox: run a command where it can reach only its session's workspace. Fails closed: no sandbox, no command. */
import type { Awaitable, Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";

/** What a folder takes of the disk. */
export interface Usage {
  readonly bytes: number;
  readonly files: number;
}

/** How far a session may grow. */
export interface Growth {
  /** The host folder in which the root keeps what is written. */
  readonly folder: string;
  /** Of all that the folder holds in the end, not of one command. */
  readonly bytesMax: number;
  readonly filesMax: number;
  /** With less free on its disk than this, the disk counts as full. */
  readonly freeBytesMin: number;
}

export type Full = "session" | "disk";

export interface SandboxCommand {
  readonly argv: readonly string[];
  /**
   * The folder shown as the workspace, read-write: a host folder, or a session's merged view, which is a path through the sandbox helper's
   * `/proc/PID/root`.
   */
  readonly root: string;
  /** Files and folders of the root that the command can neither read nor change; what is not there, and a link, is passed over. */
  readonly closed: readonly string[];
  /** null where nobody counts what the command writes: its root is no session's. */
  readonly growth: Growth | null;
  /** Relative to the workspace. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly memoryBytesMax: number;
  readonly processesMax: number;
  readonly outputBytesMax: number;
}

export interface SandboxResult {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** Output beyond the limit was dropped. */
  readonly truncated: boolean;
  /** With a signal: what was full, so that the command was ended. Without: what was full before it, so that it could not write. */
  readonly full: Full | null;
  readonly ms: number;
}

export interface SandboxDriver {
  readonly name: string;
  /** Ok when commands can be isolated here; otherwise why not, and the command that mends it. */
  available(): Awaitable<Result<void, SysError>>;
  run(command: SandboxCommand, signal: AbortSignal): Promise<Result<SandboxResult, SysError>>;
  close(): Awaitable<void>;
}
