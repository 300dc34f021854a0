/**
 * Reclaim: choose which pages leave the window.
 * plan() says what to evict and changes nothing; the kernel evicts and journals.
 *   MEM-3.1  A pinned page and a page of the newest steps are never evicted.
 *   MEM-3.2  The lowest score leaves first; ties by place in the window, so replay is exact.
 *   MEM-3.3  Eviction starts at the high mark and goes down to the low mark in one batch, so that the prefix cache breaks rarely.
 *   MEM-3.4  When pinned pages alone exceed the window the answer is ENOMEM, never a silent loss.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Page, PageId } from "../abi/page.ts";
import { ok, type Result } from "../lib/result.ts";
import { assert } from "../lib/assert.ts";

export interface ReclaimRequest {
  /** In the order they stand in the window. */
  readonly pages: readonly Page[];
  /** All of the window: system prompt, goal, replies and resident pages. */
  readonly windowTokens: number;
  readonly windowTokensMax: number;
  /** What the stub costs that takes an evicted page's place. */
  readonly stubTokens: number;
  /** The step about to run; pages born in it or the step before are needed now. */
  readonly step: number;
}

/** The pages to evict, in window order; empty below the high mark. */
export function plan(request: ReclaimRequest): Result<readonly PageId[], SysError> {
  assert(request.windowTokensMax > 0, "a window has a size");
  if (request.windowTokens <= request.windowTokensMax * limits.windowHighShare) return ok([]);
  const target = request.windowTokensMax * limits.windowLowShare;
  const chosen = new Set<number>();
  let tokens = request.windowTokens;
  for (const index of byScore(candidates(request), request)) {
    if (tokens <= target) break;
    const page = request.pages[index];
    if (page === undefined) continue;
    tokens -= page.tokens - request.stubTokens;
    chosen.add(index);
  }
  if (tokens > request.windowTokensMax) {
    return fail(
      "ENOMEM",
      `the window needs ${tokens} tokens and has ${request.windowTokensMax}: what is pinned or just read does not fit; ` +
        "read smaller pieces, note less, or give the task to a child process",
    );
  }
  return ok(request.pages.flatMap((page, index) => (chosen.has(index) ? [page.id] : [])));
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
