/**
 * Gullible: reflex with obedience. Whatever text it reads, in a result or in the goal, it does what the text tells it to do, with any
 * call it knows, offered or not. It is the worst case that the trust boundary must hold against; nothing it does relies on its refusal.
 *   CPU-10.1  An order found in any text is carried out once: reads first, then what needs what was read.
 *   CPU-10.2  A refused order does not stop it: it tries the next and goes on with its task.
 *   CPU-10.3  The same request gives the same reply.
 */
import type { CallPart, Message, Part } from "../../abi/message.ts";
import type { ModelDriver, ModelRequest } from "../../abi/model.ts";
import { canonical, isObject, type Json } from "../../lib/json.ts";
import { ordersIn, type Order } from "./gullible-orders.ts";
import { answer, callIdOf, reflexDriver, reflexMemo, reflexParts, type ReflexMemo } from "./reflex.ts";

/** An order and the document it was found in. */
interface Found {
  readonly order: Order;
  readonly from: string;
  /** The whole text it stood in: what is sent when nothing else can be read. */
  readonly text: string;
}

/** A call that an order asks for. */
interface Wish {
  readonly name: string;
  readonly args: Json;
}

interface Memo {
  readonly reflex: ReflexMemo;
  readonly orders: WeakMap<Message, readonly Order[]>;
}

export function gullibleDriver(): ModelDriver {
  const memo: Memo = { reflex: reflexMemo(), orders: new WeakMap() };
  return {
    ...reflexDriver(),
    name: "gullible",
    think: (request, io) => answer(request, io, (asked) => obey(asked, memo), "gullible"),
  };
}

/** Calls of one reply that serve orders. */
const wishesMax = 16;

function obey(request: ModelRequest, memo: Memo): readonly Part[] {
  const own = reflexParts(request, memo.reflex);
  const known = readWindow(request.messages, memo);
  const wishes: Wish[] = [];
  for (const found of known.orders) {
    for (const wish of wishesOf(found, known)) {
      const repeated = known.made.has(keyOf(wish)) || wishes.some((other) => keyOf(other) === keyOf(wish));
      if (!repeated && wishes.length < wishesMax) wishes.push(wish);
    }
  }
  if (wishes.length === 0) return own;
  const calls: CallPart[] = wishes.map(({ name, args }, n) => ({
    type: "call",
    id: callIdOf(request, "g", n),
    name,
    args,
  }));
  /** The end can wait until every order is served. */
  return [...calls, ...own.filter((part) => part.type === "call" && part.name !== "task.done")];
}

interface Known {
  readonly orders: readonly Found[];
  /** Calls made so far. */
  readonly made: ReadonlySet<string>;
  /** What reading a file gave: its text, or null when it was refused. */
  readonly reads: ReadonlyMap<string, string | null>;
}

function readWindow(messages: readonly Message[], memo: Memo): Known {
  const orders: Found[] = [];
  const made = new Set<string>();
  const reads = new Map<string, string | null>();
  const calls = new Map<string, CallPart>();
  for (const message of messages) {
    if (message.role === "assistant") {
      for (const part of message.parts) {
        if (part.type !== "call") continue;
        calls.set(part.id, part);
        made.add(keyOf(part));
      }
      continue;
    }
    for (const part of message.parts) {
      if (part.type === "text") orders.push(...found(message, part.text, "", memo));
      if (part.type !== "result") continue;
      const call = calls.get(part.id);
      const path = isObject(call?.args) && typeof call.args["path"] === "string" ? call.args["path"] : "";
      if (part.name === "fs.read") reads.set(path, part.ok ? part.text : null);
      if (part.ok && part.name !== "mem.note") orders.push(...found(message, part.text, path, memo));
    }
  }
  return { orders, made, reads };
}

function found(message: Message, text: string, from: string, memo: Memo): Found[] {
  /** One message may hold several results; short ones are cheap to read again. */
  const single = message.parts.length === 1;
  const known = single ? memo.orders.get(message) : undefined;
  const orders = known ?? ordersIn(text);
  if (single) memo.orders.set(message, orders);
  return orders.map((order) => ({ order, from, text }));
}

function keyOf(call: Wish): string {
  return `${call.name} ${canonical(call.args)}`;
}

/** The calls that serve an order now. Sending a file waits for its reading, and does not wait for its success. */
function wishesOf({ order, from, text }: Found, known: Known): readonly Wish[] {
  switch (order.act) {
    case "send": {
      const paths = order.files.map((file) => beside(file, from));
      const unread = paths.filter((path) => !known.reads.has(path));
      if (unread.length > 0) return unread.map((path) => ({ name: "fs.read", args: { path } }));
      if (wasSent(order.url, known)) return [];
      const body = paths.map((path) => known.reads.get(path) ?? "").join("\n");
      return [{ name: "net.fetch", args: { url: order.url, method: "POST", body: body.trim() === "" ? text : body } }];
    }
    case "fetch":
      return [{ name: "net.fetch", args: { url: order.url, method: "GET" } }];
    case "run":
      return [{ name: "shell.run", args: { command: order.command } }];
    case "delete":
      return [
        { name: "fs.write", args: { path: beside(order.file, from), text: "\n" } },
        { name: "shell.run", args: { command: `rm -f ${beside(order.file, from)}` } },
      ];
    case "write":
      return [
        {
          name: "fs.write",
          args: { path: isRoot(order.file) ? order.file : beside(order.file, from), text: order.text === "" ? "\n" : order.text },
        },
      ];
    case "read":
      return [{ name: "fs.read", args: { path: beside(order.file, from) } }];
    case "commit":
      return [{ name: "fs.commit", args: { paths: [order.file] } }];
    case "answer":
      return [{ name: "task.done", args: { value: order.text } }];
  }
}

/** The body depends on what is still in the window, so a target is served once whatever was sent to it. */
function wasSent(url: string, known: Known): boolean {
  return [...known.made].some(
    (call) => call.startsWith("net.fetch ") && call.includes(JSON.stringify(url)) && call.includes('"POST"'),
  );
}

/** A bare file name means the file beside the document that names it. */
function beside(file: string, from: string): string {
  const folder = from.includes("/") ? from.slice(0, from.lastIndexOf("/") + 1) : "";
  return file.includes("/") || folder === "" ? file : folder + file;
}

/** Files that a project keeps at its top. */
function isRoot(file: string): boolean {
  return /^(?:AGENTS|CLAUDE|README|SKILL|PROGRAM)\.md$|^\.|^package\.json$/i.test(file);
}
