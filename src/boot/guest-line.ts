/**
 * Guest line: how a launcher in another terminal opens a guest of the kernel that runs here. The connection stays open as long as the guest runs;
 * each side writes lines of JSON: the ask and how it ended go in, what was opened, the orders and the report come out.
 *   BOO-41.1  A connection that closes before it told how the guest ended means that the launcher is gone: the guest is ended in the journal.
 *   BOO-41.2  An ask that is no ask is EINVAL, and opens nothing.
 *   BOO-41.4  A launcher that chooses a CPU is refused before anything is opened: a kernel that runs has chosen its own.
 *   BOO-41.3  When the kernel goes, its launchers see the line close, and end what they run.
 */
import { createConnection, type Socket } from "node:net";
import { fail, type SysError } from "../abi/errno.ts";
import { noLimits, type Limits } from "../abi/budget.ts";
import type { GuestEnd } from "../abi/sandbox.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { GuestAsk, GuestReport, Guests, HeldGuest, OpenGuest, Order } from "./guests.ts";

/** Serves one connection whose first line was `request`; `rest` is what came after it. */
export async function serveGuest(socket: Socket, request: JsonObject, rest: string, guests: Guests): Promise<void> {
  // It stays open for as long as the guest runs, whoever is silent.
  socket.setTimeout(0);
  const tell = (message: unknown): void => void socket.write(`${JSON.stringify(message)}\n`);
  const ask = askOf(request);
  const opened = ask.ok ? await guests.open(ask.value) : ask;
  if (!opened.ok) return void socket.end(`${JSON.stringify(opened)}\n`);
  const held = opened.value;
  const { open } = held;
  const told = { end: false };
  const lost = (): void => {
    if (!told.end) guests.lost(open.pid);
  };
  if (socket.destroyed) return lost();
  socket.once("close", lost);
  onLines(socket, rest, (line) => {
    const end = endOf(line);
    if (end === null || told.end) return;
    told.end = true;
    void held.ended(end).then((report) => socket.end(`${JSON.stringify(report)}\n`));
  });
  tell(ok(open));
  held.orders((order) => tell({ order }));
}

function askOf(request: JsonObject): Result<GuestAsk, SysError> {
  const { name, command, cwd, limits, cpu } = request;
  if (cpu != null)
    return fail(
      "EBUSY",
      "a kernel runs in this workspace already, and --cpu is chosen when it starts; leave it out, or wait until it has ended",
    );
  const bounds = limitsOf(limits);
  if (
    typeof name !== "string" ||
    name === "" ||
    name.length > nameCharsMax ||
    !isWords(command) ||
    typeof cwd !== "string" ||
    bounds === null
  )
    return fail("EINVAL", "a guest is asked for with its name, its command, its folder and its limits");
  return ok({ name, command, cwd, limits: bounds });
}

const nameCharsMax = 200;

function isWords(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === "string");
}

function limitsOf(value: Json | undefined): Limits | null {
  if (!isObject(value)) return null;
  const given = Object.entries(value).filter(([, limit]) => limit !== null);
  if (!given.every(([name, limit]) => Object.hasOwn(noLimits, name) && typeof limit === "number" && limit >= 0)) return null;
  return { ...noLimits, ...Object.fromEntries(given) };
}

function endOf(line: string): Result<GuestEnd, SysError> | null {
  const message = parseJson(line);
  if (!isObject(message) || message["op"] !== "guest-ended") return null;
  const { exitCode, full } = message;
  if (typeof exitCode === "number") return ok({ exitCode, full: full === "session" || full === "disk" ? full : null });
  const why = message["message"];
  return fail("EIO", typeof why === "string" ? why.slice(0, messageCharsMax) : "its launcher could not run the program");
}

const messageCharsMax = 500;

/** Asks the kernel that runs. ENOENT when there is none. `cpu`: the one the person chose, or null. */
export function askForGuest(path: string, ask: GuestAsk, cpu: string | null): Promise<Result<HeldGuest, SysError>> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const line: Line = { socket, last: "go", closed: false, listen: null, report: null };
    socket.on("connect", () => socket.write(`${JSON.stringify({ op: "guest", ...ask, cpu })}\n`));
    const none = fail("ENOENT", "no kernel runs in this workspace");
    socket.on("error", () => resolve(none));
    socket.on("close", () => {
      // One that goes before it answers opened nothing.
      resolve(none);
      line.closed = true;
      line.report?.(gone);
      order(line, "end");
    });
    onLines(socket, "", (text) => {
      const message = parseJson(text);
      if (!isObject(message)) return;
      const said = message["order"];
      if (said === "hold" || said === "go" || said === "end") return order(line, said);
      const answer = answerOf(message);
      if (line.report !== null) return line.report(answer as Result<GuestReport, SysError>);
      resolve(answer.ok ? ok(heldOver(line, answer.value as unknown as OpenGuest)) : answer);
    });
  });
}

/** The launcher's end of a connection. */
interface Line {
  readonly socket: Socket;
  last: Order;
  closed: boolean;
  listen: ((order: Order) => void) | null;
  report: ((report: Result<GuestReport, SysError>) => void) | null;
}

const gone = fail(
  "ECANCELED",
  "the kernel ended under the guest; what it changed is kept, and the next kernel says so in the journal",
);

function order(line: Line, said: Order): void {
  if (line.last === said) return;
  line.last = said;
  line.listen?.(said);
}

function heldOver(line: Line, open: OpenGuest): HeldGuest {
  return {
    open,
    orders: (listen) => {
      line.listen = listen;
      if (line.last !== "go") listen(line.last);
    },
    ended: (end) =>
      new Promise((resolve) => {
        if (line.closed) return resolve(gone);
        line.listen = null;
        line.report = resolve;
        const told = end.ok ? end.value : { message: end.error.message };
        line.socket.write(`${JSON.stringify({ op: "guest-ended", ...told })}\n`);
      }),
  };
}

/** The kernel is our own code, of this version or another: its answer has the form that it was written in. */
function answerOf(message: JsonObject): Result<Json, SysError> {
  if (message["ok"] === true) return ok(message["value"] ?? null);
  const error = message["error"];
  return isObject(error) ? err(error as unknown as SysError) : fail("EPROTO", "the running kernel's answer cannot be read");
}

/** Calls with each line that becomes whole; a line beyond the bound ends the connection. */
function onLines(socket: Socket, before: string, take: (line: string) => void): void {
  let text = "";
  const add = (piece: string): void => {
    text += piece;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      take(line);
    }
    if (text.length > lineCharsMax) socket.destroy();
  };
  socket.setEncoding("utf8");
  socket.on("data", add);
  add(before);
}

const lineCharsMax = 1024 * 1024;
