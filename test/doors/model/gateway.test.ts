import { expect, test } from "vitest";
import { connect } from "node:net";
import { noLimits } from "../../../src/abi/budget.ts";
import { limits } from "../../../src/abi/limits.ts";
import { fail, type SysError } from "../../../src/abi/errno.ts";
import type { Json, JsonObject } from "../../../src/lib/json.ts";
import { ok, type Result } from "../../../src/lib/result.ts";
import { answer } from "../../kernel/answer.ts";
import { settled } from "../../kernel/settled.ts";
import { guestFormats } from "../../../src/wire/guest-formats.ts";
import { credential, door, message, streamOf, text, toolUse, type Provider } from "./door.ts";

const asking = (more: JsonObject = {}): JsonObject => ({
  model: "claude-x",
  max_tokens: 100,
  messages: [{ role: "user", content: "hello" }],
  ...more,
});

const json =
  (body: Json, status = 200, headers: Record<string, string> = {}): Provider =>
  (_asked, response) =>
    void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

const stream =
  (body: string): Provider =>
  (_asked, response) =>
    void response.writeHead(200, { "content-type": "text/event-stream", "request-id": "req_9" }).end(body);

test("DOR-4.1 a request and its answer are the same bytes on both sides, whatever fields they have", async () => {
  const reply = { ...message([text("hi")], "end_turn"), unheard_of: { x: [1.5, null] } };
  const body = `{"unknown":1e2,  "model":"claude-x","stream":false,"messages":[{"role":"user","content":"héllo"}],"max_tokens":9}`;
  await door(json(reply, 200, { "request-id": "req_1", "anthropic-ratelimit-x": "7" }), {}, async ({ post, asked, proc }) => {
    const told = await post("/v1/messages?beta=true", body, { "anthropic-beta": "a,b" });
    expect(told.text).toBe(JSON.stringify(reply));
    expect(told.headers).toMatchObject({
      "request-id": "req_1",
      "anthropic-ratelimit-x": "7",
      "content-type": "application/json",
    });
    expect(asked[0]).toMatchObject({
      url: "/v1/messages?beta=true",
      body,
      headers: { "anthropic-beta": "a,b", "x-api-key": "sk-real" },
    });
    expect(proc.spend).toMatchObject({ tokens: 25, costUsd: 0.005 });
  });
  const streamed = streamOf([text("hello"), text("world")], "end_turn");
  await door(stream(streamed), {}, async ({ post }) => {
    const told = await post("/v1/messages", asking({ stream: true }));
    expect(told.text).toBe(streamed);
    expect(told.headers).toMatchObject({ "request-id": "req_9", "content-type": "text/event-stream" });
  });
});

test("DOR-4.1 a stream is passed on while it comes, and not at its end", async () => {
  const whole = streamOf([text("first"), text("second")], "end_turn");
  const cut = whole.indexOf('event: content_block_start\ndata: {"type":"content_block_start","index":1');
  let goOn = (): void => undefined;
  await door(
    (_asked, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(whole.slice(0, cut));
      goOn = () => response.end(whole.slice(cut));
    },
    {},
    async ({ url }) => {
      const answered = await fetch(`${url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": credential },
        body: JSON.stringify(asking({ stream: true })),
      });
      const reader = answered.body?.getReader();
      let seen = "";
      while (!seen.includes("first")) seen += new TextDecoder().decode((await reader?.read())?.value);
      expect(seen).not.toContain("second");
      goOn();
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) break;
        seen += new TextDecoder().decode(piece.value);
      }
      expect(seen).toBe(whole);
    },
  );
});

test("DOR-4.2 nothing is asked before the budget has room for it", async () => {
  const few = { ...noLimits, tokens: 50 };
  await door(json(message([text("hi")], "end_turn")), { limits: few }, async ({ post, machine, guest, asked, proc }) => {
    const waiting = post("/v1/messages", asking());
    await settled(machine, guest.pid, "parked");
    expect(asked).toEqual([]);
    expect(proc.park).toMatchObject({ type: "budget", limit: "tokens" });
    answer(machine.kernel, guest.pid, { raise: { tokens: 10_000 } });
    expect((await waiting).status).toBe(200);
    expect(asked).toHaveLength(1);
  });
});

for (const fails of [false, true]) {
  test(`DOR-4.2 no call of an answer is told before the disk has it (the disk fails: ${fails})`, async () => {
    const reply = streamOf([text("I look."), toolUse("toolu_1", "ls")], "tool_use");
    await door(stream(reply), {}, async ({ post, machine, proc }) => {
      const { promise: disk, resolve: flushed } = Promise.withResolvers<Result<void, SysError>>();
      Object.defineProperty(machine.kernel.recorder, "barrier", { value: () => disk });
      let heard = false;
      const waiting = post("/v1/messages", asking({ stream: true })).then((told) => {
        heard = true;
        return told;
      });
      for (let n = 0; n < 200 || proc.pending.length === 0; n += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(heard).toBe(false);
      flushed(fails ? fail("EIO", "the disk is full") : ok(undefined));
      const told = (await waiting).text;
      expect(told).toContain("I look.");
      expect(told.includes("toolu_1")).toBe(!fails);
      expect(told.includes("the disk is full")).toBe(fails);
    });
  });
}

test("DOR-4.2 a text is told without waiting for the disk, and the journal has it", async () => {
  await door(stream(streamOf([text("hi")], "end_turn")), {}, async ({ post, machine, proc }) => {
    Object.defineProperty(machine.kernel.recorder, "barrier", { value: () => new Promise(() => undefined) });
    expect((await post("/v1/messages", asking({ stream: true }))).text).toContain("hi");
    expect(proc.step).toBe(1);
  });
});

test("DOR-4.2 a log that takes no more is an error to the guest, and nothing is asked", async () => {
  await door(stream(streamOf([text("hi")], "end_turn")), {}, async ({ post, machine, asked }) => {
    Object.defineProperty(machine.kernel.recorder, "write", { value: () => fail("EIO", "the disk is full") });
    const told = await post("/v1/messages", asking({ stream: true }));
    expect(told.status).toBeGreaterThanOrEqual(400);
    expect(told.text).toContain("the disk is full");
    expect(asked).toEqual([]);
  });
});

test("DOR-4.3 an allowed call reaches the guest as it came, and what it gave comes back with the next request", async () => {
  const reply = streamOf([text("I look."), toolUse("toolu_1", "ls")], "tool_use");
  const done = json(message([text("done")], "end_turn"));
  const provider: Provider = (asked, response, n) => (n === 0 ? stream(reply) : done)(asked, response, n);
  await door(provider, {}, async ({ post, proc }) => {
    expect((await post("/v1/messages", asking({ stream: true }))).text).toBe(reply);
    expect(proc.pending).toMatchObject([{ modelId: "toolu_1", verb: "allow" }]);
    const result = { type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "a.md" }] };
    await post("/v1/messages", asking({ messages: [{ role: "user", content: [result] }] }));
    expect(proc.pending).toEqual([]);
    expect(proc.label.integrity).toBe("untrusted");
  });
});

for (const streamed of [true, false]) {
  test(`DOR-8.2 and 4.3: a refused call never reaches the guest; the model is told and goes on in the same answer (stream: ${streamed})`, async () => {
    const first = [text("I clean up."), toolUse("toolu_1", "ls"), toolUse("toolu_2", "rm -rf /")];
    const second = [text("Then I only look."), toolUse("toolu_3", "ls")];
    const of = (content: readonly JsonObject[], id: string): Provider =>
      streamed ? stream(streamOf(content, "tool_use", id)) : json(message(content, "tool_use", id));
    await door(
      (asked, response, n) => (n === 0 ? of(first, "msg_1") : of(second, "msg_2"))(asked, response, n),
      { decide: ({ resource }) => ({ verb: resource.id.startsWith("rm") ? "deny" : "allow", rules: ["no-rm#1"] }) },
      async ({ post, asked, proc }) => {
        const told = await post("/v1/messages", asking({ stream: streamed, metadata: { user_id: "u" } }));
        expect(told.text).not.toContain("toolu_1");
        expect(told.text).not.toContain("toolu_2");
        expect(told.text).toContain("toolu_3");
        expect(told.text.match(/"id":"msg/g) ?? []).toHaveLength(streamed ? 1 : 0);
        for (const words of ["I clean up.", "[daimon refused: ", "no-rm#1", "Then I only look."])
          expect(told.text).toContain(words);
        const again = JSON.parse(asked[1]?.body ?? "") as { messages: JsonObject[]; metadata: unknown };
        expect(again.metadata).toEqual({ user_id: "u" });
        expect(again.messages.slice(1)).toMatchObject([
          { role: "assistant", content: first },
          {
            role: "user",
            content: [
              { tool_use_id: "toolu_1", content: expect.stringContaining("not made") as string },
              { tool_use_id: "toolu_2", content: expect.stringContaining("no-rm#1") as string },
            ],
          },
        ]);
        expect(proc.pending).toMatchObject([{ modelId: "toolu_3", verb: "allow" }]);
        expect(proc.refused).toBe(1);
        expect(proc.spend.tokens).toBe(50);
      },
    );
  });
}

test("DOR-4.3 a model that insists is asked again only so often, and the guest's turn ends in words", async () => {
  await door(
    json(message([toolUse("toolu_1", "rm -rf /")], "tool_use")),
    { decide: () => ({ verb: "deny", rules: ["no#1"] }) },
    async ({ post, asked }) => {
      const told = JSON.parse((await post("/v1/messages", asking())).text) as { stop_reason: string; content: JsonObject[] };
      expect(told.stop_reason).toBe("end_turn");
      expect(told.content.every((block) => block["type"] === "text")).toBe(true);
      expect(asked).toHaveLength(9);
    },
  );
});

test("DOR-4.3 a call that needs a person's yes holds the answer until it is given", async () => {
  const reply = streamOf([toolUse("toolu_1", "git push")], "tool_use");
  const ask = { decide: () => ({ verb: "ask", rules: ["ask#1"] }) as const };
  await door(stream(reply), ask, async ({ post, machine, guest }) => {
    const waiting = post("/v1/messages", asking({ stream: true }));
    await settled(machine, guest.pid, "parked");
    answer(machine.kernel, guest.pid, { allow: true });
    expect((await waiting).text).toBe(reply);
  });
});

test("DOR-4.4 a guest that was killed gets a last answer without a call, then errors; its credential ends with it", async () => {
  await door(json(message([text("hi")], "end_turn")), {}, async ({ post, machine, guest, asked }) => {
    machine.kernel.signal(guest.pid, "kill", "a person");
    const last = await post("/v1/messages", asking({ stream: true }));
    expect(last.status).toBe(200);
    expect(last.text).toContain("killed by a person");
    expect(last.text).toContain('"stop_reason":"end_turn"');
    const after = await post("/v1/messages", asking());
    expect(after.status).toBeGreaterThanOrEqual(400);
    expect(JSON.parse(after.text)).toMatchObject({ type: "error" });
    expect(asked).toEqual([]);
  });
});

test("DOR-4.5 a provider's errors go to the guest as they are, after it was asked again where that can help", async () => {
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "busy" }, request_id: "r" };
  await door(json(overloaded, 529, { "x-should-retry": "false", "retry-after": "9" }), {}, async ({ post, asked, proc }) => {
    const told = await post("/v1/messages", asking());
    expect(told).toMatchObject({ status: 529, text: JSON.stringify(overloaded), headers: { "retry-after": "9" } });
    expect(asked).toHaveLength(1);
    expect(proc.trouble?.message).toContain("529");
    expect(proc.reserved.tokens).toBe(0);
  });
});

test("DOR-8.1 a provider is asked again while nothing has come of an answer, so often and no more", async () => {
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "busy" } };
  const fine = json(message([text("hi")], "end_turn"));
  const flaky: Provider = (asked, response, n) => (n === 0 ? json(overloaded, 500) : fine)(asked, response, n);
  await door(flaky, {}, async ({ post, asked, machine, proc }) => {
    const waiting = post("/v1/messages", asking());
    while (asked.length < 2) {
      machine.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await waiting).status).toBe(200);
    expect(proc.trouble).toBe(null);
  });
  await door(json(overloaded, 500), {}, async ({ post, asked, machine }) => {
    let told: Awaited<ReturnType<typeof post>> | null = null;
    const waiting = post("/v1/messages", asking()).then((answered) => (told = answered));
    while (told === null) {
      machine.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await waiting).status).toBe(500);
    expect(asked).toHaveLength(3);
  });
});

test("DOR-5.2 an answer that breaks off is an error to the guest, never a shorter answer", async () => {
  const whole = streamOf([text("one"), text("two")], "end_turn");
  const half = whole.slice(0, whole.indexOf('"text":"two"'));
  await door(stream(half), {}, async ({ post, proc }) => {
    const told = await post("/v1/messages", asking({ stream: true }));
    expect(told.text.startsWith(half.slice(0, half.lastIndexOf("\n\n")))).toBe(true);
    expect(told.text).toMatch(/event: error\n/);
    expect(told.text).not.toContain("message_stop");
    expect(proc.trouble?.errno).toBe("EPROTO");
    expect(proc.spend.tokens).toBeGreaterThan(0);
  });
  await door(json({ hello: "there" }), {}, async ({ post }) => {
    const told = await post("/v1/messages", asking());
    expect(told.status).toBeGreaterThanOrEqual(400);
    expect(JSON.parse(told.text)).toMatchObject({ type: "error" });
  });
});

test("DOR-6.1 without the credential of a living guest, from a browser, or for another host nothing is asked of anyone", async () => {
  await door(json(message([text("hi")], "end_turn")), {}, async ({ post, asked }) => {
    for (const headers of [{ "x-api-key": "" }, { "x-api-key": "dmn_other" }, { "x-api-key": `${credential}x` }]) {
      const told = await post("/v1/messages", asking(), headers);
      expect(told.status).toBe(403);
      expect(JSON.parse(told.text)).toMatchObject({ type: "error", error: { type: "permission_error" } });
    }
    expect((await post("/v1/messages", asking(), { origin: "http://evil.example" })).status).toBe(403);
    expect((await post("/v1/messages", asking(), { host: "evil.example" })).status).toBe(403);
    expect((await post("/v1/nothing", asking())).status).toBe(404);
    expect((await post("/v1/messages", "[".repeat(100_000))).status).toBe(400);
    expect((await post("/v1/messages", "{}")).status).toBe(400);
    expect(asked).toEqual([]);
  });
});

test("DOR-6.2 what is no HTTP costs its own connection, and nobody else's", async () => {
  await door(json(message([text("hi")], "end_turn")), {}, async ({ post, url }) => {
    for (const bytes of [
      "\x16\x03\x01",
      "GET",
      "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    ]) {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      await new Promise<void>((resolve) => {
        socket.on("error", () => resolve()).on("close", () => resolve());
        socket.resume();
        socket.end(`${bytes}\r\n\r\n`);
      });
    }
    expect((await post("/v1/messages", asking())).status).toBe(200);
  });
});

test("DOR-7.1 what costs nothing goes on as it is and is not counted", async () => {
  await door(json({ input_tokens: 12 }), {}, async ({ post, asked, proc }) => {
    const told = await post("/v1/messages/count_tokens?beta=true", asking());
    expect(told).toMatchObject({ status: 200, text: '{"input_tokens":12}' });
    expect(asked[0]?.url).toBe("/v1/messages/count_tokens?beta=true");
    expect(proc.spend.tokens).toBe(0);
  });
});

test("DOR-4.6 a guest that goes away ends what it asked for, and pays for what was generated", async () => {
  const whole = streamOf([text("one two three four five six seven eight nine ten"), text("more")], "end_turn");
  let closed = (): void => undefined;
  const ended = new Promise<void>((resolve) => (closed = resolve));
  const slow: Provider = (_asked, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(whole.slice(0, whole.indexOf('"text":"more"')));
    response.once("close", closed);
  };
  await door(slow, {}, async ({ url, proc, machine }) => {
    const leave = new AbortController();
    const answered = await fetch(`${url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": credential },
      body: JSON.stringify(asking({ stream: true })),
      signal: leave.signal,
    });
    await answered.body?.getReader().read();
    const told = new Promise<void>((resolve) => {
      machine.kernel.on((entry) => {
        if (entry.kind === "turn") resolve();
      });
    });
    leave.abort();
    await Promise.all([ended, told]);
    expect(proc.trouble?.errno).toBe("ECANCELED");
    expect(proc.reserved.tokens).toBe(0);
    expect(proc.spend.tokens).toBeGreaterThan(10);
  });
});

test("DOR-5.3 a guest that reads slowly slows the provider down", async () => {
  const block = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "x".repeat(16_000) } };
  const delta = `event: content_block_delta\ndata: ${JSON.stringify(block)}\n\n`;
  const [head, tail] = streamOf([text("x")], "end_turn").split(/(?=event: content_block_stop)/);
  let written = 0;
  let waits = false;
  const flood: Provider = (_asked, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(head);
    const more = (): void => {
      while (written < 4_000) {
        written += 1;
        if (!response.write(delta)) {
          waits = true;
          response.once("drain", more);
          return;
        }
      }
      response.end(tail);
    };
    more();
  };
  await door(flood, {}, async ({ url }) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const body = JSON.stringify(asking({ stream: true }));
    socket.write(
      `POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${credential}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise((resolve) => socket.once("readable", resolve));
    // Nothing is read any more: what is under way fills what lies between, and then stands still.
    let before = -1;
    while (before !== written || !waits) {
      before = written;
      for (let n = 0; n < 200; n += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(written).toBeLessThan(4_000);
    socket.destroy();
  });
});

test("DOR-5.4 while an answer is held the guest hears that it is still worked on", async () => {
  const reply = streamOf([toolUse("toolu_1", "git push")], "tool_use");
  const ask = { decide: () => ({ verb: "ask", rules: ["ask#1"] }) as const };
  await door(stream(reply), ask, async ({ post, machine, guest }) => {
    const waiting = post("/v1/messages", asking({ stream: true }));
    await settled(machine, guest.pid, "parked");
    machine.clock.advance(40_000);
    answer(machine.kernel, guest.pid, { allow: true });
    const told = (await waiting).text;
    expect(told.match(/^: /gm)).toHaveLength(2);
    expect(told.replaceAll(/^: .*\n\n/gm, "")).toBe(reply);
  });
});

test("DOR-6.3 a credential ends with its guest's place at the door", async () => {
  await door(json(message([text("hi")], "end_turn")), {}, async ({ post, gateway, guest }) => {
    const leave = gateway.admit("dmn_second", guest);
    expect((await post("/v1/messages", asking(), { "x-api-key": "dmn_second" })).status).toBe(200);
    leave();
    expect((await post("/v1/messages", asking(), { "x-api-key": "dmn_second" })).status).toBe(403);
  });
});

test("DOR-6.4 a guest that waits when the kernel leaves reads that it may try again", async () => {
  const few = { ...noLimits, tokens: 50 };
  await door(json(message([text("hi")], "end_turn")), { limits: few }, async ({ post, machine, guest }) => {
    const waiting = post("/v1/messages", asking());
    await settled(machine, guest.pid, "parked");
    await machine.kernel.close();
    const told = await waiting;
    expect(told.headers["x-should-retry"]).toBe("true");
    expect([429, 503, 529]).toContain(told.status);
  });
});

test("DOR-7.2 where no provider of the format is, the guest reads that in its own format", async () => {
  const options = { providers: false };
  await door(json({}), options, async ({ post, asked }) => {
    const told = await post("/v1/messages/count_tokens", asking());
    expect(told.status).toBe(400);
    expect(JSON.parse(told.text)).toMatchObject({
      type: "error",
      error: { message: expect.stringContaining("no provider") as string },
    });
    expect(asked).toEqual([]);
  });
});

test("DOR-7.3 an answer beyond the bound is an error that says so", async () => {
  const long = json({ data: "x".repeat(limits.guestAsideBytesMax) });
  await door(long, {}, async ({ post }) => {
    const told = await post("/v1/messages/count_tokens", asking());
    expect(told.status).toBe(400);
    expect(told.headers["x-should-retry"]).toBe("false");
    expect(told.text).toContain(`more than ${limits.guestAsideBytesMax} bytes`);
  });
});

test("DOR-5.1 a client reads what daimon says as part of the one answer that it was reading", async () => {
  const first = stream(streamOf([text("I clean up."), toolUse("toolu_1", "rm -rf /")], "tool_use"));
  const second = stream(streamOf([text("Then not.")], "end_turn", "msg_2"));
  const deny = { decide: () => ({ verb: "deny", rules: ["no#1"] }) as const };
  await door(
    (asked, response, n) => (n === 0 ? first : second)(asked, response, n),
    deny,
    async ({ post }) => {
      const told = await post("/v1/messages", asking({ stream: true }));
      const hearing = guestFormats.messages.hear({ model: "claude-x", stream: true, windowTokens: 1 });
      hearing.push(Buffer.from(told.text));
      const heard = hearing.end();
      if (!heard.ok) throw new Error(heard.error.trouble.message);
      const { parts, stop, usage } = heard.value.reply;
      expect(parts.map((part) => (part.type === "text" ? part.text.trim() : part.type))).toEqual([
        "I clean up.",
        expect.stringMatching(/^\[daimon refused: .*no#1.*\]$/) as string,
        "Then not.",
      ]);
      expect(stop).toBe("end");
      expect(usage).toMatchObject({ inputTokens: 40, outputTokens: 10 });
    },
  );
});

test.each([300, 302, 304])(
  "DOR-8.3 nothing of an answer with status %i goes to the guest, and it ends as an error",
  async (status) => {
    const elsewhere = json(message([toolUse("t", "rm -rf x")], "tool_use"), status, { location: "http://127.0.0.1:1/" });
    await door(elsewhere, {}, async ({ post, proc }) => {
      const told = await post("/v1/messages", asking());
      expect(told.status).toBeGreaterThanOrEqual(500);
      expect(told.text).not.toContain("tool_use");
      expect(told.headers["location"]).toBe(undefined);
      expect(proc.reserved.tokens).toBe(0);
    });
  },
);

test("DOR-5.5 what was heard as UTF-8 is called so", async () => {
  const body = streamOf([text("hi")], "end_turn");
  const strange: Provider = (_asked, response) =>
    void response.writeHead(200, { "content-type": "text/event-stream; charset=utf-7" }).end(body);
  await door(strange, {}, async ({ post }) => {
    const told = await post("/v1/messages", asking({ stream: true }));
    expect(told.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  });
});

test("DOR-8.4 a guest that goes away before the answer begins pays for what it asked", async () => {
  let came = (): void => undefined;
  const arrived = new Promise<void>((resolve) => (came = resolve));
  await door(
    () => came(),
    {},
    async ({ url, proc, machine }) => {
      const leave = new AbortController();
      const told = new Promise<void>((resolve) => {
        machine.kernel.on((entry) => {
          if (entry.kind === "turn") resolve();
        });
      });
      const asked = fetch(`${url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": credential },
        body: JSON.stringify(asking({ system: "x".repeat(40_000) })),
        signal: leave.signal,
      }).catch(() => undefined);
      await arrived;
      leave.abort();
      await Promise.all([asked, told]);
      expect(proc.spend.tokens).toBeGreaterThan(10_000);
      expect(proc.reserved.tokens).toBe(0);
    },
  );
});

test("DOR-6.5 a guest has a bounded number of requests under way, and the next is told to try again", async () => {
  const answers: (() => void)[] = [];
  const held: Provider = (asked, response, n) =>
    void answers.push(() => json(message([text(`hi ${n}`)], "end_turn"))(asked, response, n));
  await door(held, {}, async ({ post, asked }) => {
    const all = Array.from({ length: limits.guestRequestsMax }, () => post("/v1/messages", asking()));
    while (asked.length < limits.guestRequestsMax) await new Promise((resolve) => setImmediate(resolve));
    const beyond = await post("/v1/messages", asking());
    expect(beyond.status).toBeGreaterThanOrEqual(400);
    expect(beyond.text).toContain("under way");
    for (const answer of answers) answer();
    expect((await Promise.all(all)).every(({ status }) => status === 200)).toBe(true);
    const later = post("/v1/messages", asking());
    while (answers.length === limits.guestRequestsMax) await new Promise((resolve) => setImmediate(resolve));
    answers.at(-1)?.();
    expect((await later).status).toBe(200);
  });
});

test("GST-1.1 a request for several choices has to have room for all of them", async () => {
  await door(json({}), { limits: { ...noLimits, tokens: 50_000 } }, async ({ post, asked, proc, machine }) => {
    const waiting = post("/v1/chat/completions", { model: "m", max_tokens: 1_000, n: 128, messages: [] });
    await settled(machine, proc.pid, "parked");
    expect(asked).toHaveLength(0);
    machine.kernel.signal(proc.pid, "kill", "test");
    await waiting;
  });
});

test("UPS-1.5 a key that the provider repeats does not reach the guest, and nothing of the guest says who pays or what is asked", async () => {
  const telltale: Provider = ({ headers }, response) => {
    const key = String(headers["x-api-key"]);
    response.writeHead(401, { "content-type": "application/json", "x-echo": key });
    response.write(`{"error":{"message":"wrong key é ${key.slice(0, 3)}`);
    setImmediate(() => response.end(`${key.slice(3)}"}}`));
  };
  await door(telltale, {}, async ({ post, asked }) => {
    const told = await post("/v1/messages", asking(), { "x-http-method-override": "DELETE", "openai-organization": "org" });
    expect(told.status).toBe(401);
    expect(told.text).toBe('{"error":{"message":"wrong key é [key]"}}');
    expect(JSON.stringify(told.headers)).not.toContain("sk-real");
    expect(Object.keys(asked[0]?.headers ?? {}).filter((name) => /override|organization/.test(name))).toEqual([]);
  });
});
