/**
 * Check store-separation: instructions, references and artefacts are three stores, and nothing wanders into the first by itself.
 *   FSK-4.1  Every finding of the instruction loader is reported as it is; this check judges nothing a second time.
 *   FSK-4.2  A file of the workspace's root that a process wrote and that would be an instruction has a repair: it is set aside.
 *   FSK-4.3  A file outside the workspace, or one a person listed, is never moved.
 */
import type { Finding } from "../../abi/finding.ts";
import type { Check, Problem } from "../fsck.ts";

/** `findings` are those of loadInstructions(). */
export function storeSeparation(findings: readonly Finding[]): Check {
  return {
    name: "store-separation",
    *run() {
      for (const finding of findings) yield problemOf(finding);
    },
  };
}

function problemOf(finding: Finding): Problem {
  const own = finding.where === "AGENTS.md" || finding.where === "CLAUDE.md";
  if (finding.rule !== "store-separation" || !own) return { finding, repair: null };
  const explain = `set ${finding.where} aside; to keep it, accept it with \`daimon config trust ${finding.where}\` instead`;
  return { finding, repair: { explain, acts: [{ act: "move", path: finding.where }] } };
}
