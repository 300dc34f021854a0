import fc from "fast-check";
import { expect, test } from "vitest";
import { sseReader } from "../../src/wire/sse.ts";

type Event = readonly [string, string];

function read(bytes: Uint8Array, cuts: readonly number[], charsMax = 10_000): { events: Event[]; alive: boolean } {
  const events: Event[] = [];
  const reader = sseReader(charsMax, (event, data) => events.push([event, data]));
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
  const events: string[] = [];
  const reader = sseReader(100, (_event, data) => events.push(data));
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
  const reader = sseReader(1_000_000, () => undefined);
  const byte = bytesOf("x");
  const started = process.cpuUsage().user;
  for (let n = 0; n < 200_000; n += 1) reader.push(byte);
  // A reader that searched the whole line again for each byte would look at 2 × 10¹⁰ characters.
  expect(process.cpuUsage().user - started).toBeLessThan(2_000_000);
});
