/**
 * Cold start, in processes of their own: CPU time of `daimon version`, and of a whole boot with a first step.
 * A bare `node -e 0` stands beside them, so that the machine's own share is seen.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atMost, median, sideBySide, told, type Measure } from "./measure.ts";

const door = join(import.meta.dirname, "../bin/daimon.mjs");
const first = join(import.meta.dirname, "cold-step.ts");

export async function run(): Promise<readonly Measure[]> {
  const workspace = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const cache = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const env = { ...process.env, XDG_CACHE_HOME: cache, NODE_COMPILE_CACHE: join(cache, "node") };
  const cpuMs = (args: readonly string[]): number => {
    const preload = ["--require", join(import.meta.dirname, "cpu-report.cjs")];
    const done = spawnSync(process.execPath, [...preload, ...args], {
      env,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      encoding: "utf8",
    });
    if (done.status !== 0) throw new Error(`${args.join(" ")} failed: ${done.stderr}`);
    return Number(done.output[3]);
  };
  for (let warm = 0; warm < 3; warm += 1) {
    cpuMs([door, "version"]);
    cpuMs([first, workspace]);
  }
  const times = await sideBySide(15, {
    node: () => cpuMs(["-e", "0"]),
    version: () => cpuMs([door, "version"]),
    step: () => cpuMs([first, workspace]),
  });
  for (const folder of [cache, workspace]) rmSync(folder, { recursive: true });
  return [
    atMost("daimon version, CPU", median(times.version), "ms", 90, "50"),
    atMost("import, boot and first step, CPU", median(times.step), "ms", 150, "80"),
    told("bare node, CPU", median(times.node), "ms"),
  ];
}
