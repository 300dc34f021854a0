import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nearest } from "../../src/boot/suggest.ts";
import { mayHideCharacters, unseen } from "../../src/lib/unseen.ts";
import { parseBytes, parseCount, parseDuration, parseUsd } from "../../src/boot/units.ts";

describe("units", () => {
  it("BOO-8.1  a duration is milliseconds", () => {
    const cases = {
      "500ms": 500,
      "90s": 90_000,
      "10m": 600_000,
      "10 min": 600_000,
      "1h30m": 5_400_000,
      "2d": 172_800_000,
      "1.5h": 5_400_000,
    };
    for (const [text, ms] of Object.entries(cases)) expect(parseDuration(text), text).toBe(ms);
    for (const text of ["", "10", "m", "5m1h", "1s1s", "1h 5", "ten"]) expect(parseDuration(text), text).toBeNull();
  });

  it("BOO-8.2  a size is bytes", () => {
    const cases = { "4096": 4096, "512 KiB": 524_288, "1 GiB": 1_073_741_824, "1GB": 1e9, "10 kB": 10_000, "1.5 MiB": 1_572_864 };
    for (const [text, bytes] of Object.entries(cases)) expect(parseBytes(text), text).toBe(bytes);
    for (const text of ["", "1 XB", "GiB", "1 Gb/s", "-1"]) expect(parseBytes(text), text).toBeNull();
  });

  it("BOO-8.3  counts and amounts take the marks people write", () => {
    const counts = { "1_000_000": 1e6, "1,000": 1000, "32k": 32_000, "1.5M": 1_500_000, "7": 7 };
    for (const [text, count] of Object.entries(counts)) expect(parseCount(text), text).toBe(count);
    const amounts = { "2": 2, "2 USD": 2, "$2.50": 2.5, "50 cents": 0.5, "1_000 USD": 1000 };
    for (const [text, amount] of Object.entries(amounts)) expect(parseUsd(text), text).toBe(amount);
    for (const text of ["1_00", "1__000", "_1", "1.5", "1e9", "0x10"]) expect(parseCount(text), text).toBeNull();
    for (const text of ["2 EUR", "$", "$2 USD", "free"]) expect(parseUsd(text), text).toBeNull();
  });

  it("BOO-8.4  what is negative, infinite or inexact is refused", () => {
    for (const parse of [parseDuration, parseBytes, parseCount, parseUsd]) {
      for (const text of ["-1", "-1s", "Infinity", "NaN", `1${"0".repeat(400)}`, `1${"0".repeat(20)}d`, "99999999999999999 GiB"])
        expect(parse(text), text).toBeNull();
      fc.assert(
        fc.property(fc.string(), (text) => {
          const value = parse(text);
          expect(value === null || (value >= 0 && Number.isFinite(value))).toBe(true);
        }),
      );
    }
  });

  it("BOO-8.5  a near word gets its suggestion, a far one none", () => {
    const words = ["budget", "models", "policy", "sandbox"];
    expect(nearest("buget", words)).toBe("budget");
    expect(nearest("bugdet", words)).toBe("budget");
    expect(nearest("Polcy", words)).toBe("policy");
    expect(nearest("telemetry", words)).toBeNull();
    expect(nearest("x".repeat(100_000), words)).toBeNull();
    expect(nearest("ab", ["ac", "ad"])).toBe("ac");
  });
});

describe("unseen", () => {
  const kinds = (text: string): readonly string[] => [...unseen(text)].map((found) => found.kind);

  it("LIB-8.1  finds every control, bidi mark, zero-width, tag and separator character", () => {
    const bad = {
      control: ["\u0000", "\u001b", "\u007f", "\u009b", "\r"],
      bidi: ["\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"],
      "zero-width": ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164", "\u180e", "\u034f"],
      tag: ["\u{e0001}", "\u{e0041}", "\u{e007f}", "\u{e0100}"],
      separator: ["\u2028", "\u2029"],
      surrogate: ["\ud800"],
    };
    for (const [kind, characters] of Object.entries(bad)) {
      for (const character of characters)
        expect(kinds(`a${character}b`), `U+${character.codePointAt(0)?.toString(16)}`).toEqual([kind]);
    }
    expect(mayHideCharacters("plain text\twith\nlines, Größe, 漢字, שלום")).toBe(false);
  });

  it("LIB-8.2  leaves emoji sequences, flags, selectors and CRLF alone", () => {
    for (const text of ["👨‍👩‍👧", "❤️", "1️⃣", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "a\r\nb", "👍🏽"])
      expect(kinds(text), text).toEqual([]);
    expect(kinds("a\ufe0f\ufe0f")).toEqual(["zero-width"]);
    expect(kinds("🏴\u{e0041}\u{e0042}")).toEqual(["tag", "tag"]);
  });
});
