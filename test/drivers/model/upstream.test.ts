/** The provider's side of the model door, against real HTTP servers. */
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcp, type AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { Pool } from "undici";
import { expect, test } from "vitest";
import type { SysError } from "../../../src/abi/errno.ts";
import type { Upstream, UpstreamRequest } from "../../../src/abi/upstream.ts";
import { httpUpstream } from "../../../src/drivers/model/upstream.ts";
import type { Result } from "../../../src/lib/result.ts";

async function served(handler: RequestListener, work: (upstream: Upstream) => Promise<void>): Promise<void> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    await work(upstreamOn(pool, (server.address() as AddressInfo).port));
  } finally {
    await pool.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function upstreamOn(pool: Pool, port: number, timeoutMs?: number): Upstream {
  return httpUpstream({
    name: "anthropic",
    baseUrl: new URL(`http://127.0.0.1:${port}/base/v1`),
    headers: ["x-api-key", "sk-real"],
    pool,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

interface Seen {
  status: number;
  headers: Readonly<Record<string, string | readonly string[]>>;
  body: string;
  ended: Result<void, SysError>;
}

const plain: UpstreamRequest = {
  method: "POST",
  path: "/messages?beta=true",
  headers: [],
  body: Buffer.from('{"model":"m"}'),
  bytes: 13,
};

async function send(upstream: Upstream, request: Partial<UpstreamRequest> = {}): Promise<Seen> {
  const seen: Omit<Seen, "ended"> = { status: 0, headers: {}, body: "" };
  const exchange = upstream.send(
    { ...plain, ...request },
    {
      head: (status, headers) => Object.assign(seen, { status, headers }),
      data: (chunk) => {
        seen.body += Buffer.from(chunk).toString();
        return true;
      },
    },
  );
  return { ...seen, ended: await exchange.ended, body: seen.body, status: seen.status, headers: seen.headers };
}

async function bodyOf(request: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("UPS-1.1 a request goes on with its own headers and the provider's key, and without what is the guest's alone", async () => {
  let got: { headers: IncomingHttpHeaders; url: string | undefined; body: string } | null = null;
  const handler = async (request: Parameters<RequestListener>[0], response: ServerResponse): Promise<void> => {
    got = { headers: request.headers, url: request.url, body: await bodyOf(request) };
    response.end("{}");
  };
  await served(
    (request, response) => void handler(request, response),
    async (upstream) => {
      const headers = [
        ...[
          "Anthropic-Beta",
          "a,b",
          "anthropic-version",
          "2023-06-01",
          "X-Claude-Code-Session-Id",
          "s",
          "user-agent",
          "claude-cli/2",
        ],
        ...["X-API-Key", "guest", "Authorization", "Bearer guest", "Cookie", "c=guest", "Host", "guest", "Connection", "close"],
        ...["Content-Length", "999", "Transfer-Encoding", "chunked", "Accept-Encoding", "gzip", "X-Forwarded-For", "guest"],
      ];
      const { ended } = await send(upstream, { headers });
      expect(ended.ok).toBe(true);
    },
  );
  expect(got).toMatchObject({
    url: "/base/v1/messages?beta=true",
    body: '{"model":"m"}',
    headers: {
      "anthropic-beta": "a,b",
      "anthropic-version": "2023-06-01",
      "x-claude-code-session-id": "s",
      "user-agent": "claude-cli/2",
      "x-api-key": "sk-real",
      "content-length": "13",
      "accept-encoding": "identity",
    },
  });
  expect(JSON.stringify(got)).not.toContain("guest");
});

test("UPS-1.1 a body that is read while it goes arrives whole", async () => {
  const sizes: number[] = [];
  const take = async (request: Parameters<RequestListener>[0], response: ServerResponse): Promise<void> => {
    sizes.push((await bodyOf(request)).length);
    response.end("{}");
  };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < 5; n += 1) yield Buffer.alloc(100_000, 32);
  }
  await served(
    (request, response) => void take(request, response),
    async (upstream) => {
      expect((await send(upstream, { body: pieces(), bytes: 500_000 })).ended.ok).toBe(true);
    },
  );
  expect(sizes).toEqual([500_000]);
});

test("UPS-1.2 status, headers and bytes come as they are, errors too, and what is compressed is decoded", async () => {
  await served(
    (_request, response) =>
      void response
        .writeHead(529, { "X-Should-Retry": "true", "request-id": "req_1", "x-two": ["a", "b"] })
        .end('{"type":"error"}'),
    async (upstream) => {
      const seen = await send(upstream);
      expect(seen).toMatchObject({ status: 529, body: '{"type":"error"}', ended: { ok: true } });
      expect(seen.headers).toMatchObject({ "x-should-retry": "true", "request-id": "req_1", "x-two": ["a", "b"] });
      expect(Object.keys(seen.headers)).not.toContain("transfer-encoding");
    },
  );
  await served(
    (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("hello")),
    async (upstream) => {
      const seen = await send(upstream);
      expect(seen).toMatchObject({ body: "hello", ended: { ok: true } });
      expect(Object.keys(seen.headers)).not.toContain("content-encoding");
    },
  );
});

test("UPS-1.2 a sink that is full gets no more until it goes on", async () => {
  const size = 4_000_000;
  await served(
    (_request, response) => void response.end(Buffer.alloc(size, 97)),
    async (upstream) => {
      let bytes = 0;
      let chunks = 0;
      const exchange = upstream.send(plain, {
        head: () => undefined,
        data: (chunk) => {
          bytes += chunk.length;
          chunks += 1;
          setImmediate(() => exchange.resume());
          return false;
        },
      });
      expect((await exchange.ended).ok).toBe(true);
      expect(bytes).toBe(size);
      expect(chunks).toBeGreaterThan(1);
    },
  );
});

test("UPS-1.3 silence, a broken answer, damage and nobody there are errors with the provider's name", async () => {
  const silent = createTcp((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const pool = new Pool(`http://127.0.0.1:${port}`);
  expect((await send(upstreamOn(pool, port, 20))).ended).toMatchObject({
    ok: false,
    error: { errno: "ETIMEDOUT", message: expect.stringContaining("anthropic") as string },
  });
  await pool.destroy();
  await new Promise((resolve) => silent.close(resolve));
  const nobody = new Pool(`http://127.0.0.1:${port}`);
  expect((await send(upstreamOn(nobody, port))).ended).toMatchObject({ ok: false, error: { errno: "EIO" } });
  await nobody.destroy();
  await served(
    (_request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("half");
      setImmediate(() => response.destroy());
    },
    async (upstream) => {
      const seen = await send(upstream);
      expect(seen).toMatchObject({ status: 200, ended: { ok: false, error: { errno: "EPROTO" } } });
    },
  );
  await served(
    (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip at all"),
    async (upstream) => {
      expect((await send(upstream)).ended).toMatchObject({ ok: false, error: { errno: "EPROTO" } });
    },
  );
});

test("UPS-1.4 an aborted request ends at once, before and while it is answered", async () => {
  await served(
    (_request, response) => void response.writeHead(200).write("first"),
    async (upstream) => {
      const exchange = upstream.send(plain, {
        head: () => undefined,
        data: () => {
          exchange.abort();
          return true;
        },
      });
      expect(await exchange.ended).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
      const before = upstream.send(plain, { head: () => undefined, data: () => true });
      before.abort();
      expect(await before.ended).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    },
  );
});
