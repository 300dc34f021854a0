/**
 * Visible: text of others as a person sees it. What a screen does not show but a model reads is where instructions are hidden.
 *   LIB-16.1  visible() leaves nothing unseen but tab and newline; what stood between words leaves a space, and all that is seen stays as it is.
 *   LIB-16.2  hiddenIn() names each kind of what visible() takes away, once, and nothing of a text that it leaves as it is.
 */
import { isObject, type Json } from "./json.ts";
import { mayHideCharacters, unseen, type UnseenKind } from "./unseen.ts";

export function visible(text: string): string {
  if (!mayHideCharacters(text)) return text;
  let shown = "";
  let from = 0;
  for (const { index, length, kind } of unseen(text)) {
    shown += text.slice(from, index) + (kind === "control" || kind === "separator" ? " " : "");
    from = index + length;
  }
  return shown + text.slice(from);
}

/** The same in every text of a value, names of fields aside. */
export function visibleJson(value: Json): Json {
  if (typeof value === "string") return visible(value);
  if (Array.isArray(value)) return value.map((item) => visibleJson(item as Json));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visibleJson(item)]));
}

export function hiddenIn(text: string): readonly UnseenKind[] {
  return [...new Set([...unseen(text)].map(({ kind }) => kind))].sort();
}
