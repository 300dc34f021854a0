import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Part } from "../../src/abi/message.ts";
import type { StopReason, Usage } from "../../src/abi/model.ts";
import type { Json } from "../../src/lib/json.ts";
import type { GuestFormat, ReplyWriter } from "../../src/wire/guest-format.ts";
import { guestFormats } from "../../src/wire/guest-formats.ts";
import { asked, heardOf, pass } from "./guests.ts";
import { eventsOf, samples, unended } from "./samples.ts";

const usage: Usage = { inputTokens: 500, outputTokens: 70, cacheReadTokens: 300, cacheWriteTokens: 0, reported: true };
const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== "");
const args = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,6}$/),
  fc.oneof(fc.integer(), word, fc.array(fc.boolean(), { maxLength: 2 })),
);
const text = word.map((text): Part => ({ type: "text", text }));
const call = fc.tuple(fc.nat(), word, args).map(([n, name, args]): Part => ({ type: "call", id: `c${n}`, name, args }));
const parts = fc.uniqueArray(fc.oneof(text, call), { minLength: 1, maxLength: 6, selector: (part) => JSON.stringify(part) });

const lists = { messages: "messages", chat: "messages", responses: "input", gemini: "contents" } as const;

/** Formats whose readers join all texts keep what was written apart. */
function read(parts: readonly Part[]): unknown {
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text.replace(/^\n\n/, "")] : []));
  return { text: texts.join("\n\n"), calls: parts.filter((part) => part.type === "call") };
}

function write(writer: ReplyWriter, parts: readonly Part[], stop: StopReason): Buffer {
  return Buffer.concat([...parts.map((part) => writer.part(part)), writer.end(stop, usage)]);
}

function stopOf(parts: readonly Part[]): StopReason {
  return parts.some((part) => part.type === "call") ? "calls" : "end";
}

for (const [name, sample] of Object.entries(samples)) {
  const format: GuestFormat = guestFormats[name as keyof typeof samples];
  const beginning = eventsOf(sample.before);

  describe(name, () => {
    test("WRT-4.1 what is written is heard again, streamed and in one piece", () => {
      fc.assert(
        fc.property(parts, (parts) => {
          const stop = stopOf(parts);
          const streamed = heardOf(pass(format.hear(asked), [write(format.writer(asked, "r1"), parts, stop)])).reply;
          const body = format.whole(asked, parts, stop, usage, "r1");
          const whole = heardOf(pass(format.hear({ ...asked, stream: false }), [body])).reply;
          expect(read(streamed.parts)).toEqual(read(parts));
          expect(streamed).toMatchObject({ stop, usage, model: "m" });
          expect(read(whole.parts)).toEqual(read(parts));
          expect(whole).toMatchObject({ stop, usage, model: "m" });
        }),
        { numRuns: 200 },
      );
    });

    test("WRT-4.2 what is written behind a heard beginning goes on with it, wherever it stopped", () => {
      fc.assert(
        fc.property(parts, fc.nat(beginning.length), (parts, at) => {
          const hearing = format.hear(asked);
          const before = beginning.slice(0, at).join("");
          hearing.push(Buffer.from(before));
          const rest = write(hearing.writer("r1"), parts, stopOf(parts)).toString();
          const heard = heardOf(pass(format.hear(asked), [Buffer.from(before + rest)])).reply;
          expect((read(heard.parts) as { text: string }).text.endsWith((read(parts) as { text: string }).text)).toBe(true);
          expect(heard.parts.filter((part) => part.type === "call")).toEqual(parts.filter((part) => part.type === "call"));
          expect(heard).toMatchObject({ stop: stopOf(parts), usage });
        }),
        { numRuns: 200 },
      );
    });

    test("WRT-4.3 what another provider said goes on block by block as it was, behind a note", () => {
      const second = heardOf(pass(format.hear(asked), [Buffer.from(sample.stream)]));
      const first = format.hear(asked);
      const heard = first.push(Buffer.from(sample.stream));
      const note: Part = { type: "text", text: "[daimon] refused" };
      const rest = write(first.writer("r1"), [note, ...second.said], "calls");
      const both = heardOf(pass(format.hear(asked), [...heard, rest]));
      expect(both.reply.parts.filter((part) => part.type === "call")).toEqual(
        second.reply.parts.filter((part) => part.type === "call"),
      );
      const whole = format.whole(asked, second.said, "calls", usage, "r1");
      const again = heardOf(pass(format.hear({ ...asked, stream: false }), [whole]));
      expect(again.reply.parts).toEqual(second.reply.parts);
      const turns = { [lists[format.name]]: [] };
      expect(format.again(turns, again.said, [])).toEqual(format.again(turns, second.said, []));
    });

    test("WRT-4.4 an empty reply is whole", () => {
      const reply = heardOf(pass(format.hear(asked), [Buffer.from(format.writer(asked, "r1").end("end", usage))])).reply;
      expect(reply).toMatchObject({ parts: [], stop: "end", usage });
      const length = heardOf(
        pass(format.hear(asked), [write(format.writer(asked, "r1"), [{ type: "text", text: "x" }], "length")]),
      );
      expect(length.reply.stop).toBe("length");
    });

    test("WRT-4.5 parts of other formats are passed over", () => {
      const foreign: Part = { type: "opaque", dialect: "elsewhere", value: { type: "thinking" } };
      expect(format.writer(asked, "r1").part(foreign)).toHaveLength(0);
      expect(read(heardOf(pass(format.hear(asked), [write(format.writer(asked, "r1"), [foreign], "end")])).reply.parts)).toEqual(
        read([]),
      );
    });

    test("WRT-4.6 a beginning that broke off goes on to an end", () => {
      const hearing = format.hear(asked);
      const events = unended(sample.before);
      const out = hearing.push(Buffer.from(events.join("")));
      expect(hearing.push(Buffer.from("data: {\n\n"))).toEqual([]);
      const rest = write(hearing.writer("r1"), [{ type: "text", text: "The rest is lost." }], "end");
      const heard = heardOf(pass(format.hear(asked), [...out, rest]));
      expect(heard.reply.stop).toBe("end");
    });

    test("WRT-4.7 to ask again adds the reply and its answers, and keeps every other field", () => {
      const { said, reply } = heardOf(pass(format.hear(asked), [Buffer.from(sample.stream)]));
      const calls = reply.parts.filter((part) => part.type === "call");
      const answers = calls.map(({ id, name }) => ({ id, name, text: `EPERM: ${name} is not allowed` }));
      fc.assert(
        fc.property(fc.dictionary(word, fc.jsonValue()), fc.array(fc.jsonValue(), { maxLength: 3 }), (more, turns) => {
          const list = lists[format.name];
          const { [list]: _list, ...others } = JSON.parse(JSON.stringify(more)) as Record<string, Json>;
          const body = { ...others, [list]: JSON.parse(JSON.stringify(turns)) as Json };
          const again = format.again(body, said, answers) as Record<string, Json>;
          const { [list]: after, ...rest } = again;
          expect(rest).toEqual(others);
          expect((after as Json[]).slice(0, turns.length)).toEqual(body[list]);
          const added = JSON.stringify((after as Json[]).slice(turns.length));
          for (const { text } of answers) expect(added).toContain(text);
        }),
      );
      expect(format.again([], said, answers)).toBeNull();
      expect(format.again({}, said, answers)).toBeNull();
    });
  });
}
