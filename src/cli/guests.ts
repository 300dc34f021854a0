/**
 * daimon guests: the agents that have a file of their own, where they are on this machine, and the versions that went through all doors in a trial.
 *   CLI-45.1  Nothing of a guest is run to list it: its version is read from its package.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SysError } from "../abi/errno.ts";
import { guests } from "../guests/all.ts";
import type { Guest } from "../guests/guest.ts";
import { isObject, parseJson } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { print, printJson, type Io } from "./io.ts";

export function run(io: Io): Promise<Result<number, SysError>> {
  const listed = guests.map((guest) => {
    const file = guest.programs.map((name) => findIn(io.world.env["PATH"] ?? "", name)).find((found) => found !== null) ?? null;
    return { guest, file, version: file === null ? null : versionOf(file, guest) };
  });
  if (io.json) {
    const rows = listed.map(({ guest: { name, title, package: from, verified, speaks, quirks }, file, version }) => {
      return { name, title, package: from, speaks, verified, path: file, version, quirks };
    });
    printJson(io, { guests: rows });
    return Promise.resolve(ok(0));
  }
  const width = Math.max(...listed.map(({ guest }) => guest.name.length));
  for (const { guest, file, version } of listed) print(io, `${guest.name.padEnd(width)}  ${describe(guest, file, version)}`);
  return Promise.resolve(ok(0));
}

function describe({ title, verified, package: from }: Guest, file: string | null, version: string | null): string {
  if (from === null) return title;
  const tried = verified.length === 0 ? "not tried yet" : `tried with ${verified.join(", ")}`;
  const here = file === null ? `not installed; npm install --global ${from}` : `${version ?? "version unknown"} at ${file}`;
  return `${title} · ${here} · ${tried}`;
}

function findIn(path: string, name: string): string | null {
  const found = path.split(":").find((folder) => folder.startsWith("/") && existsSync(join(folder, name)));
  return found === undefined ? null : join(found, name);
}

/** Of the package that the program belongs to: the guest's own, or one of its platform. */
function versionOf(file: string, { package: from }: Guest): string | null {
  const folders = [...above(dirname(realOf(file)))].slice(0, 6);
  for (const folder of folders) {
    const read = readPackage(join(folder, "package.json"));
    if (read !== null && from !== null && read.name.startsWith(from.replace(/-(?:ai|cli|code)$/, ""))) return read.version;
  }
  return null;
}

function* above(folder: string): Generator<string> {
  for (let at = folder; ; at = dirname(at)) {
    yield at;
    if (at === dirname(at)) return;
  }
}

function realOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function readPackage(file: string): { readonly name: string; readonly version: string } | null {
  try {
    const body = parseJson(readFileSync(file, "utf8"));
    if (!isObject(body) || typeof body["name"] !== "string" || typeof body["version"] !== "string") return null;
    return { name: body["name"], version: body["version"] };
  } catch {
    return null;
  }
}
