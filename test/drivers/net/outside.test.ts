import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { openOutside } from "../../../src/drivers/net/outside.ts";

const never = new AbortController().signal;

async function server(): Promise<{ readonly port: number; readonly hits: () => number; close(): void }> {
  let hits = 0;
  const listening = createServer((socket) => {
    hits += 1;
    socket.on("error", () => undefined).end("hello");
  });
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return { port: (listening.address() as AddressInfo).port, hits: () => hits, close: () => listening.close() };
}

test("NET-6.1 a name is resolved once, every address is checked, and the connection goes to what was checked", async () => {
  const { port, hits, close } = await server();
  const looked: string[] = [];
  const answers = [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], []];
  const clock = new FakeClock(0);
  const outside = openOutside({
    clock,
    allowLoopback: true,
    resolve: async (host) => {
      looked.push(host);
      return answers.shift() ?? [];
    },
  });
  const url = new URL("https://a.test");
  const addresses = await outside.locate(url);
  expect(addresses).toEqual({ ok: true, value: ["127.0.0.1"] });
  const way = { host: "a.test", port, addresses: ["127.0.0.1"], secure: false };
  const socket = await outside.connect(way, never);
  if (!socket.ok) throw new Error(socket.error.message);
  await new Promise((resolve) => socket.value.once("data", resolve));
  socket.value.destroy();
  expect([looked, hits()]).toEqual([["a.test"], 1]);
  expect(await outside.locate(url)).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  expect(await outside.locate(url)).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  expect(await outside.locate(url)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
  close();
});

test("NET-6.1 an address that was not checked is not connected to, whoever hands it over", async () => {
  const { port, hits, close } = await server();
  const outside = openOutside({ clock: new FakeClock(0) });
  for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "localhost", "10.1.2.3"]) {
    const way = { host: "a.test", port, addresses: ["8.8.8.8", address], secure: false };
    expect(await outside.connect(way, never), address).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  }
  expect(hits()).toBe(0);
  close();
});

test("NET-6.2 a name and an address that do not answer are given up after their time, and when nobody waits any more", async () => {
  const clock = new FakeClock(0);
  const outside = openOutside({ clock, allowLoopback: true, resolve: () => new Promise(() => undefined) });
  const lost = outside.locate(new URL("https://slow.test"));
  clock.advance(10_000);
  expect(await lost).toMatchObject({
    ok: false,
    error: { errno: "ETIMEDOUT", message: expect.stringContaining("slow.test") as string },
  });
  const { port, close } = await server();
  close();
  const way = { host: "a.test", port, addresses: ["127.0.0.1"], secure: false };
  expect(await outside.connect(way, never)).toMatchObject({
    ok: false,
    error: { errno: "EIO", message: expect.stringContaining("nothing listens there") as string },
  });
  expect(await outside.connect(way, AbortSignal.abort())).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
});

test("NET-6.2 NET-6.3 a server that begins no TLS is given up after its time", async () => {
  const clock = new FakeClock(0);
  const reached = Promise.withResolvers<void>();
  const silent = createServer((socket) => void socket.on("error", () => undefined).once("data", () => reached.resolve()));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const outside = openOutside({ clock, allowLoopback: true });
  const way = { host: "a.test", port: (silent.address() as AddressInfo).port, addresses: ["127.0.0.1"], secure: true };
  const opening = outside.connect(way, never);
  await reached.promise;
  clock.advance(15_000);
  expect(await opening).toMatchObject({ ok: false, error: { errno: "ETIMEDOUT" } });
  silent.close();
});

test("NET-6.3 nobody is believed to be a host without its certificate", async () => {
  const { port, close } = await server();
  const outside = openOutside({ clock: new FakeClock(0), allowLoopback: true });
  const way = { host: "a.test", port, addresses: ["127.0.0.1"], secure: true };
  expect(await outside.connect(way, never)).toMatchObject({ ok: false, error: { errno: "EIO" } });
  close();
});
