/**
 * Functions: where each function's body begins and ends, found in scanned code without a parser.
 *   TOOL-5.2  Functions, methods and arrow functions with a body are found whatever their return type looks like.
 */
import { lineAt } from "./scan.ts";

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  /** Lines between the braces, without the bodies of the functions within: those count for themselves. */
  readonly lines: number;
}

const notNames = new Set(["if", "for", "while", "switch", "catch", "with", "return", "function", "typeof", "await"]);
const closers: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "<": ">" };

export function functions(code: string): readonly FunctionSpan[] {
  const found: Body[] = [];
  for (const match of code.matchAll(/=>\s*\{/g)) {
    push(match.index + match[0].length - 1, nameOfArrow(code, match.index), match.index);
  }
  // A name, type parameters perhaps, and a parameter list; then a return type perhaps, and a body.
  for (const match of code.matchAll(/(#?[\w$]+)\s*(<[^()=;]*>)?\s*\(/g)) {
    const name = match[1] ?? "";
    if (notNames.has(name) && name !== "function") continue;
    const close = matching(code, match.index + match[0].length - 1);
    const open = close === -1 ? -1 : bodyAfter(code, close + 1);
    if (open !== -1) push(open, name, match.index);
  }
  return found.map((body) => ({ name: body.name, line: lineAt(code, body.start), lines: ownLines(body, found) }));

  function push(open: number, name: string, start: number): void {
    const close = matching(code, open);
    if (close !== -1) found.push({ name, start, open, close, lines: Math.max(0, lineAt(code, close) - lineAt(code, open) - 1) });
  }
}

interface Body {
  readonly name: string;
  readonly start: number;
  readonly open: number;
  readonly close: number;
  readonly lines: number;
}

function ownLines(body: Body, all: readonly Body[]): number {
  const within = all.filter((other) => other.open > body.open && other.close < body.close);
  const direct = within.filter((inner) => !within.some((other) => other.open < inner.open && other.close > inner.close));
  return body.lines - direct.reduce((sum, inner) => sum + inner.lines, 0);
}

/** The brace that closes the one at `open`; -1 when none does. */
function matching(code: string, open: number): number {
  const from = code.charAt(open);
  const to = closers[from] ?? "";
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    const char = code.charAt(at);
    if (char === from) depth += 1;
    else if (char === to && code.charAt(at - 1) !== "=") depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

/** Where a body opens behind a parameter list; -1 when what follows is not a body. */
function bodyAfter(code: string, from: number): number {
  let at = skipSpace(code, from);
  if (code.charAt(at) === "{") return at;
  if (code.charAt(at) !== ":") return -1;
  // Within a type a brace opens an object type wherever a type is still expected; after a whole type it opens the body.
  let expectsType = true;
  for (at = skipSpace(code, at + 1); at < code.length; at = skipSpace(code, at)) {
    const char = code.charAt(at);
    const word = /^[\w$]+/.exec(code.slice(at, at + 40))?.[0];
    if (char === "{" && !expectsType) return at;
    if (char === "{" || char === "(" || char === "[" || char === "<") {
      const close = matching(code, at);
      if (close === -1) return -1;
      at = close + 1;
      expectsType = false;
    } else if (word !== undefined) {
      expectsType = /^(keyof|readonly|extends|is|infer|asserts|typeof|unique)$/.test(word);
      at += word.length;
    } else if (char === "|" || char === "&" || code.startsWith("=>", at)) {
      expectsType = true;
      at += char === "=" ? 2 : 1;
    } else if (char === "." || char === '"' || char === "'" || char === "?") {
      at += 1;
    } else {
      return -1;
    }
  }
  return -1;
}

function skipSpace(code: string, from: number): number {
  let at = from;
  while (at < code.length && /\s/.test(code.charAt(at))) at += 1;
  return at;
}

function nameOfArrow(code: string, arrow: number): string {
  const before = code.slice(Math.max(0, arrow - 400), arrow);
  return /(?:const|let)\s+([\w$]+)[^;]*$/.exec(before)?.[1] ?? "arrow function";
}
