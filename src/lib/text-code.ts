/** Code: read the comments and documentation strings of source code; the code itself is no prose. See TXT-4. */
import type { Reader } from "./text-blocks.ts";
import { blockWriter, type BlockWriter } from "./text-writer.ts";

interface Syntax {
  /** What begins a comment that ends with its line. */
  readonly line: RegExp;
  /** Opening mark → closing mark. */
  readonly span: Readonly<Record<string, string>>;
}

const hash: Syntax = { line: /^\s*#+!?\s?(.*)$/, span: { '"""': '"""', "'''": "'''" } };
const slashes: Syntax = { line: /^\s*\/\/+!?\s?(.*)$/, span: { "/*": "*/" } };
const dashes: Syntax = { line: /^\s*--+\s?(.*)$/, span: { "/*": "*/" } };
const angles: Syntax = { line: /^\s*;;+\s?(.*)$/, span: { "<!--": "-->" } };

function syntaxOf(path: string): Syntax {
  if (/\.(?:py|rb|sh|bash|ya?ml|toml|pl|r)$/i.test(path)) return hash;
  if (/\.(?:sql|lua)$/i.test(path)) return dashes;
  if (/\.(?:xml|ini)$/i.test(path)) return angles;
  return slashes;
}

export function codeReader(path: string): Reader {
  const syntax = syntaxOf(path);
  return (lines, carry, last) => {
    const out = blockWriter(carry);
    for (const { n, text } of lines) {
      if (out.open === "") readLine(out, syntax, text, n);
      else readSpan(out, text, n);
    }
    return out.finish(lines, last, "comment");
  };
}

function readLine(out: BlockWriter, syntax: Syntax, text: string, n: number): void {
  const comment = syntax.line.exec(text)?.[1];
  if (comment !== undefined) {
    /** A note to oneself is a sentence of its own. */
    if (/^\s*(?:TODO|FIXME|XXX|HACK)\b/.test(comment)) out.end("comment");
    if (/^\W*$/.test(comment)) out.end("comment");
    else out.add(comment, n);
    return;
  }
  out.end("comment");
  for (const [open, close] of Object.entries(syntax.span)) {
    const at = text.trimStart().indexOf(open);
    if (at !== 0) continue;
    out.open = close;
    readSpan(out, text.trimStart().slice(open.length), n);
    return;
  }
}

function readSpan(out: BlockWriter, text: string, n: number): void {
  const end = text.indexOf(out.open);
  const inside = (end < 0 ? text : text.slice(0, end)).replace(/^\s*\*+(?:\s|$)/, "");
  if (inside.trim() === "") out.end("comment");
  else out.add(inside, n);
  if (end < 0) return;
  out.end("comment");
  out.open = "";
}
