/**
 * Test: run every test, or those the arguments name, and close with one line that says how it went.
 *   TOOL-2.3  The last line is `N passed, N failed`, with `, N skipped` where there are any; the exit code is 0 only when nothing failed.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { tally, tallyLine } from "./tally.ts";

const root = dirname(import.meta.dirname);
const folder = mkdtempSync(join(tmpdir(), "daimon-test-"));
const report = join(folder, "report.json");
const exitCode = await vitest([
  "run",
  "--reporter=default",
  `--reporter=${join(import.meta.dirname, "skips.ts")}`,
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]);
const result = tally(existsSync(report) ? readFileSync(report, "utf8") : null, exitCode);
rmSync(folder, { recursive: true, force: true });
if (exitCode !== 0 && result.failed === 1 && result.passed === 0)
  process.stdout.write("No test ran to its end; the lines above say why.\n");
process.stdout.write(`${tallyLine(result)}\n`);
process.exitCode = result.failed === 0 ? 0 : Math.max(1, exitCode);

function vitest(args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const program = join(root, "node_modules", "vitest", "vitest.mjs");
    const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    process.on("SIGINT", () => undefined);
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", () => resolve(1));
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  });
}
