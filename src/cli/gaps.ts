/**
 * Gaps: what a run that ended well did not cover. A brief that is there says nothing to who does not read it to its end.
 *   CLI-12.4  Files that were left out, and documents at which a pass failed, are told with their number and their first reasons.
 */
import type { ExitStatus } from "../abi/process.ts";
import { isObject, type Json } from "../lib/json.ts";
import { many } from "./term/format.ts";
import { neutraliseLine } from "./term/neutralise.ts";

/** Rows of a report, as the runner of staged programs puts them into its value: `skipped` and `failures`. */
export function gapRows(status: ExitStatus | null): readonly (readonly [string, string])[] {
  if (status?.ok !== true || !isObject(status.value)) return [];
  const { skipped, failures } = status.value;
  const failed = placed(failures);
  const left = placed(skipped);
  return [
    ...(failed.length === 0 ? [] : [["failed", `${many(failed.length, "part")}, not covered: ${first(failed)}`] as const]),
    ...(left.length === 0 ? [] : [["left out", left.length === 1 ? first(left) : `${left.length}: ${first(left)}`] as const]),
  ];
}

const shownMax = 3;

function first(lines: readonly string[]): string {
  const more = lines.length - shownMax;
  return [...lines.slice(0, shownMax), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

/** `docs/photo.png (binary, a PNG image of 3008 bytes)` */
function placed(list: Json | undefined): readonly string[] {
  if (!Array.isArray(list)) return [];
  return (list as readonly Json[]).filter(isObject).map(({ path, item, why }) => {
    const name = typeof path === "string" ? path : typeof item === "string" ? item : "?";
    return neutraliseLine(`${name} (${typeof why === "string" ? why : "without a reason"})`);
  });
}
