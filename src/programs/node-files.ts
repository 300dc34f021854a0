/** Node files: the loader's view of the real machine. A failure says what happened without the machine's own words. */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { fail } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { ok } from "../lib/result.ts";
import type { ProgramFiles } from "./load.ts";

export const nodeFiles: ProgramFiles = {
  async kind(path) {
    const found = await stat(path).catch(() => null);
    if (found === null) return "none";
    return found.isDirectory() ? "folder" : found.isFile() ? "file" : "none";
  },
  async read(path) {
    const size = await stat(path).then(
      (found) => found.size,
      () => null,
    );
    if (size === null) return fail("ENOENT", `${path} cannot be read; check that it exists and that you may read it`);
    if (size > limits.configBytesMax)
      return fail("E2BIG", `${path} has ${size} bytes and a program may have ${limits.configBytesMax}`);
    const text = await readFile(path, "utf8").catch(() => null);
    return text === null ? fail("EIO", `${path} cannot be read; check that you may read it`) : ok(text);
  },
  async load(path) {
    try {
      const module: unknown = await import(pathToFileURL(resolve(path)).href);
      return ok(typeof module === "object" && module !== null && "default" in module ? module.default : undefined);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      return fail("ENOEXEC", `${path} does not load: ${why}; a program module imports nothing but its own files and daimon`);
    }
  },
};
