import fc from "fast-check";
import { expect, test } from "vitest";
import { acceptOf, closeFrame, frameOf, frameParser } from "../../../src/doors/model/websocket.ts";

/** A client's frame. */
function framed(first: number, payload: Uint8Array, mask = Buffer.from([1, 2, 3, 4])): Buffer {
  const plain = frameOf("text", payload);
  const headBytes = plain.length - payload.length;
  const head = Buffer.from(plain.subarray(0, headBytes));
  head[0] = first;
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, mask, payload.map((byte, n) => byte ^ (mask[n & 3] ?? 0))]);
}

interface Taken {
  readonly messages: readonly string[];
  readonly pings: readonly string[];
  readonly codes: readonly number[];
}

function taken(chunks: readonly Buffer[], bytesMax = 1 << 20): Taken {
  const messages: string[] = [];
  const pings: string[] = [];
  const codes: number[] = [];
  const push = frameParser(bytesMax, {
    message: (text) => void messages.push(text),
    ping: (payload) => void pings.push(payload.toString()),
    close: (code) => void codes.push(code),
  });
  for (const chunk of chunks) push(chunk);
  return { messages, pings, codes };
}

const fin = 0x80;

test("WSK-1.1 messages are the same however they are cut into frames and chunks, with pings between", () => {
  const message = fc.record({
    text: fc.string({ unit: "binary", maxLength: 300 }),
    cuts: fc.array(fc.nat(300), { maxLength: 4 }),
    mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.nat(5_000), { maxLength: 12 }), (messages, cuts) => {
      const bytes = Buffer.concat(
        messages.flatMap(({ text, cuts: places, mask }) => {
          const whole = Buffer.from(text);
          const at = [0, ...places.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b), whole.length];
          const pieces = at.slice(1).map((to, n) => whole.subarray(at[n], to));
          return pieces.flatMap((piece, n) => {
            const frame = framed((n === pieces.length - 1 ? fin : 0) | (n === 0 ? 1 : 0), piece, Buffer.from(mask));
            return n === 0 ? [frame] : [framed(fin | 9, Buffer.from("p")), frame];
          });
        }),
      );
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
      const found = taken(places.slice(1).map((to, n) => bytes.subarray(places[n], to)));
      expect(found.messages).toEqual(messages.map(({ text }) => Buffer.from(text).toString()));
      expect(found.codes).toEqual([]);
    }),
  );
  const long = "é".repeat(40_000);
  expect(taken([framed(fin | 1, Buffer.from(long))]).messages).toEqual([long]);
});

test("WSK-1.2 what the protocol does not allow ends with the code for it, and nothing of it or behind it is taken", () => {
  const hi = Buffer.from("hi");
  const unmasked = frameOf("text", hi);
  const cases: readonly (readonly [string, readonly Buffer[], number])[] = [
    ["not masked", [unmasked], 1002],
    ["an extension", [framed(fin | 0x40 | 1, hi)], 1002],
    ["an opcode of nobody", [framed(fin | 3, hi)], 1002],
    ["a control frame in pieces", [framed(9, hi)], 1002],
    ["a long control frame", [framed(fin | 9, Buffer.alloc(126))], 1002],
    ["a continuation of nothing", [framed(fin, hi)], 1002],
    ["a message within one", [framed(1, hi), framed(fin | 1, hi)], 1002],
    ["bytes", [framed(fin | 2, hi)], 1003],
    ["no UTF-8", [framed(fin | 1, Buffer.from([0xc3, 0x28]))], 1007],
    ["half a code of its close", [framed(fin | 8, Buffer.from([3]))], 1002],
    ["a close", [framed(fin | 8, Buffer.from([3, 0xe8]))], 1000],
  ];
  for (const [name, frames, code] of cases) {
    const found = taken([...frames, framed(fin | 1, hi)]);
    expect(found, name).toEqual({ messages: [], pings: [], codes: [code] });
  }
  const huge = Buffer.alloc(14);
  huge.set([fin | 1, 0xff, 0xff, 0xff, 0xff, 0xff]);
  expect(taken([huge]).codes).toEqual([1009]);
  expect(taken([framed(fin | 1, Buffer.alloc(101, 0x20))], 100).codes).toEqual([1009]);
  expect(taken([framed(1, Buffer.alloc(60)), framed(fin, Buffer.alloc(60))], 100).codes).toEqual([1009]);
});

test("WSK-1.2 a message of pieces without end costs no more than one of its bound", () => {
  const empty = framed(0, Buffer.alloc(0));
  const found = taken([framed(1, Buffer.alloc(0)), ...Array.from({ length: 1_000 }, () => empty)], 64 * 100);
  expect(found.codes).toEqual([1009]);
});

test("WSK-1.3 only a request for this version with a key is an opening", () => {
  const asking = { upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  expect(acceptOf(asking)).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  for (const wrong of [{ upgrade: "h2c" }, { "sec-websocket-version": "8" }, { "sec-websocket-key": "short" }])
    expect(acceptOf({ ...asking, ...wrong })).toBe(null);
  expect([...closeFrame(1009)]).toEqual([0x88, 2, 3, 0xf1]);
});
