import { expect, test } from "vitest";
import type { ModelReply, ModelRequest } from "../../../src/abi/model.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { requestDigest, replayDriver, type Recorded } from "../../../src/drivers/model/replay.ts";
import { call, say, scriptedDriver, type Act, type Lie } from "../../../src/drivers/model/scripted.ts";
import { must } from "./subjects.ts";

const request: ModelRequest = {
  model: "script",
  system: "Be brief.",
  messages: [{ role: "user", parts: [{ type: "text", text: "Hello" }], tokens: 2 }],
  tools: [],
  outputTokensMax: 100,
  output: null,
  idempotencyKey: "1.1",
};
const quiet = { signal: null, onDelta: null };

function now(act: Act, clock = new FakeClock(0)): ModelReply {
  const result = scriptedDriver(() => act, { clock }).think(request, quiet);
  if (result instanceof Promise) throw new Error("the reply was not given at once");
  return must(result);
}

test("MOD-12.1 a reply without delay is given at once, and the same script says the same", () => {
  expect(now(say("hi"))).toEqual(now(say("hi")));
  expect(now(say("hi"))).toMatchObject({ parts: [{ type: "text", text: "hi" }], stop: "end", usage: { reported: true } });
  expect(now(call({ name: "a.b", args: { x: 1 } }, { name: "c.d", args: {} }))).toMatchObject({
    stop: "calls",
    parts: [{ id: "c0" }, { id: "c1" }],
  });
});

test("MOD-12.1 the script sees each request and its number", () => {
  const seen: unknown[] = [];
  const driver = scriptedDriver(
    (asked, n) => {
      seen.push([asked.idempotencyKey, n]);
      return say("ok");
    },
    { clock: new FakeClock(0) },
  );
  void driver.think(request, quiet);
  void driver.think({ ...request, idempotencyKey: "1.2" }, quiet);
  expect(seen).toEqual([
    ["1.1", 0],
    ["1.2", 1],
  ]);
});

test("MOD-12.2 a delay waits for the clock, and ends at once when cancelled", async () => {
  const clock = new FakeClock(0);
  const driver = scriptedDriver(() => ({ act: "delay", ms: 1_000, next: say("late") }), { clock });
  let done = false;
  const thinking = Promise.resolve(driver.think(request, quiet)).then((result) => {
    done = true;
    return result;
  });
  clock.advance(999);
  await Promise.resolve();
  expect(done).toBe(false);
  clock.advance(1);
  expect(must(await thinking).parts).toEqual([{ type: "text", text: "late" }]);
  const abort = new AbortController();
  const cancelled = driver.think(request, { signal: abort.signal, onDelta: null });
  abort.abort();
  expect(await cancelled).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
});

test("MOD-12.2 every lie is told", () => {
  const lie = (kind: Lie, next: Act = call({ name: "a.b", args: { x: 1 } })): ModelReply => now({ act: "lie", lie: kind, next });
  expect(lie("zero-usage").usage).toMatchObject({ inputTokens: 0, outputTokens: 0, reported: true });
  expect(lie("wrong-stop").stop).toBe("end");
  expect(lie("wrong-stop", say("x")).stop).toBe("calls");
  expect(lie("broken-args").parts).toMatchObject([{ args: expect.any(String) as string }]);
  expect(lie("unknown-call", say("x")).parts.at(-1)).toMatchObject({ type: "call", name: "no.such_call" });
  expect(lie("same-ids", call({ name: "a.b", args: {} }, { name: "c.d", args: {} })).parts).toMatchObject([
    { id: "c0" },
    { id: "c0" },
  ]);
  expect(lie("empty")).toMatchObject({ parts: [], stop: "end" });
});

const recorded = (step: string, text: string): Recorded => ({ step, request: requestDigest(request), reply: now(say(text)) });

test("MOD-11.1 recorded steps are answered once each, in whatever order processes ask", () => {
  const driver = replayDriver([recorded("1.1", "one"), recorded("2.1", "two"), recorded("1.2", "three")]);
  const ask = (idempotencyKey: string) => driver.think({ ...request, idempotencyKey }, quiet);
  expect(ask("2.1")).toEqual({ ok: true, value: recorded("2.1", "two").reply });
  expect(ask("1.1")).toEqual({ ok: true, value: recorded("1.1", "one").reply });
  expect(driver.remaining()).toEqual(["1.2"]);
});

test("MOD-11.2 a surplus step, a repeated one and a changed question are EPROTO and named", () => {
  const driver = replayDriver([recorded("1.1", "one"), recorded("1.2", "two")]);
  const ask = (idempotencyKey: string, more: Partial<ModelRequest> = {}) =>
    driver.think({ ...request, idempotencyKey, ...more }, quiet);
  const named = (step: string, words: RegExp) => ({
    ok: false,
    error: { errno: "EPROTO", message: expect.stringMatching(new RegExp(`step ${step} .*${words.source}`)) as string },
  });
  expect(ask("1.3")).toMatchObject(named("1.3", /not in the recording/));
  expect(ask("1.1")).toMatchObject({ ok: true });
  expect(ask("1.1")).toMatchObject(named("1.1", /already/));
  expect(ask("1.2", { system: "Be long." })).toMatchObject(named("1.2", /asks something else/));
  expect(ask("1.2")).toMatchObject({ ok: true });
});

test("MOD-11.2 token counts, which are ours, do not change what was asked", () => {
  const messages = request.messages.map((message) => ({ ...message, tokens: 99 }));
  expect(requestDigest({ ...request, messages, idempotencyKey: "9.9" })).toBe(requestDigest(request));
  expect(requestDigest({ ...request, outputTokensMax: 1 })).not.toBe(requestDigest(request));
});
