/** What bench/cold.ts starts: boot the workspace it is given, run a process of one step to its end, leave. */
import { enableCompileCache } from "node:module";

enableCompileCache(process.env["NODE_COMPILE_CACHE"]);
const { firstStep } = await import("./cold-machine.ts");
await firstStep(process.argv[2] ?? ".");
