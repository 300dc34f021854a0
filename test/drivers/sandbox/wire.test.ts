import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, frameBytesMax, frameReader, type Request } from "../../../src/drivers/sandbox/wire.ts";

describe("wire", () => {
  test("SBX-1.1 any cut of the stream gives the same frames", () => {
    const frame = fc.record({ view: fc.string(), payload: fc.uint8Array({ maxLength: 50 }) });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (frames, cuts) => {
          const sent = frames.map(({ view, payload }, id) => ({ header: { op: "unmount", id, view } as const, payload }));
          const stream = Buffer.concat(sent.map(({ header, payload }) => encodeFrame(header, [payload])));
          const read = frameReader<Request>();
          const got = [];
          for (let at = 0, cut = 0; at < stream.length; cut += 1) {
            const size = cuts[cut % cuts.length] ?? 1;
            got.push(...read(stream.subarray(at, at + size)));
            at += size;
          }
          expect(got.map(({ header, payload }) => ({ header, payload: [...payload] }))).toEqual(
            sent.map(({ header, payload }) => ({ header, payload: [...payload] })),
          );
        },
      ),
    );
  });

  test("SBX-1.2 a frame beyond the bound is refused by its length alone", () => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(frameBytesMax + 1);
    expect(() => frameReader<Request>()(head)).toThrow(RangeError);
  });
});
