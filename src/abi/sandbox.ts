/** Sandbox: run a command, or a guest, where it can reach only its session's workspace. Fails closed: no sandbox, no command. */
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

/** A file that only one guest sees. */
export interface GuestFile {
  /** Absolute. Below the home it is the guest's to change; anywhere else neither it nor what it starts can change it. */
  readonly path: string;
  /** Its text, or the host's file that it is a copy of. */
  readonly content: { readonly text: string } | { readonly from: string };
}

/** A door of the kernel: a Unix socket of the host that the guest reaches as `http://127.0.0.1:PORT`, and nothing else of the network. */
export interface GuestDoor {
  readonly socket: string;
  readonly port: number;
}

/** What a guest is started with. Plain data: the kernel may be another process than the one that starts it. */
export interface GuestPlan {
  /** The program by its absolute path, and its arguments. */
  readonly argv: readonly string[];
  /** The workspace, shown at this very path, and the folder in or below it to start in. */
  readonly root: string;
  readonly cwd: string;
  /** The person's home: at its path the guest has an empty one of its own. */
  readonly home: string;
  /** All of the environment but what the sandbox sets itself. */
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly GuestFile[];
  /** Files and folders of the host outside the system's, shown read-only at their own paths. */
  readonly shown: readonly string[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly doors: readonly GuestDoor[];
  readonly memoryBytesMax: number;
  readonly processesMax: number;
}

/** The session a guest works in, and the helper in whose namespace it is mounted. */
export interface GuestStage extends Pick<SandboxCommand, "root" | "closed" | "growth"> {
  readonly helper: {
    readonly pid: number;
    readonly userNamespace: boolean;
    readonly covers: string;
  };
}

/** How a guest ended. */
export interface GuestEnd {
  /** As a shell has it: 128 and the number for a signal. */
  readonly exitCode: number;
  /** What was full, so that it was ended. */
  readonly full: Full | null;
}

/** A guest that runs, in the hands of who started it. */
export interface RunningGuest {
  readonly ended: Promise<Result<GuestEnd, SysError>>;
  /** All its processes stand still until they are told to go on. */
  hold(still: boolean): void;
  /** SIGTERM to all of them, and after the grace SIGKILL. */
  end(): void;
}
