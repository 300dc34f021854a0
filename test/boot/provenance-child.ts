/**
 * A process of its own that makes the workspace it is given, as a boot would. `provenance-child.ts FOLDER [KILL_AT]`: it is killed with SIGKILL right
 * before that many of the calls that change the disk; 0 lets it end. It prints what it got and how many such calls there were.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [, , folder = "", killAt = "0"] = process.argv;
let calls = 0;
/** Every change of the disk goes through one of these. */
const changing = [
  "mkdtempSync",
  "mkdirSync",
  "writeFileSync",
  "openSync",
  "writeSync",
  "fsyncSync",
  "renameSync",
  "rmSync",
  "chmodSync",
] as const;
for (const name of changing) {
  const real = fs[name] as (...args: unknown[]) => unknown;
  const counted = (...args: unknown[]): unknown => {
    calls += 1;
    if (calls === Number(killAt)) process.kill(process.pid, "SIGKILL");
    return real(...args);
  };
  Object.assign(fs, { [name]: counted });
}
const { layoutOf } = await import("../../src/boot/layout.ts");
const { openWorkspace } = await import("../../src/boot/provenance.ts");
const layout = layoutOf(`${folder}/work`, {
  cwd: `${folder}/work`,
  env: {},
  home: `${folder}/home`,
  uid: process.getuid?.() ?? 0,
});
calls = 0;
syncBuiltinESMExports();
const opened = openWorkspace(layout, 1);
process.stdout.write(JSON.stringify({ opened, calls }));
