/**
 * Pages as the tests read them: fenced blocks, and a scratch workspace in which a page's blocks are run in order.
 * ```LANG file=PATH     is written to PATH
 * ```sh run [exit=N]    is run by bash, and ends with N, 0 unless said
 * ```text output        is what the block before printed: each line appears, in this order; `…` is any text and every figure counts as any figure
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

export const root = path.resolve(import.meta.dirname, "../..");

export interface Block {
  readonly lang: string;
  readonly words: readonly string[];
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a page, and the page without them. */
export function readPage(page: string): { readonly blocks: readonly Block[]; readonly prose: string } {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { fence: string; info: readonly string[]; line: number; rows: string[] } | null = null;
  for (const [index, row] of fs.readFileSync(path.join(root, page), "utf8").split("\n").entries()) {
    const fence = /^(`{3,})(.*)$/.exec(row);
    if (open === null && fence === null) prose.push(row);
    else if (open === null) open = { fence: fence?.[1] ?? "", info: (fence?.[2] ?? "").split(" "), line: index + 1, rows: [] };
    else if (row.trimEnd() === open.fence) {
      const [lang = "", ...words] = open.info;
      blocks.push({ lang, words, text: open.rows.join("\n"), line: open.line });
      open = null;
    } else open.rows.push(row);
  }
  if (open !== null) throw new Error(`${page}:${open.line} has a fence that never closes`);
  return { blocks, prose: prose.join("\n") };
}

export function markdownPages(): readonly string[] {
  const docs = fs.readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", "examples/README.md", "llms.txt", ...docs.map((name) => `docs/${name}`)];
}

export function valueOf(block: Block, name: string): string | null {
  return block.words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

export interface Scratch {
  readonly folder: string;
  put(file: string, text: string): void;
  bash(script: string): { readonly code: number | null; readonly text: string };
  remove(): void;
}

/** A folder with the inbox, a home of its own, and `daimon` on the path. `npm start` does what the set-up does once all is in place. */
export function scratch(inbox: string): Scratch {
  const base = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "daimon-docs-"));
  const [folder, home, bin] = ["work", "home", "bin"].map((name) => path.join(base, name)) as [string, string, string];
  for (const made of [folder, home, bin]) fs.mkdirSync(made);
  fs.cpSync(path.join(root, "examples/inbox"), path.join(folder, inbox), { recursive: true });
  const daimon = `exec '${process.execPath}' '${path.join(root, "bin/daimon.mjs")}'`;
  const start = `[ "$1" = start ] || exit 1; shift; [ "$1" = -- ] && shift; ${daimon} run brief examples/inbox "$@"`;
  fs.writeFileSync(path.join(bin, "daimon"), `#!/bin/sh\n${daimon} "$@"\n`, { mode: 0o755 });
  fs.writeFileSync(path.join(bin, "npm"), `#!/bin/sh\n${start}\n`, { mode: 0o755 });
  const search = [bin, path.dirname(process.execPath), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].join(":");
  return {
    folder,
    put: (file, text) => {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.writeFileSync(path.join(folder, file), text);
    },
    bash: (script) => {
      const env = { PATH: search, HOME: home, LANG: "C.UTF-8" };
      const ran = spawnSync("bash", ["-e", "-c", `exec 2>&1\n${script}`], {
        cwd: folder,
        env,
        encoding: "utf8",
        timeout: 60_000,
      });
      return { code: ran.status, text: ran.stdout };
    },
    remove: () => fs.rmSync(base, { recursive: true, force: true }),
  };
}

/** The first documented line that was not printed in its turn, or null. */
export function firstMissing(documented: string, printed: string): string | null {
  const lines = printed.split("\n").map(figureless);
  let at = 0;
  for (const line of documented.split("\n").filter((row) => row.trim() !== "" && row.trim() !== "…")) {
    const parts = figureless(line).split("…");
    const found = lines.findIndex((row, index) => index >= at && holdsInOrder(row, parts));
    if (found === -1) return line;
    at = found + 1;
  }
  return null;
}

function holdsInOrder(row: string, parts: readonly string[]): boolean {
  let from = 0;
  for (const part of parts) {
    const at = row.indexOf(part.trim(), from);
    if (at === -1) return false;
    from = at + part.trim().length;
  }
  return true;
}

function figureless(line: string): string {
  return line
    .trimEnd()
    .replaceAll(/\b[0-9a-f]{12,64}\b/g, "#")
    .replaceAll(/<?\d[\d.,]*[kM]?(?: [KM]?i?B\b)?/g, "0")
    .replaceAll(/ +/g, " ");
}
