/** What is read without being parsed is what parsing would have given. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { likeness } from "../../src/wire/alike.ts";
import { frameReader, type Frame } from "../../src/wire/frames.ts";
import { guestFormats } from "../../src/wire/guest-formats.ts";
import { parseJson, type Json } from "../../src/lib/json.ts";
import { asked, chunks, heardOf, pass, textOf } from "./guests.ts";

const bound = 1_000_000;

function framesOf(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const reader = frameReader(bound, (frame) => frames.push(frame));
  reader.push(bytes);
  return frames;
}

const rawOf = (data: Json, event = "delta"): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const delta = (text: string, more: Record<string, Json> = {}): Json => ({ type: "delta", index: 0, ...more, delta: { text } });

/** One that has read these as any. */
function having(...raws: readonly string[]) {
  const alike = likeness(bound);
  for (const raw of raws) for (const frame of framesOf(Buffer.from(raw))) alike.saw(frame);
  return alike;
}

test("HRD-7.1 an event with another text is read, wherever it lies in its chunk", () => {
  const alike = having(rawOf(delta("one")), rawOf(delta("two")));
  for (const text of ["three", "", "with words, {brackets}: and more", "é ✓ 😀 \u2028", "t".repeat(10_000)]) {
    const chunk = Buffer.from(`....${rawOf(delta(text))}event: next`);
    expect(alike.at(chunk, 4)).toEqual({ event: "delta", data: delta(text), end: chunk.length - "event: next".length });
    expect(alike.at(new Uint8Array(chunk), 4)).toMatchObject({ data: delta(text) });
  }
});

test("HRD-7.1 an event that differs in anything else is read as any", () => {
  const alike = having(rawOf(delta("one")), rawOf(delta("two")));
  const whole = rawOf(delta("three"));
  const others = [
    rawOf(delta('a "quote"')),
    rawOf(delta("a \\ backslash")),
    rawOf(delta("a\nline")),
    rawOf(delta("x", { index: 1 })),
    rawOf(delta("x"), "other"),
    whole.replaceAll("\n", "\r\n"),
    whole.replace("data: ", "data:"),
    whole.replace("\n\n", "\n: comment\n\n"),
    whole.slice(0, -1),
    whole.slice(0, 30),
    rawOf({ type: "delta", index: 0, delta: { text: "x", call: 1 } }),
  ];
  for (const other of others) expect(alike.at(Buffer.from(other), 0), other).toBeNull();
  const invalid = Buffer.from(whole);
  invalid[invalid.indexOf("three")] = 0xff;
  expect(alike.at(invalid, 0)).toBeNull();
  expect(likeness(20).at(Buffer.from(whole), 0)).toBeNull();
});

test("HRD-7.1 an event that was read as any makes the ones before it count no more", () => {
  const alike = having(rawOf(delta("one")), rawOf(delta("two")), rawOf({ type: "stop" }, "stop"));
  expect(alike.at(Buffer.from(rawOf(delta("three"))), 0)).toBeNull();
});

test("HRD-7.2 a place that is no whole text, or not the one that counts, is found out", () => {
  const tricks: readonly (readonly [string, string])[] = [
    /** They differ inside a string that looks like another. */
    [`{"a":"x\\"one","text":"\\u006fne"}`, `{"a":"x\\"two","text":"\\u0074wo"}`],
    [`{"one":1}`, `{"two":1}`],
    [`{"text":"a","n":1}`, `{"text":"b","n":2}`],
    [`{"n":1}`, `{"n":2}`],
    [`{"text":"one","text":"same"}`, `{"text":"two","text":"same"}`],
    [`{"__proto__":"one"}`, `{"__proto__":"two"}`],
  ];
  for (const [one, two] of tricks) {
    const alike = having(`data: ${one}\n\n`, `data: ${two}\n\n`);
    for (const text of ["one", "two", "three"]) {
      const next = two.replaceAll("two", text);
      const read = alike.at(Buffer.from(`data: ${next}\n\n`), 0);
      expect(read === null ? null : read.data, next).toEqual(read === null ? null : parseJson(next));
    }
  }
});

test("HRD-7.2 a stream whose events always differ in two places is tried a few times, and not more", () => {
  const alike = likeness(bound);
  const saw = (n: number): void => framesOf(Buffer.from(rawOf({ seq: n, delta: `t${n}` }))).forEach((frame) => alike.saw(frame));
  for (let n = 100; n < 120; n += 1) saw(n);
  for (const frame of framesOf(Buffer.from(rawOf(delta("one")) + rawOf(delta("two"))))) alike.saw(frame);
  expect(alike.at(Buffer.from(rawOf(delta("three"))), 0)).toBeNull();
});

test("HRD-7.1 whatever becomes of its bytes, what is read is what a parser reads", () => {
  const text = fc.string({ unit: "binary", maxLength: 12 });
  const body = fc.dictionary(fc.constantFrom("a", "b", "type", "delta"), fc.oneof(text, fc.integer(), fc.jsonValue()));
  const harm = fc.record({ at: fc.nat(200), cut: fc.nat(6), put: fc.uint8Array({ maxLength: 6 }) });
  let reads = 0;
  fc.assert(
    fc.property(body, text, text, fc.array(harm, { maxLength: 2 }), (rest, one, two, harms) => {
      const alike = having(rawOf({ ...rest, text: one }), rawOf({ ...rest, text: two }));
      let bytes = Buffer.from(rawOf({ ...rest, text: `${two}!` }));
      for (const { at, cut, put } of harms) bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]);
      const read = alike.at(bytes, 0);
      if (read === null) return;
      reads += 1;
      const [frame] = framesOf(bytes);
      expect(frame).toMatchObject({ event: read.event, odd: false, end: read.end });
      expect(parseJson(frame?.data ?? "")).toEqual(read.data);
    }),
    { numRuns: 2_000 },
  );
  expect(reads).toBeGreaterThan(200);
});

test("HRD-7.1 a stream is the same reply by the event and by the byte", () => {
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(texts, fc.boolean(), (said, chat) => {
      const stream = chat ? chatStream(said) : messagesStream(said);
      const format = guestFormats[chat ? "chat" : "messages"];
      const bytes = Buffer.from(stream.join(""));
      const byEvent = pass(
        format.hear(asked),
        stream.map((event) => Buffer.from(event)),
      );
      const byByte = pass(
        format.hear(asked),
        chunks(
          bytes,
          Array.from(bytes, (_, n) => n),
        ),
      );
      const [one, other] = [heardOf(byEvent), heardOf(byByte)];
      expect(byEvent.out + textOf(one.held)).toBe(bytes.toString());
      expect(one.reply).toEqual(other.reply);
      expect(one.reply.parts).toEqual(said.join("") === "" ? [] : [{ type: "text", text: said.join("") }]);
    }),
    { numRuns: 200 },
  );
});

function messagesStream(said: readonly string[]): readonly string[] {
  const events: readonly (Json & { type: string })[] = [
    { type: "message_start", message: { model: "m", content: [], usage: { input_tokens: 9, output_tokens: 9 } } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...said.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } },
    { type: "message_stop" },
  ];
  return events.map((event) => rawOf(event, event.type));
}

function chatStream(said: readonly string[]): readonly string[] {
  const chunk = (choice: Json): string => `data: ${JSON.stringify({ id: "c", created: 1, model: "m", choices: [choice] })}\n\n`;
  return [
    ...said.map((content) => chunk({ index: 0, delta: { content }, finish_reason: null })),
    chunk({ index: 0, delta: {}, finish_reason: "stop" }),
    "data: [DONE]\n\n",
  ];
}
