/** Markdown: read CommonMark's blocks as far as prose needs them (headings, paragraphs, items, quotes, pipe tables). See TXT-4. */
import type { Reader } from "./text-blocks.ts";
import { blockWriter, rowText, withoutMarkup, type BlockWriter } from "./text-writer.ts";

const heading = /^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$/;
const item = /^\s{0,12}(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(.*)$/;
const fence = /^ {0,3}(`{3,}|~{3,})/;
const rule = /^ {0,3}(?:-{3,}|\*{3,}|_{3,})\s*$/;
const delimiterRow = /^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$/;

export const markdownReader: Reader = (lines, carry, last) => {
  const out = blockWriter(carry);
  let kind: "prose" | "item" = "prose";
  for (const [index, { n, text }] of lines.entries()) {
    if (out.open !== "") {
      readOpen(out, text, n);
      continue;
    }
    const opened = opens(text, n);
    if (opened !== "") {
      out.end(kind);
      out.open = opened;
      if (opened === "comment") readOpen(out, text, n);
      continue;
    }
    if (text.trimStart().startsWith("|")) {
      out.end(kind);
      readRow(out, text, n, lines[index + 1]?.text ?? "");
      continue;
    }
    if (out.columns.length > 0) out.columns = [];
    const begun = readLine(out, text, n, kind);
    kind = begun;
  }
  const unfinished = out.open === "comment" ? "hidden" : kind;
  return out.finish(lines, last, unfinished);
};

function opens(text: string, n: number): string {
  const fenced = fence.exec(text)?.[1];
  if (fenced !== undefined) return fenced;
  if (n === 1 && text.trim() === "---") return "matter";
  return text.trimStart().startsWith("<!--") ? "comment" : "";
}

/** Inside a fence, front matter or a comment. */
function readOpen(out: BlockWriter, text: string, n: number): void {
  if (out.open === "comment") {
    const end = text.indexOf("-->");
    out.add(text.slice(0, end < 0 ? text.length : end).replace("<!--", " "), n);
    if (end < 0) return;
    out.end("hidden");
    out.open = "";
    return;
  }
  const closes = out.open === "matter" ? text.trim() === "---" : text.trim().startsWith(out.open) && /^\s*[`~]+\s*$/.test(text);
  if (closes) out.open = "";
}

function readRow(out: BlockWriter, text: string, n: number, below: string): void {
  if (delimiterRow.test(text)) return;
  const cells = text
    .trim()
    .replace(/^\||\|$/g, "")
    .split("|")
    .map((cell) => withoutMarkup(cell).trim());
  if (delimiterRow.test(below)) out.columns = cells;
  else out.whole("row", rowText(cells, out.columns), n);
}

function readLine(out: BlockWriter, text: string, n: number, kind: "prose" | "item"): "prose" | "item" {
  const title = heading.exec(text)?.[1];
  const bullet = item.exec(text)?.[1];
  if (text.trim() === "") out.end(kind);
  else if (title !== undefined) {
    out.end(kind);
    out.whole("heading", withoutMarkup(title), n);
  } else if (/^ {0,3}(?:=+|-+)\s*$/.test(text) && out.begun && kind === "prose" && out.startLine === n - 1) {
    out.end("heading");
  } else if (rule.test(text)) out.end(kind);
  else if (bullet !== undefined) {
    out.end(kind);
    out.add(visible(out, bullet, n), n);
    return "item";
  } else {
    out.add(visible(out, text.replace(/^(?:\s{0,3}>\s?)+/, ""), n), n);
    return kind;
  }
  return "prose";
}

/** A comment inside a line is cut out of it and kept as hidden. */
function visible(out: BlockWriter, text: string, n: number): string {
  if (!text.includes("<!--")) return withoutMarkup(text);
  const comments = [...text.matchAll(/<!--(.*?)(?:-->|$)/g)].map((match) => match[1] ?? "");
  out.aside("hidden", comments.join(" "), n);
  return withoutMarkup(text.replace(/<!--.*?(?:-->|$)/g, " "));
}
