/** Files: a process's copy-on-write session of the workspace. Paths are relative, `/`-separated, and never leave the root. */
import type { Awaitable, Result } from "../lib/result.ts";
import type { Digest } from "../lib/hash.ts";
import type { SysError } from "./errno.ts";
import type { Label } from "./label.ts";
import type { Pid } from "./process.ts";
import type { SandboxCommand } from "./sandbox.ts";

export interface FileStat {
  readonly path: string;
  readonly type: "file" | "folder" | "link" | "other";
  readonly bytes: number;
  readonly modifiedAt: number;
}

/**
 * One path that differs between the session and what it started from. A folder in a file's place, or a file in a folder's,
 * is two changes of one path: the deletion first.
 */
export interface Change {
  readonly path: string;
  readonly kind: "added" | "modified" | "deleted";
  readonly type: FileStat["type"];
  /** The workspace's content when the session first changed the path; null for an added path. */
  readonly base: Digest | null;
  /** The session's content now; null for a deleted path. */
  readonly now: Digest | null;
  readonly executable: boolean;
  /** Whether the base was executable: a change of mode alone is a change. */
  readonly wasExecutable: boolean;
}

/** A path's state in the workspace; null where nothing is. */
export interface Version {
  readonly type: "file" | "folder" | "link" | "other";
  /** null for a folder and for what is neither file nor link. */
  readonly digest: Digest | null;
  readonly executable: boolean;
}

/** One step of a commit or its undoing: a digest says what the workspace must hold before and what it holds after. */
export type FileStep =
  | {
      readonly op: "write";
      readonly path: string;
      readonly type: "file" | "link";
      readonly from: Digest | null;
      readonly to: Digest;
      readonly executable: boolean;
      readonly typeFrom: "file" | "link";
      readonly executableFrom: boolean;
    }
  | {
      readonly op: "remove";
      readonly path: string;
      readonly type: "file" | "link";
      readonly from: Digest;
      readonly executableFrom: boolean;
    }
  | { readonly op: "mkdir"; readonly path: string }
  | { readonly op: "rmdir"; readonly path: string };

/** The part of a sandboxed command that its session decides. */
export type Stage = Pick<SandboxCommand, "root" | "closed" | "growth">;

/** What can be looked at: a session, or a tier that all processes see. */
export interface Files {
  /** Whose they are; 0: everybody's. */
  readonly pid: Pid;
  read(path: string): Awaitable<Result<Buffer, SysError>>;
  /** A mark of what read() would give, without reading it: as long as it is the same, so is the content. */
  state(path: string): Awaitable<Result<string, SysError>>;
  stat(path: string): Awaitable<Result<FileStat, SysError>>;
  /** The folder's entries, sorted by name. */
  list(path: string): Awaitable<Result<readonly FileStat[], SysError>>;
}

/** Its paths are absolute, below the tier's name. */
export interface Tier extends Files {
  /** Of a file, or of all that lies in a folder. */
  label(path: string): Label;
}

/** A file to be put into the shared tier. Its content is in the blob store already. */
export interface Shareable {
  /** Below `/shared`, normalised. */
  readonly path: string;
  readonly blob: Digest;
  readonly bytes: number;
}

/** A file of the shared tier. */
export interface SharedFile extends Omit<Shareable, "path"> {
  readonly label: Label;
  readonly by: Pid;
  readonly at: number;
}

/**
 * A live session. Every path is walked one component at a time without following a link out of the root,
 * so a link planted by a command cannot move a read or write elsewhere.
 */
export interface Session extends Files {
  /** What a command is given to run on; ENOSYS where the driver has no merged view: commands are refused. */
  stage(): Awaitable<Result<Stage, SysError>>;
  /** Creates missing folders. `expect` is the digest the caller saw: a mismatch is ESTALE; null means "must not exist"; undefined does not check. */
  write(path: string, data: Uint8Array, expect?: Digest | null): Awaitable<Result<Digest, SysError>>;
  remove(path: string): Awaitable<Result<void, SysError>>;
  /** Proportional to what changed, not to the workspace. Captures the base of every path it sees for the first time. */
  changes(): Awaitable<Result<readonly Change[], SysError>>;
  /** These contents are in the workspace now: the session shows the workspace's files there again. A path that changed since keeps its change. */
  settle(changes: readonly { readonly path: string; readonly now: Digest | null }[]): Awaitable<Result<void, SysError>>;
  /** Unmount; the changes stay on disk for the next open. */
  close(): Awaitable<void>;
}

export interface SessionDriver {
  /** `overlay`: overlayfs in a user namespace · `copy`: files are copied when they first change. */
  readonly name: string;
  available(): Awaitable<Result<void, SysError>>;
  /** Opens or reopens. `home` is the session's own folder; `lower` is the workspace, never written here. */
  open(spec: { readonly pid: Pid; readonly lower: string; readonly home: string }): Awaitable<Result<Session, SysError>>;
  close(): Awaitable<void>;
}
