import { expect, test } from "vitest";
import type { Json } from "../../src/lib/json.ts";
import { geminiGuest as format } from "../../src/wire/gemini-guest.ts";
import { asked, chunks, heardOf, pass, textOf } from "./guests.ts";
import { eventsOf, samples, sampleStreams } from "./samples.ts";

const { plain } = sampleStreams;
const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };

function response(parts: readonly Json[], more: object = {}): Json {
  return { candidates: [{ content: { role: "model", parts }, index: 0, ...more }], responseId: "r", modelVersion: "m" };
}

const stop = response([{ text: "" }], { finishReason: "STOP" });

function hear(events: readonly Json[]) {
  return pass(format.hear(asked), [Buffer.from(plain(events))]);
}

test("MOD-13.1 calls without an id go by their name, and by their place where a name comes twice", () => {
  const call = (name: string, id?: string): Json => ({ functionCall: { name, args: {}, ...(id === undefined ? {} : { id }) } });
  const { reply } = heardOf(hear([response([call("a"), call("b", "b1")]), response([call("a")]), stop]));
  expect(reply.parts.map((part) => (part.type === "call" ? part.id : ""))).toEqual(["a", "b1", "a#2"]);
  expect(reply.stop).toBe("calls");
});

test("MOD-13.2 thoughts and the provider's own code are opaque, and cut texts are one", () => {
  const { reply } = heardOf(pass(format.hear(asked), [Buffer.from(samples.gemini.stream)]));
  expect(reply.parts).toEqual([
    { type: "opaque", dialect: "gemini", value: { text: "The user wants weather.", thought: true } },
    { type: "text", text: "Let me look 🎈." },
    { type: "opaque", dialect: "gemini", value: { executableCode: { language: "PYTHON", code: "print(1)" } } },
    { type: "call", id: "get_weather", name: "get_weather", args: { location: "Paris" } },
    { type: "call", id: "f2", name: "set_light", args: { on: true } },
  ]);
});

test("MOD-13.3 a signature stays at the part that it came with", () => {
  const events = [
    response([{ text: "a" }]),
    response([{ text: "b" }]),
    response([{ text: "", thoughtSignature: "s" }]),
    response([{ text: "c" }]),
    stop,
  ];
  const heard = heardOf(hear(events));
  expect(heard.said.map(({ value }) => value)).toEqual([{ text: "ab" }, { text: "", thoughtSignature: "s" }, { text: "c" }]);
  expect(heard.reply.parts).toEqual([{ type: "text", text: "abc" }]);
});

test("MOD-13.4 thinking is output, cached tokens are input, and a blocked prompt is a refusal", () => {
  const { reply } = heardOf(pass(format.hear(asked), [Buffer.from(samples.gemini.stream)]));
  expect(reply.usage).toEqual({ inputTokens: 20, outputTokens: 45, cacheReadTokens: 8, cacheWriteTokens: 0, reported: true });
  const blocked = heardOf(hear([{ promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 4 } }]));
  expect(blocked.reply).toMatchObject({ parts: [], stop: "refusal" });
});

test("HRD-5.1 what the provider executes is no call", () => {
  const parts = [{ executableCode: {} }, { codeExecutionResult: {} }, { toolCall: { id: "x" } }, { inlineData: {} }];
  expect(heardOf(hear([response(parts), stop])).held).toEqual([]);
});

test("HRD-5.2 calls that readers differ on are trouble", () => {
  const call = { functionCall: { name: "x", args: {} } };
  const first = { content: { role: "model", parts: [{ text: "a" }] } };
  const bad: readonly Json[] = [
    { candidates: [first, { content: { parts: [call] } }] },
    response([{ functionCall: { name: "x", partialArgs: [{ jsonPath: "$.a", stringValue: "b" }], willContinue: true } }]),
    response([{ functionCall: { name: "x", willContinue: true } }]),
    response([{ functionCall: "x" }]),
    response([{ function_call: { name: "x", args: {} } }]),
  ];
  for (const event of bad) {
    expect(hear([event, stop]).end).toMatchObject({ ok: false, error: { told: false } });
    const whole = [Buffer.from(JSON.stringify(event))];
    expect(pass(format.hear({ ...asked, stream: false }), whole).end).toMatchObject({ ok: false });
  }
});

test("HRD-5.3 a list of responses is held to its end, and is the same reply", () => {
  const events = eventsOf(samples.gemini.stream).filter((event) => event !== "");
  const list = `[${events.map((event) => event.slice("data: ".length).trimEnd()).join(",\r\n")}]`;
  const passed = pass(format.hear(asked), chunks(Buffer.from(list), [1, 50, 300]));
  expect(passed.out).toBe("");
  expect(textOf(heardOf(passed).held)).toBe(list);
  const streamed = heardOf(pass(format.hear(asked), [Buffer.from(samples.gemini.stream)]));
  expect(heardOf(passed).reply).toEqual(streamed.reply);
  expect(heardOf(passed).said).toEqual(streamed.said);
  const failed = pass(format.hear(asked), [
    Buffer.from(`[{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}]`),
  ]);
  expect(failed.end).toMatchObject({ ok: false, error: { trouble: { message: "slow down" } } });
  expect(pass(format.hear(asked), [Buffer.from(list.slice(0, -1))]).end.ok).toBe(false);
});

test("WRT-6.1 what is written behind a heard text is the same response, and an empty line keeps it apart", () => {
  const hearing = format.hear(asked);
  hearing.push(Buffer.from(samples.gemini.before));
  const writer = hearing.writer("r1");
  const said = (text: string) => writer.part({ type: "opaque", dialect: "gemini", value: { text } });
  const bytes = [writer.part({ type: "text", text: "note" }), said("one"), said(" two"), writer.end("end", usage)];
  const responses = bytes.map(
    (piece) => JSON.parse(Buffer.from(piece).toString().slice(6)) as { candidates: { content: { parts: Json[] } }[] },
  );
  for (const one of responses) expect(one).toMatchObject({ responseId: "rsp_1", modelVersion: "gemini-x" });
  expect(responses.map((one) => one.candidates[0]?.content.parts[0])).toEqual([
    { text: "\n\nnote" },
    { text: "\n\none" },
    { text: " two" },
    { text: "" },
  ]);
});

test("WRT-6.2 texts are kept apart in one piece as well", () => {
  const parts = [
    { type: "text", text: "one" },
    { type: "text", text: "two" },
  ] as const;
  const whole = format.whole(asked, parts, "end", usage, "r1");
  expect(heardOf(pass(format.hear({ ...asked, stream: false }), [whole])).reply.parts).toEqual([
    { type: "text", text: "one\n\ntwo" },
  ]);
});

test("WRT-6.3 the reply stands behind the contents with its signatures, and a response to each call behind it", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.gemini.stream)]));
  const whole = samples.gemini.whole as { candidates: { content: Json }[] };
  const contents = [{ role: "user", parts: [{ text: "go" }] }];
  const answers = [
    { id: "get_weather", name: "get_weather", text: "EPERM" },
    { id: "f2", name: "set_light", text: "not run" },
  ];
  expect(format.again({ contents, safetySettings: [] }, said, answers)).toEqual({
    safetySettings: [],
    contents: [
      ...contents,
      whole.candidates[0]?.content,
      {
        role: "user",
        parts: [
          { functionResponse: { name: "get_weather", response: { error: "EPERM" } } },
          { functionResponse: { id: "f2", name: "set_light", response: { error: "not run" } } },
        ],
      },
    ],
  });
});
