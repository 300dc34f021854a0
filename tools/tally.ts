/**
 * Tally: what a test run came to, from vitest's JSON report.
 *   TOOL-2.1  A test file that cannot be loaded, and an error outside every test, each count as a failure.
 *   TOOL-2.2  A run that ran nothing, or left no report, has failed.
 */
import { isObject, parseJson, type JsonObject } from "../src/lib/json.ts";

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Count a run. `report` is null when vitest left none; `exitCode` is vitest's own. */
export function tally(report: string | null, exitCode: number): Tally {
  const root = parseJson(report ?? "null");
  const files = objects(root, "testResults");
  let [passed, failed, skipped] = [0, 0, 0];
  for (const file of files) {
    const tests = objects(file, "assertionResults");
    const failures = tests.filter((test) => test["status"] === "failed").length;
    passed += tests.filter((test) => test["status"] === "passed").length;
    failed += failures === 0 && file["status"] === "failed" ? 1 : failures;
    skipped += tests.filter((test) => test["status"] !== "passed" && test["status"] !== "failed").length;
  }
  if (failed === 0 && (exitCode !== 0 || passed === 0)) failed = 1;
  return { passed, failed, skipped };
}

/** `12 passed, 0 failed, 1 skipped`; the last part only when there is something to say. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  const line = `${passed} passed, ${failed} failed`;
  return skipped > 0 ? `${line}, ${skipped} skipped` : line;
}

function objects(value: unknown, key: string): readonly JsonObject[] {
  const list = isObject(value) ? value[key] : undefined;
  return Array.isArray(list) ? list.filter(isObject) : [];
}
