/**
 * Control: how a command in another terminal reaches the kernel that runs a workspace: a Unix socket in a folder only the user can enter.
 * One request and one answer a connection, each a line of JSON; only a launcher keeps its connection (guest-line.ts).
 *   BOO-11.1  The socket is made with mode 0600 in a folder of mode 0700; a stale one of a dead kernel is replaced under the lock.
 *   BOO-11.2  A request that is too long, is no JSON, or asks for something unknown is answered with EINVAL, and the kernel goes on.
 *   BOO-11.3  No kernel behind the socket is ENOENT, so that the caller can start its own.
 *   BOO-11.5  What is answered with ok is durable: a power cut right after it loses no order and no person's word.
 *   BOO-11.4  A request is carried out once, whatever follows it on its connection.
 */
import { rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import type { Answer } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Signal } from "../abi/process.ts";
import { listenPrivately } from "../doors/private-socket.ts";
import { isObject, parseJson, type Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { serveGuest } from "./guest-line.ts";
import type { Guests } from "./guests.ts";

export type ControlRequest =
  | { readonly op: "signal"; readonly pid: number; readonly signal: Signal; readonly by: string }
  | { readonly op: "unshare"; readonly path: string }
  | { readonly op: "nice"; readonly pid: number; readonly weight: number }
  | { readonly op: "answer"; readonly pid: number; readonly answer: Answer }
  | { readonly op: "ping" };

const requestBytesMax = 64 * 1024;
const answerTimeoutMs = 5_000;

export interface ControlServer {
  close(): Promise<void>;
}

export async function serveControl(path: string, kernel: Kernel, guests: Guests): Promise<Result<ControlServer, SysError>> {
  try {
    rmSync(path, { force: true });
  } catch {
    return fail(
      "EUCLEAN",
      "the control socket cannot be made: something else has its place in .daimon/run; move it away, or run daimon fsck",
    );
  }
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    serve(socket, kernel, guests);
  });
  const failed = await listenPrivately(server, path);
  if (failed !== null)
    return fail("EIO", "the control socket cannot be made; other terminals cannot reach this kernel", failed.message);
  server.unref();
  return ok({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Those of launchers, which would never end by themselves.
        for (const socket of open) if (socket.timeout === 0) socket.destroy();
        rmSync(path, { force: true });
      }),
  });
}

function serve(socket: Socket, kernel: Kernel, guests: Guests): void {
  let text = "";
  socket.setEncoding("utf8");
  socket.setTimeout(answerTimeoutMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  const receive = (piece: string): void => {
    text += piece;
    const end = text.indexOf("\n");
    if (end === -1 && text.length <= requestBytesMax) return;
    const long = end === -1 || end > requestBytesMax;
    const request = long ? undefined : parseJson(text.slice(0, end));
    if (isObject(request) && request["op"] === "guest") {
      socket.off("data", receive);
      return void serveGuest(socket, request, text.slice(end + 1), guests);
    }
    // What still comes is read and thrown away: the request is carried out once.
    socket.off("data", receive).resume();
    const answer = long ? fail("EINVAL", "the request is too long") : answerTo(request, kernel);
    void settled(answer, kernel).then((told) => socket.end(`${JSON.stringify(told)}\n`));
  };
  socket.on("data", receive);
}

async function settled(answer: Result<Json, SysError>, kernel: Kernel): Promise<Result<Json, SysError>> {
  const durable = await kernel.recorder.barrier(false);
  return durable.ok || !answer.ok ? answer : durable;
}

function answerTo(request: Json | undefined, kernel: Kernel): Result<Json, SysError> {
  if (!isObject(request)) return fail("EINVAL", "a request is a line of JSON");
  const { op, pid } = request;
  const nothing = (result: Result<void, SysError>): Result<Json, SysError> => (result.ok ? ok(null) : result);
  if (op === "ping") return ok("pong");
  if (op === "unshare" && typeof request["path"] === "string") return nothing(kernel.shared.remove(request["path"]));
  if (typeof pid !== "number") return fail("EINVAL", "a request names a process by its number");
  if (op === "signal" && isSignal(request["signal"])) return nothing(kernel.signal(pid, request["signal"], text(request["by"])));
  if (op === "nice" && typeof request["weight"] === "number") return nothing(kernel.nice(pid, request["weight"]));
  const answer = op === "answer" ? answerOf(request["answer"]) : null;
  if (answer !== null) return nothing(kernel.answer(pid, answer));
  return fail("EINVAL", `there is no request ${JSON.stringify(op)} of this form`);
}

function isSignal(value: Json | undefined): value is Signal {
  return value === "stop" || value === "continue" || value === "interrupt" || value === "kill";
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value.slice(0, 200) : "";
}

/** null: it does not say what it answers. */
function answerOf(value: Json | undefined): Answer | null {
  if (!isObject(value) || typeof value["park"] !== "number") return null;
  const raise = isObject(value["raise"]) ? value["raise"] : null;
  const numbers =
    raise === null ? null : Object.fromEntries(Object.entries(raise).filter(([, limit]) => typeof limit === "number"));
  const said = value["text"];
  return {
    park: value["park"],
    allow: value["allow"] === true,
    text: typeof said === "string" ? said.slice(0, 10_000) : "",
    by: text(value["by"]),
    raise: numbers,
  };
}

/** Ask the running kernel. ENOENT when there is none. */
export function askKernel(path: string, request: ControlRequest): Promise<Result<Json, SysError>> {
  return new Promise((resolve) => {
    let received = "";
    const socket = createConnection(path);
    socket.setEncoding("utf8");
    socket.setTimeout(answerTimeoutMs, () => {
      socket.destroy();
      resolve(fail("ETIMEDOUT", "the running kernel does not answer; try again, or look at it with daimon ps"));
    });
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (piece: string) => (received += piece));
    socket.on("error", () => resolve(fail("ENOENT", "no kernel runs in this workspace")));
    socket.on("end", () => resolve(readAnswer(received)));
  });
}

function readAnswer(received: string): Result<Json, SysError> {
  const answer = parseJson(received);
  if (isObject(answer) && answer["ok"] === true) return ok(answer["value"] ?? null);
  if (isObject(answer) && isObject(answer["error"])) return err(answer["error"] as unknown as SysError);
  return fail("EPROTO", "the running kernel's answer cannot be read");
}
