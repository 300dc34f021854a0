import fc from "fast-check";
import { expect, test } from "vitest";
import { frameReader, type Frame } from "../../src/wire/frames.ts";

type Event = readonly [string, string];

function read(bytes: Uint8Array, cuts: readonly number[], bytesMax = 10_000): { events: Event[]; alive: boolean } {
  const events: Event[] = [];
  const reader = frameReader(bytesMax, ({ event, data }) => {
    if (data !== null) events.push([event, data]);
  });
  let alive = true;
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    const to = Math.min(cut, bytes.length);
    if (to > from) alive = reader.push(bytes.subarray(from, to));
    from = Math.max(from, to);
  }
  reader.end();
  return { events, alive };
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test("MOD-2.3 comments, unknown fields, several data lines and all line ends", () => {
  const text =
    ": hello\nevent: first\ndata: one\ndata:two\nid: 7\nretry: 10\n\ndata: x\r\n\r\nevent: named\rdata: y\r\rdata\n\nevent: dropped\n\ndata:  z\n\n";
  expect(read(bytesOf(text), []).events).toEqual([
    ["first", "one\ntwo"],
    ["message", "x"],
    ["named", "y"],
    ["message", ""],
    ["message", " z"],
  ]);
});

test("MOD-2.1 an event the server did not close is given out at the end, a byte order mark is not", () => {
  expect(read(bytesOf("\ufeffdata: a\n\ndata: b"), []).events).toEqual([
    ["message", "a"],
    ["message", "b"],
  ]);
});

test("MOD-2.1 however the bytes are cut, the events are the same", () => {
  const line = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }).map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
    fc.constantFrom("", "", "event: e", ": comment", "data", "data: 🎈ü", "id: 1", "nonsense", ":"),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 30 })
    .map((lines) => lines.map(([text, end]) => text + end).join(""));
  fc.assert(
    fc.property(stream, fc.array(fc.nat(400), { maxLength: 60 }), (text, cuts) => {
      const bytes = bytesOf(text);
      const whole = read(bytes, []).events;
      expect(read(bytes, cuts).events).toEqual(whole);
      expect(
        read(
          bytes,
          Array.from(bytes, (_byte, n) => n),
        ).events,
      ).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});

test("MOD-2.1 any bytes at all are read without an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 10 }), (bytes, cuts) => {
      expect(read(bytes, cuts).events).toEqual(read(bytes, []).events);
    }),
    { numRuns: 500 },
  );
});

test("MOD-2.2 a line beyond the bound ends the stream, also in one-byte pieces", () => {
  const events: (string | null)[] = [];
  const reader = frameReader(100, ({ data }) => events.push(data));
  expect(reader.push(bytesOf("data: fine\n\n"))).toBe(true);
  const alive = Array.from({ length: 200 }, () => reader.push(bytesOf("x")));
  expect(alive.lastIndexOf(true)).toBe(99);
  expect(reader.push(bytesOf("\n\ndata: after\n\n"))).toBe(false);
  reader.end();
  expect(events).toEqual(["fine"]);
});

test("MOD-2.2 the data of an event is bounded as a whole", () => {
  expect(read(bytesOf(`${"data: 0123456789\n".repeat(20)}\n`), [], 100)).toEqual({ events: [], alive: false });
});

test("MOD-2.1 a long line in one-byte pieces takes time in proportion to its length", () => {
  const reader = frameReader(1_000_000, () => undefined);
  const byte = bytesOf("x");
  const started = process.cpuUsage().user;
  for (let n = 0; n < 200_000; n += 1) reader.push(byte);
  // A reader that searched the whole line again for each byte would look at 2 × 10¹⁰ characters.
  expect(process.cpuUsage().user - started).toBeLessThan(2_000_000);
});

test("MOD-2.1 the frames of a stream are together its bytes", () => {
  const line = fc.constantFrom("", "", ": alive", "data: {}", "event: e", "data: ü", "odd");
  const text = fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 30 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(200), { maxLength: 20 }), (lines, cuts) => {
      const bytes = bytesOf(lines.map(([line, end]) => line + end).join(""));
      const ends: number[] = [];
      let before = 0;
      const reader = frameReader(10_000, ({ end }) => ends.push(before + end));
      for (const to of [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]) {
        reader.push(bytes.subarray(before, to));
        before = to;
      }
      for (const end of ends) {
        const rest: Frame[] = [];
        const again = frameReader(10_000, (frame) => rest.push(frame));
        again.push(bytes.subarray(end));
        again.end();
        const all: Frame[] = [];
        const behind = frameReader(10_000, (frame) => all.push(frame));
        behind.push(bytes.subarray(0, end));
        behind.push(bytes.subarray(end));
        behind.end();
        const dataOf = (frames: readonly Frame[]) => frames.flatMap(({ data }) => (data === null ? [] : [data]));
        expect(dataOf(all).slice(dataOf(all).length - dataOf(rest).length)).toEqual(dataOf(rest));
      }
    }),
  );
});

test("MOD-2.4 a line that is none of the fields makes its frame odd, and a comment does not", () => {
  const odd: boolean[] = [];
  const reader = frameReader(1_000, (frame) => odd.push(frame.odd));
  reader.push(bytesOf(`: alive\n\ndata: 1\nid: 1\nretry: 1\nevent: e\n\n data: 2\n\n\ufeffdata: 3\n\n{"error":1}\n\n`));
  expect(odd).toEqual([false, false, true, true, true]);
});
