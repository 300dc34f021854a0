/**
 * Reclaim: choose which pages leave the window, and where that is not enough which whole turns.
 * plan() says what to evict and changes nothing; the kernel evicts and journals.
 *   MEM-3.1  A pinned page and a page of the newest steps are never evicted.
 *   MEM-3.2  The lowest score leaves first; ties by place in the window, so replay is exact.
 *   MEM-3.3  Eviction starts at the high mark and goes down to the low mark in one batch, so that the prefix cache breaks rarely.
 *   MEM-3.5  When the stubs and replies that stay still pass the high mark the oldest turns leave whole, down to the low mark; never one of the
 *            newest steps or one that holds a note or a pinned page.
 *   MEM-3.4  When pinned pages alone exceed the window the answer is ENOMEM, never a silent loss.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Page, PageId } from "../abi/page.ts";
import { ok, type Result } from "../lib/result.ts";
import { assert } from "../lib/assert.ts";

/** A reply with its results, as it stands in the window. */
export interface TurnSize {
  readonly step: number;
  /** The reply, and those results that are no pages. Its pages count for themselves. */
  readonly tokens: number;
  /** A note stands in the reply's own words. */
  readonly noted: boolean;
}

export interface ReclaimPlan {
  /** Their text leaves and a stub takes its place; in window order. */
  readonly pages: readonly PageId[];
  /** These steps leave with all that is left of them; oldest first. */
  readonly turns: readonly number[];
}

export interface ReclaimRequest {
  /** In the order they stand in the window. */
  readonly pages: readonly Page[];
  /** All of the window: system prompt, goal, replies and resident pages. */
  readonly windowTokens: number;
  readonly windowTokensMax: number;
  /** Oldest first; asked for only when pages alone do not make enough room. */
  turns(): readonly TurnSize[];
  /** What the stub costs that takes an evicted page's place. */
  readonly stubTokens: number;
  /** The step about to run; pages born in it or the step before are needed now. */
  readonly step: number;
}

/** What leaves; nothing below the high mark. */
export function plan(request: ReclaimRequest): Result<ReclaimPlan, SysError> {
  const { windowTokens, windowTokensMax, stubTokens, pages } = request;
  assert(windowTokensMax > 0, "a window has a size");
  if (windowTokens <= windowTokensMax * limits.windowHighShare) return ok({ pages: [], turns: [] });
  const target = windowTokensMax * limits.windowLowShare;
  const chosen = new Set<number>();
  let tokens = windowTokens;
  for (const index of byScore(candidates(request), request)) {
    if (tokens <= target) break;
    const page = pages[index];
    if (page === undefined) continue;
    tokens -= page.tokens - stubTokens;
    chosen.add(index);
  }
  const turns: number[] = [];
  if (tokens > windowTokensMax * limits.windowHighShare) {
    for (const turn of leavable(request, chosen)) {
      if (tokens <= target) break;
      tokens -= turn.tokens;
      turns.push(turn.step);
    }
  }
  if (tokens > windowTokensMax) return fail("ENOMEM", tooSmall(tokens, windowTokensMax));
  return ok({ pages: pages.flatMap((page, index) => (chosen.has(index) ? [page.id] : [])), turns });
}

function tooSmall(tokens: number, windowTokensMax: number): string {
  return (
    `the window needs ${tokens} tokens and has ${windowTokensMax}: what is pinned or just read does not fit; ` +
    "read smaller pieces, note less, or give the task to a child process"
  );
}

/** The turns that may leave, each with what it would free once its chosen pages are stubs. */
function leavable(request: ReclaimRequest, chosen: ReadonlySet<number>): readonly { step: number; tokens: number }[] {
  const pages = new Map<number, number>();
  const kept = new Set<number>();
  for (const [index, page] of request.pages.entries()) {
    const tokens = page.resident && !chosen.has(index) ? page.tokens : request.stubTokens;
    pages.set(page.bornStep, (pages.get(page.bornStep) ?? 0) + tokens);
    if (page.resident && page.pin !== "none") kept.add(page.bornStep);
  }
  return request
    .turns()
    .filter((turn) => !turn.noted && !kept.has(turn.step) && turn.step < request.step - 1)
    .map(({ step, tokens }) => ({ step, tokens: tokens + (pages.get(step) ?? 0) }));
}

function candidates(request: ReclaimRequest): number[] {
  const found: number[] = [];
  for (const [index, page] of request.pages.entries()) {
    const movable = page.resident && page.pin === "none" && page.kind === "result";
    if (movable && page.bornStep < request.step - 1 && page.tokens > request.stubTokens) found.push(index);
  }
  return found;
}

/** Old and large leaves first: idle steps times size. The same score keeps window order. */
function byScore(indexes: readonly number[], request: ReclaimRequest): number[] {
  const score = (index: number): number => {
    const page = request.pages[index];
    return page === undefined ? 0 : (request.step - page.bornStep) * page.tokens;
  };
  return indexes.toSorted((a, b) => score(b) - score(a) || a - b);
}
