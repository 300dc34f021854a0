import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { Client } from "undici";
import { expect, test } from "vitest";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { exchange, type ExchangeRequest } from "../../../src/drivers/net/exchange.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function served(handler: Handler, body: (client: Client, request: ExchangeRequest) => Promise<void>): Promise<void> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new Client(origin);
  try {
    await body(client, { ...plain, origin });
  } finally {
    await client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const plain: ExchangeRequest = {
  origin: "",
  method: "POST",
  path: "/",
  headers: ["x-a", "b"],
  body: "hello",
  headersTimeoutMs: 1_000,
  idleTimeoutMs: 2_000,
  totalTimeoutMs: 5_000,
  bytesMax: 10_000,
  truncate: false,
  signal: null,
  sink: null,
};

const settle = async (): Promise<void> => {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

test("NET-1.4 a whole answer arrives with its status, headers and body", async () => {
  const echo: Handler = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () =>
      response
        .writeHead(201, { "X-Two": ["a", "b"] })
        .end(`${String(request.headers["x-a"])} ${Buffer.concat(chunks).toString()}`),
    );
  };
  await served(echo, async (client, request) => {
    const result = await exchange(client, request, systemClock());
    if (!result.ok) throw new Error(result.error.why);
    expect(result.value).toMatchObject({ status: 201, streamed: false, truncated: false });
    expect(result.value.headers["x-two"]).toBe("a, b");
    expect(result.value.body.toString()).toBe("b hello");
  });
});

test("NET-1.1 an answer that does not begin ends as a timeout, when its time is over and not before", async () => {
  let arrived = (): void => undefined;
  const here = new Promise<void>((resolve) => (arrived = resolve));
  await served(
    () => arrived(),
    async (client, request) => {
      const clock = new FakeClock(0);
      let over = false;
      const running = exchange(client, request, clock).finally(() => (over = true));
      await here;
      clock.advance(999);
      await settle();
      expect(over).toBe(false);
      clock.advance(1);
      expect(await running).toMatchObject({
        ok: false,
        error: { kind: "timeout", started: false, why: expect.stringContaining("did not begin") as string },
      });
    },
  );
});

test("NET-1.1 an answer that falls silent, or never ends, is a timeout that says so", async () => {
  const beginAndStall: Handler = (_request, response) => void response.writeHead(200).write("begun");
  await served(beginAndStall, async (client, request) => {
    for (const [patch, why] of [
      [{ idleTimeoutMs: 2_000, totalTimeoutMs: 50_000 }, "fell silent"],
      [{ idleTimeoutMs: 90_000, totalTimeoutMs: 50_000 }, "not complete"],
    ] as const) {
      const clock = new FakeClock(0);
      let over = false;
      const running = exchange(client, { ...request, ...patch, sink: null }, clock).finally(() => (over = true));
      for (let n = 0; n < 200 && !over; n += 1) {
        await settle();
        clock.advance(n < 50 ? 0 : 1_000);
      }
      expect(await running).toMatchObject({
        ok: false,
        error: { kind: "timeout", started: true, why: expect.stringContaining(why) as string },
      });
    }
  });
});

test("NET-1.2 a bomb ends at the bound of its decoded size", async () => {
  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
  await served(
    (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(bomb),
    async (client, request) => {
      expect(await exchange(client, request, systemClock())).toMatchObject({ ok: false, error: { kind: "too-large" } });
      const cut = await exchange(client, { ...request, truncate: true }, systemClock());
      expect(cut).toMatchObject({ ok: true, value: { truncated: true } });
      if (cut.ok) expect(cut.value.body.length).toBe(10_000);
    },
  );
});

test("NET-1.2 an answer exactly at its bound is whole", async () => {
  await served(
    (_request, response) => void response.end(Buffer.alloc(10_000)),
    async (client, request) => {
      for (const truncate of [true, false]) {
        const result = await exchange(client, { ...request, truncate }, systemClock());
        expect(result).toMatchObject({ ok: true, value: { truncated: false } });
      }
    },
  );
});

test("NET-1.3 an aborted request ends at once: before, while it waits for a connection, and in the middle", async () => {
  await served(
    (_request, response) => void response.writeHead(200).write("begun"),
    async (client, request) => {
      const ended = { ok: false, error: { kind: "aborted" } };
      expect(await exchange(client, { ...request, signal: AbortSignal.abort() }, systemClock())).toMatchObject(ended);
      const first = new AbortController();
      const second = new AbortController();
      const running = exchange(client, { ...request, signal: first.signal }, systemClock());
      const waiting = exchange(client, { ...request, signal: second.signal }, systemClock());
      second.abort();
      expect(await waiting).toMatchObject(ended);
      first.abort();
      expect(await running).toMatchObject(ended);
    },
  );
});

test("NET-1.3 a request aborted while it waits is never sent", async () => {
  const held: ServerResponse[] = [];
  const paths: (string | undefined)[] = [];
  let arrived = (): void => undefined;
  const here = new Promise<void>((resolve) => (arrived = resolve));
  const hold: Handler = (request, response) => {
    paths.push(request.url);
    if (request.url !== "/first") return void response.end();
    held.push(response);
    arrived();
  };
  await served(hold, async (client, request) => {
    const abort = new AbortController();
    const first = exchange(client, { ...request, path: "/first" }, systemClock());
    const second = exchange(client, { ...request, path: "/second", signal: abort.signal }, systemClock());
    const third = exchange(client, { ...request, path: "/third" }, systemClock());
    await here;
    abort.abort();
    held[0]?.end();
    await Promise.all([first, second, third]);
    expect(paths).toEqual(["/first", "/third"]);
  });
});

test("NET-1.4 an answer that ends early, cannot be decoded or is no HTTP is broken", async () => {
  const cases: readonly [Handler, string][] = [
    [
      (_request, response) => void response.writeHead(200, { "content-length": "100" }).write("short", () => response.destroy()),
      "broken",
    ],
    [(_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end("not gzip"), "broken"],
    [
      (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("whole").subarray(0, 12)),
      "broken",
    ],
    [(_request, response) => void response.socket?.end("SMTP ready\r\n\r\n"), "broken"],
    [(_request, response) => void response.socket?.destroy(), "unreachable"],
  ];
  for (const [handler, kind] of cases) {
    await served(handler, async (client, request) => {
      expect(await exchange(client, request, systemClock())).toMatchObject({ ok: false, error: { kind } });
    });
  }
});

test("NET-1.4 nobody there is unreachable", async () => {
  const client = new Client("http://127.0.0.1:1");
  const result = await exchange(client, { ...plain, origin: "http://127.0.0.1:1" }, systemClock());
  expect(result).toMatchObject({
    ok: false,
    error: { kind: "unreachable", why: expect.stringContaining("connection refused") as string },
  });
  await client.destroy();
});
