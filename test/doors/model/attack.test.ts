/** The model door against a client and a provider that mean harm. What one of them sends costs one answer, and neither memory, nor a key, nor anybody else's place. */
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import type { ModelDriver } from "../../../src/abi/model.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { ok } from "../../../src/lib/result.ts";
import { credential, door, events, message, streamOf, text, toolUse, type Door, type Provider } from "./door.ts";

const asking = (more: JsonObject = {}): JsonObject => ({
  model: "claude-x",
  max_tokens: 100,
  messages: [{ role: "user", content: "hello" }],
  ...more,
});

const whole: Provider = (_asked, response) =>
  void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(message([text("hi")], "end_turn")));

const stream =
  (body: string): Provider =>
  (_asked, response) =>
    void response.writeHead(200, { "content-type": "text/event-stream" }).end(body);

/** What comes back for these bytes until the door closes, or `until` is in it. */
function raw({ url }: Pick<Door, "url">, bytes: string | Uint8Array, until: string | null = null): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let heard = "";
  return new Promise((resolve) => {
    const done = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.on("error", done).on("close", done);
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      if (until !== null && heard.includes(until)) done();
    });
    socket.write(bytes);
  });
}

const body = JSON.stringify(asking());
const head = (lines: readonly string[]): string =>
  ["POST /v1/messages HTTP/1.1", "host: 127.0.0.1", `x-api-key: ${credential}`, ...lines, "", ""].join("\r\n");

test("DOR-6.2 a request whose length can be read in two ways is none, and nothing that hides behind it is asked", async () => {
  const hidden = `${head([`content-length: ${Buffer.byteLength(body)}`])}${body}`;
  const tricks = [
    head(["content-length: 0", "transfer-encoding: chunked"]) + `0\r\n\r\n${hidden}`,
    head(["transfer-encoding: chunked", "content-length: 4"]) + `0\r\n\r\n${hidden}`,
    head(["content-length: 0", `content-length: ${hidden.length}`]) + hidden,
    head(["transfer-encoding: chunked, identity"]) + `0\r\n\r\n${hidden}`,
    head(["transfer-encoding: xchunked"]) + `0\r\n\r\n${hidden}`,
    head(["transfer-encoding : chunked"]) + `0\r\n\r\n${hidden}`,
    head(["content-length: +5"]) + `12345${hidden}`,
    head(["content-length: 0x5"]) + `12345${hidden}`,
    head(["x: a\r\n b"]) + hidden,
    head(["transfer-encoding: chunked"]) + `5;a\nb\r\n12345\r\n0\r\n\r\n${hidden}`,
    head(["transfer-encoding: chunked"]) + `-1\r\n${hidden}`,
    head(["transfer-encoding: chunked"]) + `fffffffffffffffff\r\n${hidden}`,
    head(["x: a\nhost: evil.example"]) + hidden,
  ];
  for (const trick of tricks)
    await door(whole, {}, async (opened) => {
      const heard = await raw(opened, trick);
      expect(heard, trick).toMatch(/^HTTP\/1\.1 4\d\d/);
      expect(opened.asked, trick).toEqual([]);
    });
});

test("DOR-6.1 an address of another server, a tunnel and a method that is none are refused", async () => {
  await door(whole, {}, async (opened) => {
    const more = `host: 127.0.0.1\r\nx-api-key: ${credential}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;
    for (const line of [
      "POST http://evil.example/v1/messages HTTP/1.1",
      "POST https://api.anthropic.com/v1/messages HTTP/1.1",
      "TRACE /v1/messages HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "POST //evil.example/v1/messages HTTP/1.1",
      "POST /v1/messages/../models HTTP/1.1",
    ])
      expect(await raw(opened, `${line}\r\n${more}`), line).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(await raw(opened, `CONNECT evil.example:443 HTTP/1.1\r\n${more}`)).not.toMatch(/^HTTP\/1\.1 2/);
    expect(opened.asked).toEqual([]);
  });
});

test("DOR-3.3 a model's name in an address leads to no other place at the provider", async () => {
  await door(whole, {}, async (opened) => {
    for (const path of [
      "/v1/models/..%2ffiles",
      "/v1/models/%2e%2e",
      "/v1beta/models/..%2F..%2Fv1beta%2Ffiles",
      "/v1/models/a%5c..%5cfiles",
    ]) {
      const heard = await raw(
        opened,
        `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: ${credential}\r\nconnection: close\r\n\r\n`,
      );
      expect(heard, path).toMatch(/^HTTP\/1\.1 404/);
    }
    const told = await opened.post("/v1beta/models/..%2f..%2ffiles%2fx:generateContent", { contents: [] });
    expect(told.status).toBe(404);
    expect(opened.asked).toEqual([]);
  });
});

test("DOR-6.2 a head without end, or of too many lines, costs its own connection", async () => {
  await door(whole, {}, async (opened) => {
    const long = `POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"a".repeat(80 * 1024)}\r\n\r\n`;
    expect(await raw(opened, long)).toMatch(/^HTTP\/1\.1 4\d\d/);
    const many = `POST /v1/messages HTTP/1.1\r\n${"x: a\r\n".repeat(8_000)}host: 127.0.0.1\r\nx-api-key: ${credential}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;
    expect(await raw(opened, many)).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(opened.asked).toEqual([]);
    expect((await opened.post("/v1/messages", asking())).status).toBe(200);
  });
});

test("DOR-2.4 a body that says it is too large is refused before it comes, and one that is too large is not read to its end", async () => {
  await door(whole, {}, async (opened) => {
    const declared = await raw(opened, head([`content-length: ${2 ** 30}`]));
    expect(declared).toMatch(/^HTTP\/1\.1 400/);
    expect(declared).toContain("at most");
    const socket = connect(Number(new URL(opened.url).port), "127.0.0.1");
    const sent = await flood(socket, head(["transfer-encoding: chunked"]), 2 ** 30);
    expect(sent).toBeLessThan(2 * limits.guestBodyBytesMax);
    expect(opened.asked).toEqual([]);
  });
});

test("DOR-2.4 a gigabyte that comes compressed is refused at the bound", async () => {
  const bomb = gzipSync(Buffer.alloc(2 * limits.guestBodyBytesMax, 0x20));
  await door(whole, {}, async (opened) => {
    const lines = head([`content-length: ${bomb.length}`, "content-encoding: gzip"]);
    const heard = await raw(opened, Buffer.concat([Buffer.from(lines), bomb]), "at most");
    expect(heard).toMatch(/^HTTP\/1\.1 400/);
    expect(opened.asked).toEqual([]);
  });
});

test("DOR-6.5 bodies that never come hold their own guest's places, and no other's", async () => {
  await door(whole, {}, async (opened) => {
    const other = "dmn_other_guest";
    opened.gateway.admit(other, opened.guest);
    const slow = Array.from({ length: limits.guestRequestsMax }, () => connect(Number(new URL(opened.url).port), "127.0.0.1"));
    for (const socket of slow) socket.write(`${head(["content-length: 100"])}{`);
    let told = await opened.post("/v1/messages", asking());
    while (told.status === 200) told = await opened.post("/v1/messages", asking());
    expect(told.headers["x-should-retry"]).toBe("true");
    expect((await opened.post("/v1/messages", asking(), { "x-api-key": other })).status).toBe(200);
    for (const socket of slow) socket.destroy();
    expect(opened.gateway.server.requestTimeout).toBeGreaterThan(0);
    expect(opened.gateway.server.headersTimeout).toBeGreaterThan(0);
  });
});

const depth = 100_000;
const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`;

test("DOR-6.2 a request of 100,000 depths passes as it is or is refused, also where daimon has to write it again", async () => {
  const nested = `{"model":"m","max_tokens":9,"x":${deep},"messages":[{"role":"user","content":"hi"}]}`;
  await door(whole, {}, async ({ post, asked }) => {
    expect((await post("/v1/messages", nested)).status).toBe(200);
    expect(asked[0]?.body).toBe(nested);
  });
  const refusing = stream(streamOf([toolUse("toolu_1", "rm -rf /")], "tool_use"));
  const decide = () => ({ verb: "deny", rules: ["no#1"] }) as const;
  await door(refusing, { decide }, async ({ post, asked }) => {
    const told = await post("/v1/messages", nested.replace("{", `{"stream":true,`));
    expect(told.text).toContain("[daimon refused: ");
    expect(told.text).toContain("message_stop");
    expect(asked).toHaveLength(1);
  });
});

test("DOR-9.2 what is too deep to be translated is refused, wherever it stands", async () => {
  const reply = { parts: [{ type: "text", text: "hi" } as const], stop: "end", usage, model: "m" } as const;
  const driver: ModelDriver = {
    name: "d",
    remote: false,
    windowTokens: () => 1e6,
    think: () => ok(reply),
    close: () => undefined,
  };
  const bodies: readonly (readonly [string, string])[] = [
    ["/v1/messages", `{"model":"m","max_tokens":9,"tools":[{"name":"a","input_schema":{"x":${deep}}}],"messages":[]}`],
    [
      "/v1/messages",
      `{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":{"x":${deep}}}]}]}`,
    ],
    [
      "/v1/messages",
      `{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"thinking","x":${deep}}]}]}`,
    ],
    [
      "/v1/chat/completions",
      `{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"schema":{"x":${deep}}}}}`,
    ],
    ["/v1/responses", `{"model":"m","metadata":${deep},"input":"hi"}`],
    [
      "/v1beta/models/m:generateContent",
      `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"a","args":{"x":${deep}}}}]}]}`,
    ],
  ];
  await door(whole, { driver }, async ({ post }) => {
    for (const [path, nested] of bodies) {
      const told = await post(path, nested);
      expect([200, 400], path).toContain(told.status);
      expect(() => JSON.parse(told.text) as unknown, path).not.toThrow();
    }
  });
});

const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };

test("DOR-6.2 a provider whose reply is 100,000 deep is an error or passes, and the door goes on", async () => {
  const inner = `{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls","x":${deep}}}`;
  const reply = JSON.stringify(message([], "tool_use")).replace(`"content":[]`, `"content":[${inner}]`);
  const start = events([{ type: "message_start", message: { ...message([], "end_turn"), stop_reason: null } }]);
  const streams = [
    `${start}event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":${inner}}\n\n`,
    `${start}event: x\ndata: ${deep}\n\n`,
  ];
  await door(
    (asked, response) =>
      void response
        .writeHead(200, { "content-type": "application/json" })
        .end(asked.body.includes('"stream":true') ? streams[0] : reply),
    {},
    async ({ post }) => {
      const one = await post("/v1/messages", asking());
      expect(one.status).toBeGreaterThanOrEqual(400);
      expect(() => JSON.parse(one.text) as unknown).not.toThrow();
    },
  );
  for (const said of streams)
    await door(stream(said), {}, async ({ post }) => {
      const told = await post("/v1/messages", asking({ stream: true }));
      expect(told.text).toContain('"type":"error"');
      expect(told.text).not.toContain("toolu_1");
    });
});

test("DOR-8.5 a stream that never ends is cut at the bound of a reply, and the provider is left", async () => {
  let left = false;
  let sent = 0;
  const delta = events([{ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "x".repeat(64 * 1024) } }]);
  const endless: Provider = (_asked, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(events([{ type: "message_start", message: { ...message([], "end_turn"), stop_reason: null } }]));
    response.write(events([{ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }]));
    const more = (): void => {
      if (left) return;
      sent += delta.length;
      if (response.write(delta)) setImmediate(more);
      else response.once("drain", more);
    };
    response.once("close", () => (left = true));
    more();
  };
  await door(endless, {}, async ({ post }) => {
    const told = await post("/v1/messages", asking({ stream: true }));
    expect(told.text).toContain('"type":"error"');
    expect(told.text.length).toBeLessThanOrEqual(limits.modelReplyBytesMax + 1024);
    expect(sent).toBeLessThan(2 * limits.modelReplyBytesMax);
  });
});

test("DOR-8.3 a provider cannot lead the guest elsewhere, nor speak past its own answer", async () => {
  const answers: readonly Provider[] = [
    (_asked, response) => void response.writeHead(307, { location: "http://169.254.169.254/latest" }).end("go"),
    (_asked, response) => void response.writeHead(200, { "content-type": "application/json", "set-cookie": "a=b" }).end("{}"),
    (_asked, response) => void response.socket?.end("HTTP/1.1 099 Odd\r\ncontent-length: 2\r\n\r\n{}"),
    (_asked, response) => void response.socket?.end("HTTP/1.1 200 OK\r\nx: a\x01b\r\ncontent-length: 2\r\n\r\n{}"),
    (_asked, response) => void response.socket?.end("HTTP/1.1 204 No\r\n\r\n"),
    (_asked, response) => void response.socket?.end("HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}"),
    (_asked, response) =>
      void response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n{}`),
    (_asked, response) => void response.socket?.end(`HTTP/1.1 400 No\r\nx-err: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}`),
  ];
  for (const answer of answers)
    await door(answer, {}, async ({ post, machine }) => {
      const waiting = post("/v1/messages", asking());
      let over = false;
      void waiting.finally(() => (over = true));
      while (!over) {
        machine.clock.advance(1_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const told = await waiting;
      expect(told.status).toBeGreaterThanOrEqual(400);
      expect(told.headers).not.toHaveProperty("location");
      expect(told.headers).not.toHaveProperty("set-cookie");
    });
});

/** Sends until it is stopped or has sent `most`; how much went out. */
function flood(socket: Socket, start: string, most: number): Promise<number> {
  const piece = Buffer.alloc(1024 * 1024, 0x20);
  const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
  let sent = 0;
  return new Promise((resolve) => {
    const stop = (): void => {
      socket.destroy();
      resolve(sent);
    };
    socket.on("error", stop).on("close", stop);
    socket.resume();
    socket.write(start);
    const more = (): void => {
      if (sent >= most) return stop();
      if (socket.destroyed) return;
      sent += chunk.length;
      if (socket.write(chunk)) setImmediate(more);
      else socket.once("drain", more);
    };
    more();
  });
}
