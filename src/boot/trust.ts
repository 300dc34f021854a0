/**
 * Trust: files of a workspace that a person accepted, kept in the user's own folder, where no repository and no process can write.
 *   BOO-6.1  An acceptance names workspace, path, digest and time; it holds for that workspace alone.
 *   BOO-6.2  Of a configuration file the last acceptance counts, with the terms it was accepted for.
 *   BOO-6.3  Instructions and programs are accepted by digest: a changed file asks again.
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
import { readTerms, type Terms } from "./terms.ts";

export interface Acceptance {
  readonly workspace: string;
  /** Relative to the workspace. */
  readonly path: string;
  readonly digest: Digest;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Of a configuration file: what it restricts, permits and reaches. */
  readonly terms?: Terms;
  /** Of a program that is code: every file of it. */
  readonly files?: Readonly<Record<string, Digest>>;
}

export interface Trust {
  readonly acceptances: readonly Acceptance[];
  /** This very content was accepted. */
  accepts(file: string, digest: Digest): boolean;
  /** The last acceptance of any version; null where there is none. */
  latest(file: string): Acceptance | null;
}

export function readTrust(layout: Layout): Result<Trust, SysError> {
  const sound = checkUserFolder(layout);
  if (!sound.ok) return sound;
  const text = readText(layout.user.trust, limits.trustBytesMax);
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

/** Keep an acceptance. Of a configuration file it takes the place of those before. */
export function recordAcceptance(layout: Layout, accepted: Omit<Acceptance, "workspace">): Result<void, SysError> {
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const acceptance = { workspace: layout.root, ...accepted };
  const others = trust.value.acceptances.filter(({ workspace, path: file, digest }) => {
    const same = workspace === acceptance.workspace && file === acceptance.path;
    return !same || (acceptance.terms === undefined && digest !== acceptance.digest);
  });
  return write(layout, [...others, acceptance]);
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

function trustOf(acceptances: readonly Acceptance[], workspace: string): Trust {
  const here = acceptances.filter((entry) => entry.workspace === workspace);
  return {
    acceptances,
    accepts: (file, digest) => here.some((entry) => entry.path === file && entry.digest === digest),
    latest: (file) => here.findLast((entry) => entry.path === file) ?? null,
  };
}

function acceptanceOf(json: Json): Acceptance | null {
  if (!isObject(json)) return null;
  const { workspace, path: file, digest, at, terms, files } = json;
  if (typeof workspace !== "string" || typeof file !== "string" || typeof digest !== "string" || typeof at !== "number")
    return null;
  const accepted = terms === undefined ? undefined : readTerms(terms);
  if (accepted === null || (files !== undefined && !isDigests(files))) return null;
  return { workspace, path: file, digest, at, ...(accepted && { terms: accepted }), ...(files && { files }) };
}

function isDigests(json: Json): json is Readonly<Record<string, Digest>> {
  return isObject(json) && Object.values(json).every((value) => typeof value === "string");
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
