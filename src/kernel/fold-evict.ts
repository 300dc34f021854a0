/**
 * Fold, evict: pages become stubs, and turns leave whole.
 *   KRN-15.1  What left the window is known by its page id and brought back by mem.read: a page by `PID.STEP.N`, a reply by `PID.STEP`.
 */
import type { EvictEntry } from "../abi/entry.ts";
import { limits } from "../abi/limits.ts";
import type { Message } from "../abi/message.ts";
import type { Page } from "../abi/page.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { isMemo, memoOf, tracesOf } from "./memo.ts";
import { procOf, type Proc, type Table } from "./table.ts";
import { turnsIn, type Turn } from "./turns.ts";
import { stub } from "./window.ts";

export function applyEvict(table: Table, entry: EvictEntry): void {
  const proc = procOf(table, entry.pid);
  const evicted = new Map(entry.pages.map((page) => [page.id, page]));
  const stubs = new Map<string, string>();
  proc.pages = proc.pages.map((page): Page => {
    const out = evicted.get(page.id);
    if (out === undefined) return page;
    stubs.set(page.id, stub(page));
    proc.windowTokens -= page.tokens - out.stubTokens;
    return { ...page, resident: false, blob: out.blob };
  });
  proc.pagesEvicted += entry.pages.length;
  proc.messages = proc.messages.map((message) => (message.role === "tool" ? withStubs(message, stubs) : message));
  if (entry.turns !== undefined) removeTurns(proc, entry.turns);
}

/** Untouched messages stay the same objects, so that their cached wire bytes stay good. */
function withStubs(message: Message, stubs: ReadonlyMap<string, string>): Message {
  if (!message.parts.some((part) => part.type === "result" && stubs.has(part.page))) return message;
  const parts = message.parts.map((part) => {
    const text = part.type === "result" ? stubs.get(part.page) : undefined;
    return text === undefined || part.type !== "result" ? part : { ...part, text };
  });
  return { ...message, parts };
}

/** Each reply goes with its message of results: a provider refuses the one without the other. A memo stands in their place. */
function removeTurns(proc: Proc, turns: NonNullable<EvictEntry["turns"]>): void {
  const blobs = new Map(turns.map((turn) => [turn.step, turn.blob]));
  const pages = new Map(proc.pages.map((page) => [page.id, page]));
  const gone: Turn[] = [];
  for (const turn of turnsIn(proc.messages)) {
    const blob = blobs.get(turn.step);
    if (blob === undefined) continue;
    gone.push(turn);
    proc.windowTokens -= turn.reply.tokens + tokensOf(turn.results);
    proc.pages = [...proc.pages, replyPage(proc, turn.step, turn.reply.tokens, blob)];
  }
  proc.turnsEvicted += turns.length;
  const leaving = new Set(gone.flatMap(({ reply, results }) => [reply, results]));
  const before = proc.messages.find(isMemo) ?? null;
  const last = `${proc.pid}.${turns.at(-1)?.step ?? 0}`;
  const traces = gone.flatMap((turn) => tracesOf(turn, pages));
  proc.windowTokens -= before?.tokens ?? 0;
  const room = proc.windowTokensMax * limits.windowHighShare - proc.windowTokens;
  const memo = memoOf(before, traces, proc.turnsEvicted, last, Math.min(room, proc.windowTokensMax * limits.memoShare));
  proc.windowTokens += memo.tokens;
  const place = gone.at(-1)?.results;
  proc.messages = proc.messages.flatMap((message) => {
    if (message === place) return [memo];
    return leaving.has(message) || message === before ? [] : [message];
  });
}

/** All its pages are stubs by now; the rest are refusals and errors. */
function tokensOf(results: Message): number {
  let tokens = 0;
  for (const part of results.parts) if (part.type === "result") tokens += estimateTokens(part.text);
  return tokens;
}

function replyPage(proc: Proc, step: number, tokens: number, blob: string): Page {
  const id = `${proc.pid}.${step}`;
  const { label } = proc;
  return { id, source: `turn ${step}`, kind: "reply", tokens, label, pin: "none", resident: false, bornStep: step, blob };
}
