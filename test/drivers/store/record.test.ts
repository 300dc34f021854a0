import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyHead } from "../../../src/abi/store.ts";
import { RecordCursor, type WholeRecord } from "../../../src/drivers/store/cursor.ts";
import { bufferSource } from "../../../src/drivers/store/disk.ts";
import { chainHash, decodeHead, encodeRecord, headerBytes, isMark, settle } from "../../../src/drivers/store/record.ts";

function encodeAll(texts: readonly string[]): Buffer {
  const buffer = Buffer.alloc(texts.reduce((sum, text) => sum + headerBytes + text.length * 3, 0));
  let head = emptyHead;
  let at = 0;
  for (const text of texts) {
    head = chainHash("entry", head, text);
    at = encodeRecord(buffer, at, "entry", text, head);
  }
  return buffer.subarray(0, at);
}

function decodeAll(bytes: Buffer): WholeRecord[] {
  const cursor = new RecordCursor(bufferSource(bytes), 0, emptyHead);
  const records: WholeRecord[] = [];
  for (let step = cursor.next(); step.found === "record"; step = cursor.next()) records.push(step);
  return records;
}

describe("record", () => {
  test("STO-1.1 a record's hash can be computed with any SHA-256", () => {
    const previous = createHash("sha256").update("before").digest("hex");
    const expected = createHash("sha256").update(`${previous}{"a":"ü"}`, "utf8").digest("hex");
    expect(chainHash("entry", previous, '{"a":"ü"}')).toBe(expected);
  });

  test("STO-1.2 a note never passes for an entry, and leaves the chain as it is", () => {
    expect(chainHash("note", emptyHead, "x")).not.toBe(chainHash("entry", emptyHead, "x"));
    const buffer = Buffer.alloc(300);
    const at = encodeRecord(buffer, 0, "note", "n", chainHash("note", emptyHead, "n"));
    const end = encodeRecord(buffer, at, "entry", "e", chainHash("entry", emptyHead, "e"));
    expect(decodeAll(buffer.subarray(0, end)).map((record) => [record.kind, record.text])).toEqual([
      ["note", "n"],
      ["entry", "e"],
    ]);
  });

  test("STO-1.3 a record is settled in place, and reads the same otherwise", () => {
    const bytes = encodeAll(["one", "two"]);
    const before = decodeAll(bytes);
    expect(before.map((record) => record.settled)).toEqual([false, false]);
    settle(bytes, before[1]?.offset ?? 0);
    expect(decodeAll(bytes).map((record) => [record.settled, record.text])).toEqual([
      [false, "one"],
      [true, "two"],
    ]);
  });

  test("STO-1.4 every change of every byte is found", () => {
    // The replacement character is what broken UTF-8 decodes to: a text that holds one must not hide the change.
    const bytes = encodeAll(["a\ufffdb", "é\u{1f600}", "{}"]);
    const whole = decodeAll(bytes).length;
    for (let at = 0; at < bytes.length; at++) {
      const original = bytes.readUInt8(at);
      for (let value = 0; value < 256; value++) {
        if (value === original) continue;
        bytes.writeUInt8(value, at);
        expect(decodeAll(bytes).length, `byte ${at} as ${value}`).toBeLessThan(whole);
      }
      bytes.writeUInt8(original, at);
    }
  });

  test("records of any text and size come back as they were", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.integer({ min: 0, max: 700_000 }).map((size) => "ü".repeat(size)),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), (texts) => {
        expect(decodeAll(encodeAll(texts)).map((record) => record.text)).toEqual(texts);
      }),
      { numRuns: 60 },
    );
  });

  test("a mark is a byte no text holds, and zeros are no record", () => {
    for (let byte = 0; byte < 256; byte++) if (isMark(byte)) expect(byte).toBeGreaterThan(0xf4);
    expect(decodeHead(Buffer.alloc(headerBytes), 0)).toBeNull();
  });
});
