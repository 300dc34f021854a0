/**
 * Visible: text of others as a person sees it. What a screen does not show but a model reads is where instructions are hidden.
 *   LIB-16.1  visible() leaves no control byte but tab and newline, no bidirectional control, no zero-width and no tag character; all else stays.
 *   LIB-16.2  hiddenIn() names each kind of what visible() takes away, once, and nothing of a text that it leaves as it is.
 */
import { isObject, type Json } from "./json.ts";

export type Hidden = "control" | "bidi" | "tag" | "zero-width";

/** Control bytes become a space, so that words stay apart; the rest goes without a trace. */
export function visible(text: string): string {
  return text.replace(controls, " ").replace(ignorables, "");
}

export function hiddenIn(text: string): readonly Hidden[] {
  if (text === visible(text)) return [];
  return kinds.filter(([, pattern]) => pattern.test(text)).map(([kind]) => kind);
}

/** The same in every text of a value, names of fields aside. */
export function visibleJson(value: Json): Json {
  if (typeof value === "string") return visible(value);
  if (Array.isArray(value)) return value.map((item) => visibleJson(item as Json));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visibleJson(item)]));
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const ignorables = /\p{Default_Ignorable_Code_Point}|\p{Bidi_Control}/gu;
const kinds: readonly (readonly [Hidden, RegExp])[] = [
  ["control", /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/],
  ["bidi", /\p{Bidi_Control}/u],
  ["tag", /[\u{e0000}-\u{e007f}]/u],
  ["zero-width", /(?!\p{Bidi_Control}|[\u{e0000}-\u{e007f}])\p{Default_Ignorable_Code_Point}/u],
];
