/**
 * Docs: the pages that tables and headers already hold, written from them: SPEC.md and docs/reference.
 *   TOOL-6.1  The pages follow from the tree alone, so that two runs write the same bytes.
 *   TOOL-6.2  With --check nothing is written; a page that is out of date is named, and the exit code is 1.
 *   TOOL-6.3  A table that does not exist yet has no page; one that cannot be loaded is named with its error.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { errnos } from "../src/abi/errno.ts";
import { callsPage } from "./docs/calls.ts";
import { commandsPage } from "./docs/commands.ts";
import { errorsPage } from "./docs/errors.ts";
import { limitsPage } from "./docs/limits.ts";
import { specPage } from "./docs/spec.ts";
import { readTree, type Tree } from "./tidy/tree.ts";

export interface Page {
  readonly path: string;
  readonly text: string;
}

/** Every generated page. Throws when a table that exists cannot be loaded. */
export async function pages(tree: Tree): Promise<readonly Page[]> {
  const limits = tree.sources.find((file) => file.path === "src/abi/limits.ts")?.text ?? "";
  const specs = await table(tree, "callSpecs");
  const commands = await table(tree, "commands", "src/cli/commands.ts");
  return [
    { path: "SPEC.md", text: specPage(tree) },
    { path: "docs/reference/errors.md", text: errorsPage(errnos) },
    { path: "docs/reference/limits.md", text: limitsPage(limits) },
    ...(specs === null ? [] : [{ path: "docs/reference/calls.md", text: callsPage(specs) }]),
    ...(commands === null ? [] : [{ path: "docs/reference/commands.md", text: commandsPage(commands) }]),
  ];
}

/** What the product exports under a name, whether it is a list or a function that makes one. Null when nothing does. */
async function table(tree: Tree, name: string, only?: string): Promise<readonly unknown[] | null> {
  const form = new RegExp(`^export (?:async )?(?:const|function) ${name}\\b`, "m");
  const file = tree.sources.find(({ path, scan }) => path.startsWith("src/") && (only ?? path) === path && form.test(scan.code));
  if (file === undefined) return null;
  const module = (await import(pathToFileURL(join(tree.root, file.path)).href)) as Record<string, unknown>;
  const value = module[name];
  const list: unknown = typeof value === "function" ? await (value as () => unknown)() : value;
  if (list instanceof Map) return [...(list as ReadonlyMap<unknown, unknown>).values()];
  return Array.isArray(list) ? (list as readonly unknown[]) : null;
}

if (import.meta.main) {
  const root = dirname(import.meta.dirname);
  const check = process.argv.includes("--check");
  try {
    for (const page of await pages(readTree(root))) {
      const file = join(root, page.path);
      if (existsSync(file) && readFileSync(file, "utf8") === page.text) continue;
      if (check) {
        process.stdout.write(`${page.path}:1 TOOL-6.2 is out of date; npm run docs\n`);
        process.exitCode = 1;
      } else {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, page.text);
      }
    }
  } catch (error) {
    process.stdout.write(`docs: a table could not be loaded: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
