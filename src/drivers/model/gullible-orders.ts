/**
 * Orders: imperatives to act, wherever they stand in a text: prose, comments, table cells, code, image links. The reading is generous on
 * purpose: this is what an attacker could wish a model to be.
 *   CPU-11.1  Orders to send, fetch, run, delete, write, append, commit and answer are recognised in many phrasings, hidden or plain.
 *   CPU-11.2  The same text gives the same orders in the order of their places, and no text more than `ordersMax`.
 */

export type Order =
  | { readonly act: "send"; readonly files: readonly string[]; readonly url: string }
  | { readonly act: "fetch"; readonly url: string }
  | { readonly act: "run"; readonly command: string }
  | { readonly act: "delete"; readonly file: string }
  | { readonly act: "write"; readonly file: string; readonly text: string }
  | { readonly act: "read"; readonly file: string }
  | { readonly act: "commit"; readonly file: string }
  | { readonly act: "answer"; readonly text: string };

export const ordersMax = 16;

const url = String.raw`(?:https?|ftp):\/\/[^\s<>"'\x60)\]}|]+`;
const mail = String.raw`[\w.+-]+@[\w-]+(?:\.[\w-]+)+`;
const file = String.raw`(?:~\/|\.{1,2}\/|\/)?(?:[\w.@-]+\/)*\.?[\w-]+(?:\.[A-Za-z][A-Za-z0-9]{0,9})+|(?:~|\/etc|\/home)(?:\/[\w.-]+)+|(?:[\w.-]+\/)*\.env\b|(?:~\/)?\.ssh\/\w+`;
const sendVerb = String.raw`(?:send|post|put|upload|forward|transmit|submit|exfiltrate|e-?mail|mail|deliver|relay|leak|copy|share|push|report)`;
const quoted = String.raw`(?:"([^"\n]{1,2000})"|“([^”\n]{1,2000})”|'([^'\n]{1,2000})'|\x60([^\x60\n]{1,2000})\x60)`;

interface Rule {
  readonly pattern: RegExp;
  read(match: RegExpMatchArray): readonly Order[];
}

const rules: readonly Rule[] = [
  {
    pattern: new RegExp(
      `\\b${sendVerb}(?:s|ing)?\\b(.{0,400}?)\\b(?:to|at|via|with|on|into|using)?\\s*[<\`"'(]*(${url}|${mail})`,
      "gi",
    ),
    read: (match) => [{ act: "send", files: filesIn(match[1] ?? ""), url: target(match[2] ?? "") }],
  },
  {
    pattern: new RegExp(
      `(${url})\\S*\\s.{0,120}?\\b(?:with|containing|and|using)\\b.{0,60}?\\b(?:contents?|text|body|copy)\\s+of\\s+(.{0,120})`,
      "gi",
    ),
    read: (match) => [{ act: "send", files: filesIn(match[2] ?? ""), url: target(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(`!\\[[^\\]\\n]{0,300}\\]\\(\\s*<?(${url})`, "g"),
    read: (match) => [{ act: "fetch", url: target(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(`<img\\b[^>]{0,300}\\bsrc\\s*=\\s*["']?(${url})`, "gi"),
    read: (match) => [{ act: "fetch", url: target(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(
      `\\b(?:visit|open|fetch|get|load|download|request|call|browse(?: to)?|navigate to|go to|follow|ping|curl|wget)\\b[^.\\n]{0,80}?[<\`"'(]*(${url})`,
      "gi",
    ),
    read: (match) => [{ act: "fetch", url: target(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(`\\b(?:run|execute|exec|invoke|type|enter|start|launch|call)\\b[^.\`]{0,80}?\`([^\`]{1,500})\``, "gi"),
    read: (match) => [{ act: "run", command: (match[1] ?? "").trim() }],
  },
  {
    pattern: /\b(?:run|execute)\b(?: (?:the )?(?:following|this|command|script|line))*\s*[:"“']\s*["“']?([^"”'\n]{2,300})/gi,
    read: (match) => [{ act: "run", command: (match[1] ?? "").trim() }],
  },
  {
    pattern:
      /(?:^|[\s`"'│])((?:sudo |bash -c |sh -c )?(?:curl|wget|rm -r?f?|chmod|git push|npm (?:i|install)|pip install|nc|scp|ssh)\s[^\n`"”]{3,300})/gm,
    read: (match) => [{ act: "run", command: (match[1] ?? "").trim() }],
  },
  {
    pattern: new RegExp(
      `\\b(?:delete|remove|erase|wipe|destroy|unlink|trash|drop|empty|clear|truncate)\\b(?: (?:the|all|every|of|file|files|folder|contents?|document|from))*\\s+[\`"'“]?(${file})`,
      "gi",
    ),
    read: (match) => [{ act: "delete", file: tidy(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(
      `\\b(?:append|add|write|insert|put|save|store|place|copy)\\b[^\\n]{0,80}?${quoted}[^\\n]{0,60}?\\b(?:to|into|in|at the end of|inside)\\b(?: (?:the|file|your|end|of|top|project's|a))*\\s+[\`"'“]?(${file})`,
      "gi",
    ),
    read: (match) => [{ act: "write", file: tidy(match[5] ?? ""), text: match[1] ?? match[2] ?? match[3] ?? match[4] ?? "" }],
  },
  {
    pattern: new RegExp(
      `\\b(?:append|add|write|insert)\\b[^\\n]{0,60}?\\b(?:to|into|in)\\b(?: (?:the|file|your))*\\s+[\`"'“]?(${file})[\`"'”]?\\s*[:,]\\s*${quoted}`,
      "gi",
    ),
    read: (match) => [{ act: "write", file: tidy(match[1] ?? ""), text: match[2] ?? match[3] ?? match[4] ?? match[5] ?? "" }],
  },
  {
    pattern: new RegExp(
      `\\b(?:overwrite|replace|rewrite|modify|edit|change|update)\\b(?: (?:the|file|contents?|of|text|in|your))*\\s+[\`"'“]?(${file})[\`"'”]?(?:[^\\n]{0,40}?\\b(?:with|by|to|so that it says)\\b[^\\n]{0,20}?${quoted})?`,
      "gi",
    ),
    read: (match) => [{ act: "write", file: tidy(match[1] ?? ""), text: match[2] ?? match[3] ?? match[4] ?? match[5] ?? "" }],
  },
  {
    pattern: new RegExp(
      `\\b(?:read|print|show|reveal|cat|display|leak|include|dump)\\b(?: (?:the|me|us|out|full|complete|contents?|text|of|file))*\\s+[\`"'“]?(${file})`,
      "gi",
    ),
    read: (match) => [{ act: "read", file: tidy(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(`\\b(?:commit|publish|deploy|release)\\b(?: (?:the|file|changes?|to|of|in))*\\s+[\`"'“]?(${file})`, "gi"),
    read: (match) => [{ act: "commit", file: tidy(match[1] ?? "") }],
  },
  {
    pattern: new RegExp(
      `\\b(?:reply|respond|answer|output|say|state|conclude|finish)\\b(?: (?:only|just|simply|exactly|the|word|words|with|by|saying|that))*\\s*:?\\s*${quoted}`,
      "gi",
    ),
    read: (match) => [{ act: "answer", text: match[1] ?? match[2] ?? match[3] ?? match[4] ?? "" }],
  },
];

export function ordersIn(text: string): Order[] {
  const plain = unwrapped(text);
  const found: { at: number; order: Order }[] = [];
  for (const rule of rules) {
    for (const match of plain.matchAll(rule.pattern)) {
      for (const order of rule.read(match)) found.push({ at: match.index, order });
    }
  }
  const seen = new Set<string>();
  const orders: Order[] = [];
  for (const { order } of found.toSorted((a, b) => a.at - b.at)) {
    const key = JSON.stringify(order);
    if (seen.has(key) || orders.length >= ordersMax || isHollow(order)) continue;
    seen.add(key);
    orders.push(order);
  }
  return orders;
}

/** Without line numbers, quote marks and comment signs, so that an order broken over lines is one line. */
function unwrapped(text: string): string {
  return text
    .replace(/^\s*\d+│ ?/gm, "")
    .replace(/^\s*(?:\/\/+|#+|\*+|>+|--|<!--|;+|%)\s?/gm, "")
    .replace(/\\n/g, "\n")
    .replace(/`{3,}\w*\n([^`]{1,500}?)\n?`{3,}/g, "`$1`")
    .replace(/([^\n.!?:])\n(?=[a-z0-9"'“`(/~\\.])/g, "$1 ")
    .replace(/[\u200b-\u200f\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/gu, "");
}

function filesIn(text: string): string[] {
  const plain = text.replace(new RegExp(url, "g"), " ");
  return [...new Set((plain.match(new RegExp(file, "g")) ?? []).map(tidy))].filter((path) => path !== "").slice(0, 4);
}

function target(text: string): string {
  const cleaned = text.replace(/[.,;:!?]+$/, "");
  return cleaned.includes("://") ? cleaned : `mailto:${cleaned}`;
}

function tidy(path: string): string {
  return path.replace(/[.,;:!?]+$/, "");
}

function isHollow(order: Order): boolean {
  switch (order.act) {
    case "run":
      return order.command.length < 2;
    case "answer":
      return order.text === "";
    case "send":
    case "fetch":
      return order.url.length < 8;
    default:
      return order.file === "";
  }
}
