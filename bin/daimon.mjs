#!/usr/bin/env node
/**
 * daimon: the command's door. It loads the command line from the built package, or unbuilt from a checkout.
 *   TOOL-3.1  On a Node that is too old it says what to do in one line, and exits with 78.
 *   TOOL-3.2  Compiled code is cached in a folder that only its user can write; without such a folder nothing is cached.
 */
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import * as module from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) await main();
else {
  process.stderr.write(
    `daimon needs Node 22.18 or newer, and this is ${process.versions.node}. Install Node 24 (https://nodejs.org), or in a checkout type \`npm start\`, which brings it.\n`,
  );
  process.exitCode = 78;
}

async function main() {
  const folder = cacheFolder();
  if (folder !== null) module.enableCompileCache(folder);
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  // A checkout has sources, and what was once built from them may be old; the published package has only the built form.
  const source = join(root, "src", "cli", "main.ts");
  const file = existsSync(source) ? source : join(root, "dist", "cli", "main.js");
  const cli = await import(pathToFileURL(file).href);
  process.exitCode = await cli.main(process.argv.slice(2));
}

/** Code is run from here, so the folder has to be ours alone. */
function cacheFolder() {
  try {
    const folder = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "daimon", "compile");
    if (lstatSync(homedir()).uid !== process.getuid?.()) return null;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const stat = lstatSync(folder);
    return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0 ? folder : null;
  } catch {
    return null;
  }
}
