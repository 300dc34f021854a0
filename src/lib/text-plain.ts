/** Plain: read plain text, mail and logs. A dated log line is a row; quoted mail and signatures are hidden. See TXT-4. */
import type { Reader } from "./text-blocks.ts";
import { blockWriter, type BlockWriter } from "./text-writer.ts";

const logLine = /^\s*\[?\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}|\])/;
const mailHeader = /^(From|To|Cc|Bcc|Date|Sent|Reply-To|Message-ID|Subject):\s*(.*)$/i;
const underline = /^\s*(?:={3,}|-{3,}|~{3,})\s*$/;
const item = /^\s*(?:[-*•]|\d{1,3}[.)]|\([a-z0-9]\))\s+(.*)$/;

export const plainReader: Reader = (lines, carry, last) => {
  const out = blockWriter(carry);
  let kind: "prose" | "item" = "prose";
  for (const [index, { n, text }] of lines.entries()) {
    const blank = text.trim() === "";
    if (out.open === "signature" && !blank) continue;
    out.open = "";
    if (blank) {
      out.end(kind);
      kind = "prose";
    } else if (!readSpecial(out, text, n, kind)) {
      const bullet = item.exec(text)?.[1];
      if (bullet !== undefined) {
        out.end(kind);
        kind = "item";
      }
      if (isHeading(text, lines[index - 1]?.text, lines[index + 1]?.text) && !out.begun) out.whole("heading", text, n);
      else out.add(bullet ?? text, n);
    }
  }
  return out.finish(lines, last, kind);
};

/** Lines that are no prose; true when the line was one. */
function readSpecial(out: BlockWriter, text: string, n: number, kind: "prose" | "item"): boolean {
  const header = mailHeader.exec(text);
  if (underline.test(text)) {
    out.end(out.begun && out.startLine === n - 1 && out.text.length < 80 && !/[.!?]$/.test(out.text) ? "heading" : kind);
    return true;
  }
  if (text === "--" || text === "-- ") {
    out.end(kind);
    out.open = "signature";
    return true;
  }
  if (/^\s*>/.test(text)) {
    out.aside("hidden", text.replace(/^[\s>]+/, ""), n);
    return true;
  }
  if (logLine.test(text)) {
    out.end(kind);
    out.whole("row", text, n);
    return true;
  }
  if (header === null) return false;
  out.end(kind);
  if (header[1]?.toLowerCase() === "subject")
    out.whole("heading", (header[2] ?? "").replace(/^(?:(?:re|fwd?|aw|wg):\s*)+/i, ""), n);
  return true;
}

/** A short line of its own without a full stop. */
function isHeading(text: string, above: string | undefined, below: string | undefined): boolean {
  const line = text.trim();
  if (line.length > 72 || /[.!?,;:]$/.test(line) || !/\p{L}{3}/u.test(line)) return false;
  if (below !== undefined && underline.test(below)) return false;
  const alone = (above === undefined || above.trim() === "" || underline.test(above)) && below?.trim() === "";
  return alone && /^[\p{Lu}\d]/u.test(line) && line.split(/\s+/).length <= 9;
}
