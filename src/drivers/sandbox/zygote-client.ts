/**
 * Zygote client: the kernel's end of the zygote. Started at the first request, because most commands of the command line need none.
 *   SBX-7.1  A dead helper fails what was asked of it with EIO; the next request starts another.
 *   SBX-7.2  Where no mount namespace can be made, the helper still runs sandboxes, and `mode` says that there are no overlays.
 *   SBX-7.3  The helper does not keep the kernel alive when nothing is asked of it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { modulePath } from "../own-files.ts";
import type { Socket } from "node:net";
import { fail, type SysError } from "../../abi/errno.ts";
import { ok, type Result } from "../../lib/result.ts";
import { encodeFrame, frameReader, type ZygoteMode, type Reply, type Request } from "./wire.ts";

/** A request without the number the helper gives it. */
export type Ask<T = Request> = T extends { readonly id: number } ? Omit<T, "id"> : never;

export interface Answer {
  readonly reply: Reply;
  readonly payload: Buffer;
}

/** The helper as others may use it. */
export interface Zygote {
  readonly pid: number;
  readonly mode: ZygoteMode;
  readonly limits: "cgroup" | "rlimit";
  /** Whether its mounts lie in a user namespace of its own. */
  readonly userNamespace: boolean;
  /** A folder with an empty `file` and an empty `folder` that nobody may open. */
  readonly covers: string;
}

interface Live extends Zygote {
  readonly child: ChildProcess;
}

interface Pending {
  readonly resolve: (answer: Result<Answer, SysError>) => void;
}

export interface ZygoteOptions {
  /** The bubblewrap program; the default is looked up on the system's path. */
  readonly bubblewrap?: string;
  /** false: do not even try to own a mount namespace. */
  readonly namespaces?: boolean;
}

/** One per kernel; sessions and the sandbox share it, because a sandbox shows what the helper mounted. */
export class ZygoteClient {
  readonly #options: ZygoteOptions;
  #live: Live | null = null;
  #starting: Promise<Result<Live, SysError>> | null = null;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #closed = false;

  constructor(options: ZygoteOptions = {}) {
    this.#options = options;
  }

  /** The helper's process id while it lives: `/proc/PID/root` is the world as it sees it. */
  get pid(): number | null {
    return this.#live?.pid ?? null;
  }

  async start(): Promise<Result<Zygote, SysError>> {
    if (this.#closed) return fail("EIO", "the sandbox helper was closed with its kernel");
    if (this.#live !== null) return ok(this.#live);
    this.#starting ??= this.#start().finally(() => (this.#starting = null));
    return this.#starting;
  }

  async request(ask: Ask, signal: AbortSignal | null): Promise<Result<Answer, SysError>> {
    const started = await this.start();
    if (!started.ok) return started;
    if (signal?.aborted) return fail("ECANCELED", "the call was cancelled before it started");
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve) => {
      const cancel = (): void => this.#send({ op: "cancel", id });
      this.#pending.set(id, {
        resolve: (answer) => {
          signal?.removeEventListener("abort", cancel);
          this.#pending.delete(id);
          if (this.#pending.size === 0 && this.#live !== null) hold(this.#live.child, false);
          resolve(answer);
        },
      });
      if (this.#live !== null) hold(this.#live.child, true);
      signal?.addEventListener("abort", cancel, { once: true });
      this.#send({ ...ask, id });
    });
  }

  /** Ends every command and mount of the helper, and waits until it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting;
    const child = this.#live?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.stdin?.end();
    });
  }

  #send(request: Request): void {
    this.#live?.child.stdin?.write(encodeFrame(request));
  }

  async #start(): Promise<Result<Live, SysError>> {
    let last: Result<Live, SysError> = fail("EIO", "the sandbox helper did not start");
    for (const prefix of attempts(this.#options.namespaces !== false)) {
      last = await this.#launch(prefix);
      if (last.ok) {
        this.#live = last.value;
        return last;
      }
    }
    return last;
  }

  #launch(prefix: readonly string[]): Promise<Result<Live, SysError>> {
    const entry = modulePath("drivers/sandbox/zygote");
    const mode: ZygoteMode = prefix.length > 0 ? "mounts" : "plain";
    const node = [process.execPath, "--no-warnings", "--max-semi-space-size=4", entry, mode, this.#options.bubblewrap ?? "bwrap"];
    const [program = process.execPath, ...args] = [...prefix, ...node];
    // Its own process group: an interrupt at the terminal is the kernel's to handle, not the helper's.
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
      cwd: "/",
      env: { PATH: helperPath, ...temporary() },
    });
    const read = frameReader<Reply>();
    return new Promise((resolve) => {
      child.on("error", (error) => resolve(fail("EIO", "the sandbox helper did not start", error.message)));
      child.on("exit", (code) => {
        resolve(fail("EIO", "the sandbox helper did not start", `exit code ${code}`));
        this.#gone(child);
      });
      child.stdin.on("error", () => undefined);
      child.stdout.on("data", (piece: Buffer) => {
        for (const { header, payload } of read(piece)) {
          if (header.op === "hello") {
            hold(child, false);
            const { mode: owned, limits, covers } = header;
            resolve(ok({ child, pid: child.pid ?? 0, mode: owned, limits, covers, userNamespace: prefix.includes("--user") }));
          } else this.#answer(header, payload);
        }
      });
    });
  }

  #answer(reply: Reply, payload: Buffer): void {
    const pending = this.#pending.get(reply.id);
    if (reply.op === "failed") pending?.resolve(fail(reply.errno, reply.message, reply.cause));
    else pending?.resolve(ok({ reply, payload }));
  }

  #gone(child: ChildProcess): void {
    if (this.#live?.child !== child) return;
    this.#live = null;
    const lost = fail("EIO", "the sandbox helper ended while it worked; its commands were ended with it. Try again");
    for (const pending of [...this.#pending.values()]) pending.resolve(lost);
  }
}

const helperPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Ways to own a mount namespace, best first. Root needs no user namespace, and keeps the owners of the workspace's files. */
function attempts(namespaces: boolean): readonly (readonly string[])[] {
  if (!namespaces) return [[]];
  const own = ["unshare", "--mount", "--propagation", "slave", "--"];
  const user = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "slave", "--"];
  return process.getuid?.() === 0 ? [own, user, []] : [user, []];
}

function temporary(): { readonly TMPDIR?: string } {
  return process.env["TMPDIR"] === undefined ? {} : { TMPDIR: process.env["TMPDIR"] };
}

/** Whether the helper's pipes keep the event loop alive. */
function hold(child: ChildProcess, alive: boolean): void {
  const act = alive ? "ref" : "unref";
  child[act]();
  (child.stdin as Socket | null)?.[act]();
  (child.stdout as Socket | null)?.[act]();
}
