/**
 * Purity: deciders, and what they stand on, are functions of their arguments.
 *   TOOL-4.4  Deciders, abi, lib and wire use no Node module but node:crypto's hashing and signature checks, no clock, no chance, no environment, no output.
 */
import type { Finding } from "../../src/abi/finding.ts";
import { finding } from "./finding.ts";
import { deciders, importsOf, layerOf } from "./imports.ts";
import { lineAt } from "./scan.ts";
import type { SourceFile, Tree } from "./tree.ts";

const pureLayers: ReadonlySet<string> = new Set([...deciders, "abi", "lib", "wire"]);
const pureCrypto = new Set([
  "hash",
  "createHash",
  "createHmac",
  "timingSafeEqual",
  "verify",
  "createPublicKey",
  "KeyObject",
  "Hash",
]);
/** Dependencies whose work is to reach the world. */
const worldly = new Set(["undici", "@modelcontextprotocol/client"]);

/** Names that are Node's or the world's, unless they are a property or a key of something else. */
const impure = [
  { form: /(?<![\w$.])Date\.now\b/g, text: "reads the clock; take the time as a parameter" },
  { form: /\bnew\s+Date\s*\(\s*\)/g, text: "reads the clock; take the time as a parameter" },
  { form: /(?<!new\s+)(?<![\w$.])Date\s*\(/g, text: "reads the clock; take the time as a parameter" },
  { form: /(?<![\w$.])performance\s*\./g, text: "reads the clock; take the time as a parameter" },
  { form: /(?<![\w$.])Math\.random\b/g, text: "uses chance; take a seeded generator as a parameter" },
  {
    form: /(?<![\w$.])crypto\s*\.\s*(?:randomUUID|getRandomValues|subtle)\b/g,
    text: "uses chance; take a seeded generator as a parameter",
  },
  { form: /(?<![\w$.])console\s*\./g, text: "prints; return what is to be said" },
  {
    form: /(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/g,
    text: "waits; return a plan for the kernel to perform",
  },
  { form: /(?<![\w$.]|function\s+)fetch\s*\((?![^()]*\)\s*[:{])/g, text: "reaches the network; that is a driver's work" },
  { form: /(?<![\w$.])(?:globalThis|navigator)\b(?!\s*:)/g, text: "reaches the environment; take what it needs as a parameter" },
];
const nodeProcess =
  /(?<![\w$.])process\s*\.\s*(?:env|argv|exit|exitCode|cwd|hrtime|memoryUsage|cpuUsage|nextTick|stdout|stderr|stdin|platform|arch|execPath|versions?|uptime|on|once)\b/g;

export function checkPurity(tree: Tree): readonly Finding[] {
  return tree.sources.filter((file) => file.path.startsWith("src/") && pureLayers.has(layerOf(file.path))).flatMap(impurities);
}

function impurities(file: SourceFile): readonly Finding[] {
  const findings: Finding[] = [];
  for (const entry of importsOf(file)) {
    if (entry.kind === "type") continue;
    if (worldly.has(entry.from)) add(entry.line, `imports ${entry.from}, which reaches the world; that is a driver's work`);
    if (!entry.from.startsWith("node:")) continue;
    const names = entry.names.filter((name) => !pureCrypto.has(name));
    // Loading one of our own packages later instead of now changes nothing but when it is paid for.
    if (file.path === "src/lib/lazy.ts" && entry.from === "node:module") continue;
    if (entry.from !== "node:crypto") add(entry.line, `imports ${entry.from}; only node:crypto's hashing is pure`);
    else if (names.length > 0)
      add(entry.line, `imports ${names.join(", ")} from node:crypto; only hashing and verifying are pure`);
  }
  for (const { form, text } of impure) {
    for (const match of file.scan.code.matchAll(form)) add(lineAt(file.text, match.index), `${match[0].trim()} ${text}`);
  }
  // `process` is also a word of this field: an own variable of that name may have a pid, but no env.
  for (const match of file.scan.code.matchAll(nodeProcess)) {
    add(lineAt(file.text, match.index), `${match[0].trim()} reaches the environment; take what it needs as a parameter`);
  }
  return findings;

  function add(line: number, message: string): void {
    findings.push(finding("TOOL-4.4", file.path, line, message));
  }
}
