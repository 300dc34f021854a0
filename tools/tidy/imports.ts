/**
 * Imports: which layer may know which.
 *   TOOL-4.1  Imports point one way: each layer imports only the layers below it, and a decider never another decider.
 *   TOOL-4.2  No file reaches itself through the values it imports; types are erased and may refer to one another.
 *   TOOL-4.3  The product imports Node's modules, its declared dependencies and itself, never the tests or the tools.
 */
import { builtinModules } from "node:module";
import { posix } from "node:path";
import type { Finding } from "../../src/abi/finding.ts";
import { finding } from "./finding.ts";
import { lineAt } from "./scan.ts";
import type { SourceFile, Tree } from "./tree.ts";

export interface Import {
  readonly from: string;
  readonly names: readonly string[];
  readonly kind: "value" | "type" | "dynamic";
  readonly line: number;
}

export const deciders = ["memory", "scheduler", "security", "files", "ipc"] as const;

/** What each layer may import besides itself. Null: anything. */
const layers: Readonly<Record<string, readonly string[] | null>> = {
  lib: [],
  abi: ["lib"],
  ...Object.fromEntries(deciders.map((name) => [name, ["abi", "lib"]])),
  wire: ["abi", "lib"],
  drivers: ["abi", "lib", "wire"],
  kernel: ["abi", "lib", ...deciders],
  programs: ["abi", "lib"],
  guests: ["abi", "lib"],
  boot: ["abi", "lib", "wire", ...deciders, "drivers", "kernel", "programs", "guests", "doors"],
  doors: ["abi", "lib", "wire", "kernel"],
  console: ["abi", "lib"],
  cli: null,
  "index.ts": null,
};

export function checkImports(tree: Tree): readonly Finding[] {
  const findings: Finding[] = [];
  const declared = dependencies(tree);
  const graph = new Map<string, readonly string[]>();
  for (const file of tree.sources.filter((source) => source.path.startsWith("src/"))) {
    const imports = importsOf(file);
    for (const entry of imports) {
      const message = complaint(file.path, entry, declared);
      if (message !== null) findings.push(finding(message.rule, file.path, entry.line, message.text));
    }
    const values = imports.filter((entry) => entry.kind === "value" && entry.from.startsWith("."));
    graph.set(
      file.path,
      values.map((entry) => resolve(file.path, entry.from)),
    );
  }
  for (const cycle of cycles(graph)) {
    findings.push(finding("TOOL-4.2", cycle[0] ?? "", 1, `imports itself: ${[...cycle, cycle[0]].join(" → ")}`));
  }
  return findings;
}

/** Every import and re-export of a file, in order. */
export function importsOf(file: SourceFile): readonly Import[] {
  const strings = new Map(file.scan.strings.map((span) => [span.start, span.text]));
  const forms = [
    { kind: "value", form: /\bimport\s+(?!type\b)((?:[\w$*{},\s]+?)\s*\bfrom\s*)?(?=["'])/g },
    { kind: "value", form: /\bimport(?=["'])/g },
    { kind: "type", form: /\b(?:import|export)\s+type\s+((?:[\w$*{},\s]+?)\s*from\s*)(?=["'])/g },
    { kind: "value", form: /\bexport\s+(?!type\b)((?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*from\s*)(?=["'])/g },
    { kind: "dynamic", form: /\bimport\s*\(\s*()(?=["'`])/g },
  ] as const;
  const found = forms.flatMap(({ kind, form }) =>
    [...file.scan.code.matchAll(form)].map((match) => {
      const names = (match[1] ?? "").replace(/\bfrom\s*$/, "").match(/[\w$]+(?=\s*(?:,|\}|$|\s+as\b))/g) ?? [];
      return { kind, names, from: strings.get(match.index + match[0].length) ?? "", line: lineAt(file.text, match.index) };
    }),
  );
  return found.sort((a, b) => a.line - b.line);
}

interface Complaint {
  readonly rule: string;
  readonly text: string;
}

function complaint(path: string, entry: Import, declared: ReadonlySet<string>): Complaint | null {
  const layer = layerOf(path);
  if (!entry.from.startsWith(".")) return packageComplaint(entry.from, declared);
  const target = resolve(path, entry.from);
  if (!target.startsWith("src/")) {
    const product = target === "package.json";
    return product
      ? null
      : { rule: "TOOL-4.3", text: `imports ${target}, which is no part of the product; move what it needs under src` };
  }
  const other = layerOf(target);
  if (other === layer) return null;
  const allowed = layers[layer];
  if (allowed === null) return null;
  if (allowed === undefined) return { rule: "TOOL-4.1", text: `lies in src/${layer}, which is no known layer; see AGENTS.md` };
  if (allowed.includes(other)) return null;
  const may = allowed.length === 0 ? "nothing" : allowed.join(", ");
  return {
    rule: "TOOL-4.1",
    text: `${layer} may import ${may}, not ${other} (${target}); pass it in, or move the shared part down`,
  };
}

function packageComplaint(name: string, declared: ReadonlySet<string>): Complaint | null {
  if (name.startsWith("node:")) return null;
  if (builtinModules.includes(name)) return { rule: "TOOL-4.3", text: `write node:${name}` };
  const parts = name.split("/");
  const owner = name.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
  return declared.has(owner)
    ? null
    : { rule: "TOOL-4.3", text: `imports ${owner}, which is not in the dependencies of package.json` };
}

function dependencies(tree: Tree): ReadonlySet<string> {
  const text = tree.texts.find((file) => file.path === "package.json")?.text ?? "{}";
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = JSON.parse(text) as Record<string, object>;
  return new Set([dependencies, optionalDependencies, peerDependencies].flatMap(Object.keys));
}

function resolve(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

export function layerOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** The strongly connected parts of more than one file, each as a closed walk (Tarjan 1972). */
function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return found;

  function visit(node: string): void {
    order.set(node, order.size);
    low.set(node, order.get(node) ?? 0);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? 0, low.get(next) ?? 0));
    }
    if (low.get(node) !== order.get(node)) return;
    const part = stack.splice(stack.indexOf(node));
    if (part.length > 1 || graph.get(node)?.includes(node) === true) found.push(part);
  }
}
