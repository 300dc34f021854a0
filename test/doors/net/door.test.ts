import { expect, test } from "vitest";
import type { PolicyRequest } from "../../../src/abi/policy.ts";
import { fail } from "../../../src/abi/errno.ts";
import { answer } from "../../kernel/answer.ts";
import { settled } from "../../kernel/settled.ts";
import { credential, mine, opened, served, type Opened } from "./rig.ts";

const basic = (text: string): string => `Proxy-Authorization: Basic ${Buffer.from(text).toString("base64")}\r\n`;

/** One request on a connection of its own; gives status and body. */
async function get({ say }: Opened, url: string, headers = mine, method = "GET"): Promise<string> {
  const answered = await say(`${method} ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${headers}Connection: close\r\n\r\n`);
  return `${answered.slice(9, 12)} ${answered.slice(answered.indexOf("\r\n\r\n") + 4)}`;
}

const only =
  (host: string) =>
  ({ context }: PolicyRequest) =>
    context["host"] === host ? ({ verb: "allow", rules: ["test#1"] } as const) : ({ verb: "deny", rules: [] } as const);

test("DRN-8.1 another guest's credential, a wrong one and none are one refusal, and nothing is looked up or journaled", async () => {
  const door = await opened();
  const answers = new Set<string>();
  for (const headers of [
    "",
    basic("daimon:dmn_other"),
    basic(`daimon${credential}`),
    basic("daimon:"),
    mine + mine,
    mine.replace("Basic", "Bearer"),
    basic(`daimon:${credential} `),
  ]) {
    for (const target of ["GET http://a.test/ HTTP/1.1\r\nHost: a.test", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443"]) {
      const text = await door.say(`${target}\r\n${headers}Connection: close\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 407 /);
      expect(text.toLowerCase()).toContain('proxy-authenticate: basic realm="daimon"');
      answers.add(text.slice(text.indexOf("\r\n\r\n")));
    }
  }
  expect(answers.size).toBe(1);
  expect([door.looked, door.journal()]).toEqual([[], []]);
});

test("DRN-8.2 what can be read in two ways is refused before anything is decided", async () => {
  const door = await opened();
  for (const request of [
    `GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n${mine}`,
    `GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n${mine}`,
    `GET / HTTP/1.1\r\nHost: a.test\r\n${mine}`,
    `CONNECT a.test:443/x HTTP/1.1\r\nHost: a.test:443\r\n${mine}`,
    `CONNECT a.test:443 HTTP/1.1\r\nHost: b.test:443\r\n${mine}`,
    `POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${mine}`,
    `POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n${mine}`,
    `POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n${mine}`,
    `GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nX: a\r\n folded: b\r\nContent-Length: 1\r\nContent-Length: 2\r\n${mine}`,
    `TRACE http://a.test/ HTTP/1.1\r\nHost: a.test\r\n${mine}`,
    `nonsense\r\n`,
  ])
    expect(await door.say(`${request}Connection: close\r\n\r\n`), request).toMatch(/^HTTP\/1\.1 400 /);
  expect([door.looked, door.journal()]).toEqual([[], []]);
});

test("DRN-8.3 long headers, slow headers and too many connections are told so", async () => {
  const door = await opened({ bounds: { headerBytesMax: 4096, headersTimeoutMs: 60, connectionsMax: 2 } });
  expect(await door.say(`GET http://a.test/ HTTP/1.1\r\nX: ${"x".repeat(8000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  const slow = await door.dial();
  slow.socket.write("GET http://a.test/ HTTP/1.1\r\nHost: a");
  await slow.closed;
  expect(slow.heard().toString()).toMatch(/^HTTP\/1\.1 408 /);
});

test("DRN-8.3 beyond its connections a guest is told to wait, and the others go on", async () => {
  const door = await opened({ bounds: { connectionsMax: 2 } });
  const port = await served((_request, response) => response.write("begun"));
  const request = `GET http://a.test:${port}/ HTTP/1.1\r\nHost: a.test:${port}\r\n${mine}\r\n`;
  const lines = [await door.dial(), await door.dial()];
  for (const { socket, until } of lines) {
    socket.write(request);
    await until("begun");
  }
  expect(await get(door, `http://a.test:${port}/`)).toMatch(/^429 .*at most 2 connections/s);
  lines[0]?.socket.destroy();
  await lines[0]?.closed;
  expect(lines[1]?.socket.destroyed).toBe(false);
});

test("DRN-8.4 after what is not understood the door answers the next", async () => {
  const door = await opened({ decide: () => ({ verb: "deny", rules: [] }) });
  for (const bytes of [
    Buffer.from([0, 1, 2, 255, 10, 13, 10]),
    Buffer.from("\r\n\r\n\r\nGET"),
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  ]) {
    const { socket } = await door.dial();
    socket.end(bytes);
  }
  expect(await get(door, "http://a.test/")).toMatch(/^403 /);
});

test("DRN-8.5 closing ends what is under way and what waits for a person, and a guest that has ended reaches nothing", async () => {
  const door = await opened({
    decide: ({ context }) => ({ verb: context["host"] === "b.test" ? "ask" : "allow", rules: ["test#1"] }),
  });
  const left = new Promise<void>((resolve) => {
    void served((_request, response) => {
      response.write("begun");
      response.once("close", () => resolve());
    }).then(async (port) => {
      const begun = await door.dial();
      begun.socket.write(`GET http://a.test:${port}/ HTTP/1.1\r\nHost: a.test:${port}\r\n${mine}\r\n`);
      await begun.until("begun");
      const waits = await door.dial();
      waits.socket.write(`CONNECT b.test:443 HTTP/1.1\r\n${mine}\r\n`);
      await settled(door.machine, door.guest.pid, "parked");
      await door.door.close();
      await Promise.all([begun.closed, waits.closed]);
    });
  });
  await left;
});

test("DRN-8.5 a guest that was ended is refused, whatever it was allowed before", async () => {
  const port = await served((_request, response) => response.end("public"));
  const door = await opened();
  expect(await get(door, `http://a.test:${port}/`)).toBe("200 public");
  door.machine.kernel.signal(door.guest.pid, "kill", "test");
  expect(await get(door, `http://a.test:${port}/`)).toMatch(/^503 .*was ended/s);
  expect(door.looked).toHaveLength(1);
});

test("DRN-5.1 a refusal says what, why and what a person could add; a rule that forbids is named and nothing is proposed", async () => {
  const door = await opened({ decide: ({ context }) => ({ verb: "deny", rules: context["host"] === "b.test" ? ["no#1"] : [] }) });
  const nothing = await door.say(`CONNECT a.test:8443 HTTP/1.1\r\n${mine}\r\n`);
  expect(nothing).toMatch(/^HTTP\/1\.1 403 daimon: net\.connect was refused: no rule permits this external call\r\n/);
  expect(nothing).toContain("daimon refused a tunnel to a.test:8443: net.connect was refused");
  expect(nothing).toContain("add net.connect(a.test:8443) to policy.allow");
  expect(await get(door, "http://a.test/x")).toMatch(
    /^403 daimon refused GET http:\/\/a\.test\/x: .*add net\.connect\(a\.test\) to policy\.allow/s,
  );
  const forbidden = await get(door, "http://b.test/");
  expect(forbidden).toContain("rule no#1 of the project policy forbids it");
  expect(forbidden).not.toContain("policy.allow");
  expect(door.looked).toEqual([]);
  expect(door.journal()).toEqual([
    "CONNECT https://a.test:8443 deny EPERM",
    "GET http://a.test deny EPERM",
    "GET http://b.test deny EPERM",
  ]);
});

test("DRN-5.2 what is forbidden is 403, what cannot be reached 502, and a missing credential 407", async () => {
  const door = await opened({
    resolve: (host) => (host === "gone.test" ? [] : ["10.0.0.1"]),
    decide: ({ context }) => ({ verb: context["host"] === "no.test" ? "deny" : "allow", rules: [] }),
  });
  const status = async (url: string, headers?: string): Promise<string> => (await get(door, url, headers)).slice(0, 3);
  expect(await status("http://no.test/")).toBe("403");
  expect(await status("http://private.test/")).toBe("403");
  expect(await status("http://gone.test/")).toBe("502");
  expect(await status("http://no.test/", "")).toBe("407");
});

test("DRN-5.1 a refusal holds no line of the guest's own, and no host path", async () => {
  const door = await opened({ credentialFor: () => fail("ENOENT", "KEY is not set", "/home/me") });
  const text = await door.say(`GET http://a.test/%0d%0ax HTTP/1.1\r\nHost: a.test\r\n${mine}\r\n`);
  expect(text).toMatch(/^HTTP\/1\.1 502 daimon: KEY is not set\r\n/);
  expect(text).not.toContain("/home/me");
});

test("DRN-4.1 a destination is decided on once, however many connections ask at the same time, and each method by itself", async () => {
  const port = await served((_request, response) => response.end("public"));
  const door = await opened({ decide: only("a.test") });
  const [a, b] = [`http://a.test:${port}/`, "http://b.test/"];
  const all = await Promise.all([
    ...Array.from({ length: 20 }, () => get(door, a)),
    ...Array.from({ length: 20 }, () => get(door, b)),
  ]);
  expect(new Set(all.slice(0, 20))).toEqual(new Set(["200 public"]));
  expect(new Set(all.slice(20)).size).toBe(1);
  expect(await get(door, a, mine, "POST")).toBe("200 public");
  expect(door.journal()).toEqual([
    `GET http://a.test:${port} allow ok`,
    "GET http://b.test deny EPERM",
    `POST http://a.test:${port} allow ok`,
  ]);
});

test("DRN-4.1 a person is asked once; their yes and their no hold", async () => {
  const port = await served((_request, response) => response.end("public"));
  const door = await opened({ decide: () => ({ verb: "ask", rules: ["test#1"] }) });
  const [yes, no] = [`http://a.test:${port}/`, `http://b.test:${port}/`];
  const asked = [get(door, yes), get(door, yes)];
  await settled(door.machine, door.guest.pid, "parked");
  answer(door.machine.kernel, door.guest.pid, { allow: true });
  expect(await Promise.all(asked)).toEqual(["200 public", "200 public"]);
  const refused = get(door, no);
  await settled(door.machine, door.guest.pid, "parked");
  answer(door.machine.kernel, door.guest.pid, { allow: false, text: "not there" });
  expect(await refused).toMatch(/^403 .*not there/s);
  expect([await get(door, yes), await get(door, no)]).toEqual(["200 public", await refused]);
  expect(door.journal()).toHaveLength(2);
});

test("DRN-4.2 when policy would decide otherwise by now, it is asked again", async () => {
  const port = await served((_request, response) => response.end("public"));
  const allowed = { host: "a.test" };
  const door = await opened({ decide: (request) => only(allowed.host)(request) });
  expect(await get(door, `http://a.test:${port}/`)).toBe("200 public");
  allowed.host = "nobody";
  expect(await get(door, `http://a.test:${port}/`)).toMatch(/^403 /);
  expect(door.journal().map((line) => line.split(" ").at(-1))).toEqual(["ok", "EPERM"]);
});

test("DRN-4.2 a yes that was given before the guest read untrusted text elsewhere is asked for again", async () => {
  const port = await served((_request, response) => response.end("public"));
  const door = await opened({ decide: () => ({ verb: "ask", rules: ["test#1"] }) });
  const first = get(door, `http://a.test:${port}/`);
  await settled(door.machine, door.guest.pid, "parked");
  answer(door.machine.kernel, door.guest.pid, { allow: true });
  expect(await first).toBe("200 public");
  const proc = door.machine.kernel.recorder.table.procs.get(door.guest.pid);
  if (proc === undefined) throw new Error("no guest");
  proc.label = { ...proc.label, confidentiality: "secret" };
  const again = get(door, `http://a.test:${port}/`);
  await settled(door.machine, door.guest.pid, "parked");
  answer(door.machine.kernel, door.guest.pid, { allow: false, text: "no more" });
  expect(await again).toMatch(/^403 .*no more/s);
});

test("DRN-4.3 a name that stands for a public address first and a private one then is refused, and once in the journal", async () => {
  const port = await served((_request, response) => response.end("public"));
  const addresses = [["127.0.0.1"], ["10.0.0.7"], ["127.0.0.1", "169.254.169.254"], ["::ffff:192.168.0.1"], ["10.0.0.7"]];
  const door = await opened({ resolve: () => addresses.shift() ?? [] });
  expect(await get(door, `http://a.test:${port}/`)).toBe("200 public");
  for (const [why] of [["private"], ["link-local"], ["IPv4 address inside IPv6"], ["private"]]) {
    const refused = await get(door, `http://a.test:${port}/`);
    expect(refused).toMatch(/^403 /);
    expect(refused).toContain(why);
  }
  const [first, ...refusals] = door.journal();
  expect(first).toBe(`GET http://a.test:${port} allow ok`);
  expect(refusals).toEqual(Array.from({ length: 3 }, () => `GET http://a.test:${port} deny EPERM`));
});

test("DRN-4.3 what policy permits is not reached where its address is this machine's network", async () => {
  const door = await opened({ resolve: (host) => (host === "meta.test" ? ["169.254.169.254"] : ["8.8.8.8", "fd00::1"]) });
  for (const url of [
    "http://meta.test/",
    "http://both.test/",
    "http://10.0.0.1/",
    "http://[fe80::1]/",
    "http://0.0.0.0/",
    "http://[::ffff:10.0.0.1]/",
  ])
    expect(await get(door, url), url).toMatch(/^403 .*only public addresses/s);
  expect(new Set(door.journal().map((line) => line.split(" ").slice(2).join(" ")))).toEqual(new Set(["allow EPERM"]));
});

test("DRN-4.4 a name that nobody knows is not looked up again at once, and is one line until it is", async () => {
  const door = await opened({ resolve: () => [], bounds: { retryMs: 1000 } });
  for (let n = 0; n < 5; n += 1) expect(await get(door, "http://gone.test/")).toMatch(/^502 .*has no address/s);
  expect([door.looked.length, door.journal()]).toEqual([1, ["GET http://gone.test allow ENOENT"]]);
  door.clock.advance(1001);
  await get(door, "http://gone.test/");
  expect([door.looked.length, door.journal().length]).toEqual([2, 2]);
});

test("DRN-4.5 beyond its destinations a guest is refused without a call, and those it has go on", async () => {
  const door = await opened({ bounds: { destinationsMax: 2 }, decide: () => ({ verb: "deny", rules: [] }) });
  await get(door, "http://a.test/");
  await get(door, "http://b.test/");
  expect(await get(door, "http://c.test/")).toMatch(/^403 .*2 destinations/s);
  expect(await get(door, "http://a.test/")).toMatch(/^403 .*no rule permits/s);
  expect(door.journal()).toHaveLength(2);
});
