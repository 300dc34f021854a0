/** The tool door over HTTP: who may enter, with what, and what becomes of sessions. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { serveHttp } from "../../../src/doors/tool/http.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { listenHttp } from "../../../src/doors/tool/listener.ts";
import { clientOf, credential, openedDoor, type Opened } from "./opened.ts";

let opened: Opened;
let port: number;

beforeAll(async () => {
  opened = await openedDoor();
  port = Number(new URL(opened.url).port);
});
afterAll(() => opened.close());

const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const initialize =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}';

/** One request as bytes, so that a header can be missing, double or wrong; gives the status, 0 where the connection just ended. */
function raw(lines: readonly string[], body = ping): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (piece: Buffer) => {
      text += piece.toString("latin1");
      if (text.includes("\r\n")) socket.destroy();
    });
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
    socket.on("error", () => undefined);
    socket.write(`${lines.join("\r\n")}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
}

const head = (
  change: { host?: string | null; more?: readonly string[]; target?: string; auth?: string | null } = {},
): string[] => [
  `POST ${change.target ?? "/mcp"} HTTP/1.1`,
  ...(change.host === null ? [] : [`host: ${change.host ?? `127.0.0.1:${port}`}`]),
  ...(change.auth === null ? [] : [`authorization: Bearer ${change.auth ?? credential}`]),
  "content-type: application/json",
  "accept: application/json, text/event-stream",
  ...(change.more ?? []),
];

test("DRT-4.1 only a request to this machine and port is heard, whatever it says of itself", async () => {
  expect(await raw(head(), initialize)).toBe(200);
  expect(await raw(head({ host: `localhost:${port}` }), initialize)).toBe(200);
  expect(await raw(head({ more: [`origin: http://localhost:${port}`] }), initialize)).toBe(200);
  const hosts = [
    null,
    "",
    "evil.example",
    `evil.example:${port}`,
    `127.0.0.1:${port + 1}`,
    "127.0.0.1",
    `127.0.0.1:${port}@evil.example`,
    `127.0.0.1.evil.example:${port}`,
    `localhost:${port}.evil.example`,
    `[::ffff:7f00:1]:${port}`,
    `0.0.0.0:${port}`,
  ];
  for (const host of hosts) expect(await raw(head({ host }), initialize), String(host)).toBe(403);
  expect(await raw(head({ more: [`host: 127.0.0.1:${port}`] }), initialize)).toBeGreaterThanOrEqual(400);
  const origins = [
    "null",
    "http://evil.example",
    `https://127.0.0.1:${port}`,
    "http://127.0.0.1",
    `http://127.0.0.1:${port}/`,
    "",
  ];
  for (const origin of origins) expect(await raw(head({ more: [`origin: ${origin}`] }), initialize), origin).toBe(403);
  for (const target of [`http://127.0.0.1:${port}/mcp`, "//evil.example/mcp", "*"]) {
    expect(await raw(head({ target }), initialize), target).toBe(400);
  }
  for (const target of ["/", "/mcp/", "/mcp?token=x", "/MCP"]) expect(await raw(head({ target }), initialize), target).toBe(404);
});

test("DRT-4.2 a request without the credential is not heard, and nothing tells what it is", async () => {
  for (const auth of [null, "", "wrong", `${credential}x`, credential.slice(1), credential.toUpperCase()]) {
    expect(await raw(head({ auth }), initialize), String(auth)).toBe(401);
  }
  expect(await raw(head({ more: [`authorization: Bearer ${credential}`] }), initialize)).toBe(401);
  const reply = await fetch(opened.url, { method: "POST" });
  expect(await reply.text()).not.toContain(credential);
  expect(reply.headers.get("www-authenticate")).toBe("Bearer");
  expect((await serveHttp(opened.door, { listen: { port: 0 }, credential: "" })).ok).toBe(false);
});

test("DRT-4.3 a body is one bounded JSON message in plain encoding", async () => {
  const post = async (body: string, headers: Record<string, string> = {}): Promise<number> => {
    const all = { authorization: `Bearer ${credential}`, "content-type": "application/json", ...headers };
    const reply = await fetch(opened.url, { method: "POST", headers: all, body });
    await reply.body?.cancel();
    return reply.status;
  };
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json-x",
    "application/json; charset=utf-16",
  ])
    expect(await post(ping, { "content-type": type }), type).toBe(415);
  expect(await post(ping, { "content-encoding": "gzip" })).toBe(415);
  for (const body of ["", "{", "[]", `[${ping}]`, '"text"', "NaN", `${"[".repeat(100_000)}`]) {
    expect(await post(body), body.slice(0, 20)).toBe(400);
  }
  const deep = `${"[".repeat(100)}${"]".repeat(100)}`;
  const within = (value: string): string => initialize.replace('"params":{', `"params":{"_meta":{"x":${value}},`);
  const accept = { accept: "application/json, text/event-stream" };
  expect(await post(within("[]"), accept)).toBe(200);
  expect(await post(within(deep), accept)).toBe(400);
  expect(await chunked()).toBe(413);
  expect(await post(`{"a":"${"x".repeat(limits.doorBodyBytesMax)}"}`).catch(() => 413)).toBe(413);
  const replies = await Promise.all(["PUT", "OPTIONS", "PATCH"].map((method) => status(method)));
  expect(replies).toEqual([405, 405, 405]);
  expect(await raw(head({ more: [`x-long: ${"x".repeat(limits.doorHeaderBytesMax)}`] }))).toBe(431);
});

/** A body that says nothing of its length, and does not end. */
function chunked(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
    const asked = httpRequest(opened.url, { method: "POST", headers }, (reply) => {
      reply.resume();
      asked.destroy();
      resolve(reply.statusCode);
    });
    asked.on("error", () => undefined);
    const piece = Buffer.alloc(64 * 1024, " ");
    const more = (): void => void (asked.destroyed || asked.write(piece, more));
    more();
  });
}

function status(method: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${credential}` };
    const asked = httpRequest(opened.url, { method, headers }, (reply: IncomingMessage) => {
      reply.resume();
      resolve(reply.statusCode);
    });
    asked.on("error", reject);
    asked.end();
  });
}

test("DRT-5.1 a Unix socket is its owner's alone, and its clients name the port they know", async () => {
  const folder = mkdtempSync(join(tmpdir(), "door-"));
  const socket = join(folder, "tool.sock");
  const door = await serveHttp(opened.door, { listen: { socket }, credential });
  if (!door.ok) throw new Error(door.error.message);
  expect(door.value.url).toBeNull();
  expect(statSync(socket).mode & 0o777).toBe(0o600);
  const ask = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = {
        host,
        authorization: `Bearer ${credential}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      };
      const asked = httpRequest({ socketPath: socket, path: "/mcp", method: "POST", headers }, (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      });
      asked.on("error", reject);
      asked.end(initialize);
    });
  expect(await ask("127.0.0.1:4711")).toBe(200);
  expect(await ask("evil.example:4711")).toBe(403);
  await door.value.close();
  const taken = await serveHttp(opened.door, { listen: { socket: join(folder, "no", "such.sock") }, credential });
  expect(taken).toMatchObject({ ok: false, error: { errno: "EIO" } });
  rmSync(folder, { recursive: true });
});

test("DRT-5.4 nothing is made for those who may not enter, and what answers is made once", async () => {
  let made = 0;
  const answering = { answer: () => Promise.resolve(new Response("heard")), close: () => Promise.resolve() };
  const door = await listenHttp({ listen: { port: 0 }, credential }, () => {
    made += 1;
    return Promise.resolve(answering);
  });
  if (!door.ok) throw new Error(door.error.message);
  const ask = async (key: string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const reply = await fetch(door.value.url ?? "", { method: "POST", headers, body: ping });
    await reply.text();
    return reply.status;
  };
  expect(await ask("wrong")).toBe(401);
  expect(made).toBe(0);
  expect(await Promise.all([ask(credential), ask(credential)])).toEqual([200, 200]);
  expect(made).toBe(1);
  await door.value.close();
  const broken = await listenHttp({ listen: { port: 0 }, credential }, () => Promise.reject(new Error("no")));
  if (!broken.ok) throw new Error(broken.error.message);
  const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
  expect((await fetch(broken.value.url ?? "", { method: "POST", headers, body: ping })).status).toBe(500);
  await broken.value.close();
});

test("DRT-5.5 a client that waits for a stream hears that it is still worked on, between two events and never within one", async () => {
  const clock = new FakeClock(0);
  let stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (stream = controller) });
  const headers = { "content-type": "text/event-stream" };
  const answering = { answer: () => Promise.resolve(new Response(body, { headers })), close: () => Promise.resolve() };
  const door = await listenHttp({ listen: { port: 0 }, credential, clock }, () => Promise.resolve(answering));
  if (!door.ok) throw new Error(door.error.message);
  const sent = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
  const reply = await fetch(door.value.url ?? "", { method: "POST", headers: sent, body: ping });
  const reader = reply.body?.getReader();
  const heard = async (): Promise<string> => Buffer.from((await reader?.read())?.value ?? []).toString();
  const say = (text: string): void => stream?.enqueue(Buffer.from(text));
  clock.advance(limits.guestKeepAliveMs);
  expect(await heard()).toBe(":\n\n");
  say("data: half");
  expect(await heard()).toBe("data: half");
  clock.advance(limits.guestKeepAliveMs * 3);
  say(" and half\n\n");
  expect(await heard()).toBe(" and half\n\n");
  clock.advance(limits.guestKeepAliveMs);
  expect(await heard()).toBe(":\n\n");
  (stream as ReadableStreamDefaultController<Uint8Array> | null)?.close();
  expect((await reader?.read())?.done).toBe(true);
  clock.advance(limits.guestKeepAliveMs * 3);
  await door.value.close();
});

test("DRT-5.2 a session is its client's, ends when it says so, and the one unused for longest makes room", async () => {
  const begin = async (): Promise<string> => {
    const reply = await post(initialize);
    await reply.text();
    return reply.headers.get("mcp-session-id") ?? "";
  };
  const post = (body: string, session?: string, method = "POST"): Promise<Response> =>
    fetch(opened.url, {
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(session !== undefined && { "mcp-session-id": session }),
      },
      ...(method === "POST" && { body }),
    });
  const answered = async (session: string): Promise<number> => {
    const reply = await post(ping, session);
    await reply.text();
    return reply.status;
  };
  const first = await begin();
  expect(await answered(first)).toBe(200);
  expect(await answered("no-such-session")).toBe(404);
  expect((await post(ping)).status).toBe(400);
  expect((await post("", first, "DELETE")).status).toBe(200);
  expect(await answered(first)).toBe(404);
  const oldest = await begin();
  const used = await begin();
  for (let n = 0; n < limits.doorSessionsMax; n += 1) {
    await begin();
    expect(await answered(used)).toBe(200);
  }
  expect(await answered(oldest)).toBe(404);
});

test("DRT-5.3 a client that goes away while it is answered cancels its request", async () => {
  const client = await clientOf(opened.url, "auto");
  const { kernel } = opened.machine;
  const seen = (kind: string): Promise<unknown> =>
    new Promise((resolve) => {
      const stop = kernel.on((entry) => {
        if (entry.kind !== kind) return;
        stop();
        resolve(entry);
      });
    });
  const begun = seen("call");
  const outcome = seen("outcome");
  const hanging = client.callTool({ name: "rich__hang" });
  await begun;
  await client.close();
  await expect(hanging).rejects.toThrow();
  expect(await outcome).toMatchObject({ error: { errno: "ECANCELED" } });
});

test("DRT-1.5 an argument that goes into a header, too, is the same in both, or the call is not made", async () => {
  let calls = 0;
  const stop = opened.machine.kernel.on((entry) => {
    if (entry.kind === "call") calls += 1;
  });
  const call = async (region: string | null): Promise<number> => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
      "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
    };
    const params = { name: "rich__image", arguments: { region: "north" }, _meta };
    const reply = await fetch(opened.url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${credential}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "rich__image",
        ...(region !== null && { "mcp-param-region": region }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
    });
    await reply.text();
    return reply.status;
  };
  expect(await call("south")).toBe(400);
  expect(await call(null)).toBe(400);
  expect(calls).toBe(0);
  expect(await call("north")).toBe(200);
  expect(calls).toBe(1);
  stop();
});
