import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { ok } from "../../../src/lib/result.ts";
import { credential, mine, opened, served, servedOverTls, tcp } from "./rig.ts";

const to = (port: number, line: string, headers = "", body = ""): string =>
  `${line} HTTP/1.1\r\nHost: a.test:${port}\r\n${mine}${headers}Connection: close\r\n\r\n${body}`;

/** What the server was asked, and its body. */
async function recorded(answers: (request: IncomingMessage, body: string) => string | null = () => "fine") {
  const seen: { line: string; raw: readonly string[]; body: string }[] = [];
  const port = await served((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString("latin1")));
    request.on("end", () => {
      seen.push({ line: `${request.method} ${request.url}`, raw: request.rawHeaders, body });
      response.end(answers(request, body));
    });
  });
  return { port, seen };
}

test("DRN-7.1 a request goes on by its path, with the host of its address and its own headers; the credential stays", async () => {
  const { port, seen } = await recorded();
  const door = await opened();
  const headers =
    "Accept: x\r\nX-Two: 1\r\nX-Two: 2\r\nProxy-Connection: keep-alive\r\nUpgrade: websocket\r\nX-Forwarded-For: 10.0.0.1\r\n";
  expect(await door.say(to(port, `GET http://a.test:${port}/x/y?q=1`, headers))).toMatch(/^HTTP\/1\.1 200 OK\r\n.*fine$/s);
  const [asked] = seen;
  expect(asked?.line).toBe("GET /x/y?q=1");
  expect(asked?.raw).toEqual(["accept", "x", "x-two", "1", "x-two", "2", "host", `a.test:${port}`, "connection", "close"]);
  expect(JSON.stringify(seen)).not.toMatch(new RegExp(`${credential}|${Buffer.from(`daimon:${credential}`).toString("base64")}`));
});

test("DRN-7.3 bodies pass whole, with a length or in pieces, whatever the method", async () => {
  const { port, seen } = await recorded();
  const door = await opened();
  for (const method of ["POST", "PUT", "DELETE", "GET", "PATCH"]) {
    await door.say(to(port, `${method} http://a.test:${port}/`, "Content-Length: 5\r\n", "hello"));
    await door.say(
      to(port, `${method} http://a.test:${port}/`, "Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
    );
  }
  await door.say(to(port, `POST http://a.test:${port}/`));
  expect(seen.map(({ body }) => body)).toEqual([...Array.from({ length: 10 }, () => "hello"), ""]);
  for (const { raw } of seen) {
    const names = raw.filter((_text, n) => n % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => name === "content-length" || name === "transfer-encoding").length).toBeLessThan(2);
  }
});

test("DRN-7.1 what is hidden in a body is a body, and not a second request", async () => {
  const { port, seen } = await recorded();
  const door = await opened();
  const hidden = `GET /secret HTTP/1.1\r\nHost: a.test:${port}\r\n\r\n`;
  await door.say(
    to(
      port,
      `DELETE http://a.test:${port}/`,
      "Transfer-Encoding: chunked\r\n",
      `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ),
  );
  await door.say(to(port, `GET http://a.test:${port}/`, `Content-Length: ${hidden.length}\r\n`, hidden));
  expect(seen.map(({ line }) => line)).toEqual(["DELETE /", "GET /"]);
});

test("DRN-7.3 an answer passes with its headers, and those of the connection stay behind", async () => {
  const port = await served((_request, response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("connection", "x-gone");
    response.setHeader("x-gone", "1");
    response.setHeader("proxy-authenticate", "Basic");
    response.statusCode = 404;
    response.statusMessage = "Not Here";
    response.end("body");
  });
  const door = await opened();
  const answered = await door.say(to(port, `GET http://a.test:${port}/`));
  expect(answered).toMatch(/^HTTP\/1\.1 404 Not Here\r\n/);
  expect(answered.match(/set-cookie: ./g)).toHaveLength(2);
  expect(answered).not.toMatch(/x-gone|proxy-auth/i);
});

test("DRN-7.3 DRN-3.1 a body that says it is too large is refused before anything is sent, one that does not is cut off", async () => {
  const connections: string[] = [];
  const port = await tcp((socket) => {
    connections.push("one");
    socket.resume();
  });
  const door = await opened({ bounds: { upBytesMax: 1000 } });
  const said = await door.say(to(port, `POST http://a.test:${port}/`, "Content-Length: 1001\r\n"));
  expect(said).toMatch(/^HTTP\/1\.1 413 .*at most 1000 bytes, and this one says 1001/s);
  expect([connections, door.looked]).toEqual([[], []]);
  const pieces = `400\r\n${"x".repeat(1024)}\r\n`;
  const endless = await door.say(to(port, `POST http://a.test:${port}/`, "Transfer-Encoding: chunked\r\n", pieces));
  expect(endless).toMatch(/^HTTP\/1\.1 403 .*one connection has sent 1000 bytes/s);
  expect(door.journal()).toEqual([`POST http://a.test:${port} allow ok`, `POST http://a.test:${port} deny EDQUOT`]);
});

test("DRN-3.1 an answer without an end is cut off at its bound, and a guest that took all it may is told so", async () => {
  const port = await served((_request, response) => {
    const more = (): void => {
      while (response.write("x".repeat(1000)));
      response.once("drain", more);
    };
    more();
  });
  const door = await opened({ bounds: { downBytesMax: 5000, guestDownBytesMax: 8000 } });
  const first = await door.say(to(port, `GET http://a.test:${port}/`));
  expect(first.length).toBeLessThan(10_000);
  expect(first).not.toMatch(/0\r\n\r\n$/);
  await door.say(to(port, `GET http://a.test:${port}/`));
  expect(await door.say(to(port, `GET http://a.test:${port}/`))).toMatch(/^HTTP\/1\.1 403 .*this guest has received 8000 bytes/s);
});

test("DRN-3.2 a server that falls silent is given up, before its answer and in the middle of it", async () => {
  const port = await served((request, response) => {
    if (request.url === "/begun") response.write("begun");
  });
  const door = await opened({ bounds: { idleTimeoutMs: 1000 } });
  const begun = await door.dial();
  begun.socket.write(to(port, `GET http://a.test:${port}/begun`));
  await begun.until("begun");
  door.clock.advance(1001);
  await begun.closed;
  expect(begun.heard().toString()).not.toMatch(/0\r\n\r\n$/);
  const asked = Promise.withResolvers<void>();
  const silentPort = await served(() => asked.resolve());
  const silent = door.say(to(silentPort, `GET http://a.test:${silentPort}/`));
  await asked.promise;
  door.clock.advance(1001);
  expect(await silent).toMatch(/^HTTP\/1\.1 504 /);
});

test("DRN-7.4 an answer that breaks off is broken, and what is no HTTP is told to be", async () => {
  const door = await opened();
  const short = await tcp((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")));
  const cut = await door.dial();
  cut.socket.write(`GET http://a.test:${short}/ HTTP/1.1\r\nHost: a.test:${short}\r\n${mine}\r\n`);
  await cut.closed;
  expect(cut.heard().toString()).toMatch(/content-length: 10\r\n.*half$/s);
  for (const answer of [
    "SSH-2.0-x\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    `HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}\r\n\r\n`,
    "",
    "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
  ]) {
    const port = await tcp((socket) => socket.once("data", () => socket.end(answer)));
    expect(await door.say(to(port, `GET http://a.test:${port}/`)), answer.slice(0, 40)).toMatch(/^HTTP\/1\.1 502 /);
  }
});

test("DRN-7.4 a guest that leaves ends its request, while it sends and while it reads", async () => {
  const door = await opened();
  for (const begin of [true, false]) {
    const gone = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const port = await served((request, response) => {
      request.on("error", () => undefined);
      if (begin) response.write("begun");
      request.socket.once("close", () => gone.resolve());
      reached.resolve();
    });
    const { socket } = await door.dial();
    socket.write(to(port, `POST http://a.test:${port}/`, "Content-Length: 1000\r\n", "some"));
    await reached.promise;
    socket.destroy();
    await gone.promise;
  }
});

test("DRN-7.2 a host with a credential is asked over TLS with that, whatever the guest put there; no other host gets it", async () => {
  const seen: (string | undefined)[] = [];
  const port = await servedOverTls((request, response) => {
    seen.push(request.headers.authorization);
    response.end("private");
  });
  const { port: plainPort, seen: plainSeen } = await recorded();
  const door = await opened({
    credentialFor: (host) => ok(host === "a.test" ? { header: "Authorization", value: "Bearer hunter2" } : null),
  });
  const asked = to(port, `GET http://a.test:${port}/`, "Authorization: Bearer mine\r\n");
  expect(await door.say(asked)).toMatch(/ 200 OK.*private$/s);
  expect(seen).toEqual(["Bearer hunter2"]);
  const other = `GET http://b.test:${plainPort}/ HTTP/1.1\r\nHost: b.test:${plainPort}\r\n${mine}Authorization: Bearer mine\r\nConnection: close\r\n\r\n`;
  expect(await door.say(other)).toMatch(/ 200 OK/);
  expect(plainSeen[0]?.raw).toEqual(["authorization", "Bearer mine", "host", `b.test:${plainPort}`, "connection", "close"]);
  expect(door.journal()).toEqual([`GET https://a.test:${port} allow ok`, `GET http://b.test:${plainPort} allow ok`]);
  expect(JSON.stringify(door.journal())).not.toContain("hunter2");
});

test("DRN-7.2 a server that cannot prove to be the host gets nothing, and neither does one without TLS", async () => {
  const heard: string[] = [];
  const port = await servedOverTls((_request, response) => response.end(String(heard.push("request"))));
  const bare = await tcp((socket) =>
    socket.on("data", (piece) => void heard.push(piece.toString("latin1"))).once("data", () => socket.end("no")),
  );
  const door = await opened({ credentialFor: () => ok({ header: "X-Key", value: "hunter2" }) });
  for (const [host, at] of [
    ["c.test", port],
    ["a.test", bare],
  ] as const) {
    const asked = `GET http://${host}:${at}/ HTTP/1.1\r\nHost: ${host}:${at}\r\n${mine}Connection: close\r\n\r\n`;
    expect(await door.say(asked), host).toMatch(/^HTTP\/1\.1 502 .*cannot be reached/s);
  }
  expect(heard.join()).not.toMatch(/hunter2|request/);
});
