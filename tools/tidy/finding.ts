/** Finding: how the checks of the tree word what they found. */
import type { Finding } from "../../src/abi/finding.ts";

export function finding(rule: string, path: string, line: number, message: string): Finding {
  return { rule, severity: "error", where: `${path}:${line}`, message };
}

/** `src/lib/a.ts:3 TOOL-4.7 …`, the form editors and people both find their way by. */
export function findingLine({ rule, where, message }: Finding): string {
  return `${where} ${rule} ${message}`;
}
