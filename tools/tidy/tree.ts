/** Tree: the project's files as the checks see them. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { headerOf, type Header } from "./header.ts";
import { scan, type Scan } from "./scan.ts";

export interface SourceFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly scan: Scan;
  readonly header: Header | null;
}

export interface TextFile {
  readonly path: string;
  readonly text: string;
}

export interface Tree {
  readonly root: string;
  readonly sources: readonly SourceFile[];
  /** Everything else that is text: documents, settings, examples. */
  readonly texts: readonly TextFile[];
}

const bytesMax = 2 * 1024 * 1024;
const ignored = new Set(["node_modules", ".git", "dist", "coverage", ".cache", ".daimon"]);

export function readTree(root: string): Tree {
  const files: TextFile[] = [];
  for (const path of list(root)) {
    const file = join(root, path);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.size > bytesMax) continue;
    const text = readFileSync(file, "utf8");
    if (!text.includes("\0")) files.push({ path, text });
  }
  return treeOf(root, files);
}

/** A tree of files that are already read. */
export function treeOf(root: string, files: readonly TextFile[]): Tree {
  const sources = files
    .filter(({ path }) => isSource(path))
    .map(({ path, text }) => ({ path, text, scan: scan(text), header: headerOf(text) }));
  return { root, sources, texts: files.filter(({ path }) => !isSource(path)) };
}

/** Code that is ours; the example inbox is a document collection even where a document is code. */
function isSource(path: string): boolean {
  return /\.(ts|mts|mjs|js)$/.test(path) && !path.startsWith("examples/inbox/") && !path.includes("/fixtures/");
}

/** What git tracks or would track; in an unpacked archive, every file. */
function list(root: string): readonly string[] {
  if (existsSync(join(root, ".git"))) {
    try {
      const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
      const out = execFileSync("git", args, {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        maxBuffer: 64 * 1024 * 1024,
      });
      return [...new Set(out.split("\0"))].filter((path) => path !== "").sort();
    } catch {
      // No git on this machine: read the folders themselves.
    }
  }
  return walk(root, "").sort();
}

function walk(root: string, folder: string): string[] {
  const paths: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && !ignored.has(entry.name)) paths.push(...walk(root, path));
    else if (entry.isFile()) paths.push(path);
  }
  return paths;
}
