/**
 * Scan: TypeScript text with its comments and strings set apart, so that a search for code finds only code.
 * `code` has the text's length and lines; comments, string contents and regular expressions are blanks in it.
 *   TOOL-5.1  A string or comment never counts as code, and code inside a template's ${} does.
 */

export interface Span {
  readonly start: number;
  /** Behind the last character. */
  readonly end: number;
  /** A comment with its marks; a string without its quotes, as far as its first ${}. */
  readonly text: string;
}

export interface Scan {
  readonly code: string;
  readonly comments: readonly Span[];
  readonly strings: readonly Span[];
}

/** Words after which a slash begins a regular expression. */
const beforeRegex = /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|instanceof|new|throw|await|yield|else|do)$/;

export function scan(text: string): Scan {
  const code = [...Array<string>(text.length).keys()].map((at) => text.charAt(at));
  const comments: Span[] = [];
  const strings: Span[] = [];
  /** For every open ${}: how many braces are open within it. */
  const templates: number[] = [];
  let at = text.startsWith("#!") ? lineEnd(text, 0) : 0;
  blank(code, 0, at);
  while (at < text.length) {
    const char = text.charAt(at);
    const pair = text.slice(at, at + 2);
    if (pair === "//" || pair === "/*") {
      const end = pair === "//" ? lineEnd(text, at) : after(text, "*/", at + 2);
      comments.push({ start: at, end, text: text.slice(at, end) });
      blank(code, at, end);
      at = end;
    } else if (char === '"' || char === "'") {
      const end = stringEnd(text, at);
      strings.push({ start: at, end, text: text.slice(at + 1, end - 1) });
      blank(code, at + 1, end - 1);
      at = end;
    } else if (char === "`" || (char === "}" && templates.at(-1) === 0)) {
      const end = templateEnd(text, at + 1);
      if (char === "`") strings.push({ start: at, end, text: text.slice(at + 1, end).replace(/(`|\$\{)$/, "") });
      else templates.pop();
      const opens = text.slice(end - 2, end) === "${";
      blank(code, at + 1, opens ? end - 2 : end - 1);
      if (opens) templates.push(0);
      at = end;
    } else if (char === "/" && isRegex(code, at)) {
      const end = regexEnd(text, at);
      blank(code, at + 1, end);
      at = end;
    } else {
      const open = templates.length - 1;
      if (open >= 0 && (char === "{" || char === "}")) templates[open] = (templates[open] ?? 0) + (char === "{" ? 1 : -1);
      at += 1;
    }
  }
  return { code: code.join(""), comments, strings };
}

/** 1 for the first line. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

function blank(code: string[], from: number, to: number): void {
  for (let at = from; at < to; at += 1) if (code[at] !== "\n") code[at] = " ";
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

function after(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end + mark.length;
}

function stringEnd(text: string, start: number): number {
  const quote = text.charAt(start);
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === "\\") at += 1;
    else if (char === quote) return at + 1;
    else if (char === "\n") return at;
  }
  return text.length;
}

/** Behind the closing backtick, or behind the next ${. */
function templateEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === "\\") at += 1;
    else if (char === "`") return at + 1;
    else if (char === "$" && text.charAt(at + 1) === "{") return at + 2;
  }
  return text.length;
}

/** A slash divides after a value and begins a regular expression after anything else. */
function isRegex(code: readonly string[], at: number): boolean {
  let back = at - 1;
  while (back >= 0 && /\s/.test(code[back] ?? "")) back -= 1;
  const last = code[back] ?? "";
  if (last === "" || /[(,=:[!&|?{};+\-*%<>~^]/.test(last)) return true;
  return beforeRegex.test(code.slice(Math.max(0, back - 11), back + 1).join(""));
}

function regexEnd(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === "\\") at += 1;
    else if (char === "\n") return at;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
  }
  return text.length;
}
