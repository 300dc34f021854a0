/**
 * Unseen: characters that a reader does not see as themselves: controls, reordering marks, zero-width and tag characters.
 * One table serves the check of instruction files and the terminal's neutraliser.
 *   LIB-8.1  Every C0 control but tab, line feed and the CR of a CRLF, DEL, every C1 control, bidi mark, zero-width, tag and line-separator character is unseen.
 *   LIB-8.2  What writing needs is not: joiners inside an emoji sequence, one variation selector after a visible character, a flag's own tags.
 * Source: Unicode 17, Default_Ignorable_Code_Point and Bidi_Control; UTS #51 for emoji sequences.
 */

export type UnseenKind = "control" | "bidi" | "zero-width" | "tag" | "separator" | "surrogate";

export interface Unseen {
  readonly index: number;
  readonly length: number;
  readonly codePoint: number;
  readonly kind: UnseenKind;
}

/** False for nearly all text, at the cost of one scan. */
export function mayHideCharacters(text: string): boolean {
  return suspicious.test(text);
}

/** Every unseen character of the text, in order. */
export function* unseen(text: string): Generator<Unseen> {
  if (!suspicious.test(text)) return;
  // Legitimate sequences are stepped over whole, so their parts are never looked at alone.
  for (const match of text.matchAll(tokens)) {
    const codePoint = match.groups?.["bad"]?.codePointAt(0);
    if (codePoint === undefined) continue;
    yield { index: match.index, length: match[0].length, codePoint, kind: kindOf(codePoint) };
  }
}

function kindOf(codePoint: number): UnseenKind {
  if (codePoint < 0x20 || (codePoint >= 0x7f && codePoint <= 0x9f)) return "control";
  if (codePoint === 0x2028 || codePoint === 0x2029) return "separator";
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return "surrogate";
  if (codePoint >= 0xe0000 && codePoint <= 0xe0fff) return "tag";
  const bidi = codePoint === 0x061c || codePoint === 0x200e || codePoint === 0x200f;
  if (bidi || (codePoint >= 0x202a && codePoint <= 0x202e) || (codePoint >= 0x2066 && codePoint <= 0x2069)) return "bidi";
  return "zero-width";
}

const unseenClass = String.raw`[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb\u{1d173}-\u{1d17a}\p{Surrogate}]`;
const suspicious = new RegExp(unseenClass, "u");

const emojiUnit = String.raw`\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?`;
const emojiSequence = String.raw`${emojiUnit}(?:\u200d${emojiUnit})*`;
const tagFlag = String.raw`\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}`;
const selected = String.raw`[^\p{Default_Ignorable_Code_Point}\p{Cc}\p{Zs}\p{Surrogate}\u2028\u2029][\ufe00-\ufe0f]`;
const tokens = new RegExp(`\\r\\n|${tagFlag}|${emojiSequence}|${selected}|(?<bad>${unseenClass})`, "gu");
