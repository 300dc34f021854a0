import fc from "fast-check";
import { expect, test } from "vitest";
import { foldPath } from "../../src/lib/fold.ts";

const nothings = ["\u200d", "\u200b", "\u00ad", "\ufeff", "\u2060", "\u180e", "\ufe0f", "\u{e0041}", "\u202e", "\u034f"];

test.each([
  [".GIT/Hooks", ".git/hooks"],
  ["ＡＧＥＮＴＳ．ｍｄ", "agents.md"],
  [".g\u200dit", ".git"],
  [".\u00adssh/id_rsa", ".ssh/id_rsa"],
  [".ßh", ".ssh"],
  ["\u212aeys.pem", "keys.pem"],
  [".git. . ", ".git"],
  [".git./hooks ", ".git/hooks"],
  [".git\u2024", ".git"],
  [".env\u3000", ".env"],
  [".env\uff0f", ".env"],
  ["a/.../b", "a/b"],
  [".", "."],
  ["...", "."],
  ["src/a.ts", "src/a.ts"],
  ["a/.hidden/b.c.d", "a/.hidden/b.c.d"],
])("LIB-6.1 %j is taken as %j", (path, folded) => {
  expect(foldPath(path)).toBe(folded);
});

test("LIB-6.1 what nobody sees, letter case and an end of dots and spaces make no difference anywhere", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !text.includes("/"));
  const disguise = fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }),
    at: fc.nat(),
    hidden: fc.constantFrom(...nothings),
    end: fc.stringMatching(/^[. ]{0,3}$/),
  });
  fc.assert(
    fc.property(disguise, ({ path, at, hidden, end }) => {
      const plain = path.join("/");
      const cut = at % (plain.length + 1);
      const disguised = `${plain.slice(0, cut)}${hidden}${plain.slice(cut)}`;
      // A code point put between a letter and its accent hides nothing once it is dropped, but may not split a surrogate pair.
      fc.pre(disguised.isWellFormed());
      expect(foldPath(disguised)).toBe(foldPath(plain));
      expect(foldPath(path.map((segment) => segment + end).join("/"))).toBe(foldPath(plain));
      expect(foldPath(plain.toLowerCase())).toBe(foldPath(plain));
    }),
    { numRuns: 2_000 },
  );
});

test("LIB-6.2 folding twice is folding once, for every code point and for any text", () => {
  for (let code = 0; code < 0x11_0000; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const folded = foldPath(String.fromCodePoint(code));
    if (foldPath(folded) !== folded) throw new Error(`U+${code.toString(16)} folds to ${JSON.stringify(folded)}`);
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(foldPath(foldPath(text))).toBe(foldPath(text));
    }),
    { numRuns: 5_000 },
  );
});

test("LIB-6.2 an ASCII path whose segments end in a letter is only lower-cased", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^(?:[!-.0-~ ]{0,5}[A-Za-z0-9])(?:\/[!-.0-~ ]{0,5}[A-Za-z0-9]){0,3}$/), (path) => {
      expect(foldPath(path)).toBe(path.toLowerCase());
    }),
  );
});
