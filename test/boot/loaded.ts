/** A process of its own that boots a workspace and tells which modules that loaded. `loaded.ts FOLDER CPU` */
import { registerHooks } from "node:module";

const urls: string[] = [];
registerHooks({
  load(url, context, next) {
    urls.push(url);
    return next(url, context);
  },
});
const { boot } = await import("../../src/boot/boot.ts");
const { systemClock } = await import("../../src/drivers/clock/system.ts");
const [, , folder = "", cpu = ""] = process.argv;
const world = { cwd: `${folder}/work`, env: {}, home: `${folder}/home`, uid: process.getuid?.() ?? 0 };
const booted = await boot({ world, clock: systemClock(), cpu: cpu === "" ? null : cpu, policyEngine: "compiled" });
if (!booted.ok) throw new Error(booted.error.message);
await booted.value.close();
process.stdout.write(JSON.stringify(urls));
