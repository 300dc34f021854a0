/** daimon version: which daimon, on which Node. */
import { ok, type Result } from "../lib/result.ts";
import type { SysError } from "../abi/errno.ts";
import { version } from "../boot/version.ts";
import { print, printJson, type Io } from "./io.ts";

export function run(io: Io): Result<number, SysError> {
  if (io.json) printJson(io, { daimon: version, node: process.versions.node, platform: process.platform, arch: process.arch });
  else print(io, io.quiet ? version : `daimon ${version} (Node ${process.versions.node}, ${process.platform} ${process.arch})`);
  return ok(0);
}
