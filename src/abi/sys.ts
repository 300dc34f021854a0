/** Sys: all a program body sees of the kernel. Every act goes through call(), so a body is replayed by answering its calls from the log. */
import type { Json } from "../lib/json.ts";
import type { Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";
import type { Pid } from "./process.ts";

export interface Sys {
  readonly pid: Pid;
  readonly goal: Json;
  call(name: string, args: Json): Promise<Result<Json, SysError>>;
}

/** Deterministic: no clock, chance or I/O but through `sys`. */
export type Body = (sys: Sys) => Promise<Result<Json, SysError>>;
