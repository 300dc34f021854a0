/**
 * Header: a file's purpose and numbered rules, from the comment it begins with.
 *   TOOL-5.3  A rule is `AREA-n.m`, two spaces and its sentence; a sentence may run on over lines indented below it.
 */

export interface Rule {
  readonly id: string;
  readonly sentence: string;
  readonly line: number;
}

export interface Header {
  /** The first sentence or two: everything before the rules. */
  readonly purpose: string;
  readonly rules: readonly Rule[];
  /** Lines that look like rules and are not in the form. */
  readonly malformed: readonly number[];
}

export const ruleId = /^[A-Z][A-Z0-9]{1,6}-\d+\.\d+$/;
const ruleLine = /^\s+([A-Z][A-Z0-9]{1,6}-\d+\.\d+) {2}(\S.*)$/;
const nearlyRule = /^\s*[A-Z][A-Z0-9]{1,6}-\d+\.\d+[:.)]?\s/;

/** Null when the file does not begin with a block comment that says something. */
export function headerOf(text: string): Header | null {
  const body = text.replace(/^#![^\n]*\n/, "");
  const first = text.length === body.length ? 1 : 2;
  const comment = /^\s*\/\*\*?([\s\S]*?)\*\//.exec(body)?.[1];
  if (comment === undefined) return null;
  const purpose: string[] = [];
  const rules: { id: string; sentence: string; line: number }[] = [];
  const malformed: number[] = [];
  for (const [index, raw] of comment.split("\n").entries()) {
    const line = raw.replace(/^\s*\*/, "").trimEnd();
    const match = ruleLine.exec(line);
    const last = rules.at(-1);
    if (match !== null) rules.push({ id: match[1] ?? "", sentence: match[2] ?? "", line: first + index });
    else if (nearlyRule.test(line)) malformed.push(first + index);
    else if (last !== undefined && /^\s{4,}\S/.test(line)) last.sentence += ` ${line.trim()}`;
    else if (line.trim() !== "" && last === undefined) purpose.push(line.trim());
  }
  return purpose.length === 0 ? null : { purpose: purpose.join(" "), rules, malformed };
}
