/** A temporary workspace and home for one test file. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll } from "vitest";
import { layoutOf, type Layout, type Surroundings } from "../../src/boot/layout.ts";
import { openWorkspace } from "../../src/boot/provenance.ts";

const base = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "daimon-boot-"));
afterAll(() => fs.rmSync(base, { recursive: true, force: true }), 60_000);

let count = 0;

export function freshFolder(): string {
  const folder = path.join(base, String(count++));
  fs.mkdirSync(folder);
  return folder;
}

export function surroundings(folder: string): Surroundings {
  return { cwd: path.join(folder, "work"), env: {}, home: path.join(folder, "home"), uid: process.getuid?.() ?? 0 };
}

/** A prepared workspace with a home beside it. */
export function freshLayout(): Layout {
  const folder = freshFolder();
  fs.mkdirSync(path.join(folder, "work"));
  fs.mkdirSync(path.join(folder, "home"));
  const layout = layoutOf(path.join(folder, "work"), surroundings(folder));
  const made = openWorkspace(layout, 0);
  if (!made.ok) throw new Error(made.error.message);
  return layout;
}

/** Its folders are closed to others' writes, whatever the mask of whoever runs the tests. */
export function put(file: string, text: string | Uint8Array): void {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  fs.writeFileSync(file, text);
}

/** Every path below a folder with its type, mode, content or target. */
export function snapshot(folder: string): Readonly<Record<string, string>> {
  const seen: Record<string, string> = {};
  const walk = (below: string): void => {
    for (const name of fs.readdirSync(below)) {
      const file = path.join(below, name);
      const stat = fs.lstatSync(file);
      const content = stat.isSymbolicLink() ? fs.readlinkSync(file) : stat.isFile() ? fs.readFileSync(file, "latin1") : "";
      seen[path.relative(folder, file)] = `${stat.mode.toString(8)} ${content}`;
      if (stat.isDirectory()) walk(file);
    }
  };
  walk(folder);
  return seen;
}
