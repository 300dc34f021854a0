/**
 * Cold start of the built package, in processes of their own: CPU time of `daimon version`, and of importing everything, booting a workspace
 * and taking a first step. A bare `node -e 0` stands beside them, so that the machine's own share is seen; compile caches are warm.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../tools/build.ts";
import { atMost, median, sideBySide, told, type Measure } from "./measure.ts";

const root = join(import.meta.dirname, "..");

export async function run(): Promise<readonly Measure[]> {
  const workspace = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const built = await buildPackage();
  const door = join(built, "bin/daimon.mjs");
  const first = join(built, "dist/bench/cold-step.js");
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
  for (const folder of [cache, workspace, built]) rmSync(folder, { recursive: true });
  return [
    atMost("daimon version, CPU", median(times.version), "ms", 90, "50"),
    atMost("import, boot and first step, CPU", median(times.step), "ms", 150, "80"),
    told("bare node, CPU", median(times.node), "ms"),
  ];
}

/** The package as it would be published, in a folder of its own, with the bench's first step beside it. */
async function buildPackage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  await bundle(join(folder, "dist"), { "bench/cold-step": join(import.meta.dirname, "cold-step.ts") });
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  cpSync(join(root, "bin"), join(folder, "bin"), { recursive: true });
  cpSync(join(root, "programs"), join(folder, "programs"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}
