import { connect as connectTls, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { certificate, line, mine, opened, served, servedOverTls, tcp, type Line, type Opened } from "./rig.ts";

/** A tunnel that stands. */
async function tunnelled(door: Opened, host: string): Promise<Line> {
  const guest = await door.dial();
  guest.socket.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n${mine}\r\n`);
  await guest.until("200 Connection established\r\n\r\n");
  return guest;
}

function tls({ socket }: Line, servername: string): TLSSocket {
  socket.removeAllListeners("data");
  return connectTls({ socket, servername, ca: certificate.cert, checkServerIdentity: () => undefined });
}

const ended = (socket: TLSSocket): Promise<Error | null> =>
  new Promise((resolve) => socket.once("error", resolve).once("close", () => resolve(null)));

test("DRN-6.1 TLS to the host of the tunnel passes both ways", async () => {
  const port = await servedOverTls((request, response) => response.end(`${request.method} ${request.url}`));
  const door = await opened();
  const secure = tls(await tunnelled(door, `a.test:${port}`), "a.test");
  const answered = await line(secure);
  secure.write("GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
  await answered.closed;
  expect(answered.heard().toString()).toMatch(/ 200 OK.*GET \/x$/s);
  expect(door.journal()).toEqual([`CONNECT https://a.test:${port} allow ok`]);
});

test("DRN-6.3 another name, or none, ends the tunnel before a byte has left; TLS says why and the journal too", async () => {
  const heard: Buffer[] = [];
  const port = await tcp((socket) => socket.on("data", (piece: Buffer) => heard.push(piece)));
  const door = await opened();
  for (const name of ["b.test", ""]) {
    const error = await ended(tls(await tunnelled(door, `a.test:${port}`), name));
    expect(error?.message).toMatch(/unrecognized name/i);
  }
  expect(heard).toEqual([]);
  const refused = `CONNECT https://a.test:${port} deny EPERM`;
  expect(door.journal()).toEqual([`CONNECT https://a.test:${port} allow ok`, refused, refused]);
});

test("DRN-6.1 the case and the last dot of a name mean nothing", async () => {
  const port = await servedOverTls((_request, response) => response.end("fine"));
  const door = await opened();
  const secure = tls(await tunnelled(door, `A.TEST.:${port}`), "a.Test");
  await new Promise((resolve) => secure.once("secureConnect", resolve));
  secure.destroy();
});

test("DRN-6.1 a host that is an address is named by none", async () => {
  const port = await servedOverTls((_request, response) => response.end("fine"));
  const door = await opened();
  const secure = tls(await tunnelled(door, `127.0.0.1:${port}`), "");
  await new Promise((resolve) => secure.once("secureConnect", resolve));
  secure.destroy();
  expect((await ended(tls(await tunnelled(door, `127.0.0.1:${port}`), "a.test")))?.message).toMatch(/unrecognized name/i);
});

test("DRN-6.2 what is neither TLS nor HTTP does not leave, and is told in plain words", async () => {
  const heard: Buffer[] = [];
  const port = await tcp((socket) => socket.on("data", (piece: Buffer) => heard.push(piece)));
  const door = await opened({ bounds: { helloBytesMax: 500 } });
  for (const bytes of [Buffer.from("SSH-2.0-x\r\n"), Buffer.from([22, 3, 1, 63, 255, 1, 0, 60, 0, ...Buffer.alloc(600)])]) {
    const guest = await tunnelled(door, `a.test:${port}`);
    guest.socket.write(bytes);
    await guest.closed;
    expect(guest.heard().toString()).toMatch(/established\r\n\r\ndaimon refused: .*neither TLS nor HTTP/s);
  }
  expect(heard).toEqual([]);
  expect(door.journal()).toHaveLength(2);
});

test("DRN-6.5 HTTP in a tunnel is plain requests to its host, each decided on by its method, and refused in words", async () => {
  const seen: string[] = [];
  const port = await served((request, response) => response.end(String(seen.push(`${request.method} ${request.url}`))));
  const door = await opened({
    decide: ({ context }) => ({ verb: context["method"] === "POST" ? "deny" : "allow", rules: ["test#1"] }),
  });
  const guest = await tunnelled(door, `a.test:${port}`);
  const host = `Host: a.test:${port}\r\n`;
  guest.socket.write(`GET /one HTTP/1.1\r\n${host}\r\nGET`);
  await guest.until("200 OK");
  guest.socket.write(` /two HTTP/1.1\r\n${host}\r\n`);
  await guest.until("\r\n\r\n2");
  guest.socket.write(`POST /three HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`);
  await guest.until("daimon refused POST");
  await guest.closed;
  expect(seen).toEqual(["GET /one", "GET /two"]);
  const origin = `http://a.test:${port}`;
  expect(door.journal()).toEqual([
    `CONNECT ${origin.replace("http:", "https:")} allow ok`,
    `GET ${origin} allow ok`,
    `POST ${origin} deny EPERM`,
  ]);
});

test("DRN-6.5 inside a tunnel another host, an address in full and another tunnel are refused", async () => {
  const port = await served((_request, response) => response.end("fine"));
  const door = await opened();
  for (const request of [
    "GET / HTTP/1.1\r\nHost: b.test",
    `GET http://b.test/ HTTP/1.1\r\nHost: b.test`,
    `GET http://a.test:${port}/ HTTP/1.1\r\nHost: a.test:${port}`,
    `CONNECT b.test:443 HTTP/1.1\r\n${mine}X: y`,
    `OPTIONS * HTTP/1.1\r\nHost: a.test:${port}`,
  ]) {
    const guest = await tunnelled(door, `a.test:${request.startsWith("CONNECT") ? 80 : port}`);
    guest.socket.write(`${request}\r\n\r\n`);
    await guest.closed;
    expect(guest.heard().toString().split("\r\n\r\n").slice(1).join(), request).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect(door.journal()).toHaveLength(1);
});

test("DRN-6.5 a tunnel to port 80 stands at once, so that a refusal can be read; nothing but HTTP is taken from it", async () => {
  const door = await opened({ decide: () => ({ verb: "deny", rules: [] }) });
  const guest = await tunnelled(door, "a.test:80");
  expect(door.journal()).toEqual([]);
  guest.socket.write("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
  await guest.closed;
  expect(guest.heard().toString()).toMatch(/HTTP\/1\.1 403 .*daimon refused GET http:\/\/a\.test\/x: .*net\.connect\(a\.test\)/s);
  const other = await tunnelled(door, "a.test:80");
  other.socket.write(Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
  await other.closed;
  expect(other.heard().toString()).toMatch(/HTTP\/1\.1 400 /);
  expect([door.looked, door.journal()]).toEqual([[], ["GET http://a.test deny EPERM"]]);
});

test("DRN-6.2 bytes behind the request, in the same piece, are looked at like any", async () => {
  const heard: Buffer[] = [];
  const port = await tcp((socket) => socket.on("data", (piece: Buffer) => heard.push(piece)));
  const door = await opened();
  const said = await door.say(`CONNECT a.test:${port} HTTP/1.1\r\n${mine}\r\nEHLO b.test\r\n`);
  expect(said).toContain("neither TLS nor HTTP");
  expect(heard).toEqual([]);
});

test("DRN-6.2 a tunnel in which nothing is said, and one whose first message stays half, are closed after their time", async () => {
  const left = Promise.withResolvers<void>();
  const port = await tcp((socket) => socket.once("close", () => left.resolve()));
  const door = await opened({ bounds: { helloTimeoutMs: 1000 } });
  for (const bytes of [[], [22, 3, 1, 1, 0, 1]]) {
    const guest = await tunnelled(door, `a.test:${port}`);
    if (bytes.length > 0) guest.socket.write(Buffer.from(bytes));
    door.clock.advance(1001);
    await guest.closed;
  }
  await left.promise;
});

/** A tunnel after its first message, to a server that is the test's; the guest's own bytes follow as they are. */
async function through(door: Opened, port: number): Promise<Line> {
  const first = Promise.withResolvers<Buffer>();
  const listening = await tcp((socket) => socket.once("data", (piece: Buffer) => first.resolve(piece)));
  connectTls({ port: listening, host: "127.0.0.1", servername: "a.test" }).on("error", () => undefined);
  const guest = await tunnelled(door, `a.test:${port}`);
  guest.socket.write(await first.promise);
  return guest;
}

test("DRN-6.4 what was sent before one side's end arrives before the end does", async () => {
  const large = Buffer.alloc(3_000_000, "x");
  const port = await tcp((socket) => socket.once("data", () => socket.end(large)));
  const door = await opened();
  const guest = await through(door, port);
  guest.socket.pause();
  setImmediate(() => guest.socket.resume());
  await new Promise((resolve) => guest.socket.once("end", resolve));
  expect(guest.heard().length - guest.heard().indexOf("\r\n\r\n") - 4).toBe(large.length);
});

test("DRN-6.4 a guest that leaves, and a server that breaks, end the other side", async () => {
  const gone = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const port = await tcp((socket) => {
    socket.once("data", () => reached.resolve()).once("close", () => gone.resolve());
  });
  const door = await opened();
  const guest = await through(door, port);
  await reached.promise;
  guest.socket.destroy();
  await gone.promise;
  const breaks = await tcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await (
    await through(door, breaks)
  ).closed;
});

test("DRN-3.1 a tunnel and a guest have a bound in each direction, and the next request tells of it", async () => {
  const port = await tcp((socket) => socket.once("data", () => socket.write(Buffer.alloc(5000))));
  const door = await opened({ bounds: { downBytesMax: 4000, guestDownBytesMax: 6000 } });
  await (
    await through(door, port)
  ).closed;
  await (
    await through(door, port)
  ).closed;
  expect(await door.say(`CONNECT a.test:${port} HTTP/1.1\r\n${mine}\r\n`)).toMatch(
    /^HTTP\/1\.1 403 .*this guest has received 6000 bytes/s,
  );
  expect(door.journal().map((entry) => entry.split(" ").slice(2).join(" "))).toEqual(["allow ok", "deny EDQUOT", "deny EDQUOT"]);
});

test("DRN-3.1 so has what a guest sends", async () => {
  let bytes = 0;
  const port = await tcp((socket) => socket.on("data", (piece: Buffer) => (bytes += piece.length)));
  const door = await opened({ bounds: { upBytesMax: 10_000 } });
  const guest = await through(door, port);
  guest.socket.write(Buffer.alloc(50_000));
  await guest.closed;
  expect(bytes).toBeLessThanOrEqual(10_000);
});

test("DRN-3.2 a silent tunnel is closed after its time, and a busy one is not", async () => {
  const port = await tcp((socket) => socket.on("data", (piece: Buffer) => socket.write(piece)));
  const door = await opened({ bounds: { idleTimeoutMs: 1000 } });
  const guest = await through(door, port);
  for (const word of ["one", "two", "three"]) {
    guest.socket.write(word);
    await guest.until(word);
    door.clock.advance(700);
  }
  expect(guest.socket.destroyed).toBe(false);
  door.clock.advance(1001);
  await guest.closed;
});
