import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { CallContext, CallHandler, CallValue, Verdict } from "../../../src/abi/call.ts";
import type { SysError } from "../../../src/abi/errno.ts";
import { limits } from "../../../src/abi/limits.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { checkTarget, readTarget } from "../../../src/drivers/net/guard.ts";
import { netCalls, type NetDeps } from "../../../src/drivers/tool/net.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import type { Result } from "../../../src/lib/result.ts";
import { schemaCompiler } from "../../../src/lib/schema.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const context = (signal = new AbortController().signal): CallContext => ({ pid: 1, id: "1.1.0", signal, now: 0, frozen: null });

function fetcher(deps: Partial<NetDeps> = {}): CallHandler {
  const [handler] = netCalls({ clock: systemClock(), allowLoopback: true, ...deps });
  if (handler === undefined) throw new Error("no net.fetch");
  return handler;
}

async function get(handler: CallHandler, args: JsonObject, signal?: AbortSignal): Promise<Result<CallValue, SysError>> {
  return handler.perform(args as never, context(signal));
}

async function value(handler: CallHandler, args: JsonObject): Promise<JsonObject> {
  const result = await get(handler, args);
  if (!result.ok) throw new Error(`${result.error.errno}: ${result.error.message}`);
  const check = schemaCompiler()(handler.spec.output);
  if (!check.ok) throw new Error(check.error);
  expect(check.value(result.value.value)).toBeNull();
  expect(result.value.label).toEqual({ integrity: "untrusted", confidentiality: "public" });
  return result.value.value as JsonObject;
}

async function served(handler: Handler, body: (origin: string, hits: string[]) => Promise<void>): Promise<void> {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(`${request.method} ${request.url} ${request.headers.host}`);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handler(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test("NET-4.3 a page comes back as untrusted text with its address, status and type", async () => {
  await served(
    (_request, response) =>
      void response
        .writeHead(404, { "content-type": "text/html; charset=iso-8859-1" })
        .end(Buffer.from("<p>caf\u00e9", "latin1")),
    async (origin) => {
      expect(await value(fetcher(), { url: `${origin}/a?b=c#d` })).toEqual({
        url: `${origin}/a?b=c`,
        status: 404,
        type: "text/html; charset=iso-8859-1",
        text: "<p>café",
      });
    },
  );
});

test("NET-4.3 what is not text is named, not shown", async () => {
  await served(
    (_request, response) => void response.writeHead(200, { "content-type": "image/png" }).end(Buffer.alloc(300)),
    async (origin) => {
      expect((await value(fetcher(), { url: origin })).text).toBe("(image/png, 300 bytes: not text)");
    },
  );
});

test("NET-4.1 a method, headers and a body are sent", async () => {
  await served(
    (request, response, body) => void response.end(`${request.method} ${String(request.headers["x-token"])} ${body}`),
    async (origin) => {
      const args = { url: origin, method: "POST", headers: { "X-Token": "t" }, body: "ünï" };
      expect((await value(fetcher(), args)).text).toBe("POST t ünï");
    },
  );
});

const badUrls: readonly [string, string][] = [
  ["file:///etc/passwd", "EINVAL"],
  ["gopher://127.0.0.1/", "EINVAL"],
  ["javascript:alert(1)", "EINVAL"],
  ["http://user@example.com/", "EINVAL"],
  ["http://a:b@example.com/", "EINVAL"],
  ["//example.com", "EINVAL"],
  ["nonsense", "EINVAL"],
  ["http://", "EINVAL"],
  [`http://example.com/${"x".repeat(9_000)}`, "E2BIG"],
  ["http://127.0.0.1/", "EPERM"],
  ["http://127.1/", "EPERM"],
  ["http://0/", "EPERM"],
  ["http://2130706433/", "EPERM"],
  ["http://0x7f.1/", "EPERM"],
  ["http://0177.0.0.1/", "EPERM"],
  ["http://①②⑦.0.0.1/", "EPERM"],
  ["http://[::1]/", "EPERM"],
  ["http://[::ffff:7f00:1]/", "EPERM"],
  ["http://[::ffff:127.0.0.1]/", "EPERM"],
  ["http://[64:ff9b::7f00:1]/", "EPERM"],
  ["http://169.254.169.254/latest/meta-data/", "EPERM"],
  ["http://168.63.129.16/", "EPERM"],
  ["http://[fd00:ec2::254]/", "EPERM"],
  ["http://10.1.2.3/", "EPERM"],
  ["http://192.168.0.1:8080/", "EPERM"],
];

for (const [url, errno] of badUrls) {
  test(`NET-3.1 NET-3.2 ${url.slice(0, 50)} is ${errno}`, async () => {
    const resolve = (): Promise<string[]> => Promise.reject(new Error("a literal address is not resolved"));
    const result = await get(fetcher({ allowLoopback: false, resolve }), { url });
    expect(result).toMatchObject({ ok: false, error: { errno } });
    expect(JSON.stringify(result)).not.toContain("a:b");
  });
}

test("NET-3.2 a name is refused when any of its addresses is closed, and when it has none", async () => {
  const answers: Record<string, string[]> = {
    "private.test": ["10.0.0.1"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    localhost: ["127.0.0.1", "::1"],
    "mapped.test": ["::ffff:10.0.0.1"],
    "nowhere.test": [],
  };
  const handler = fetcher({ allowLoopback: false, resolve: (host) => Promise.resolve(answers[host] ?? []) });
  for (const host of Object.keys(answers)) {
    const errno = host === "nowhere.test" ? "ENOENT" : "EPERM";
    expect(await get(handler, { url: `http://${host}/` })).toMatchObject({
      ok: false,
      error: { errno, message: expect.stringContaining(host) as string },
    });
  }
});

test("NET-3.2 allowing loopback allows nothing else", async () => {
  const deps = { allowLoopback: true, resolve: () => Promise.resolve(["127.0.0.1", "10.0.0.1"]) };
  expect(await checkTarget(new URL("http://x.test/"), deps)).toMatchObject({ ok: false, error: { errno: "EPERM" } });
});

test("NET-3.3 the connection goes to the checked address: the name is resolved once, and its own host header is sent", async () => {
  await served(
    (_request, response) => void response.end("here"),
    async (origin, hits) => {
      let asked = 0;
      // The second answer is what a rebinding name server would give; nothing may ask for it.
      const resolve = (): Promise<string[]> => Promise.resolve([asked++ === 0 ? "127.0.0.1" : "127.0.0.2"]);
      const { port } = new URL(origin);
      expect((await value(fetcher({ resolve }), { url: `http://pinned.invalid:${port}/x` })).text).toBe("here");
      expect(asked).toBe(1);
      expect(hits).toEqual([`GET /x pinned.invalid:${port}`]);
    },
  );
});

test("NET-4.1 a redirect on one host is followed and checked again; the address told is the last one", async () => {
  await served(
    (request, response, body) => {
      if (request.url === "/start") return void response.writeHead(303, { location: "/end" }).end();
      if (request.url === "/keep") return void response.writeHead(307, { location: "/end" }).end();
      response.end(`${request.method} ${body}`);
    },
    async (origin) => {
      let asked = 0;
      const resolve = (): Promise<string[]> => Promise.resolve([asked++ < 1 ? "127.0.0.1" : "10.0.0.1"]);
      expect(await value(fetcher(), { url: `${origin}/start`, method: "POST", body: "b" })).toMatchObject({
        url: `${origin}/end`,
        text: "GET ",
      });
      expect(await value(fetcher(), { url: `${origin}/keep`, method: "POST", body: "b" })).toMatchObject({ text: "POST b" });
      const { port } = new URL(origin);
      expect(await get(fetcher({ resolve }), { url: `http://moves.invalid:${port}/start` })).toMatchObject({
        ok: false,
        error: { errno: "EPERM" },
      });
      expect(asked).toBe(2);
    },
  );
});

test("NET-4.1 a redirect to another host, scheme or port is told and not followed", async () => {
  for (const location of [
    "http://169.254.169.254/latest",
    "https://evil.example/?q=1",
    "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "http://a:b@127.0.0.1/",
  ]) {
    await served(
      (_request, response) => void response.writeHead(302, { location }).end("moved"),
      async (origin, hits) => {
        const got = await value(fetcher(), { url: origin });
        expect(got).toMatchObject({ status: 302, location: new URL(location).href });
        expect(got.text).toContain("redirects to");
        expect(hits).toHaveLength(1);
      },
    );
  }
});

test("NET-4.1 a circle of redirects ends", async () => {
  await served(
    (_request, response) => void response.writeHead(302, { location: "/again" }).end(),
    async (origin, hits) => {
      expect(await get(fetcher(), { url: origin })).toMatchObject({
        ok: false,
        error: { errno: "EPROTO", message: expect.stringContaining("redirects more than") as string },
      });
      expect(hits).toHaveLength(limits.fetchRedirectsMax + 1);
    },
  );
});

test("NET-4.2 an answer beyond the size is cut off and said to be", async () => {
  await served(
    (_request, response) =>
      void response.writeHead(200, { "content-type": "text/plain" }).end("x".repeat(limits.fetchBytesMax + 10)),
    async (origin) => {
      const got = await value(fetcher(), { url: origin });
      expect(got.truncated).toBe(true);
      expect(String(got.text)).toHaveLength(limits.fetchBytesMax);
    },
  );
});

test("NET-4.2 an answer beyond its time is ETIMEDOUT, a cancelled one ECANCELED", async () => {
  let arrived = (): void => undefined;
  let here = new Promise<void>((resolve) => (arrived = resolve));
  await served(
    () => arrived(),
    async (origin) => {
      const clock = new FakeClock(0);
      const late = get(fetcher({ clock }), { url: origin });
      await here;
      clock.advance(limits.fetchTimeoutMs);
      expect(await late).toMatchObject({ ok: false, error: { errno: "ETIMEDOUT" } });
      here = new Promise<void>((resolve) => (arrived = resolve));
      const abort = new AbortController();
      const cancelled = get(fetcher(), { url: origin }, abort.signal);
      await here;
      abort.abort();
      expect(await cancelled).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    },
  );
});

test("NET-4.4 headers of the connection, and values with line breaks, are refused before anything is sent", async () => {
  const bad = {
    Host: "x",
    Connection: "x",
    "Transfer-Encoding": "chunked",
    "Content-Length": "1",
    "Proxy-Authorization": "x",
    "X-Forwarded-For": "x",
    "a b": "x",
    "x-a": "1\r\nHost: y",
    "x-b": "\u0000",
  };
  for (const [name, text] of Object.entries(bad)) {
    expect(await get(fetcher(), { url: "http://127.0.0.1:1/", headers: { [name]: text } })).toMatchObject({
      ok: false,
      error: { errno: "EINVAL" },
    });
  }
  const many = Object.fromEntries(Array.from({ length: limits.fetchHeadersMax + 1 }, (_item, n) => [`x-${n}`, "v"]));
  expect(await get(fetcher(), { url: "http://127.0.0.1:1/", headers: many })).toMatchObject({
    ok: false,
    error: { errno: "E2BIG" },
  });
});

test("NET-4.5 after a crash a GET is made again, and of a POST nobody knows", async () => {
  const { spec, verify } = fetcher();
  expect(spec).toMatchObject({ effect: "external", recovery: "verify", roles: { url: "host" } });
  const verdict = async (args: JsonObject): Promise<Verdict | undefined> => verify?.(args as never, context());
  expect(await verdict({ url: "http://x.test/" })).toEqual({ verdict: "did-not-happen" });
  expect(await verdict({ url: "http://x.test/", method: "HEAD" })).toEqual({ verdict: "did-not-happen" });
  expect(await verdict({ url: "http://x.test/", method: "POST" })).toMatchObject({ verdict: "unknown" });
});

test("NET-3.1 the fragment is never sent", () => {
  const target = readTarget("https://example.com/a#secret");
  expect(target.ok && target.value.href).toBe("https://example.com/a");
});
