/**
 * Shape: how long, how named, how stateful a file may be.
 *   TOOL-4.5  Every source file begins with a comment that says its purpose.
 *   TOOL-4.6  A file has at most 400 lines, a test file 600; a function's body at most 70.
 *   TOOL-4.7  No module holds state that changes: no top-level let, no empty collection to fill, no map that is not read-only.
 *   TOOL-4.8  Names say what a thing is: no Manager, Service, Helper, Utils, Impl, Base, Info or Data, no I-prefix, no barrel.
 *   TOOL-4.9  Nothing is left over: no note to come back, no test alone, none skipped without a reason that is printed.
 */
import { posix } from "node:path";
import type { Finding } from "../../src/abi/finding.ts";
import { finding } from "./finding.ts";
import { functions } from "./functions.ts";
import { lineAt } from "./scan.ts";
import type { SourceFile, Tree } from "./tree.ts";

const fileLinesMax = 400;
const testLinesMax = 600;
const functionLinesMax = 70;

export function checkShape(tree: Tree): readonly Finding[] {
  return tree.sources.flatMap((file) => {
    const test = file.path.startsWith("test/");
    const checks = test ? [length, leftovers] : [header, length, bodies, state, names, leftovers];
    return checks.flatMap((check) => check(file));
  });
}

function header(file: SourceFile): readonly Finding[] {
  if (file.path.startsWith("examples/") || !file.path.includes("/")) return [];
  const text = "begins without a comment that says what the file is for; add `/** Name: purpose. */`";
  return file.header === null ? [finding("TOOL-4.5", file.path, 1, text)] : [];
}

function length(file: SourceFile): readonly Finding[] {
  const lines = file.text.trimEnd().split("\n").length;
  const max = file.path.startsWith("test/") ? testLinesMax : fileLinesMax;
  return lines > max ? [finding("TOOL-4.6", file.path, max + 1, `has ${lines} lines of at most ${max}; split it`)] : [];
}

function bodies(file: SourceFile): readonly Finding[] {
  return functions(file.scan.code)
    .filter((span) => span.lines > functionLinesMax)
    .map((span) =>
      finding("TOOL-4.6", file.path, span.line, `${span.name} has ${span.lines} lines of at most ${functionLinesMax}; split it`),
    );
}

function state(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { text, offset } of topLevel(file.scan.code)) {
    const line = lineAt(file.text, offset);
    const name = /^(?:export\s+)?(?:let|var|const)\s+([\w$]+|[[{])/.exec(text)?.[1] ?? "";
    if (/^(?:export\s+)?(?:let|var)\s/.test(text))
      add(line, `${name} can change; keep it in a function or an object that is passed in`);
    if (isFillable(text)) add(line, `${name} is made to be filled; pass it in, or type it as read-only`);
  }
  return findings;

  function add(line: number, message: string): void {
    if (file.path.startsWith("src/") || file.path.startsWith("tools/")) {
      findings.push(finding("TOOL-4.7", file.path, line, message));
    }
  }
}

/** An empty or writable collection waits to be filled; one built from a list and typed as read-only is a table. */
function isFillable(statement: string): boolean {
  const parts = /^(?:export\s+)?const\s+[\w$]+\s*(:[\s\S]*?)?=(?!>)\s*([\s\S]*)$/.exec(statement);
  const [type, value] = [parts?.[1] ?? "", parts?.[2] ?? ""];
  if (/\bnever\[\]|\breadonly\b|\bReadonly/.test(type) || /\bas\s+(?:readonly|Readonly|const\b)/.test(value)) return false;
  if (/^new\s+Weak(?:Map|Set)\b/.test(value)) return true;
  if (/^new\s+(?:Map|Set|Array)\b/.test(value)) return /^new\s+\w+\s*(?:<[^()]*>)?\s*(?:\(\s*\))?\s*$/.test(value);
  return /^\[\s*\]/.test(value) || (/^\{\s*\}/.test(value) && /\bRecord<|\{\s*\[/.test(type));
}

/** The statements outside every brace, each with where it begins. */
function topLevel(code: string): readonly { readonly text: string; readonly offset: number }[] {
  const found: { text: string; offset: number }[] = [];
  let depth = 0;
  for (let at = 0; at < code.length; at += 1) {
    const char = code.charAt(at);
    if ("([{".includes(char)) depth += 1;
    if (")]}".includes(char)) depth -= 1;
    if (depth !== 0 || (at > 0 && code.charAt(at - 1) !== "\n")) continue;
    const statement = /^(?:export\s+)?(?:let|var|const)\s[^;]*/.exec(code.slice(at, at + 2_000))?.[0];
    if (statement !== undefined) found.push({ text: statement, offset: at });
  }
  return found;
}

function names(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  const base = posix.basename(file.path);
  const add = (line: number, message: string): number => findings.push(finding("TOOL-4.8", file.path, line, message));
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*\.(?:config\.)?(?:ts|mts|mjs|js)$/.test(base))
    add(1, `${base} is not lower case, words joined by hyphens`);
  if (/^(?:types|utils?|helpers?|common|misc|shared|constants)\./.test(base)) add(1, `${base} says nothing about what is in it`);
  if (base === "index.ts" && file.path !== "src/index.ts") add(1, "is a barrel; import the file that has the thing");
  for (const match of file.scan.code.matchAll(/\bexport\s+\*\s+from\b/g))
    add(lineAt(file.text, match.index), "exports everything; name what is public");
  const declared =
    /\b(?:class|interface|type|enum|function)\s+(\w*(?:Managers?|Services?|Helpers?|Utils?|Impl|Base|Info|Data))\b(?=\s*[<({=]|\s+(?:extends|implements)\b)/g;
  for (const match of file.scan.code.matchAll(declared)) {
    add(lineAt(file.text, match.index), `${match[1] ?? ""} ends in a word that fits everything; use the field's term`);
  }
  for (const match of file.scan.code.matchAll(/\binterface\s+(I[A-Z][a-z]\w*)\b/g)) {
    add(lineAt(file.text, match.index), `${match[1] ?? ""} has an I-prefix; name the thing`);
  }
  return findings;
}

function leftovers(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (line: number, message: string): number => findings.push(finding("TOOL-4.9", file.path, line, message));
  for (const comment of file.scan.comments) {
    const word = /\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/.exec(comment.text);
    if (word !== null)
      add(
        lineAt(file.text, comment.start + word.index),
        `${word[0]}: do it, or open an issue and say here what holds until then`,
      );
  }
  if (!file.path.startsWith("test/")) return findings;
  const { code } = file.scan;
  for (const match of code.matchAll(/\b(?:test|it|describe|suite|bench)(?:\.\w+)*\.only\b/g)) {
    add(lineAt(file.text, match.index), "runs alone and hides the others; remove .only");
  }
  for (const match of code.matchAll(/\b(?:test|it|describe|suite)(?:\.\w+)*\.(skip|skipIf|runIf|todo)\s*\(/g)) {
    add(
      lineAt(file.text, match.index),
      `.${match[1] ?? ""} prints no reason; within the test, context.skip(condition, "reason") does`,
    );
  }
  const called = file.scan.strings.map((span) => span.start);
  for (const match of code.matchAll(/(?<!\b(?:test|it|describe|suite))\.skip\s*\(([^;]*?)\)\s*;/g)) {
    const [from, to] = [match.index, match.index + match[0].length];
    const named = called.some((start) => start > from && start < to) || /,\s*\w|^\s*[a-z]\w*(?:\.\w+)*\s*$/.test(match[1] ?? "");
    if (!named) add(lineAt(file.text, from), "skips without a reason; say it: context.skip(condition, reason)");
  }
  return findings;
}
