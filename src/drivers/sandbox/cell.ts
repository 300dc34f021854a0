/**
 * Cell: one bubblewrap, from its start to the end of the one command it runs.
 * A cell is made ready before it is needed where possible: its shell waits behind all the walls for one order, so a command costs a message.
 *   SBX-5.1  A cell runs one command and is never used again.
 *   SBX-5.2  Time, output and a cancelled call end the whole tree at once: the cell's first process dies, and the kernel kills the rest.
 *   SBX-5.3  Output is kept to the bound per stream, half from the head and half from the tail, with a line that says what was dropped.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { SandboxCommand } from "../../abi/sandbox.ts";
import type { Cgroup } from "./cgroup.ts";
import type { RunReply } from "./wire.ts";
import { childrenOf, signalTo } from "./process-tree.ts";
import { orders, profile, seccompFd, controlFd, type ProfileSpec } from "./profile.ts";

export interface CellSpec extends ProfileSpec {
  readonly filter: Buffer | null;
  readonly bubblewrap: string;
  /** Two named pipes that nobody else uses: a command may open /dev/stdout again, which a socket does not allow. */
  readonly pipes: readonly [string, string];
  readonly cgroup: Cgroup | null;
}

export type CellResult =
  | { readonly ok: true; readonly reply: RunReply; readonly stdout: Buffer; readonly stderr: Buffer }
  | { readonly ok: false; readonly cause: string };

/** Beyond this many times the bound, the command is a flood and is ended. */
const floodFactor = 64;
const floodBytesMin = 8 * 1024 * 1024;

export class Cell {
  readonly spec: CellSpec;
  readonly #child: ChildProcess;
  readonly #out: Capture;
  readonly #err: Capture;
  readonly #ended: Promise<void>;
  readonly #ready: Promise<boolean>;
  #timedOut = false;
  #flooded = false;
  #killed = false;

  constructor(spec: CellSpec) {
    this.spec = spec;
    const [out, err] = spec.pipes.map(openPipe) as [Pipe, Pipe];
    this.#child = spawn(spec.bubblewrap, profile(spec), {
      stdio: ["pipe", out.write, err.write, "pipe", "pipe"],
      env: {},
      cwd: "/",
    });
    closeSync(out.write);
    closeSync(err.write);
    this.#out = new Capture(out.read);
    this.#err = new Capture(err.read);
    const exited = new Promise<void>((resolve) => {
      this.#child.on("exit", () => resolve());
      this.#child.on("error", () => resolve());
    });
    this.#ended = Promise.all([exited, this.#out.ended, this.#err.ended]).then(() => this.spec.cgroup?.remove());
    // A command may close its input early; that is its own affair.
    this.#child.stdin?.on("error", () => undefined);
    const seccomp = this.#child.stdio[seccompFd] as Socket;
    seccomp.on("error", () => undefined);
    seccomp.end(spec.filter ?? Buffer.alloc(0));
    const control = this.#child.stdio[controlFd] as Socket;
    control.on("error", () => undefined);
    this.#ready = Promise.race([
      new Promise<boolean>((resolve) => control.once("data", () => resolve(this.#fillGroup()))),
      this.#ended.then(() => false),
    ]);
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  async run(command: SandboxCommand, fileBytesMax: number): Promise<CellResult> {
    const start = performance.now();
    const bound = (): void => {
      this.#flooded = true;
      this.kill();
    };
    this.#out.bound(command.outputBytesMax, floodFactor, bound);
    this.#err.bound(command.outputBytesMax, floodFactor, bound);
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.kill();
    }, command.timeoutMs);
    const started = await this.#ready;
    if (started) {
      this.spec.cgroup?.limit(command.processesMax + firstProcesses, command.memoryBytesMax);
      (this.#child.stdio[controlFd] as Socket).end(orders(command, fileBytesMax));
      this.#child.stdin?.end(command.stdin);
    }
    await this.#ended;
    clearTimeout(timer);
    const stdout = this.#out.take();
    const stderr = this.#err.take();
    if (!started && !this.#killed) return { ok: false, cause: stderr.toString("utf8") };
    return {
      ok: true,
      stdout,
      stderr,
      reply: {
        exitCode: this.#killed ? null : this.#child.exitCode,
        signal: this.#killed ? "SIGKILL" : this.#child.signalCode,
        timedOut: this.#timedOut,
        full: null,
        truncated: this.#out.truncated || this.#err.truncated || this.#flooded,
        ms: performance.now() - start,
        stdoutBytes: stdout.length,
      },
    };
  }

  /** The sandbox's first process is ended rather than bubblewrap, which then collects it; the kernel ends the rest of the namespace. */
  kill(): void {
    this.#killed = true;
    const pid = this.#child.pid;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const [first] = childrenOf(pid);
    if (first === undefined || !signalTo(first, "SIGKILL")) this.#child.kill("SIGKILL");
  }

  /** bubblewrap and the waiting shell: all there are before the order comes. */
  #fillGroup(): boolean {
    if (this.spec.cgroup === null || this.#child.pid === undefined) return true;
    const pids = [this.#child.pid];
    for (let index = 0; index < pids.length && pids.length < 16; index += 1) pids.push(...childrenOf(pids[index] ?? 0));
    if (this.spec.cgroup.add(pids)) return true;
    this.kill();
    return false;
  }
}

/** bubblewrap and the waiting shell count in the group but are not the command's. */
const firstProcesses = 2;

interface Pipe {
  readonly read: number;
  readonly write: number;
}

function openPipe(path: string): Pipe {
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: openSync(path, constants.O_WRONLY) };
}

/** Keeps the head and the tail of a stream. */
class Capture {
  readonly ended: Promise<void>;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  readonly #tail: Buffer[] = [];
  #tailBytes = 0;
  #total = 0;
  #half = Number.MAX_SAFE_INTEGER;
  #floodBytes = Number.MAX_SAFE_INTEGER;
  #onFlood: () => void = () => undefined;

  constructor(fd: number) {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on("data", (piece: Buffer) => this.#add(piece));
    socket.on("error", () => undefined);
    this.ended = new Promise((resolve) => socket.on("close", () => resolve()));
  }

  bound(bytesMax: number, factor: number, onFlood: () => void): void {
    this.#half = Math.max(1, Math.floor(bytesMax / 2));
    this.#floodBytes = Math.max(bytesMax * factor, floodBytesMin);
    this.#onFlood = onFlood;
  }

  get truncated(): boolean {
    return this.#total > this.#headBytes + this.#tailKept();
  }

  take(): Buffer {
    const tail = Buffer.concat(this.#tail);
    const kept = tail.subarray(tail.length - this.#tailKept());
    const dropped = this.#total - this.#headBytes - kept.length;
    if (dropped === 0) return Buffer.concat([...this.#head, kept]);
    return Buffer.concat([...this.#head, Buffer.from(`\n[${dropped} bytes of output dropped]\n`), kept]);
  }

  #tailKept(): number {
    return Math.min(this.#tailBytes, this.#half);
  }

  #add(piece: Buffer): void {
    this.#total += piece.length;
    const room = Math.max(0, this.#half - this.#headBytes);
    if (room > 0) {
      const first = piece.subarray(0, room);
      this.#head.push(first);
      this.#headBytes += first.length;
    }
    if (piece.length > room) {
      const rest = piece.subarray(room);
      this.#tail.push(rest);
      this.#tailBytes += rest.length;
      while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= this.#half) this.#tailBytes -= this.#tail.shift()?.length ?? 0;
    }
    if (this.#total > this.#floodBytes) this.#onFlood();
  }
}
