/**
 * Text: words, terms and sentences of a natural-language text. Pure, in one pass each, for English first and other Latin scripts fairly.
 *   TXT-2.1  Sentences cover the text in order, never overlap, and an abbreviation, a decimal point, a file name or an initial ends none.
 *   TXT-2.2  Terms are words without stop words, folded to one form per plural and case.
 */

/** Half-open: `text.slice(from, to)` is the piece. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const wordPattern = /[\p{L}\p{N}]+(?:['’][\p{L}]+)*/gu;

/** Lower-case words and numbers, in order. */
export function words(text: string): string[] {
  return text.toLowerCase().match(wordPattern) ?? [];
}

/** The words that carry the content, in order, folded: `stores` and `store` are one term. */
export function terms(text: string): string[] {
  const found: string[] = [];
  for (const word of words(text)) if (word.length > 1 && !stopWords.has(word)) found.push(fold(word));
  return found;
}

/** The S-stemmer of Harman, "How effective is suffixing?", JASIS 42 (1991): plurals only, so that a term stays a word. */
export function fold(word: string): string {
  if (word.length < 4 || !word.endsWith("s")) return word;
  if (word.endsWith("ies") && !/[ae]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (word.endsWith("es") && !/[aeo]es$/.test(word)) return word.slice(0, -1);
  return /(?:us|ss|'s)$/.test(word) ? word : word.slice(0, -1);
}

/** The sentences of one block of prose. Line breaks inside the block are white space. */
export function sentenceSpans(text: string): Span[] {
  const spans: Span[] = [];
  let from = 0;
  for (const match of text.matchAll(sentenceEnd)) {
    const end = match.index + match[0].length;
    if (!endsSentence(text, match.index, end)) continue;
    pushTrimmed(spans, text, from, end);
    from = end;
  }
  pushTrimmed(spans, text, from, text.length);
  return spans;
}

/** End marks with the quotes and brackets that close behind them. */
const sentenceEnd = /[.!?…]+["'”’»)\]]*(?=\s|$)/gu;

const abbreviations = new Set(
  (
    "mr mrs ms dr prof st vs etc e.g i.e eg ie cf al approx ed est dept inc ltd co corp " +
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun z.b d.h u.a bzw ca usw ggf max min incl excl tel ref"
  ).split(" "),
);

/** Shortened before a number only: `No. 4` goes on, "The answer is no. We …" does not. */
const beforeNumbers = new Set("no nos nr p pp vol fig figs sec sect ch art para".split(" "));

/** A full stop ends a sentence unless it belongs to a shortened word or the text goes on in lower case. */
function endsSentence(text: string, mark: number, end: number): boolean {
  const next = /\S/u.exec(text.slice(end, end + 8))?.[0];
  if (next === undefined) return true;
  if (text[mark] !== ".") return !/\p{Ll}/u.test(next);
  const before = /(\S+)$/u.exec(text.slice(Math.max(0, mark - 24), mark))?.[1] ?? "";
  const word = before.replace(/^["'“‘«([*_]+/u, "").toLowerCase();
  if (abbreviations.has(word) || (beforeNumbers.has(word) && /\d/.test(next))) return false;
  if (/^\p{L}$/u.test(word) && /\p{Lu}/u.test(before)) return false;
  return !/\p{Ll}/u.test(next);
}

function pushTrimmed(spans: Span[], text: string, from: number, to: number): void {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  if (end > start) spans.push({ from: start, to: end });
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0;
}

/** Words of English (and the commonest German ones) that carry no content of their own. */
export const stopWords: ReadonlySet<string> = new Set(
  (
    "a about above after again against all also am an and any are aren't as at be because been before being below between both but by can cannot could " +
    "couldn't did didn't do does doesn't doing don't down during each either else ever few for from further get had has have having he her here hers him " +
    "his how however i if in into is isn't it it's its itself just least less let like many may me might more most much must my neither no nor not now of " +
    "off on once one only onto or other others our ours out over own per quite rather said same say see shall she should since so some still such than that " +
    "the their theirs them then there these they this those through thus to too two under until up upon us very was wasn't we were what when where whether " +
    "which while who whom whose why will with within without would yes yet you your yours " +
    "der die das den dem des ein eine einer eines einem einen und oder aber ist sind war waren wird werden wurde nicht auch auf aus bei mit nach von vor zu " +
    "zum zur im in am an als wie für über unter durch um es er sie wir ihr ich dass daß sich noch nur so"
  ).split(" "),
);
