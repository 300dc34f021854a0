import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { guestFormats } from "../../src/wire/guest-formats.ts";
import { asked, chunks, heardOf, pass, textOf } from "./guests.ts";
import { eventsOf, samples, unended } from "./samples.ts";

const cutPlaces = fc.array(fc.nat(100_000), { maxLength: 40 });
const lineEnds = fc.constantFrom("\n", "\r\n", "\r");

for (const [name, sample] of Object.entries(samples)) {
  const format = guestFormats[name as keyof typeof samples];
  const bytes = Buffer.from(sample.stream);

  describe(name, () => {
    test("HRD-1.1 however a stream is cut, what passes ends at the first call, and the rest is held", () => {
      fc.assert(
        fc.property(cutPlaces, lineEnds, (cuts, end) => {
          const stream = sample.stream.replaceAll("\n", end);
          const passed = pass(format.hear(asked), chunks(Buffer.from(stream), cuts));
          // Of the two bytes that end a line the second may come with what follows.
          expect(passed.out.trimEnd()).toBe(sample.before.replaceAll("\n", end).trimEnd());
          const heard = heardOf(passed);
          expect(passed.out + textOf(heard.held)).toBe(stream);
          expect(heard.reply).toEqual(heardOf(pass(format.hear(asked), [bytes])).reply);
        }),
        { numRuns: 200 },
      );
    });

    test("HRD-1.2 nothing is given out behind the first call, one byte at a time, and each event as soon as it is whole", () => {
      const hearing = format.hear(asked);
      let out = 0;
      for (let at = 0; at < bytes.length; at += 1) {
        out += hearing.push(bytes.subarray(at, at + 1)).reduce((sum, piece) => sum + piece.length, 0);
        const whole = sample.stream.lastIndexOf("\n\n", Buffer.from(bytes.subarray(0, at + 1)).toString().length) + 2;
        if (
          bytes
            .subarray(0, at + 1)
            .toString()
            .endsWith("\n\n") &&
          whole <= sample.before.length
        )
          expect(out).toBe(at + 1);
      }
      expect(out).toBe(Buffer.byteLength(sample.before));
    });

    test("HRD-1.3 what one chunk passes on is one view of it", () => {
      const hearing = format.hear(asked);
      const first = bytes.indexOf("\n\n") + 10;
      expect(hearing.push(bytes.subarray(0, first))).toHaveLength(1);
      const pieces = hearing.push(bytes.subarray(first));
      expect(pieces).toHaveLength(2);
      expect(pieces.map((piece) => piece.buffer)).toEqual([bytes.buffer, bytes.buffer]);
    });

    test("HRD-1.6 a body in one piece is held, and is the same reply as its stream", () => {
      const hearing = format.hear({ ...asked, stream: false });
      const body = JSON.stringify(sample.whole);
      const passed = pass(hearing, chunks(Buffer.from(body), [7, 100, 101]));
      expect(passed.out).toBe("");
      const heard = heardOf(passed);
      expect(textOf(heard.held)).toBe(body);
      const streamed = heardOf(pass(format.hear(asked), [bytes]));
      expect(heard.reply).toEqual(streamed.reply);
      expect(streamed.reply.stop).toBe("calls");
      expect(streamed.reply.usage.reported).toBe(true);
    });

    test("HRD-1.4 a stream that ends early is trouble wherever it ends", () => {
      const events = unended(sample.stream);
      for (let n = 0; n <= events.length; n += 1) {
        const { out, end } = pass(format.hear(asked), [Buffer.from(events.slice(0, n).join(""))]);
        expect(end).toMatchObject({ ok: false, error: { told: false } });
        expect(sample.before.startsWith(out)).toBe(true);
      }
    });

    test("HRD-1.7 what a stream had generated when it broke off is counted", () => {
      const end = pass(format.hear(asked), [Buffer.from(sample.before)]).end;
      expect(end.ok ? 0 : end.error.outputTokens).toBeGreaterThan(5);
      const more = pass(format.hear(asked), [Buffer.from(unended(sample.stream).join(""))]).end;
      expect(more.ok || end.ok ? 0 : more.error.outputTokens - end.error.outputTokens).toBeGreaterThan(0);
    });

    test.each([
      ["no JSON", "data: {oops\n\n"],
      ["a line of no field", `${sample.before.split("\n\n")[0]}\n data: {}\n\n`],
      ["a page", "<!doctype html>\n\n"],
      ["compressed bytes", "\u001f\u008b\b\u0000\u0000\n\n"],
    ])("HRD-1.4 %s in a stream is trouble, and is not given out", (_what, line) => {
      const hearing = format.hear(asked);
      expect(textOf(hearing.push(Buffer.from(sample.before)))).toBe(sample.before);
      expect(hearing.push(Buffer.from(line))).toEqual([]);
      expect(hearing.failed()).toBe(true);
      expect(hearing.push(Buffer.from(sample.before))).toEqual([]);
      const end = hearing.end();
      expect(end).toMatchObject({ ok: false, error: { told: false, trouble: { retry: null } } });
      if (!end.ok) expect(end.error.outputTokens).toBeGreaterThan(5);
    });

    test("HRD-1.4 a stream without an end is trouble before it takes the memory", () => {
      const hearing = format.hear(asked);
      const alive = Buffer.from(`: alive\n\n${": ".repeat(500_000)}\n\n`);
      let count = 0;
      while (!hearing.failed()) {
        hearing.push(alive);
        count += 1;
      }
      expect(count * alive.length).toBeGreaterThan(limits.modelReplyBytesMax);
      expect((count - 1) * alive.length).toBeLessThanOrEqual(limits.modelReplyBytesMax);
      expect(hearing.end()).toMatchObject({ ok: false });
    });

    test("HRD-1.8 a usage of zero is not believed", () => {
      const none = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
      const part = { type: "text", text: "a reply of some length" } as const;
      const stream = { ...asked, windowTokens: 0 };
      const writer = format.writer(stream, "r1");
      const streamed = heardOf(pass(format.hear(asked), [writer.part(part), writer.end("end", none)]));
      const whole = heardOf(pass(format.hear({ ...asked, stream: false }), [format.whole(asked, [part], "end", none, "r1")]));
      for (const { reply } of [streamed, whole]) {
        expect(reply.usage).toMatchObject({ inputTokens: asked.windowTokens, reported: false });
        expect(reply.usage.outputTokens).toBeGreaterThan(3);
      }
    });

    test("HRD-1.5 an error event that passes is told, and one behind a call is not", () => {
      const error = eventsOf(Buffer.from(format.refuseEvent("EAGAIN", "too much at once")).toString())[0] ?? "";
      const early = pass(format.hear(asked), [Buffer.from(sample.before + error + sample.before)]);
      expect(early.out).toBe(sample.before + error);
      expect(early.end).toMatchObject({ ok: false, error: { told: true, trouble: { message: "too much at once" } } });
      const late = pass(format.hear(asked), [Buffer.from(unended(sample.stream).join("") + error)]);
      expect(late.out).toBe(sample.before);
      expect(late.end).toMatchObject({ ok: false, error: { told: false, trouble: { message: "too much at once" } } });
    });

    test("HRD-1.5 an error event that the server did not close is not told", () => {
      const error = Buffer.from(format.refuseEvent("EAGAIN", "too much at once")).toString().split("\n\n")[0]?.trimEnd() ?? "";
      const cut = pass(format.hear(asked), [Buffer.from(sample.before + error)]);
      expect(cut.out).toBe(sample.before);
      expect(cut.end).toMatchObject({ ok: false, error: { told: false, trouble: { message: "too much at once" } } });
    });

    test("HRD-1.4 a body in one piece that is no reply is trouble", () => {
      for (const body of ["", "{", "[]", "<html>", `{"error":{"message":"no","type":"x"}}`, sample.stream]) {
        const end = pass(format.hear({ ...asked, stream: false }), [Buffer.from(body)]).end;
        expect(end).toMatchObject({ ok: false, error: { told: false } });
      }
    });
  });
}

const bash = { index: 0, id: "c", type: "function", function: { name: "bash", arguments: '{"command":"ls"}' } };
const delta = { index: 0, delta: { content: "a", tool_calls: [bash] } };
const part = { functionCall: { name: "run_shell_command", args: { command: "ls" } } };
const candidate = { content: { parts: [part] }, finishReason: "STOP" };
const item = { type: "function_call", call_id: "c", name: "bash", arguments: "{}" };

/** What some reader takes for a call, and another for none. */
const ambiguous: readonly (readonly [keyof typeof guestFormats, string, string])[] = [
  ["chat", "an error beside a call", `data: ${JSON.stringify({ error: { message: "x" }, choices: [delta] })}`],
  ["gemini", "an error beside a call", `data: ${JSON.stringify({ error: { message: "x" }, candidates: [candidate] })}`],
  [
    "responses",
    "an error beside a call",
    `data: ${JSON.stringify({ type: "response.failed", response: { error: { message: "x" }, output: [item] } })}`,
  ],
  ["chat", "choices that are no list", `data: ${JSON.stringify({ choices: { 0: delta } })}`],
  ["gemini", "candidates that are no list", `data: ${JSON.stringify({ candidates: { 0: candidate } })}`],
  [
    "responses",
    "an output that is no list",
    `data: ${JSON.stringify({ type: "response.completed", response: { output: { 0: item } } })}`,
  ],
  [
    "messages",
    "a content that is no list",
    `data: ${JSON.stringify({ type: "message_start", message: { content: { 0: { type: "tool_use", id: "c", name: "Bash" } } } })}`,
  ],
  [
    "chat",
    "a call in a prototype",
    `data: {"choices":[{"index":0,"delta":{"__proto__":{"tool_calls":[${JSON.stringify(bash)}]}}}]}`,
  ],
  [
    "chat",
    "a call in a prototype that is spelled otherwise",
    `data: {"choices":[{"delta":{"\\u005f_proto__":{"tool_calls":[]}}}]}`,
  ],
  ...["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"].flatMap((end) =>
    [": ", "id: ", "retry: 1", "event: x"].map(
      (field) =>
        [
          "chat",
          `a call behind ${JSON.stringify(end)} in a line of ${field}`,
          `${field}${end}data: ${JSON.stringify({ choices: [delta] })}`,
        ] as const,
    ),
  ),
  [
    "chat",
    "a call that is two",
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{ ...bash, type: "custom", custom: { name: "x", input: "" } }] } }] })}`,
  ],
  ["chat", "an event that nests without end", `data: {"choices":${"[".repeat(50_000)}${"]".repeat(50_000)}}`],
];

test.each(ambiguous)("HRD-1.9 %s: %s is never given out, whatever comes behind it", (name, _what, event) => {
  const { before } = samples[name];
  const passed = pass(guestFormats[name].hear(asked), [Buffer.from(`${event}\n\n${before}`)]);
  expect(passed.out).toBe("");
  expect(passed.end.ok).toBe(false);
});

test("HRD-1.9 text may speak of such keys, and hold what ends lines elsewhere", () => {
  const content = 'a["__proto__"]: \u2028 \u0085 {"__proto__":1}';
  const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
  expect(pass(guestFormats.chat.hear(asked), [Buffer.from(event)]).out).toBe(event);
});

test("HRD-1.9 arguments that nest without end stay text", () => {
  const deep = "[".repeat(50_000) + "]".repeat(50_000);
  const events = [
    { type: "response.function_call_arguments.delta", output_index: 0, delta: deep },
    { type: "response.output_item.done", output_index: 0, item: { ...item, arguments: deep } },
    { type: "response.completed", response: { output: [{ ...item, arguments: deep }] } },
  ];
  const stream = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  const heard = heardOf(pass(guestFormats.responses.hear(asked), [Buffer.from(stream)]));
  expect(heard.reply.parts).toEqual([{ type: "call", id: "c", name: "bash", args: deep }]);
});
