/**
 * Build: what the published package runs: the sources bundled into few files, so that a command does not open a hundred of them, and the
 * declarations beside them. `node tools/build.ts [FOLDER]`; the folder is `dist` when none is named.
 *   TOOL-8.1  What package.json publishes works from any folder, without the sources, and nobody can pack it unbuilt.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";

const root = join(import.meta.dirname, "..");

/** Each is started or imported by its own name. Those of one list share chunks; the sandbox's helper is a program of its own, and small. */
const entries = [["index", "cli/main"], ["drivers/sandbox/zygote"]];

/** Each file costs its reader most of a millisecond, so what is needed together lies together, with all that it imports. The first that wants a module has it. */
const groups = [
  { name: "command", test: /src\/cli\/(?:main|version|help|completion)\.ts$/, priority: 2 },
  { name: "kernel", test: /src\/boot\/boot\.ts$/, priority: 1 },
];

export async function bundle(folder: string, extra: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const [n, names] of entries.entries()) {
    const own = Object.fromEntries(names.map((name) => [name, join(root, "src", `${name}.ts`)]));
    const build = await rolldown({
      input: n === 0 ? { ...own, ...extra } : own,
      cwd: root,
      platform: "node",
      external: (id) => !id.startsWith(".") && !id.startsWith("/"),
    });
    await build.write({
      dir: folder,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "chunks/[name]-[hash].js",
      codeSplitting: { groups },
    });
    await build.close();
  }
}

if (import.meta.main) {
  const folder = resolve(process.argv[2] ?? join(root, "dist"));
  rmSync(folder, { recursive: true, force: true });
  await bundle(folder);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", folder], {
    cwd: root,
    stdio: "inherit",
  });
}
