/**
 * Glob in Cedar: say a path pattern in Cedar's `like`, whose `*` also crosses slashes.
 * A pattern with single stars only is exact as `like` plus a count of slashes: a path with as many slashes as the pattern has none left
 * for a star. `**` is exact at the ends of literal parts. What has no exact form is refused, or widened where that is the careful side.
 *   POL-12.1  An exact condition holds for a path if and only if the glob matches it.
 *   POL-12.2  A widened condition holds for every path the glob matches.
 */
import { anyDepth, type Glob } from "../../lib/glob.ts";
import { err, ok, type Result } from "../../lib/result.ts";

export function cedarString(text: string): string {
  return `"${escape(text)}"`;
}

/** A pattern of `like` in which `*` is a wildcard. */
export function cedarPattern(pattern: string): string {
  return `"${escape(pattern)}"`;
}

/** Every character that a literal may not hold as it is, as `\u{…}`; quotes and backslashes with a backslash. */
function escape(text: string): string {
  return text.replace(/["\\]|[[\p{C}\p{Z}]--[ ]]/gv, (char) =>
    char === '"' || char === "\\" ? `\\${char}` : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Cedar text over `attribute`, such as `context.path`. `widen` answers a glob that has no exact form with one that matches more. */
export function globCondition(glob: Glob, attribute: string, widen: boolean): Result<string, string> {
  const usable = widen ? glob.map((segment) => segment.replaceAll("?", "*")) : glob;
  if (usable.some((segment) => segment.includes("?")))
    return err('"?" has no exact form in policy; write "*" in its place, or list the names');
  const alternatives = exact(usable) ?? (widen ? wide(usable) : undefined);
  if (alternatives === undefined) {
    return err(
      'the mixture of "*" and "**" has no exact form in policy; use literal names around "**" (a/**/b, **/b, a/**, **/*.md), or split it',
    );
  }
  const conditions = alternatives.map(({ pattern, slashes }) => {
    if (!pattern.includes("*")) return `${attribute} == ${cedarString(pattern)}`;
    const like = `${attribute} like ${cedarPattern(pattern)}`;
    return slashes === undefined ? like : `${like} && !(${attribute} like "*${"/*".repeat(slashes + 1)}")`;
  });
  return ok(conditions.length === 1 ? (conditions[0] ?? "false") : `(${conditions.join(" || ")})`);
}

interface Alternative {
  readonly pattern: string;
  /** Exactly so many slashes; undefined: any number. */
  readonly slashes?: number;
}

function exact(glob: Glob): readonly Alternative[] | undefined {
  const at = glob.indexOf(anyDepth);
  if (at < 0) return [{ pattern: glob.join("/"), slashes: glob.length - 1 }];
  const head = glob.slice(0, at);
  const tail = glob.slice(at + 1);
  if (!head.every(isLiteral)) return undefined;
  const before = head.map((segment) => `${segment}/`).join("");
  if (tail.length === 0) return head.length === 0 ? [{ pattern: "*" }] : [{ pattern: head.join("/") }, { pattern: `${before}*` }];
  const [only] = tail;
  if (tail.length === 1 && only?.startsWith("*") === true && isLiteral(only.slice(1))) return [{ pattern: `${before}${only}` }];
  const below = tail.at(-1) === anyDepth;
  const middle = below ? tail.slice(0, -1) : tail;
  if (!middle.every(isLiteral)) return undefined;
  const name = middle.join("/");
  const ends = below ? ["", "/*"] : [""];
  return ends.flatMap((end) => [{ pattern: `${before}${name}${end}` }, { pattern: `${before}*/${name}${end}` }]);
}

/** `**` and the slash behind it become one star; a `**` at the end covers the folder itself too. */
function wide(glob: Glob): readonly Alternative[] {
  const below = glob.at(-1) === anyDepth;
  const kept = below ? glob.slice(0, -1) : glob;
  const pattern = kept
    .map((segment, at) => (segment === anyDepth ? "*" : at === kept.length - 1 ? segment : `${segment}/`))
    .join("");
  return below ? [{ pattern }, { pattern: `${pattern}/*` }] : [{ pattern }];
}

function isLiteral(segment: string): boolean {
  return !segment.includes("*");
}
