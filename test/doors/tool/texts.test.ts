/** Texts that are too long for one result. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { Texts } from "../../../src/doors/tool/texts.ts";

const cut = /\n\[cut: \d+ more characters; daimon__read_on \{"text":"(\d+)","from":(\d+)\} reads on\]$/;

test("DRT-3.2 reading on gives the whole text, in pieces that part no character", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3 * limits.doorTextCharsMax }), fc.constantFrom("a", "é", "😀"), (length, letter) => {
      const whole = letter.repeat(Math.ceil(length / letter.length));
      const texts = new Texts();
      let piece = texts.shorten(whole);
      let read = "";
      for (let more = cut.exec(piece); more !== null; more = cut.exec(piece)) {
        expect(piece.isWellFormed()).toBe(true);
        read += piece.slice(0, more.index);
        piece = texts.read(more[1] ?? "", Number(more[2])) ?? "";
      }
      expect(read + piece === whole).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test("DRT-3.2 of many texts the oldest are let go, and what is not there is said to be", () => {
  const texts = new Texts();
  const long = "x".repeat(limits.doorTextCharsMax + 1);
  for (let n = 0; n <= limits.doorTextsMax; n += 1) texts.shorten(long);
  expect(texts.read("1", 0)).toBeNull();
  expect(texts.read("2", 0)).not.toBeNull();
  expect(texts.read("2", long.length + 1)).toBeNull();
});
