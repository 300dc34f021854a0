/**
 * Trust: files of a workspace that a person accepted, kept in the user's own folder, where no repository and no process can write.
 *   BOO-6.1  An acceptance names workspace, path, digest and time; it holds for that workspace alone.
 *   BOO-6.2  A configuration file stays trusted while the person edits it; a version that a process wrote needs its own acceptance.
 *   BOO-6.3  Instructions are accepted by digest: a changed file asks again.
 *   BOO-6.4  A damaged trust file trusts nothing and says so, and so does one that others can write; writing replaces the file whole or not at all.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { done, ok, type Result } from "../lib/result.ts";
import { isObject, parseJson, type Json } from "../lib/json.ts";
import type { Digest } from "../lib/hash.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { readText } from "./read.ts";
import { checkUserFolder, type Layout } from "./layout.ts";

export interface Acceptance {
  readonly workspace: string;
  /** Relative to the workspace. */
  readonly path: string;
  readonly digest: Digest;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface Trust {
  readonly acceptances: readonly Acceptance[];
  /** This very content was accepted. */
  accepts(file: string, digest: Digest): boolean;
  /** Some version was accepted. */
  knows(file: string): boolean;
}

export function readTrust(layout: Layout): Result<Trust, SysError> {
  const sound = checkUserFolder(layout);
  if (!sound.ok) return sound;
  const text = readText(layout.user.trust, limits.configBytesMax);
  if (!text.ok) return text.error.errno === "ENOENT" ? ok(trustOf([], layout.root)) : text;
  const json = parseJson(text.value.text);
  const list = isObject(json) && Array.isArray(json["accepted"]) ? json["accepted"].map(acceptanceOf) : [null];
  const acceptances = list.filter((entry) => entry !== null);
  if (acceptances.length === list.length) return ok(trustOf(acceptances, layout.root));
  return fail(
    "EUCLEAN",
    "trust.json in your daimon configuration folder is damaged; remove it, and accept files again with `daimon config trust PATH`",
  );
}

/** Accept a file of the workspace as it is now; returns its digest. */
export function acceptFile(layout: Layout, file: string, now: number): Result<Digest, SysError> {
  const relative = path.relative(layout.root, path.resolve(layout.root, file));
  if (relative === "" || relative.startsWith(".."))
    return fail("EINVAL", `\`${file}\` lies outside the workspace; only files of the workspace need trust`);
  const text = readText(path.join(layout.root, relative), limits.configBytesMax);
  if (!text.ok) return text;
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const { digest } = text.value;
  const others = trust.value.acceptances.filter(
    (entry) => !(entry.workspace === layout.root && entry.path === relative && entry.digest === digest),
  );
  const written = write(layout, [...others, { workspace: layout.root, path: relative, digest, at: now }]);
  return written.ok ? ok(digest) : written;
}

/** Withdraw every acceptance of a file; returns how many there were. */
export function withdrawTrust(layout: Layout, file: string): Result<number, SysError> {
  const relative = path.relative(layout.root, path.resolve(layout.root, file));
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const kept = trust.value.acceptances.filter((entry) => entry.workspace !== layout.root || entry.path !== relative);
  const written = write(layout, kept);
  return written.ok ? ok(trust.value.acceptances.length - kept.length) : written;
}

/** May a project's configuration file widen? Its author is the person: accepted once, and this version is not a process's. */
export function trustsConfig(trust: Trust, file: string, digest: Digest, produced: ReadonlySet<Digest>): boolean {
  return trust.accepts(file, digest) || (trust.knows(file) && !produced.has(digest));
}

function trustOf(acceptances: readonly Acceptance[], workspace: string): Trust {
  const here = acceptances.filter((entry) => entry.workspace === workspace);
  return {
    acceptances,
    accepts: (file, digest) => here.some((entry) => entry.path === file && entry.digest === digest),
    knows: (file) => here.some((entry) => entry.path === file),
  };
}

function acceptanceOf(json: Json): Acceptance | null {
  if (!isObject(json)) return null;
  const { workspace, path: file, digest, at } = json;
  if (typeof workspace !== "string" || typeof file !== "string" || typeof digest !== "string" || typeof at !== "number")
    return null;
  return { workspace, path: file, digest, at };
}

function write(layout: Layout, acceptances: readonly Acceptance[]): Result<void, SysError> {
  const temporary = `${layout.user.trust}.${process.pid}.tmp`;
  try {
    fs.mkdirSync(layout.user.folder, { recursive: true, mode: 0o700 });
    fs.writeFileSync(temporary, `${JSON.stringify({ accepted: acceptances }, null, 2)}\n`, { mode: 0o600, flush: true });
    fs.renameSync(temporary, layout.user.trust);
    return done;
  } catch {
    fs.rmSync(temporary, { force: true });
    return fail("EIO", "cannot write trust.json in your daimon configuration folder; make that folder writable and try again");
  }
}
