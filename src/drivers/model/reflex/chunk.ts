/**
 * Chunk: what one result of fs.read holds, and the note that is made of it.
 *   CPU-5.1  Text in a result is data: it can become a quote or a flag, never a step of the plan.
 *   CPU-5.2  A block that reads as an order to its reader is flagged with its line and quoted nowhere else.
 */
import { noCarry, readBlocks, sentencesOf, withoutCut, type Block, type Carry, type Line } from "../../../lib/text-blocks.ts";
import { factKind, isInjection, isQuotable, isRowText } from "../../../lib/text-facts.ts";
import { corpusOf, cosine, vectorOf } from "../../../lib/stats.ts";
import { printable } from "../../../lib/text-quote.ts";
import { bySource, rankFacts, type Fact } from "../../../lib/text-rank.ts";
import type { Flag, Note, NotedFact } from "./notes.ts";

export interface Chunk {
  readonly path: string;
  readonly from: number;
  /** How many lines the document has, as the result says. */
  readonly of: number;
  /** The last line that was asked for; null for the end. */
  readonly until: number | null;
  readonly lines: readonly Line[];
}

const numbered = /^\s*(\d+)│ ?([^]*)$/;
const cutMark = /^\[cut: \d+ more characters; mem\.read /;

/** Read the text that a model sees of an fs.read. Without line numbers it is counted from where the call began to read. */
export function parseChunk(text: string, path: string, from: number, until: number | null): Chunk {
  const rows = text.split("\n");
  const cut = cutMark.test(rows.at(-1) ?? "");
  if (cut) rows.pop();
  const lines: Line[] = [];
  for (const row of rows) {
    const match = numbered.exec(row);
    if (match !== null) lines.push({ n: Number(match[1]), text: withoutCut(match[2] ?? "") });
  }
  /** The last line of a cut result is a part of one; it is read again unless it stands alone. */
  if (cut && lines.length > 1) lines.pop();
  const range = /(?:^|· )lines: \d+-\d+ of (\d+)/.exec(rows[0] ?? "");
  if (range === null && lines.length === 0) rows.forEach((row, index) => lines.push({ n: from + index, text: row }));
  return { path, from, until, lines, of: range === null ? (lines.at(-1)?.n ?? from) : Number(range[1]) };
}

/** Facts a chunk in the middle of a document may leave behind; the last chunk leaves all. */
const factsPerNoteMax = 4;
const noteCharsMax = 640;

/** What is worth keeping of a chunk. `whole`: nothing needs to be saved, since the answer comes next. */
export function noteOf(chunk: Chunk, carry: Carry, whole: boolean): Note {
  const end = Math.min(chunk.until ?? chunk.of, chunk.of);
  const last = (chunk.lines.at(-1)?.n ?? end) >= end;
  const reading = readBlocks(chunk.path, chunk.lines, carry, last);
  const facts: Fact[] = [];
  const flagged: Flag[] = [];
  for (const block of reading.blocks) {
    const flag = flagOf(block);
    if (flag !== null) flagged.push(flag);
    else facts.push(...factsOf(block, chunk.path));
  }
  const worth = withoutRoutine(facts);
  const kept = whole
    ? worth
    : shortened(rankFacts(worth, { max: factsPerNoteMax, focus: "", alikeMax: 0.75 })).toSorted(bySource);
  const { path, from, of } = chunk;
  const title = carry.section === "" ? titleOf(reading.blocks) : "";
  const next = Math.max(reading.next, from + 1);
  return { path, from, next: last ? end + 1 : next, of, carry: reading.carry, title, facts: kept.map(noted), flagged };
}

export const firstCarry: Carry = noCarry;

function titleOf(blocks: readonly Block[]): string {
  return printable(blocks.find((block) => block.kind === "heading")?.text ?? "").slice(0, 120);
}

function flagOf(block: Block): Flag | null {
  const text = printable(block.text);
  if (!isInjection(text)) return null;
  const line = block.marks[0]?.line ?? 1;
  return {
    text: text.length > 380 ? `${text.slice(0, 380).replace(/\s+\S*$/, "")} …` : text,
    line,
    to: block.marks.at(-1)?.line ?? line,
  };
}

function factsOf(block: Block, path: string): Fact[] {
  const facts: Fact[] = [];
  const sentences = sentencesOf(block);
  for (const [index, sentence] of sentences.entries()) {
    const text = printable(sentence.text);
    if (!isQuotable({ text, kind: sentence.kind }) || isAnswered(text, sentences[index + 1]?.text)) continue;
    const section = printable(sentence.section);
    facts.push({
      text,
      path,
      line: sentence.line,
      to: sentence.to,
      section,
      kind: factKind({ text, section, kind: sentence.kind }),
    });
  }
  return facts;
}

/** A question with its answer behind it is not open. */
function isAnswered(text: string, next: string | undefined): boolean {
  return text.endsWith("?") && next !== undefined && !next.endsWith("?");
}

/** Rows more alike than this, figures left out, are routine. */
const routineMin = 0.7;

/** Without the rows that many others resemble: a log's daily business and the plain lines of a table. */
function withoutRoutine(facts: readonly Fact[]): Fact[] {
  const rows = facts.filter((fact) => isRowText(fact.text));
  const bare = rows.map((fact) => fact.text.replace(/\d+/g, " "));
  const corpus = corpusOf(bare);
  const vectors = bare.map((text) => vectorOf(text, corpus));
  const routine = new Set(
    rows.filter((fact, index) => {
      const own = vectors[index];
      if (own === undefined || /\b(?:total|sum)\b/i.test(fact.text)) return false;
      return vectors.some((other, at) => at !== index && cosine(own, other) >= routineMin);
    }),
  );
  return facts.filter((fact) => !routine.has(fact));
}

/** The best facts that fit the note. */
function shortened(facts: readonly Fact[]): Fact[] {
  const kept: Fact[] = [];
  let chars = 0;
  for (const fact of facts) {
    chars += fact.text.length + 20;
    if (chars > noteCharsMax && kept.length > 0) break;
    kept.push(fact);
  }
  return kept;
}

function noted({ text, line, to, kind, section }: Fact): NotedFact {
  return { text, line, to, kind, section };
}
