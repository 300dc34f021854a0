/** Spec: SPEC.md, every rule under its area and file. */
import { ruleId } from "../tidy/header.ts";
import { rulesOf, specLine, type PlacedRule } from "../tidy/ties.ts";
import type { Tree } from "../tidy/tree.ts";
import { generated } from "./markdown.ts";

const introduction = `# Specification

${generated}

What daimon promises, as numbered rules. Each stands in the header of the file that keeps it and is proved by at least one test
whose title begins with its id; \`npm run check\` holds the three together.`;

export function specPage(tree: Tree): string {
  const purposes = new Map(tree.sources.map((file) => [file.path, file.header?.purpose ?? ""]));
  const rules = rulesOf(tree).filter((rule) => ruleId.test(rule.id));
  const areas = [...Map.groupBy(rules, area)].toSorted(([a], [b]) => compare(a, b));
  const sections = areas.map(([name, group]) => {
    const files = [...Map.groupBy(group, (rule) => rule.path)].toSorted(([, a], [, b]) => compareRules(a[0], b[0]));
    const parts = files.map(([path, own]) => {
      const lines = own.toSorted(compareRules).map(specLine);
      return `### [${path}](${path})\n\n${purposes.get(path) ?? ""}\n\n${lines.join("\n")}`;
    });
    return `## ${name}\n\n${parts.join("\n\n")}`;
  });
  const contents = areas.map(([name, group]) => `[${name}](#${name.toLowerCase()}) ${group.length}`).join(" · ");
  return `${[introduction, `${rules.length} rules: ${contents}`, ...sections].join("\n\n")}\n`;
}

function area(rule: PlacedRule): string {
  return rule.id.replace(/-.*/, "");
}

function compareRules(a: PlacedRule | undefined, b: PlacedRule | undefined): number {
  return compare(a?.id ?? "", b?.id ?? "") || compare(a?.path ?? "", b?.path ?? "");
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
