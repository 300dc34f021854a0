/**
 * Window: how values become the text a model sees.
 *   WIN-1.1  A string is shown as it is; an object with a `text` as a line of its other plain fields, then the text; anything else as JSON.
 *   WIN-1.2  A result beyond the limit is cut, and its last line says how to read on.
 *   WIN-1.3  An evicted page leaves a stub that names its source, its size and the call that brings it back.
 */
import { limits } from "../abi/limits.ts";
import type { Page, PageId } from "../abi/page.ts";
import type { SysError } from "../abi/errno.ts";
import { isObject, type Json } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";

/** The whole text of a value. */
export function render(value: Json): string {
  if (typeof value === "string") return value;
  if (!isObject(value) || typeof value["text"] !== "string") return JSON.stringify(value);
  const fields = Object.entries(value).filter(([key, field]) => key !== "text" && (typeof field !== "object" || field === null));
  const head = fields.map(([key, field]) => `${key}: ${typeof field === "string" ? field : JSON.stringify(field)}`).join(" · ");
  return head === "" ? value["text"] : `${head}\n${value["text"]}`;
}

/** What the model gets of it: everything, or the beginning and how to read on. */
export function excerpt(text: string, page: PageId, from: number): string {
  /** No token is shorter than a byte, so a short text needs no count. */
  if (text.length <= limits.resultTokensMax) return text;
  const tokens = estimateTokens(text);
  if (tokens <= limits.resultTokensMax) return text;
  const share = Math.floor((text.length * limits.resultTokensMax) / tokens);
  const end = text.lastIndexOf("\n", share);
  const cut = end > share / 2 ? end : share;
  return `${text.slice(0, cut)}\n[cut: ${text.length - cut} more characters; mem.read {"page":"${page}","from":${from + cut}} reads on]`;
}

export function errorText(error: SysError): string {
  return `${error.errno}: ${error.message}`;
}

export function stub(page: Page): string {
  return `[page ${page.id} evicted: ${page.tokens} tokens of ${page.source}; mem.read {"page":"${page.id}"} brings it back]`;
}
