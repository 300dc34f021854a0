/** The Responses API over a WebSocket, by a client of another make. */
import { connect } from "node:net";
import { WebSocket } from "undici";
import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { isObject, parseJson, type JsonObject } from "../../../src/lib/json.ts";
import { credential, door, events, type Door, type Provider } from "./door.ts";

interface Line {
  send(message: JsonObject | string): void;
  /** The next response, up to the event that ends it. */
  response(): Promise<readonly JsonObject[]>;
  /** The code with which it was closed. */
  closed: Promise<number>;
  close(): void;
}

function line(
  { url }: Pick<Door, "url">,
  headers: Record<string, string> = { authorization: `Bearer ${credential}` },
): Promise<Line> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/responses`, { headers });
  const heard: JsonObject[] = [];
  let wake = (): void => undefined;
  socket.addEventListener("message", ({ data }) => {
    const event = parseJson(String(data));
    if (isObject(event)) heard.push(event);
    wake();
  });
  const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  const ends = ({ type }: JsonObject): boolean => /^(?:response\.(?:completed|incomplete|failed)|error)$/.test(String(type));
  const response = async (): Promise<readonly JsonObject[]> => {
    for (;;) {
      const end = heard.findIndex(ends);
      if (end >= 0) return heard.splice(0, end + 1);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return new Promise((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("not opened")));
    socket.addEventListener("open", () =>
      resolve({
        send: (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
        response,
        closed,
        close: () => socket.close(),
      }),
    );
  });
}

/** Says how many items it was sent. */
const counting: Provider = (asked, response, n) => {
  const body = parseJson(asked.body);
  const input = isObject(body) && Array.isArray(body["input"]) ? body["input"].length : 1;
  const content = [{ type: "output_text", text: `${input} items`, annotations: [] }];
  const item = { type: "message", id: `msg_${n}`, role: "assistant", status: "completed", content };
  const whole = {
    id: `resp_${n}`,
    object: "response",
    status: "completed",
    model: "m",
    output: [item],
    usage: { input_tokens: 3, output_tokens: 2 },
  };
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(
    events([
      { type: "response.created", sequence_number: 0, response: { ...whole, status: "in_progress", output: [] } },
      { type: "response.output_item.added", sequence_number: 1, output_index: 0, item: { ...item, content: [] } },
      { type: "response.output_item.done", sequence_number: 2, output_index: 0, item },
      { type: "response.completed", sequence_number: 3, response: whole },
    ]) + "data: [DONE]\n\n",
  );
};

const create = (more: JsonObject): JsonObject => ({ type: "response.create", model: "m", input: "hi", ...more });

test("DOR-10.1 without a credential, from a browser, for another host or at another address nothing is opened", async () => {
  await door(counting, {}, async (opened) => {
    for (const headers of [
      {},
      { authorization: "Bearer dmn_other" },
      { authorization: `Bearer ${credential}`, origin: "http://evil.example" },
      { authorization: `Bearer ${credential}`, origin: opened.url },
    ])
      await expect(line(opened, headers as Record<string, string>)).rejects.toThrow("not opened");
    const opening = `upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-api-key: ${credential}\r\n\r\n`;
    for (const start of [
      "GET /v1/responses HTTP/1.1\r\nhost: evil.example",
      "GET /v1/messages HTTP/1.1\r\nhost: 127.0.0.1",
      "POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1",
    ])
      expect(await answered(opened, `${start}\r\n${opening}`), start).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(opened.asked).toEqual([]);
    const lines = await Promise.all(Array.from({ length: limits.guestSocketsMax }, () => line(opened)));
    await expect(line(opened)).rejects.toThrow("not opened");
    for (const one of lines) one.close();
  });
});

test("DOR-10.2 responses come one after the other, governed as those of HTTP, and an error is an event with its status", async () => {
  await door(counting, {}, async (opened) => {
    const one = await line(opened);
    one.send(create({}));
    one.send(
      create({
        input: [
          { role: "user", content: "a" },
          { role: "user", content: "b" },
        ],
      }),
    );
    const first = await one.response();
    expect(first.map(({ type }) => type)).toEqual([
      "response.created",
      "response.output_item.added",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(JSON.stringify(await one.response())).toContain("2 items");
    expect(opened.proc.spend.tokens).toBe(10);
    expect(opened.asked.map(({ headers }) => headers["x-api-key"])).toEqual(["sk-real", "sk-real"]);
    for (const wrong of ["no JSON", "[]", `{"type":"response.steer"}`]) {
      one.send(wrong);
      expect(await one.response()).toMatchObject([{ type: "error", status: 400 }]);
    }
    one.send({ type: "response.create", input: "no model" });
    expect(await one.response()).toMatchObject([
      { type: "error", status: 400, error: { message: "the request names no model" } },
    ]);
    one.close();
  });
});

test("DOR-10.3 the newest response is gone on with by its id, and a failed continuation forgets it", async () => {
  const missing: Provider = (_asked, response) =>
    void response
      .writeHead(400, { "content-type": "application/json" })
      .end(JSON.stringify({ error: { message: "no such response", code: null } }));
  const provider: Provider = (asked, response, n) =>
    (asked.body.includes("previous_response_id") ? missing : counting)(asked, response, n);
  await door(provider, {}, async (opened) => {
    const one = await line(opened);
    one.send(create({ store: false }));
    await one.response();
    one.send(create({ store: false, previous_response_id: "resp_0", input: "and" }));
    expect(JSON.stringify(await one.response())).toContain("3 items");
    one.send(create({ previous_response_id: "resp_0", input: "and" }));
    expect(await one.response()).toMatchObject([{ type: "error", status: 400, error: { code: "previous_response_not_found" } }]);
    one.send(create({ previous_response_id: "resp_1", input: [{ type: "function_call_output", call_id: "x", output: "y" }] }));
    expect(await one.response()).toMatchObject([{ type: "error", error: { code: "invalid_request_error" } }]);
    one.send(create({ previous_response_id: "resp_1", input: "again" }));
    expect(await one.response()).toMatchObject([{ type: "error", error: { code: "previous_response_not_found" } }]);
    const asked = opened.asked.length;
    one.send(create({ generate: false, input: "prepare" }));
    const id = (await one.response()).map(({ response }) => (isObject(response) ? response["id"] : "")).at(-1);
    expect(opened.asked).toHaveLength(asked);
    one.send(create({ previous_response_id: id ?? "", input: "and" }));
    expect(JSON.stringify(await one.response())).toContain("2 items");
    one.close();
  });
});

test("DOR-10.4 what stands beside the protocol ends the connection with its code, and so does a flood", async () => {
  await door(counting, {}, async (opened) => {
    const one = await line(opened);
    one.send("x".repeat(limits.guestSocketBytesMax + 1));
    expect(await one.closed).toBe(1009);
    const silent: Provider = () => undefined;
    await door(silent, {}, async (quiet) => {
      const other = await line(quiet);
      for (let n = 0; n < limits.guestSocketWaitingMax + 2; n += 1) other.send(create({}));
      expect(await other.closed).toBe(1008);
    });
  });
});

test("DOR-10.4 a client that goes leaves its provider, and a door that closes leaves its clients", async () => {
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const endless: Provider = (_asked, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(": hm\n\n");
    response.once("close", () => leave());
    reach();
  };
  await door(endless, {}, async (opened) => {
    const one = await line(opened);
    one.send(create({}));
    await reached;
    one.close();
    await left;
    const other = await line(opened);
    await opened.gateway.close();
    expect(await other.closed).toBe(1006);
  });
});

function answered({ url }: Pick<Door, "url">, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let heard = "";
  return new Promise((resolve) => {
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
    socket.on("error", () => resolve(heard)).on("close", () => resolve(heard));
    socket.write(bytes);
  });
}
