/**
 * The public API: what a program in TypeScript needs, and what embeds a kernel.
 *   API-1.1  Every name exported here is used in an example of docs/api.md that the compiler checks and the tests run.
 */
export { noLimits } from "./abi/budget.ts";
export { errnos, fail, type SysError } from "./abi/errno.ts";
export type { Manifest } from "./abi/process.ts";
export type { ProgramModule } from "./abi/program.ts";
export type { Body, Sys } from "./abi/sys.ts";
export { boot, type BootOptions, type Machine } from "./boot/boot.ts";
export { inspect } from "./boot/inspect.ts";
export type { Surroundings } from "./boot/layout.ts";
export { systemClock } from "./drivers/clock/system.ts";
export type { Json } from "./lib/json.ts";
export { ok, type Result } from "./lib/result.ts";
