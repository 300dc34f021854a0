/**
 * MCP stdio: a server that we start, its messages, and its end. It is a process group of its own with a reaper beside it, a small shell that
 * waits on a pipe of the kernel's: the pipe closes when the kernel closes the connection, and when the kernel is gone, however it went.
 *   MCP-2.1  All that a server started ends with it: its process group, and what left the group but still carries the server's mark.
 *   MCP-2.2  A closed server has a moment to end by itself, then a SIGTERM and another moment; what is left is killed before close() returns.
 *   MCP-2.3  When the kernel is killed, its servers see their input end, and after the same moment are killed with all they started.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { JSONRPCMessage, ReadBuffer, Transport } from "@modelcontextprotocol/client";
import { limits } from "../../abi/limits.ts";

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly cwd: string;
}

/** The parts of the MCP library that are needed here; it is loaded when the first server is. */
export interface Codec {
  readonly ReadBuffer: new (options: { maxBufferSize: number }) => ReadBuffer;
  readonly serializeMessage: (message: JSONRPCMessage) => string;
}

/** How a process that left its group is found: a variable that children inherit. */
const markName = "DAIMON_SERVER";

export class ServerProcess implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: Transport["onmessage"];
  readonly #command: ServerCommand;
  readonly #codec: Codec;
  readonly #buffer: ReadBuffer;
  #server: ChildProcess | null = null;
  #reaper: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  /** All that the server wrote was read. */
  #drained: Promise<void> = Promise.resolve();
  #said = "";

  constructor(command: ServerCommand, codec: Codec) {
    this.#command = command;
    this.#codec = codec;
    this.#buffer = new codec.ReadBuffer({ maxBufferSize: limits.mcpMessageBytesMax });
  }

  /** The end of what the server wrote to its standard error. */
  get lastWords(): string {
    return this.#said;
  }

  start(): Promise<void> {
    const { command, args, env, cwd } = this.#command;
    const mark = randomBytes(16).toString("hex");
    // The reaper stands before there is anything to reap.
    this.#reaper = startReaper(mark);
    const server = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { ...usualVariables(), ...env, [markName]: mark },
      cwd,
    });
    this.#reaper.stdin?.write(`${server.pid ?? ""}\n`);
    this.#server = server;
    this.#ended = new Promise((resolve) => {
      server.once("exit", () => resolve());
      server.once("error", () => resolve());
    });
    this.#drained = new Promise((resolve) => server.once("close", () => resolve()));
    server.stdin.on("error", (error) => this.onerror?.(error));
    server.stdout.on("error", (error) => this.onerror?.(error));
    server.stdout.on("data", (piece: Buffer) => this.#receive(piece));
    server.stderr.on("data", (piece: Buffer) => (this.#said = (this.#said + piece.toString("utf8")).slice(-saidCharsMax)));
    void this.#ended.then(() => this.close());
    return new Promise((resolve, reject) => {
      server.once("spawn", resolve);
      server.once("error", reject);
    });
  }

  send(message: JSONRPCMessage): Promise<void> {
    const { stdin } = this.#server ?? {};
    if (!stdin?.writable) return Promise.reject(Object.assign(new Error("the server is not running"), { code: "NOT_CONNECTED" }));
    return new Promise((resolve) => {
      if (stdin.write(this.#codec.serializeMessage(message))) resolve();
      else stdin.once("drain", resolve);
    });
  }

  async close(): Promise<void> {
    const [server, reaper] = [this.#server, this.#reaper];
    this.#server = null;
    this.#reaper = null;
    if (server === null || reaper === null) return;
    server.stdin?.end();
    if (!(await within(limits.mcpCloseTimeoutMs, this.#ended))) {
      signalGroup(server, "SIGTERM");
      await within(limits.mcpCloseTimeoutMs, this.#ended);
    }
    await reap(reaper);
    await this.#ended;
    // What the server said last is still on its way; a process beyond our reach may hold the pipe open.
    await within(limits.mcpCloseTimeoutMs, this.#drained);
    server.stdout?.destroy();
    server.stderr?.destroy();
    this.#buffer.clear();
    this.onclose?.();
  }

  #receive(piece: Buffer): void {
    try {
      this.#buffer.append(piece);
      for (let message = this.#next(); message !== null; message = this.#next()) this.onmessage?.(message);
    } catch (error) {
      // More than the bound without an end: nothing after it can be understood.
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
      void this.close();
    }
  }

  /** A line that is no message is told and passed over. */
  #next(): JSONRPCMessage | null {
    for (;;) {
      try {
        return this.#buffer.readMessage();
      } catch (error) {
        this.onerror?.(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
}

const saidCharsMax = 2 * limits.quoteCharsMax;

/**
 * It learns the group's number once that is known, and then waits. A line tells it to reap at once; an end without one means that the kernel
 * is gone, and the server still has its moment. It looks again until it finds nothing, because a process may fork while it is looked for.
 */
const reaperScript = `
read -r group
read -r now || sleep "$2"
tries=0
while [ "$tries" -lt 100 ]; do
  tries=$((tries + 1))
  [ -z "$group" ] || kill -KILL -- "-$group"
  marked=$(grep -ls "${markName}=$1" /proc/[0-9]*/environ | cut -d / -f 3)
  [ -n "$marked" ] || break
  kill -KILL $marked
done`;

function startReaper(mark: string): ChildProcess {
  const reaper = spawn("/bin/sh", ["-c", reaperScript, "sh", mark, String(limits.mcpCloseTimeoutMs / 1_000)], {
    stdio: ["pipe", "ignore", "ignore"],
    // Out of the terminal's reach, so that an interrupt does not end it before its work.
    detached: true,
    env: { PATH: "/usr/bin:/bin" },
    cwd: "/",
  });
  reaper.on("error", () => undefined);
  reaper.stdin?.on("error", () => undefined);
  return reaper;
}

async function reap(reaper: ChildProcess): Promise<void> {
  if (reaper.exitCode !== null || reaper.signalCode !== null || reaper.pid === undefined) return;
  const gone = new Promise<void>((resolve) => reaper.once("exit", () => resolve()));
  reaper.stdin?.end("now\n");
  await gone;
}

/** Whether it happened in time. */
async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, false);
  void event.then(() => resolve(true));
  const happened = await promise;
  clearTimeout(timer);
  return happened;
}

function signalGroup(leader: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (leader.pid !== undefined) process.kill(-leader.pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** What a program needs to find its files and others. A value that a shell would take for a function is none. */
function usualVariables(): Record<string, string> {
  const names = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined || value.startsWith("()") ? [] : [[name, value]];
    }),
  );
}
