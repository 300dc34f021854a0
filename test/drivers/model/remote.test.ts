/** What the remote drivers do beyond the contract: streams that break, retries, caching, and what each dialect sends. */
import { expect, test } from "vitest";
import type { Message } from "../../../src/abi/message.ts";
import type { Delta, ModelDriver, ModelReply } from "../../../src/abi/model.ts";
import { anthropicDriver } from "../../../src/drivers/model/anthropic.ts";
import { compatibleDriver } from "../../../src/drivers/model/compatible.ts";
import { openAiDriver } from "../../../src/drivers/model/openai.ts";
import type { RemoteDeps } from "../../../src/drivers/model/remote.ts";
import type { Json } from "../../../src/lib/json.ts";
import type { ReplyTurn, Turn } from "../../upstream/turns.ts";
import { ask, base, readTool, reply, textOf, user, watched, withBench } from "./asking.ts";
import { must, secret } from "./subjects.ts";

interface Dialects {
  readonly name: string;
  readonly model: string;
  make(origin: string, deps: RemoteDeps, key?: string): ModelDriver;
}

const dialects: readonly Dialects[] = [
  {
    name: "anthropic",
    model: "claude-sonnet-5-5",
    make: (baseUrl, deps, apiKey = secret) => must(anthropicDriver({ apiKey, baseUrl }, deps)),
  },
  {
    name: "openai",
    model: "gpt-6-sol",
    make: (origin, deps, apiKey = secret) => must(openAiDriver({ apiKey, baseUrl: `${origin}/v1` }, deps)),
  },
  {
    name: "openai chat",
    model: "gpt-6-sol",
    make: (origin, deps, apiKey = secret) => must(openAiDriver({ apiKey, baseUrl: `${origin}/v1`, dialect: "chat" }, deps)),
  },
  {
    name: "compatible",
    model: "qwen3:8b",
    make: (origin, deps, apiKey = secret) => must(compatibleDriver({ apiKey, baseUrl: `${origin}/v1` }, deps)),
  },
];

for (const { name, model, make } of dialects) {
  const request = { ...base, model };

  test(`MOD-5.1 ${name}: a stream in one-byte pieces, through compression, is the same reply`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      const turn: ReplyTurn = {
        kind: "reply",
        text: "Zürich 🎈 and more",
        calls: [{ name: "fs__read", args: { path: "ü.md" } }],
        thinking: "hm",
      };
      upstream.push(
        turn,
        { ...turn, pieceBytes: 1 },
        { ...turn, encoding: "gzip", pieceBytes: 7 },
        { ...turn, encoding: "br" },
        { ...turn, encoding: "zstd" },
      );
      const replies: ModelReply[] = [];
      for (let n = 0; n < 5; n += 1) {
        const deltas: Delta[] = [];
        const got = await reply(driver, { ...request, tools: [readTool] }, { onDelta: (delta) => deltas.push(delta) });
        expect(deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("")).toBe("Zürich 🎈 and more");
        replies.push(got);
      }
      for (const other of replies) expect(other).toEqual(replies[0]);
      upstream.push(turn);
      expect(await reply(driver, { ...request, tools: [readTool] })).toEqual(replies[0]);
    });
  });

  test(`MOD-1.2 ${name}: a compressed whole reply is read`, async () => {
    await withBench(async ({ upstream, deps }) => {
      for (const encoding of ["gzip", "br", "zstd"] as const) {
        upstream.push({ kind: "reply", text: "packed", encoding });
        expect(textOf(await reply(make(upstream.origin, deps), request))).toBe("packed");
      }
    });
  });

  for (const [what, broken] of [
    ["cut in the middle", { kind: "reply", text: "a reply that is cut somewhere in its middle", cutAfterBytes: 600 }],
    ["ended early", { kind: "reply", text: "half a rep", unfinished: true }],
    ["cut inside its compression", { kind: "reply", text: "a reply that is cut", encoding: "gzip", cutAfterBytes: 60 }],
  ] as const) {
    test(`MOD-5.3 ${name}: a stream ${what} is never a shorter reply: it is asked again, and what was shown is void`, async () => {
      await withBench(async ({ upstream, deps }) => {
        upstream.push(broken, { kind: "reply", text: "whole" });
        const deltas: Delta[] = [];
        const got = await reply(make(upstream.origin, deps), request, { onDelta: (delta) => deltas.push(delta) });
        expect(textOf(got)).toBe("whole");
        const last = deltas.findLastIndex((delta) => delta.type === "restart");
        expect(last >= 0 || deltas.every((delta) => delta.type === "text" && "whole".includes(delta.text))).toBe(true);
        expect(
          deltas
            .slice(last + 1)
            .map((delta) => (delta.type === "text" ? delta.text : ""))
            .join(""),
        ).toBe("whole");
        expect(upstream.seen).toHaveLength(2);
      });
    });
  }

  test(`MOD-5.3 ${name}: a stream that always breaks is EPROTO in the end`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push(...Array.from({ length: 5 }, (): Turn => ({ kind: "reply", text: "half", unfinished: true })));
      const result = await ask(make(upstream.origin, deps), request, watched);
      expect(result).toMatchObject({ ok: false, error: { errno: "EPROTO", message: expect.stringContaining("tried 5 times") } });
    });
  });

  test(`MOD-5.2 ${name}: every retry sends the same bytes under the same key; a refused connection is tried again`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const busy: Turn = { kind: "status", status: 503, body: "busy" };
      upstream.push(
        busy,
        { kind: "reset" },
        { ...busy, status: 429, headers: { "retry-after": "0" } },
        { kind: "reply", text: "at last" },
      );
      expect(textOf(await reply(make(upstream.origin, deps), request))).toBe("at last");
      expect(upstream.seen).toHaveLength(4);
      expect(new Set(upstream.seen.map((seen) => seen.text)).size).toBe(1);
      expect(new Set(upstream.seen.map((seen) => seen.headers["idempotency-key"]))).toEqual(new Set(["test-7.3"]));
    });
  });

  test(`MOD-3.1 ${name}: the provider's word not to retry is kept`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "status", status: 529, body: "{}", headers: { "x-should-retry": "false" } });
      expect(await ask(make(upstream.origin, deps), request)).toMatchObject({ ok: false, error: { errno: "EIO" } });
      expect(upstream.seen).toHaveLength(1);
    });
  });

  test(`MOD-1.2 ${name}: an error inside a stream has the errno its status would have had`, async () => {
    await withBench(async ({ upstream, deps }) => {
      for (const [type, errno] of [
        ["rate_limit_error", "EAGAIN"],
        ["overloaded_error", "EIO"],
        ["invalid_request_error", "EINVAL"],
        ["context_length_exceeded", "E2BIG"],
        ["insufficient_quota", "EDQUOT"],
      ] as const) {
        upstream.push(
          ...Array.from({ length: 5 }, (): Turn => ({ kind: "stream-error", type, message: `no: ${secret}`, text: "begun" })),
        );
        const driver = make(upstream.origin, deps);
        const result = await ask(driver, request, watched);
        expect(result).toMatchObject({ ok: false, error: { errno } });
        expect(JSON.stringify(result)).not.toContain(secret);
        while (upstream.seen.length % 5 !== 0) await ask(driver, request, watched);
      }
    });
  });

  test(`MOD-1.1 ${name}: a refused key is EACCES, names the variable and not the key`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const wrong = "sk-wrong-99887766554433221100";
      const result = await ask(make(upstream.origin, deps, wrong), request);
      if (result.ok) throw new Error("the key was taken");
      expect(result.error.errno).toBe("EACCES");
      expect(result.error.message).toMatch(/_API_KEY/);
      expect(JSON.stringify(result)).not.toContain("99887766554433221100");
      expect(upstream.seen).toHaveLength(1);
    });
  });

  test(`MOD-4.2 ${name}: malformed arguments stay text; a call cut off at the limit has no empty arguments`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const calls = [{ name: "fs__read", args: { raw: `{"path": "a.md` } }];
      upstream.push(
        { kind: "reply", calls },
        { kind: "reply", calls: [{ name: "fs__read", args: { raw: "" } }], stop: "length" },
      );
      const driver = make(upstream.origin, deps);
      const first = await reply(driver, { ...request, tools: [readTool] }, watched);
      expect(first.parts).toMatchObject([{ type: "call", name: "fs.read", args: `{"path": "a.md` }]);
      const second = await reply(driver, { ...request, tools: [readTool] }, watched);
      expect(second.stop).toBe("length");
      expect(second.parts).toMatchObject([{ type: "call", args: "" }]);
    });
  });

  test(`MOD-0.1 ${name}: stop reasons`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      upstream.push(
        { kind: "reply", text: "cut", stop: "length" },
        { kind: "reply", text: "no", stop: "refusal" },
        { kind: "reply", refusal: "I will not" },
      );
      expect(await reply(driver, request)).toMatchObject({ stop: "length" });
      expect(await reply(driver, request, watched)).toMatchObject({ stop: "refusal" });
      const refused = await reply(driver, request, watched);
      expect(refused.stop).toBe("refusal");
      expect(textOf(refused)).toBe("I will not");
    });
  });

  test(`MOD-4.3 ${name}: a reported zero is estimated`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "reply", text: "some words", usage: null }, { kind: "reply", text: "some words", usage: null });
      for (const io of [{}, watched]) {
        const { usage } = await reply(make(upstream.origin, deps), request, io);
        expect(usage.reported).toBe(false);
        expect(Math.min(usage.inputTokens, usage.outputTokens)).toBeGreaterThan(0);
      }
    });
  });

  test(`MOD-0.5 ${name}: a message is serialised once, however often it is sent`, async () => {
    await withBench(async ({ upstream, deps }) => {
      let reads = 0;
      const parts = new Proxy([{ type: "text", text: "counted" } as const], {
        get(target, key, receiver) {
          if (key === "map" || key === Symbol.iterator || key === "0") reads += 1;
          return Reflect.get(target, key, receiver) as unknown;
        },
      });
      const driver = make(upstream.origin, deps);
      const message: Message = { role: "user", parts, tokens: 2 };
      upstream.push(...Array.from({ length: 3 }, (): Turn => ({ kind: "reply", text: "ok" })));
      await reply(driver, { ...request, messages: [message] });
      const once = reads;
      expect(once).toBeGreaterThan(0);
      await reply(driver, { ...request, messages: [message, user("more")] });
      await reply(driver, { ...request, messages: [message, user("more")] }, watched);
      expect(reads).toBe(once);
      expect(upstream.seen[2]?.text).toContain("counted");
    });
  });

  test(`MOD-1.2 ${name}: what is no model server is EPROTO, what is not there is EIO`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push(
        { kind: "garbage", type: "text/html", body: "<html>hello</html>" },
        { kind: "garbage", type: "application/json", body: "[]" },
      );
      expect(await ask(make(upstream.origin, deps), request)).toMatchObject({ ok: false, error: { errno: "EPROTO" } });
      expect(upstream.seen).toHaveLength(2);
      const gone = make("http://127.0.0.1:1", deps);
      expect(await ask(gone, request)).toMatchObject({
        ok: false,
        error: { errno: "EIO", message: expect.stringContaining("connection refused") },
      });
    });
  });

  test(`MOD-5.1 ${name}: a server that answers a stream request in one piece is understood`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      upstream.push({ kind: "reply", text: "whole" });
      await reply(driver, request);
      const whole = upstream.seen[0]?.text ?? "";
      expect(whole).not.toContain(`"stream"`);
      const body: Json =
        name === "anthropic"
          ? { content: [{ type: "text", text: "whole" }], stop_reason: "end_turn", model, usage: {} }
          : name === "openai"
            ? { status: "completed", output: [{ type: "message", content: [{ type: "output_text", text: "whole" }] }], model }
            : { choices: [{ message: { content: "whole" }, finish_reason: "stop" }], model };
      upstream.push({ kind: "garbage", type: "application/json", body: JSON.stringify(body) });
      const deltas: Delta[] = [];
      expect(textOf(await reply(driver, request, { onDelta: (delta) => deltas.push(delta) }))).toBe("whole");
      expect(deltas).toEqual([{ type: "text", text: "whole" }]);
    });
  });

  test(`MOD-0.4 ${name}: a request cancelled in the middle of its stream ends at once`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "reply", text: "a long reply ".repeat(20), stallAfterBytes: 1_500 });
      const abort = new AbortController();
      const result = await ask(make(upstream.origin, deps), request, { signal: abort.signal, onDelta: () => abort.abort() });
      expect(result).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
      expect(upstream.seen).toHaveLength(1);
    });
  });
}

test("MOD-5.4 without the key it needs, a driver says so and sends nothing", async () => {
  await withBench(async ({ deps }) => {
    for (const driver of [must(anthropicDriver({ apiKey: null }, deps)), must(openAiDriver({ apiKey: "" }, deps))]) {
      expect(driver.remote).toBe(true);
      const result = await ask(driver, base);
      expect(result).toMatchObject({
        ok: false,
        error: { errno: "EACCES", message: expect.stringMatching(/needs a key.*_API_KEY/) },
      });
    }
  });
});

test("MOD-5.4 an address with a password, or none at all, is refused before anything is sent", async () => {
  await withBench(async ({ deps }) => {
    for (const baseUrl of ["http://user:pass@127.0.0.1/v1", "ftp://127.0.0.1", "nonsense", ""]) {
      const made = compatibleDriver({ baseUrl, apiKey: null }, deps);
      expect(made).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
      expect(JSON.stringify(made)).not.toContain("pass@");
    }
    expect(must(compatibleDriver({ baseUrl: "http://127.0.0.1:9/v1", apiKey: null }, deps)).remote).toBe(false);
    expect(must(compatibleDriver({ baseUrl: "https://models.example/v1", apiKey: null }, deps)).remote).toBe(true);
  });
});
