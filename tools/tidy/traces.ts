/**
 * Traces: what belongs to one machine stays on it.
 *   TOOL-4.16  The lock file names one package with an install script, `node`: whoever installs runs no other's code.
 *   TOOL-4.10  No file names this checkout's place, a person's home folder or a package registry's host; the lock file has no addresses.
 */
import { homedir } from "node:os";
import type { Finding } from "../../src/abi/finding.ts";
import { isObject, parseJson } from "../../src/lib/json.ts";
import { finding } from "./finding.ts";
import { lineAt } from "./scan.ts";
import type { Tree } from "./tree.ts";

/** Homes that documents may speak of. */
const placeholders = "user|you|me|name|agent|ada|alice|bob|NAME|USER";
const home = new RegExp(`(?<![\\w.~-])/(?:home|Users)/(?!(?:${placeholders})\\b)[A-Za-z][\\w.-]*`, "g");
/** Written in pieces, so that this file is clean itself. */
const hosts = [
  "registry.npm" + "js.org",
  "registry.yarn" + "pkg.com",
  "registry.npm" + "mirror.com",
  "npm.pkg.git" + "hub.com",
  "deb.deb" + "ian.org",
];

export function checkTraces(tree: Tree, homeFolder: string = homedir()): readonly Finding[] {
  const own = [tree.root, homeFolder].filter((path) => path.split("/").length > 2);
  return [...tree.sources, ...tree.texts].flatMap(({ path, text }) => {
    const found: Finding[] = [];
    const add = (offset: number, message: string): number =>
      found.push(finding("TOOL-4.10", path, lineAt(text, offset), message));
    for (const place of own) {
      for (let at = text.indexOf(place); at !== -1; at = text.indexOf(place, at + 1)) {
        if (!/[\w.-]/.test(text.charAt(at - 1)) && !/[\w-]/.test(text.charAt(at + place.length)))
          add(at, "names a folder of this machine; use a relative path");
      }
    }
    if (!path.startsWith("test/") && !path.startsWith("examples/")) {
      for (const match of text.matchAll(home))
        add(match.index, `${match[0]} is somebody's home; use a relative path or /home/you`);
    }
    for (const host of hosts) {
      const at = text.indexOf(host);
      if (at !== -1) add(at, "names a package registry's host; leave it to the machine's settings");
    }
    const resolved = path.endsWith("package-lock.json") ? text.indexOf('"resolved"') : -1;
    if (resolved !== -1) add(resolved, "has addresses; npm install with omit-lockfile-registry-resolved=true leaves them out");
    if (path.endsWith("package-lock.json")) found.push(...checkScripts(path, text));
    return found;
  });
}

function checkScripts(path: string, text: string): readonly Finding[] {
  const lock = parseJson(text);
  const packages = isObject(lock) && isObject(lock["packages"]) ? lock["packages"] : {};
  return Object.entries(packages).flatMap(([name, entry]) => {
    if (name === "node_modules/node" || !isObject(entry) || entry["hasInstallScript"] !== true) return [];
    const message = `${name} runs a script when it is installed; do without it`;
    return [finding("TOOL-4.16", path, lineAt(text, text.indexOf(JSON.stringify(name))), message)];
  });
}
