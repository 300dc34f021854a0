/**
 * Tidy: the house rules that neither the compiler nor the linter knows. Prints one finding a line, and nothing when all is well.
 *   TOOL-4.15  Every finding is `path:line rule message`, in order of place, and any finding makes the exit code 1.
 */
import { dirname } from "node:path";
import type { Finding } from "../src/abi/finding.ts";
import { findingLine } from "./tidy/finding.ts";
import { checkImports } from "./tidy/imports.ts";
import { checkPurity } from "./tidy/purity.ts";
import { checkShape } from "./tidy/shape.ts";
import { checkTies } from "./tidy/ties.ts";
import { checkTraces } from "./tidy/traces.ts";
import { readTree, type Tree } from "./tidy/tree.ts";

/** Everything that is wrong with a tree. */
export function tidy(tree: Tree): readonly Finding[] {
  const findings = [checkImports, checkPurity, checkShape, checkTies, (all: Tree) => checkTraces(all)].flatMap((check) =>
    check(tree),
  );
  return findings.toSorted((a, b) => a.where.localeCompare(b.where, "en", { numeric: true }) || a.rule.localeCompare(b.rule));
}

if (import.meta.main) {
  const findings = tidy(readTree(process.argv[2] ?? dirname(import.meta.dirname)));
  for (const entry of findings) process.stdout.write(`${findingLine(entry)}\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
