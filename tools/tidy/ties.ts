/**
 * Ties: rules, SPEC.md and tests say the same.
 *   TOOL-4.11  A rule's id is unique and its line has the form of a rule.
 *   TOOL-4.12  Every rule stands in SPEC.md word for word, and SPEC.md has no other.
 *   TOOL-4.13  Every rule has a test whose title begins with its id, and no test names a rule that is not there.
 *   TOOL-4.14  Every bench and every example is named in the list of its folder's README.md, where there is one.
 */
import type { Finding } from "../../src/abi/finding.ts";
import { finding } from "./finding.ts";
import type { Rule } from "./header.ts";
import type { Tree } from "./tree.ts";

export interface PlacedRule extends Rule {
  readonly path: string;
}

/** All rules of the tree, in the order of their files. */
export function rulesOf(tree: Tree): readonly PlacedRule[] {
  return tree.sources
    .filter((file) => !file.path.startsWith("test/"))
    .flatMap((file) => (file.header?.rules ?? []).map((rule) => ({ ...rule, path: file.path })));
}

/** A rule as SPEC.md states it. */
export function specLine(rule: Rule): string {
  return `- **${rule.id}** ${rule.sentence}`;
}

export function checkTies(tree: Tree): readonly Finding[] {
  const rules = rulesOf(tree);
  return [...malformed(tree), ...duplicates(rules), ...spec(tree, rules), ...proofs(tree, rules), ...lists(tree)];
}

function malformed(tree: Tree): readonly Finding[] {
  return tree.sources.flatMap((file) =>
    (file.header?.malformed ?? []).map((line) =>
      finding("TOOL-4.11", file.path, line, "a rule is `AREA-n.m`, two spaces and its sentence, indented"),
    ),
  );
}

function duplicates(rules: readonly PlacedRule[]): readonly Finding[] {
  const first = new Map<string, PlacedRule>();
  const findings: Finding[] = [];
  for (const rule of rules) {
    const other = first.get(rule.id);
    if (other === undefined) first.set(rule.id, rule);
    else
      findings.push(
        finding(
          "TOOL-4.11",
          rule.path,
          rule.line,
          `${rule.id} is taken by ${other.path}:${other.line}; use the next free number`,
        ),
      );
  }
  return findings;
}

function spec(tree: Tree, rules: readonly PlacedRule[]): readonly Finding[] {
  const text = tree.texts.find((file) => file.path === "SPEC.md")?.text ?? "";
  const lines = new Set(text.split("\n"));
  const missing = rules.filter((rule) => !lines.has(specLine(rule)));
  const known = new Set(rules.map((rule) => rule.id));
  const strays = text.split("\n").flatMap((line, index) => {
    const id = /^- \*\*([A-Z][A-Z0-9]*-\d+\.\d+)\*\*/.exec(line)?.[1];
    return id === undefined || known.has(id)
      ? []
      : [finding("TOOL-4.12", "SPEC.md", index + 1, `${id} is in no file's header; npm run docs`)];
  });
  return [
    ...missing.map((rule) =>
      finding("TOOL-4.12", rule.path, rule.line, `${rule.id} is not in SPEC.md as it stands here; npm run docs`),
    ),
    ...strays,
  ];
}

function proofs(tree: Tree, rules: readonly PlacedRule[]): readonly Finding[] {
  const known = new Set(rules.map((rule) => rule.id));
  const areas = new Set(rules.map((rule) => rule.id.replace(/-.*/, "")));
  const proved = new Set<string>();
  const findings: Finding[] = [];
  for (const file of tree.sources.filter((source) => source.path.startsWith("test/"))) {
    for (const { id, line } of titles(file.scan.code, file.scan.strings)) {
      if (known.has(id)) proved.add(id);
      else if (areas.has(id.replace(/-.*/, "")))
        findings.push(finding("TOOL-4.13", file.path, line, `names ${id}, which is no rule`));
    }
  }
  const unproved = rules.filter((rule) => !proved.has(rule.id));
  const text = "has no test; begin a test's title with the id";
  return [...findings, ...unproved.map((rule) => finding("TOOL-4.13", rule.path, rule.line, `${rule.id} ${text}`))];
}

/** Strings that begin with a rule's id and are the first argument of a call. */
function titles(
  code: string,
  strings: readonly { readonly start: number; readonly text: string }[],
): readonly { id: string; line: number }[] {
  const lineStarts = [0, ...[...code.matchAll(/\n/g)].map((match) => match.index + 1)];
  return strings.flatMap(({ start, text }) => {
    const id = /^([A-Z][A-Z0-9]{1,6}-\d+\.\d+)(?![\w.]*\d)/.exec(text)?.[1];
    if (id === undefined || !/\(\s*$/.test(code.slice(Math.max(0, start - 40), start))) return [];
    return [{ id, line: lineStarts.findLastIndex((offset) => offset <= start) + 1 }];
  });
}

function lists(tree: Tree): readonly Finding[] {
  const paths = [...tree.sources, ...tree.texts].map((file) => file.path);
  const missing = (folder: string, names: readonly string[]): readonly Finding[] => {
    const text = tree.texts.find((file) => file.path === `${folder}/README.md`)?.text;
    if (text === undefined) return [];
    return [...new Set(names)]
      .filter((name) => !text.includes(name))
      .map((name) => finding("TOOL-4.14", `${folder}/README.md`, 1, `does not mention ${name}`));
  };
  const benches = tree.sources.flatMap(({ path, scan }) => {
    const name = /^bench\/([\w-]+)\.ts$/.exec(path)?.[1];
    return name !== undefined && /^export (?:async )?function run\b/m.test(scan.code) ? [name] : [];
  });
  const examples = paths.flatMap((path) => /^examples\/(\d[\w-]*)/.exec(path)?.[1] ?? []);
  return [...missing("bench", benches), ...missing("examples", examples)];
}
