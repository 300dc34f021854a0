/**
 * Memo: the message that stands in a window for the turns that left it, so that a process does not try again what it has tried.
 *   KRN-15.2  It says how many turns left and how to bring one back, and has a line for each call they made: what was asked, what came of it, and
 *             where it stands; a call made again is one line with a count.
 *   KRN-15.3  It stands where the last of them stood, so that all before the first of them stays as it was sent before.
 *   KRN-15.4  Its lines take a bounded share of the window and never bring it to its high mark; the oldest go first, and it says that they did.
 */
import { limits } from "../abi/limits.ts";
import type { Message } from "../abi/message.ts";
import type { Page, PageId } from "../abi/page.ts";
import { plural } from "../lib/plural.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { callsOf } from "./table.ts";
import type { Turn } from "./turns.ts";

/** One call of a turn that leaves: what was asked and what came of it, and where that stands. */
interface Made {
  readonly what: string;
  readonly at: PageId;
}

/** A line: the last call that was so, and how many there were. */
interface Trace extends Made {
  readonly times: number;
}

/** Besides the goal, which is the first message, nothing else in a window is of the user's side. */
export function isMemo(message: Message, at: number): boolean {
  return at > 0 && message.role === "user";
}

/** `before`: the memo that stands so far. `left`: how many turns have left by now, `last` the newest of them. Its head stands whatever the bound. */
export function memoOf(before: Message | null, gone: readonly Made[], left: number, last: PageId, tokensMax: number): Message {
  const told = new Map(before === null ? [] : tracesIn(before).map((trace) => [trace.what, trace]));
  for (const { what, at } of gone) {
    const times = (told.get(what)?.times ?? 0) + 1;
    /** Told anew at the end: lines go oldest first. */
    told.delete(what);
    told.set(what, { what, at, times });
  }
  const head = headOf(left, last);
  const lines: string[] = [];
  let tokens = estimateTokens(head);
  for (const line of [...told.values()].toReversed().map(lineOf)) {
    const more = estimateTokens(line) + 1;
    if (tokens + more > tokensMax) break;
    tokens += more;
    lines.unshift(line);
  }
  const cut = lines.length < told.size || (before !== null && wasCut(before));
  const text = [head, ...(cut ? [cutLine] : []), ...lines].join("\n");
  return { role: "user", parts: [{ type: "text", text }], tokens: estimateTokens(text) };
}

/** What a turn that leaves has done. All its pages are stubs by now; the rest are refusals and errors. */
export function tracesOf(turn: Turn, pages: ReadonlyMap<PageId, Page>): readonly Made[] {
  return callsOf(turn.reply.parts).flatMap((call, n) => {
    const result = turn.results.parts[n];
    if (result?.type !== "result") return [];
    const name = /^[\w.-]+$/.test(call.name) ? call.name : JSON.stringify(call.name);
    const asked = `${name} ${JSON.stringify(call.args)}`;
    const short = asked.length > limits.memoCallMax ? `${asked.slice(0, limits.memoCallMax)}…` : asked;
    const gave = result.ok ? `${pages.get(result.page)?.tokens ?? 0} tokens` : (result.text.split(":")[0] ?? "");
    return [{ what: `${short} → ${gave}`, at: result.page }];
  });
}

function headOf(left: number, last: PageId): string {
  return `[${plural(left, "earlier turn")} left this window. mem.read brings back a reply by its number, as {"page":"${last}"}, and a result by the number in its line here. Their calls, oldest first:]`;
}

const cutLine = "[older lines left too]";

function wasCut(memo: Message): boolean {
  return textOf(memo).includes(`\n${cutLine}\n`);
}

function lineOf({ what, at, times }: Trace): string {
  return times === 1 ? `${what} (${at})` : `${what} (${times} times, last ${at})`;
}

/** Arguments are JSON and names have no white space but in quotes: a line is one trace. */
function tracesIn(memo: Message): readonly Trace[] {
  return textOf(memo)
    .split("\n")
    .flatMap((line): Trace[] => {
      const parts = /^(.+) \((?:(\d+) times, last )?(\d+\.\d+\.\d+)\)$/.exec(line);
      const [, what, times, at] = parts ?? [];
      return what === undefined || at === undefined ? [] : [{ what, at, times: Number(times ?? 1) }];
    });
}

function textOf(memo: Message): string {
  const part = memo.parts[0];
  return part?.type === "text" ? part.text : "";
}
