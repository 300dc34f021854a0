/**
 * Merge: two texts that come from one, put together by line, or the places where they contradict each other.
 * Source: S. Khanna, K. Kunal, B. C. Pierce, "A Formal Investigation of Diff3" (2007).
 *   FIL-2.1  Where only one side changed, its change is taken; where both made the same change, it is taken once.
 *   FIL-2.2  Changes that overlap or touch are a conflict, never a guess.
 *   FIL-2.3  A text is what has no NUL and is valid UTF-8; anything else is never merged.
 */
import { diffLines, splitLines, type Hunk } from "./lines.ts";

/** One place where both sides changed the same lines of the base; `line` counts from 1 in the base. */
export interface TextConflict {
  readonly line: number;
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
}

export type Merge =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly conflicts: readonly TextConflict[] };

export function mergeText(base: string, ours: string, theirs: string): Merge {
  const [baseLines, ourLines, theirLines] = [splitLines(base), splitLines(ours), splitLines(theirs)];
  const regions = overlaps(diffLines(baseLines, ourLines), diffLines(baseLines, theirLines));
  const out: string[] = [];
  const conflicts: TextConflict[] = [];
  let at = 0;
  for (const region of regions) {
    out.push(...baseLines.slice(at, region.start));
    at = region.end;
    const was = baseLines.slice(region.start, region.end).join("");
    const our = side(ourLines, region.ours, region);
    const their = side(theirLines, region.theirs, region);
    if (region.ours.length === 0 || our === their) out.push(their);
    else if (region.theirs.length === 0) out.push(our);
    else conflicts.push({ line: region.start + 1, base: was, ours: our, theirs: their });
  }
  out.push(...baseLines.slice(at));
  return conflicts.length > 0 ? { ok: false, conflicts } : { ok: true, text: out.join("") };
}

export function textOf(data: Uint8Array): string | null {
  if (data.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return null;
  }
}

interface Region {
  readonly start: number;
  readonly end: number;
  readonly ours: readonly Hunk[];
  readonly theirs: readonly Hunk[];
}

/** Hunks of either side grouped into the smallest runs of the base that no hunk crosses. */
function overlaps(ours: readonly Hunk[], theirs: readonly Hunk[]): Region[] {
  const all = [...ours.map((hunk) => ({ hunk, ours: true })), ...theirs.map((hunk) => ({ hunk, ours: false }))];
  all.sort((a, b) => a.hunk.fromAt - b.hunk.fromAt || a.hunk.from - b.hunk.from);
  const regions: { start: number; end: number; ours: Hunk[]; theirs: Hunk[] }[] = [];
  for (const { hunk, ours: mine } of all) {
    let region = regions.at(-1);
    if (region === undefined || hunk.fromAt > region.end) {
      region = { start: hunk.fromAt, end: hunk.fromAt + hunk.from, ours: [], theirs: [] };
      regions.push(region);
    }
    region.end = Math.max(region.end, hunk.fromAt + hunk.from);
    (mine ? region.ours : region.theirs).push(hunk);
  }
  return regions;
}

/** What one side made of the region: its own lines from the first hunk's shift to the last's. */
function side(lines: readonly string[], hunks: readonly Hunk[], region: Region): string {
  const first = hunks[0];
  const last = hunks.at(-1);
  if (first === undefined || last === undefined) return "";
  const start = first.toAt - (first.fromAt - region.start);
  const end = last.toAt + last.to + (region.end - last.fromAt - last.from);
  return lines.slice(start, end).join("");
}
