/**
 * Like: Cedar's `like`, where `*` stands for any text and nothing else is special.
 *   POL-3.1  A pattern matches the whole text; the time is linear in the text for a given pattern, and no RegExp takes part.
 */

/** An element of Cedar's JSON form of a pattern. Cedar gives one literal per character. */
export type PatternElement = "Wildcard" | { readonly Literal: string };

/** The literal runs between the wildcards: `a*b` is ["a", "b"], a pattern without a wildcard is one run. */
export function runsOf(pattern: readonly PatternElement[]): readonly string[] {
  const runs = [""];
  for (const element of pattern) {
    if (element === "Wildcard") runs.push("");
    else runs[runs.length - 1] += element.Literal;
  }
  return runs;
}

/** Leftmost placement of each inner run leaves the most room for the rest, so one pass decides. */
export function likeMatcher(runs: readonly string[]): (text: string) => boolean {
  const first = runs[0] ?? "";
  if (runs.length === 1) return (text) => text === first;
  const last = runs.at(-1) ?? "";
  const inner = runs.slice(1, -1).filter((run) => run !== "");
  const lengthMin = first.length + last.length;
  if (inner.length === 0) return (text) => text.length >= lengthMin && text.startsWith(first) && text.endsWith(last);
  return (text) => {
    if (text.length < lengthMin || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const run of inner) {
      const found = text.indexOf(run, at);
      if (found < 0 || found + run.length > end) return false;
      at = found + run.length;
    }
    return true;
  };
}
