import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAge, formatBytes, formatCount, formatDuration, formatUsd } from "../../../src/cli/term/format.ts";
import { neutralise, neutraliseLine } from "../../../src/cli/term/neutralise.ts";
import { palette } from "../../../src/cli/term/screen.ts";
import { table, type Column } from "../../../src/cli/term/table.ts";
import { cut, pad, widthOf, wrap } from "../../../src/cli/term/width.ts";
import { recorder } from "./screen.ts";

const hostile = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(
      fc.constantFrom(
        "\u001b]0;owned\u0007",
        "\u001b[2J",
        "\u009b2J",
        "\r",
        "\r\n",
        "\n",
        "\b",
        "\u202e",
        "\u2066",
        "\u200b",
        "\u{e0041}",
        "\ufe0f",
        "\u200d",
        "👨‍👩‍👧",
        "漢",
        "é",
        "a",
        " ",
        "\ud800",
        "\u2028",
        "\u007f",
        "🏴",
      ),
    )
    .map((parts) => parts.join("")),
);

describe("neutralise", () => {
  it("TTY-1.1  no byte of the result moves the cursor", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = neutralise(text);
        // Written as UTF-8, as a terminal gets it: also a C1 control would be two bytes there.
        expect(Buffer.from(shown, "utf8").toString("utf8")).not.toMatch(
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u,
        );
        expect(shown.isWellFormed()).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("TTY-1.2  what cannot be seen gets a sign", () => {
    expect(neutralise("\u001b[31mred\u0007")).toBe("␛[31mred␇");
    expect(neutralise("a\u202eb\u200bc\u{e0041}\u0085")).toBe("a⟨U+202E⟩b⟨U+200B⟩c⟨U+E0041⟩⟨U+0085⟩");
    expect(neutralise("one\r\ntwo\rthree\u007f")).toBe("one\ntwo␍three␡");
  });

  it("TTY-1.3  ordinary text is left alone, and twice is once", () => {
    for (const text of ["", "plain\ttext\n", "Größe 漢字 שלום", "👨‍👩‍👧 ❤️"]) expect(neutralise(text)).toBe(text);
    fc.assert(fc.property(hostile, (text) => neutralise(neutralise(text)) === neutralise(text)));
  });

  it("TTY-1.4  neutraliseLine gives one line", () => {
    expect(neutraliseLine("a\r\nb\tc")).toBe("a⏎b c");
    fc.assert(fc.property(hostile, (text) => !/[\n\r\t]/.test(neutraliseLine(text))));
  });
});

describe("width", () => {
  it("TTY-2.1  wide characters take two columns, marks none", () => {
    const cases = { abc: 3, 漢字: 4, é: 1, "e\u0301": 1, "👨‍👩‍👧": 2, "❤️": 2, "🇩🇪": 2, ﾊﾝ: 2, 한: 2, "": 0, "⠋": 1, "…": 1, "│": 1 };
    for (const [text, width] of Object.entries(cases)) expect(widthOf(text), text).toBe(width);
  });

  it("TTY-2.2  cut keeps within its width and marks what it cut", () => {
    expect(cut("abcdef", 4)).toBe("abc…");
    expect(cut("漢字漢字", 5)).toBe("漢字…");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, width) => {
        const short = cut(text, width);
        expect(widthOf(short)).toBeLessThanOrEqual(width);
        if (short !== text) expect(text.startsWith(short.slice(0, -1))).toBe(true);
      }),
    );
    expect(pad("漢", 4, "right")).toBe("  漢");
  });

  it("TTY-2.3  wrap loses nothing and keeps within the width", () => {
    expect(wrap("the quick brown fox", 10)).toEqual(["the quick", "brown fox"]);
    expect(wrap("x".repeat(25), 10)).toEqual(["x".repeat(10), "x".repeat(10), "xxxxx"]);
    expect(wrap("", 10)).toEqual([""]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 4, max: 30 }), (text, width) => {
        const wrapped = wrap(text, width);
        expect(wrapped.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
        for (const line of wrapped) expect(widthOf(line)).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe("colours", () => {
  it("TTY-3.1  the flag, NO_COLOR, FORCE_COLOR, TERM=dumb and the terminal decide, in this order", () => {
    const [tty, pipe] = [recorder({ isTTY: true }), recorder()];
    expect(palette(tty, {}, false).colour).toBe(true);
    expect(palette(pipe, {}, false).colour).toBe(false);
    expect(palette(tty, { TERM: "dumb" }, false).colour).toBe(false);
    expect(palette(tty, { TERM: "dumb", FORCE_COLOR: "1" }, false).colour).toBe(true);
    expect(palette(pipe, { FORCE_COLOR: "1" }, false).colour).toBe(true);
    expect(palette(tty, { FORCE_COLOR: "0" }, false).colour).toBe(false);
    expect(palette(tty, { FORCE_COLOR: "1", NO_COLOR: "1" }, false).colour).toBe(false);
    expect(palette(tty, { NO_COLOR: "" }, false).colour).toBe(true);
    expect(palette(tty, { FORCE_COLOR: "1" }, true).colour).toBe(false);
  });

  it("TTY-3.2  without colour painted text is the text", () => {
    expect(palette(recorder(), {}, false).paint("bad", "x")).toBe("x");
    expect(palette(recorder({ isTTY: true }), {}, false).paint("bad", "x")).toBe("\u001b[31mx\u001b[39m");
  });
});

describe("format", () => {
  it("TTY-4.1  durations have at most two units", () => {
    const cases = {
      0: "0 s",
      30: "<0.1 s",
      412: "0.4 s",
      12_000: "12 s",
      200_000: "3 min 20 s",
      7_500_000: "2 h 5 min",
      273_600_000: "3 d 4 h",
      3_600_000: "1 h",
    };
    for (const [ms, text] of Object.entries(cases)) expect(formatDuration(Number(ms))).toBe(text);
    expect(formatDuration(NaN)).toBe("?");
    expect(formatDuration(-1)).toBe("?");
    expect([formatAge(0, 500), formatAge(0, 200_000)]).toEqual(["now", "3 min ago"]);
  });

  it("TTY-4.2  bytes use powers of 1,024", () => {
    const cases = { 0: "0 B", 812: "812 B", 1536: "1.5 KiB", 25_165_824: "24 MiB", 1_073_741_824: "1 GiB" };
    for (const [bytes, text] of Object.entries(cases)) expect(formatBytes(Number(bytes))).toBe(text);
  });

  it("TTY-4.3  an unknown cost is a question mark", () => {
    const cases: readonly (readonly [number | null, string])[] = [
      [null, "?"],
      [NaN, "?"],
      [0, "$0"],
      [0.00001, "<$0.0001"],
      [0.0123, "$0.012"],
      [0.5, "$0.50"],
      [12.345, "$12.35"],
    ];
    for (const [usd, text] of cases) expect(formatUsd(usd)).toBe(text);
    expect([formatCount(999), formatCount(32_500), formatCount(1_200_000)]).toEqual(["999", "32.5k", "1.2M"]);
  });

  it("TTY-4.4  no unit shows its next unit's full amount", () => {
    expect([formatDuration(59_990), formatDuration(3_599_999), formatDuration(86_399_999), formatDuration(9_960)]).toEqual([
      "1 min",
      "1 h",
      "1 d",
      "10 s",
    ]);
    expect([formatBytes(1_048_575), formatBytes(1023), formatCount(999_999)]).toEqual(["1 MiB", "1023 B", "1M"]);
    fc.assert(
      fc.property(
        fc.nat(2 ** 31 - 1),
        (n) =>
          !/\b60 (?:s|min)|\b24 h|\b1024 [BKMG]|\b1000k/.test(`${formatDuration(n)} ${formatBytes(n * 1000)} ${formatCount(n)}`),
      ),
    );
  });
});

describe("table", () => {
  const none = palette(recorder(), {}, false);
  const columns: readonly Column[] = [
    { title: "PID", align: "right" },
    { title: "NAME", flexMin: 6 },
    { title: "COST", align: "right" },
    { title: "GOAL", flexMin: 8 },
  ];
  const rows = [
    ["1", "brief", "$0.12", "read the inbox and write the brief of everything that happened"],
    ["12", "翻訳係", "?", "short"],
  ];

  it("TTY-5.1  columns line up whatever the script", () => {
    expect(table(rows, columns, null, none).split("\n")).toEqual([
      "PID  NAME     COST  GOAL",
      "  1  brief   $0.12  read the inbox and write the brief of everything that happened",
      " 12  翻訳係      ?  short",
      "",
    ]);
  });

  it("TTY-5.2  flexible columns give way and no line is too wide", () => {
    expect(table(rows, columns, 40, none).split("\n")[1]).toBe("  1  brief   $0.12  read the inbox and …");
    const cell = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 20, max: 120 }),
        (cells, width) => {
          for (const line of table(cells, columns, width, none).split("\n")) expect(widthOf(line)).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  it("TTY-5.3  what does not fit becomes blocks, cut nowhere", () => {
    const narrow = table(
      rows,
      columns.map(({ title }) => ({ title })),
      30,
      none,
    );
    expect(narrow.split("\n\n")).toHaveLength(2);
    expect(narrow).toContain("NAME: brief");
    expect(narrow.replaceAll(/\s+/g, " ")).toContain("everything that happened");
    expect(narrow).not.toContain("…");
  });

  it("TTY-5.4  in a pipe nothing is cut", () => {
    const long = "x".repeat(500);
    expect(table([["1", long, "?", long]], columns, null, none)).toContain(`${long}     ?  ${long}`);
  });

  it("TTY-5.5  cells are neutralised and take one line; paint does not disturb the columns", () => {
    const text = table([["1", "a\n\u001b[2J", "?", "b\tc"]], columns, null, none);
    expect(text.split("\n")).toHaveLength(3);
    expect(text).toContain("a⏎␛[2J");
    const painted = table(
      [[{ text: "1", tone: "good" }, "n", "?", "g"]],
      columns,
      60,
      palette(recorder({ isTTY: true }), {}, false),
    );
    expect(painted.replaceAll(/\u001b\[\d+m/g, "").split("\n")[1]).toBe("  1  n        ?  g");
  });
});
