/**
 * Facts: what a sentence is (a decision, an action, an open question, a risk, a date, a figure) and the typed pieces in it.
 *   TXT-5.1  Every date and amount found is a piece of the text, in order, and none overlaps another of its kind.
 *   TXT-5.2  A sentence has exactly one kind; the order of the tests is fixed.
 *   TXT-5.3  Text that addresses an assistant and orders an act is flagged. This is a heuristic for the reader's attention: nothing is safe because of it.
 */
import type { Sentence } from "./text-blocks.ts";
import { words } from "./text.ts";

export const factKinds = ["decision", "action", "question", "risk", "figure", "date", "statement"] as const;
export type FactKind = (typeof factKinds)[number];

export function factKind(sentence: Pick<Sentence, "text" | "section" | "kind">): FactKind {
  if (sentence.kind === "row") return rowKind(sentence.text);
  const { text } = sentence;
  /** A heading says what the items of its list are, not what its prose is. */
  const section = sentence.kind === "item" ? sentence.section : "";
  if (isQuestion(text) || /\bopen (?:questions?|points?|issues?)\b|\bto be clarified\b/i.test(section)) return "question";
  if (isAction(text) || /^(?:\d+[.)]?\s*)?(?:actions?|action items|next steps|to[- ]?dos?|tasks)\b/i.test(section))
    return "action";
  if (isDecision(text) || /\bdecisions?\b|\bresolutions?\b/i.test(section)) return "decision";
  if (isRisk(text)) return "risk";
  if (amounts(text).length > 0) return "figure";
  return dates(text).length > 0 ? "date" : "statement";
}

/** The labels of a row's cells say nothing about the row itself. */
function rowKind(text: string): FactKind {
  const cells = text.replace(/(^|· )[^·:]{1,40}: /g, "$1");
  if (isRisk(cells) || /· risks?: /i.test(text)) return "risk";
  if (amounts(cells).length > 0 || /\d/.test(cells)) return "figure";
  return dates(cells).length > 0 ? "date" : "statement";
}

/** A row of a table or a log, as it is quoted. */
export function isRowText(text: string): boolean {
  return text.includes(" · ") || /^\[?\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(text);
}

function isQuestion(text: string): boolean {
  return (
    /\?["'”’)]*$/.test(text) ||
    /\b(?:open question|still open|remains open|undecided|unclear|unresolved|unanswered|not (?:yet )?(?:been )?(?:decided|known|clear|agreed|settled|answered)|to be (?:confirmed|decided|clarified)|TBC|TBD)\b/i.test(
      text,
    )
  );
}

function isAction(text: string): boolean {
  return (
    /^(?:action(?: item)?s?|to ?do|todo|fixme|next step)s?\b\s*[:\-–(]/i.test(text) ||
    /^(?:TODO|FIXME)\b/.test(text) ||
    /^(?:the |our )?[\p{L}-]+(?: [\p{L}-]+){0,4} (?:to|will|shall|must) \p{Ll}+\b.{0,200}\b(?:by|before|until|no later than) (?:the )?(?:end of |close of )?(?:\d|mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|next|week|q[1-4])/iu.test(
      text,
    )
  );
}

function isDecision(text: string): boolean {
  if (/^(?:until|if|when|unless|please|before)\b/i.test(text) || /\bhas (?:not )?(?:yet )?decided\b/i.test(text)) return false;
  return /\b(?:decided|agreed|(?<!(?:the|an|its|our|last) )approved|resolved|rejected|adopted|authori[sz]ed|signed off|ruled out|decisions?:)/i.test(
    text,
  );
}

function isRisk(text: string): boolean {
  if (
    /^(?:if|when|every|each|before|after|until|no|nobody|wipe|please)\b/i.test(text) ||
    /\bmust not\b|\b(?:no|without) (?:risk|damage|delay)/i.test(text)
  )
    return false;
  return /\b(?:risks?|dangers?|threat(?:ens|ened)?|failed|failures?|delays?|delayed|leak(?:s|ed|ing|age)?|outages?|shortfalls?|overruns?|were damaged|was damaged|blocked|exceeded|missing|incidents?|breach(?:es|ed)?|mould|defects?|faulty|unsafe|near miss(?:es)?|broke|broken|not (?:insured|covered|accepted|safe|possible)|cannot be|warns?|exhaust(?:s|ed)?|above the (?:limit|approved)|too (?:late|slow|high|low|narrow|heavy|full|long|small|little)|stands? idle|lost)\b/i.test(
    text,
  );
}

export interface FoundDate {
  readonly text: string;
  /** `2026-11-23`, `2026-11`, or null where the year or month is not said. */
  readonly iso: string | null;
}

const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const month =
  "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\\.?";
const datePattern = new RegExp(
  `\\b(\\d{4})-(\\d{2})-(\\d{2})\\b|\\b(\\d{1,2})(?:st|nd|rd|th)? (?:of )?${month}(?:,? (\\d{4}))?\\b|\\b${month} (\\d{1,2})(?:st|nd|rd|th)?(?:,? (\\d{4}))?\\b(?!\\d)|\\b${month} (\\d{4})\\b|\\b(\\d{1,2})\\.(\\d{1,2})\\.(\\d{4})\\b|\\bQ[1-4] \\d{4}\\b`,
  "gi",
);

export function dates(text: string): FoundDate[] {
  const found: FoundDate[] = [];
  for (const match of text.matchAll(datePattern)) {
    const [, y1, m1, d1, d2, n2, y2, n3, d3, y3, n4, y4, d5, m5, y5] = match;
    const year = y1 ?? y2 ?? y3 ?? y4 ?? y5;
    const name = n2 ?? n3 ?? n4;
    const monthNo = m1 ?? m5 ?? (name === undefined ? undefined : String(months.indexOf(name.slice(0, 3).toLowerCase()) + 1));
    const day = d1 ?? d2 ?? d3 ?? d5;
    found.push({ text: match[0], iso: iso(year, monthNo, day) });
  }
  return found;
}

function iso(year: string | undefined, monthNo: string | undefined, day: string | undefined): string | null {
  if (year === undefined || monthNo === undefined) return null;
  const valid = Number(monthNo) >= 1 && Number(monthNo) <= 12 && (day === undefined || (Number(day) >= 1 && Number(day) <= 31));
  if (!valid) return null;
  return [year, monthNo.padStart(2, "0"), ...(day === undefined ? [] : [day.padStart(2, "0")])].join("-");
}

export interface Amount {
  readonly text: string;
  readonly value: number;
  /** Folded: `%`, `eur`, `hour`, `metre`. */
  readonly unit: string;
}

const unitNames =
  "%|percent|per cent|‰|°C|°F|K|euros?|EUR|USD|GBP|CHF|dollars?|pounds?|hours?|hrs?|h|minutes?|mins?|seconds?|secs?|s|ms|days?|weeks?|months?|years?|" +
  "kilometres?|kilometers?|km|metres?|meters?|m|cm|mm|m²|m2|m³|square metres?|cubic metres?|kg|kilograms?|tonnes?|tons?|g|litres?|l|kWh|MWh|kW|MW|GB|MB|TB|kB|" +
  "people|persons?|staff|users?|visitors?|readers?|boxes|crates?|shelves|items?|records?|volumes?|units?|pallets?|trips?|lorries|lorry|trucks?|rooms?|cases?|tickets?|incidents?|complaints?|requests?|orders?|lines?|files?|labels?|scanners?|sensors?|maps?";
const amountPattern = new RegExp(
  `(?:(€|\\$|£|EUR|USD|GBP|CHF)\\s?(\\d[\\d.,]*\\d|\\d)(?:\\s?(million|billion|thousand|m|bn|k)\\b)?)|(?:(?<![\\p{L}\\d.,-])(\\d[\\d.,]*\\d|\\d)(?:\\s(million|billion|thousand))?(?:\\s|-|\\u00a0)?(${unitNames})(?![\\p{L}\\d]))`,
  "giu",
);

export function amounts(text: string): Amount[] {
  const found: Amount[] = [];
  const taken = [...text.matchAll(datePattern)].map((match) => ({ from: match.index, to: match.index + match[0].length }));
  for (const match of text.matchAll(amountPattern)) {
    if (taken.some((span) => match.index < span.to && match.index + match[0].length > span.from)) continue;
    const [piece, currency, money, moneyScale, plain, scale, unit] = match;
    const value = numberOf(money ?? plain ?? "") * scaleOf(moneyScale ?? scale);
    if (Number.isFinite(value)) found.push({ text: piece.trim(), value, unit: foldUnit(currency ?? unit ?? "") });
  }
  return found;
}

/** `1,180` and `1.180` are thousands, `18.5` and `18,5` decimals. */
function numberOf(text: string): number {
  const grouped = /^\d{1,3}(?:[.,]\d{3})+(?:[.,]\d+)?$/.exec(text);
  if (grouped !== null) {
    const tail = /[.,](\d{1,2}|\d{4,})$/.exec(text)?.[0] ?? "";
    const whole = text.slice(0, text.length - tail.length).replace(/[.,]/g, "");
    return Number(whole + tail.replace(",", "."));
  }
  return Number(text.replace(",", "."));
}

function scaleOf(word: string | undefined): number {
  const scales: Readonly<Record<string, number>> = { thousand: 1e3, k: 1e3, million: 1e6, m: 1e6, billion: 1e9, bn: 1e9 };
  return scales[word?.toLowerCase() ?? ""] ?? 1;
}

const sameUnits: Readonly<Record<string, string>> = {
  "€": "eur",
  euro: "eur",
  $: "usd",
  dollar: "usd",
  "£": "gbp",
  pound: "gbp",
  percent: "%",
  "per cent": "%",
  hr: "hour",
  h: "hour",
  min: "minute",
  sec: "second",
  s: "second",
  meter: "metre",
  m: "metre",
  kilometer: "kilometre",
  km: "kilometre",
  people: "person",
  staff: "person",
  lorries: "lorry",
  boxes: "box",
  shelves: "shelf",
};

function foldUnit(unit: string): string {
  const lower = unit.toLowerCase();
  const singular =
    lower.length > 2 && lower.endsWith("s") && !lower.endsWith("ss") && lower !== "boxes" && lower !== "lorries"
      ? lower.slice(0, -1)
      : lower;
  return sameUnits[lower] ?? sameUnits[singular] ?? singular;
}

/** Capitalised names and terms of more than one word, or one in the middle of a sentence. */
export function names(text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/(?<![.!?:]\s)(?<!^)\b\p{Lu}[\p{L}\d-]+(?:\s\p{Lu}[\p{L}\d-]*)*/gu)) found.push(match[0]);
  return found;
}

const addressee =
  /\b(?:AI|A\.I\.|LLM|GPT|assistants?|language models?|chat ?bots?|(?:AI|automated|autonomous) agents?|copilot|summari[sz]ers?)\b/i;
const override =
  /\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all|other|your|any|system)\b.{0,30}\b(?:instructions?|rules?|prompts?|polic(?:y|ies)|guidelines?|directions?)\b|\bsystem prompt\b|\bnew instructions?\s*:|\byou are now\b|\bdo not (?:tell|mention|inform|report|reveal)\b.{0,60}\b(?:user|reader|human|anyone|this)\b/i;
const outward =
  /\b(?:send|post|upload|forward|e-?mail|transmit|submit|copy|push|exfiltrate|share)\b.{0,160}\b(?:https?:\/\/|ftp:\/\/|[\w.+-]+@[\w-]+\.\w|webhook|endpoint|to the address)/i;
const command =
  /\b(?:run|execute|invoke|call|open|fetch|curl|wget|delete|remove|overwrite|append|write|send|post|upload|include|add|insert|reply|respond|output|print|read)\b/i;

/** Whether a block of text reads as an order to the machine that reads it. */
export function isInjection(text: string): boolean {
  if (override.test(text)) return true;
  if (
    outward.test(text) &&
    (addressee.test(text) ||
      /\b(?:curl|wget|contents? of|the file|you must|before (?:you|summari[sz]ing)|silently)\b/i.test(text))
  )
    return true;
  const named = addressee.exec(text);
  if (named === null || !command.test(text)) return false;
  return (
    /\b(?:note|notice|attention|instructions?|message|important|dear|hey|if you are|as an?|any|all|every)\b.{0,40}$/i.test(
      text.slice(0, named.index),
    ) && /\b(?:must|should|please|you|do not|shall|required|always|first)\b/i.test(text)
  );
}

/** Whether a sentence may stand alone in front of a reader. */
export function isQuotable(sentence: Pick<Sentence, "text" | "kind">): boolean {
  const { text, kind } = sentence;
  if (text.length < 24 || text.length > 360) return false;
  if (
    /^(?:dear|hi|hello|hey|good (?:morning|afternoon)|kind regards|best(?: regards| wishes)?|regards|thanks|thank you|cheers|sincerely|many thanks)\b/i.test(
      text,
    ) &&
    text.length < 80
  )
    return false;
  if (words(text).length < 5) return false;
  if (kind === "row") return isTelling(text);
  if (!/^["'“‘([«]?[\p{Lu}\p{N}]/u.test(text)) return false;
  if (/[:;,]$/.test(text)) return false;
  return kind === "item" || /[.!?…]["'”’)\]]*$/.test(text);
}

/** A row is worth quoting for its words or as a sum; bare figures need their table. */
function isTelling(text: string): boolean {
  if (/\b(?:total|sum)\b/i.test(text) || !text.includes(" · ")) return true;
  return text
    .split(" · ")
    .some((cell) => words(cell.replace(/^[^:]{1,40}: /, "")).filter((word) => /^\p{L}{2,}$/u.test(word)).length >= 5);
}

/** Whether something is said of something: a heading or a line of a letter's head has no verb. A guess by form, for ranking only. */
export function hasVerb(text: string): boolean {
  const main = text.replace(/, \p{Ll}+(?:ed|wn|ld|de) (?:by|as|on|in|at)\b.*$/u, "");
  return /\b(?:is|are|was|were|be|been|has|have|had|will|would|can|cannot|could|may|might|must|shall|should|do|does|did|became|began|broke|came|cost|fell|found|gave|got|held|kept|left|lost|made|met|paid|put|ran|rose|said|saw|sent|set|stood|stays?|takes?|took|told|went|wrote|says|asks?|needs?|comes?|goes|gives|holds|moves?|reopens?|arrives?|starts?|ends|expects?|reports?|forecasts?|charges?|offers?|carries|costs|meets?|decides?|\p{Ll}{3,}ed)\b/u.test(
    main,
  );
}

/** A sentence that leans on the one before it, or on who speaks, reads badly alone. */
export function leansBack(text: string): boolean {
  if (/^it (?:is not|is un|remains|was not) (?:known|clear|open|decided|\p{L}+ whether)/iu.test(text)) return false;
  if (/\b(?:we|us|our|ours|you|your|I|me|my|We|Our|You|Your|My)\b/.test(text)) return true;
  if (/\b(?:this|these|those|these three days|the same)\b(?=[,.]| (?:once|is|was|will|are|were)\b)/i.test(text)) return true;
  return /^(?:present|attended|apologies):|^(?:this|that|these|those|it|they|he|she|such|both|there|here|since then|until then|later than|however|but|and|so|then|also|therefore|thus|instead|otherwise|in addition|moreover|nevertheless|neither|the (?:former|latter|same))\b/i.test(
    text,
  );
}
