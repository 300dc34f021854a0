/**
 * fsck: runs the checks, repairs what they can mend, and puts every repair back when asked.
 * A check looks and yields problems. A repair is plain data, a list of acts; this file alone performs them.
 *   FSK-1.1  A check changes nothing; a check that throws becomes an error finding and the others still run.
 *   FSK-1.2  Findings come worst first, then in the order in which the checks gave them.
 *   FSK-1.3  A repair deletes nothing: what leaves its place goes to `.daimon/quarantine/ID`, with a manifest written before the first act.
 *   FSK-1.4  undo(ID) restores names, contents and modes exactly, also after a crash in the middle of the repair.
 *   FSK-1.5  undo never overwrites: a place that is taken again by other content is refused, named, and everything else stays as it is.
 *   FSK-1.9  A journal that went on since it was cut is not put back: ESTALE, nothing is changed, and what was set aside stays where it is.
 *   FSK-1.6  After a repair a second run offers no repair; repairing nothing leaves no quarantine folder.
 *   FSK-1.8  A manifest that the workspace's key did not sign is no repair: it is not listed, and undoing it is EUCLEAN. One that came along with a
 *            checkout or an archive could put its files anywhere in the workspace.
 *   FSK-1.7  An act outside the workspace, or through a link, is refused.
 */
import { verify } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { done, ok, type Err, type Result } from "../lib/result.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { isObject, parseJson, type Json } from "../lib/json.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import { cutSegment, endsAt, uncutSegment } from "../drivers/store/damage.ts";
import { syncFolder } from "../drivers/store/disk.ts";
import type { Sign } from "../drivers/store/signature.ts";
import { shownKey, signerOf } from "./keys.ts";
import type { Layout } from "./layout.ts";
import { readText } from "./read.ts";

/**
 * Paths are relative to the workspace. `create` makes a missing file, `mode` changes permission bits, `move` sets aside, and `cut` leaves the
 * first bytes of a journal's segment, whose digest is known, and sets aside the whole.
 */
export type Act =
  | { readonly act: "move"; readonly path: string }
  | { readonly act: "cut"; readonly path: string; readonly bytes: number; readonly digest: Digest }
  | { readonly act: "mode"; readonly path: string; readonly from: number; readonly to: number }
  | { readonly act: "create"; readonly path: string; readonly content: string };

export interface Repair {
  /** What it does, for the person who decides. */
  readonly explain: string;
  readonly acts: readonly Act[];
}

export interface Problem {
  readonly finding: Finding;
  readonly repair: Repair | null;
}

export interface Check {
  readonly name: string;
  run(): Iterable<Problem> | AsyncIterable<Problem>;
}

export interface RepairRecord {
  /** The quarantine folder's name, `TIMESTAMP-N`: what undo() takes. */
  readonly id: string;
  readonly at: number;
  readonly repairs: readonly Repair[];
}

const severities = ["error", "warning", "info"] as const;

export async function runChecks(checks: readonly Check[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const check of checks) {
    try {
      for await (const problem of check.run()) problems.push(withFix(problem));
    } catch (cause) {
      const message = `the check could not finish: ${reason(cause)}; mend that and run \`daimon fsck\` again`;
      problems.push({ finding: { rule: check.name, severity: "error", where: check.name, message }, repair: null });
    }
  }
  return severities.flatMap((severity) => problems.filter((problem) => problem.finding.severity === severity));
}

/** Null when there was nothing to repair. `now` is milliseconds since 1970. */
export function repair(layout: Layout, problems: readonly Problem[], now: number): Result<RepairRecord | null, SysError> {
  const repairs = distinct(problems.flatMap((problem) => problem.repair ?? []));
  if (repairs.length === 0) return ok(null);
  for (const act of repairs.flatMap((one) => one.acts)) {
    const place = locate(layout, act.path);
    if (!place.ok) return place;
  }
  const sign = signerOf(layout);
  if (!sign.ok) return sign;
  try {
    const record = { id: makeQuarantine(layout, now), at: now, repairs };
    writeManifest(layout, record, sign.value);
    repairs.flatMap((one) => one.acts).forEach((act, index) => perform(layout, record.id, act, index));
    return ok(record);
  } catch (cause) {
    return fail(
      "EIO",
      `the repair stopped: ${reason(cause)}; \`daimon fsck --undo\` puts back what was done, or run the repair again`,
    );
  }
}

/** Looks at everything first, and changes nothing when one act cannot be undone. */
export function undo(layout: Layout, id: string): Result<RepairRecord, SysError> {
  const record = readManifest(layout, id);
  if (!record.ok) return record;
  const acts = record.value.repairs.flatMap((one) => one.acts);
  for (const [index, act] of acts.entries()) {
    const sound = undoable(layout, id, acts, act, index);
    if (!sound.ok) return sound;
  }
  try {
    for (const [index, act] of [...acts.entries()].toReversed()) revert(layout, id, act, index);
    fs.rmSync(path.join(layout.quarantine, id), { recursive: true, force: true });
    return record;
  } catch (cause) {
    return fail("EIO", `the undo stopped: ${reason(cause)}; mend that and run it again, nothing is lost`);
  }
}

/** Repairs that can be undone, oldest first. */
export function listRepairs(layout: Layout): readonly RepairRecord[] {
  if (!fs.existsSync(layout.quarantine)) return [];
  return fs
    .readdirSync(layout.quarantine)
    .toSorted()
    .flatMap((id) => {
      const record = readManifest(layout, id);
      return record.ok ? [record.value] : [];
    });
}

function withFix(problem: Problem): Problem {
  if (problem.repair === null) return problem;
  return { ...problem, finding: { ...problem.finding, fix: problem.repair.explain } };
}

/** Two checks may want the same act; the first one gets it. A move of a folder takes what lies in it along. */
function distinct(repairs: readonly Repair[]): readonly Repair[] {
  const moves = repairs.flatMap((one) => one.acts.flatMap((act) => (act.act === "move" ? [act.path] : [])));
  const seen = new Set<string>();
  return repairs.flatMap((one) => {
    const acts = one.acts.filter((act) => {
      const key = `${act.act === "move" ? "move" : "keep"} ${act.path}`;
      const carried = moves.some((moved) => act.path.startsWith(`${moved}/`) || (act.act === "mode" && act.path === moved));
      if (carried || seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    return acts.length === 0 ? [] : [{ explain: one.explain, acts }];
  });
}

function makeQuarantine(layout: Layout, now: number): string {
  fs.mkdirSync(layout.quarantine, { recursive: true, mode: 0o700 });
  const stamp = new Date(now).toISOString().replaceAll(/[-:]/g, "").replace(/\..*/, "Z");
  for (let n = 1; ; n++) {
    try {
      fs.mkdirSync(path.join(layout.quarantine, `${stamp}-${n}`), { mode: 0o700 });
      return `${stamp}-${n}`;
    } catch (cause) {
      if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    }
  }
}

/** The signature comes first: a manifest that is there has one. */
function writeManifest(layout: Layout, record: RepairRecord, sign: Sign): void {
  const folder = path.join(layout.quarantine, record.id);
  const text = `${JSON.stringify(record, null, 2)}\n`;
  const signature = sign(signedText(record.id, text)).toString("base64");
  fs.writeFileSync(path.join(folder, "manifest.sig"), `${signature}\n`, { mode: 0o600, flush: true, flag: "wx" });
  fs.writeFileSync(path.join(folder, "manifest.json"), text, { mode: 0o600, flush: true, flag: "wx" });
  syncFolder(folder);
}

/** Says what it is and of which folder, so that no signature of a journal, and none of another repair, fits. */
function signedText(id: string, text: string): Buffer {
  return Buffer.from(`daimon repair 1\n${id}\n${sha256(text)}\n`);
}

function isSigned(layout: Layout, id: string, text: string): boolean {
  const signature = readText(path.join(layout.quarantine, id, "manifest.sig"), limits.keyBytesMax);
  const key = shownKey(layout);
  return key.ok && signature.ok && verify(null, signedText(id, text), key.value, Buffer.from(signature.value.text, "base64"));
}

function perform(layout: Layout, id: string, act: Act, index: number): void {
  const place = path.join(layout.root, act.path);
  if (act.act === "move") moveAcross(place, aside(layout, id, index));
  else if (act.act === "mode") fs.chmodSync(place, act.to);
  else if (act.act === "cut") cutSegment(place, aside(layout, id, index), act.bytes);
  else fs.writeFileSync(place, act.content, { flag: "wx", mode: 0o600 });
}

/** An act that was never performed, because of a crash, needs no undoing. */
function undoable(layout: Layout, id: string, acts: readonly Act[], act: Act, index: number): Result<void, SysError> {
  const safe = locate(layout, act.path);
  if (!safe.ok) return safe;
  const place = path.join(layout.root, act.path);
  const kept = aside(layout, id, index);
  if (act.act === "cut" && exists(kept)) {
    const own = new Set(acts.flatMap((other) => (other.act === "move" ? [path.basename(other.path)] : [])));
    return endsAt(place, kept, act.digest, own) ? done : wentOn(id);
  }
  if (act.act === "move" && exists(kept) && exists(place)) {
    if (path.dirname(place) === layout.journal) return wentOn(id);
    // What the repair itself put there goes first.
    const own = acts.some((other) => other.act === "create" && other.path === act.path && holds(place, other.content));
    if (own) return done;
    return fail("EEXIST", `${act.path} exists again; move it away, then undo: nothing was changed`);
  }
  return done;
}

function wentOn(id: string): Err<SysError> {
  const next = `look at it in .daimon/quarantine/${id}, where it stays`;
  return fail(
    "ESTALE",
    `the journal went on since, so what was set aside does not fit it any more and nothing was changed; ${next}`,
  );
}

function revert(layout: Layout, id: string, act: Act, index: number): void {
  const place = path.join(layout.root, act.path);
  if (act.act === "move") {
    if (!exists(aside(layout, id, index))) return;
    fs.mkdirSync(path.dirname(place), { recursive: true, mode: 0o700 });
    moveAcross(aside(layout, id, index), place);
  } else if (act.act === "cut") {
    uncutSegment(place, aside(layout, id, index), act.digest);
  } else if (act.act === "mode") {
    // A mode that changed again since is somebody's later decision.
    const stat = fs.lstatSync(place, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isSymbolicLink() && (stat.mode & 0o7777) === act.to) fs.chmodSync(place, act.from);
  } else if (holds(place, act.content)) fs.rmSync(place);
}

function aside(layout: Layout, id: string, index: number): string {
  return path.join(layout.quarantine, id, String(index));
}

/** The workspace and `.daimon` may lie on two file systems: then copy whole, and remove the original last. */
function moveAcross(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EXDEV")) throw cause;
    fs.cpSync(from, to, { recursive: true, errorOnExist: true, force: false, preserveTimestamps: true, verbatimSymlinks: true });
    fs.rmSync(from, { recursive: true });
  }
}

/** Inside the workspace, with no link on the way; the last component may be one, for it is moved and never followed. */
function locate(layout: Layout, relative: string): Result<void, SysError> {
  const parts = relative.split("/");
  if (path.isAbsolute(relative) || parts.some((part) => part === ".." || part === "")) {
    return fail("EINVAL", `a repair names \`${relative}\`, which is not inside the workspace; nothing was changed`);
  }
  for (let length = 1; length < parts.length; length++) {
    const stat = fs.lstatSync(path.join(layout.root, ...parts.slice(0, length)), { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) {
      return fail(
        "EPERM",
        `a repair would go through the link ${parts.slice(0, length).join("/")}; remove the link and try again`,
      );
    }
  }
  return done;
}

function readManifest(layout: Layout, id: string): Result<RepairRecord, SysError> {
  const unknown = fail(
    "ENOENT",
    `there is no repair \`${id.slice(0, 64)}\`; \`daimon fsck --list\` names those that can be undone`,
  );
  if (!/^\d{8}T\d{6}Z-\d+$/.test(id)) return unknown;
  const text = readText(path.join(layout.quarantine, id, "manifest.json"), limits.recordBytesMax);
  if (!text.ok) return unknown;
  if (isSigned(layout, id, text.value.text)) {
    const json = parseJson(text.value.text);
    const repairs = isObject(json) && Array.isArray(json["repairs"]) ? json["repairs"].map(repairOf) : [null];
    const at = isObject(json) && typeof json["at"] === "number" ? json["at"] : 0;
    if (repairs.every((one) => one !== null)) return ok({ id, at, repairs });
  }
  return fail(
    "EUCLEAN",
    `the manifest of repair ${id} is damaged, or not of this workspace; its files lie in .daimon/quarantine/${id}, look at them and move them by hand`,
  );
}

function repairOf(json: Json): Repair | null {
  if (!isObject(json) || typeof json["explain"] !== "string" || !Array.isArray(json["acts"])) return null;
  const acts = json["acts"].map(actOf);
  return acts.every((act) => act !== null) ? { explain: json["explain"], acts } : null;
}

function actOf(json: Json): Act | null {
  if (!isObject(json) || typeof json["path"] !== "string") return null;
  const { act, path: file, from, to, content, bytes, digest } = json;
  if (act === "move") return { act, path: file };
  if (act === "cut" && typeof bytes === "number" && typeof digest === "string") return { act, path: file, bytes, digest };
  if (act === "mode" && typeof from === "number" && typeof to === "number") return { act, path: file, from, to };
  return act === "create" && typeof content === "string" ? { act, path: file, content } : null;
}

function holds(file: string, content: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false })?.isFile() === true && fs.readFileSync(file, "utf8") === content;
}

function exists(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function reason(cause: unknown): string {
  if (cause instanceof Error) return "code" in cause ? String(cause.code) : cause.message;
  return "unknown error";
}
