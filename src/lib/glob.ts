/**
 * Glob: path patterns in one grammar for capabilities, programs and policy short-hand.
 * `*` is any text within a segment, `?` one character of a segment, `**` as a whole segment is any number of segments, also none.
 *   LIB-3.1  A pattern matches a whole path; time is at most pattern times path, and no RegExp takes part.
 *   LIB-3.2  covers(a, b) is true only if a matches every path that b matches.
 */
import { err, ok, type Result } from "./result.ts";

/** A pattern as its segments; `**` stands for itself. */
export type Glob = readonly string[];

export const anyDepth = "**";

/** `./a/*` is `a/*`. What would be read in two ways is an error with the reason. */
export function parseGlob(pattern: string): Result<Glob, string> {
  const segments = pattern.replace(/^(\.\/+)+/, "").split("/");
  if (pattern === "" || segments.includes("")) return err(`the pattern ${JSON.stringify(pattern)} has an empty segment`);
  if (segments.includes("..")) return err(`the pattern ${JSON.stringify(pattern)} leaves its folder with ".."`);
  if (segments.length > 1 && segments.includes(".")) return err(`the pattern ${JSON.stringify(pattern)} has a "." segment`);
  const odd = segments.find((segment) => segment !== anyDepth && segment.includes(anyDepth));
  if (odd !== undefined)
    return err(`in ${JSON.stringify(odd)}, "**" must be a whole segment; write "**/" before or "/**" after it`);
  if (/[\u0000-\u001f\\]/.test(pattern))
    return err(`the pattern ${JSON.stringify(pattern)} has a backslash or a control character`);
  return ok(segments.filter((segment, at) => segment !== anyDepth || segments[at - 1] !== anyDepth));
}

export function matches(glob: Glob, path: string): boolean {
  return matchRuns(glob, path.split("/"), anyDepth, matchesSegment);
}

/** A segment with `*` and `?` against a name. */
export function matchesSegment(pattern: string, name: string): boolean {
  return matchRuns([...pattern], [...name], "*", (one, char) => one === "?" || one === char);
}

/**
 * The classic walk with one point of return: after a wildcard the shortest fill is tried first, and a later wildcard makes every
 * earlier choice good, so only the last one is ever reconsidered.
 */
function matchRuns<T>(pattern: readonly T[], items: readonly T[], wildcard: T, fits: (one: T, item: T) => boolean): boolean {
  let [p, i, returnTo, filled] = [0, 0, -1, 0];
  while (i < items.length) {
    const one = pattern[p];
    if (one !== undefined && one === wildcard) {
      [returnTo, filled] = [p, i];
      p += 1;
    } else if (one !== undefined && fits(one, items[i] as T)) {
      p += 1;
      i += 1;
    } else if (returnTo >= 0) {
      filled += 1;
      [p, i] = [returnTo + 1, filled];
    } else return false;
  }
  while (pattern[p] === wildcard) p += 1;
  return p === pattern.length;
}

/**
 * Whether `outer` surely matches all that `inner` matches: `inner`'s wildcards are taken as letters which only an equal or wider
 * wildcard of `outer` takes. Sound, and complete enough for what people write; where unsure it is false.
 */
export function covers(outer: Glob, inner: Glob): boolean {
  return matchRuns(outer, inner, anyDepth, (wide, narrow) => narrow !== anyDepth && coversSegment(wide, narrow));
}

/** The same for plain text patterns in which only `*` is special. */
export function coversText(outer: string, inner: string): boolean {
  return matchRuns([...outer], [...inner], "*", (wide, narrow) => narrow !== "*" && wide === narrow);
}

/** Whether a text pattern in which only `*` is special matches the whole text. */
export function matchesText(pattern: string, text: string): boolean {
  return matchRuns([...pattern], [...text], "*", (one, char) => one === char);
}

function coversSegment(wide: string, narrow: string): boolean {
  return matchRuns([...wide], [...narrow], "*", (one, char) => char !== "*" && (one === "?" || one === char));
}
