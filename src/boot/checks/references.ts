/**
 * Check references: does everything the journal points at exist, whole, and does everything on disk belong to something in the journal?
 *   FSK-3.1  A blob that an entry names and that is missing is an error with the entry's place and what it held.
 *   FSK-3.2  A blob whose content does not have its digest is an error; the repair sets the damaged file aside so that it is never read as good.
 *   FSK-3.3  A missing checkpoint is a warning while the journal before it can be read: the boot is slower, nothing is lost.
 *   FSK-3.4  A session folder that belongs to no process of the journal is set aside; so is a temporary file, or a `.daimon` that was being made,
 *            older than an hour.
 *   FSK-3.5  A journal that breaks is one error that names the record; what was readable before it is still checked. The repair cuts it there and
 *            sets aside what follows, and with it the sessions of processes that only what follows knows.
 *   FSK-3.6  Each blob is read once, however many entries name it.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Result } from "../../lib/result.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import type { StoredEntry } from "../../abi/entry.ts";
import type { SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { BlobDriver, LogRecord } from "../../abi/store.ts";
import { decode, movedFrom } from "../../kernel/codec.ts";
import { findDamage } from "../../drivers/store/damage.ts";
import type { Act, Check, Problem, Repair } from "../fsck.ts";
import type { Layout } from "../layout.ts";

export interface ReferencesInput {
  readonly layout: Layout;
  /** From seq 0, as LogDriver.read(0) gives it. */
  readonly records: Iterable<Result<LogRecord, SysError>>;
  readonly blobs: BlobDriver;
  /** Where a blob's file lies, absolute; null for a driver without files, and then damage has no repair. */
  readonly blobFile: ((digest: Digest) => string) | null;
  readonly now: number;
}

interface Reference {
  readonly digest: Digest;
  readonly seq: number;
  readonly holds: string;
  readonly checkpoint: boolean;
}

export function references(input: ReferencesInput): Check {
  return {
    name: "references",
    *run() {
      const found = new Map<Digest, Reference>();
      const pids = new Set<number>();
      let broken: SysError | null = null;
      for (const record of input.records) {
        if (!record.ok) {
          broken = record.error;
          break;
        }
        const entry = decode(record.value.text);
        if (entry === null) continue;
        if (entry.kind === "spawn") pids.add(entry.pid).add(entry.session);
        for (const reference of referencesOf(entry, record.value.seq))
          if (!found.has(reference.digest)) found.set(reference.digest, reference);
      }
      if (broken !== null) yield brokenJournal(input.layout, broken, pids);
      for (const reference of found.values()) yield* checkBlob(reference, input, broken !== null);
      if (broken === null)
        for (const place of strayed(input.layout, pids))
          yield movable(place, "a session that belongs to no process of the journal");
      yield* leftovers(input.layout, input.now);
    },
  };
}

function brokenJournal(layout: Layout, error: SysError, pids: ReadonlySet<number>): Problem {
  const message = `${error.message}; what comes before it is readable, and nothing after it is used`;
  const repair = cutOf(layout, strayed(layout, pids));
  return { ...problem("journal", "error", "journal", message), repair };
}

/** The journal up to its damage, every byte of the rest set aside, and `along` with it; null where no damage is found any more. */
export function cutOf(layout: Layout, along: readonly string[]): Repair | null {
  const found = findDamage(layout.journal);
  if (!found.ok || found.value === null) return null;
  const { records, cut, rest } = found.value;
  const place = (name: string): string => relativeTo(layout, path.join(layout.journal, name));
  const acts: Act[] = cut === null ? [] : [{ act: "cut", path: place(cut.name), bytes: cut.bytes, digest: cut.digest }];
  for (const moved of [...rest.map(place), ...along]) acts.push({ act: "move", path: moved });
  const sessions = along.length === 0 ? "" : `, with the ${along.length} sessions that only the rest knows`;
  return { explain: `set the journal aside from its damage on; its first ${records} records stay${sessions}`, acts };
}

/** What an entry names, and what was too large to stand in it. */
function referencesOf(entry: StoredEntry, seq: number): readonly Reference[] {
  const moved = movedFrom(entry).map((digest) => ({ digest, seq, holds: `a part of entry ${seq}`, checkpoint: false }));
  return [...namedBy(entry, seq), ...moved];
}

function namedBy(entry: StoredEntry, seq: number): readonly Reference[] {
  const one = (digest: Digest, holds: string): Reference => ({ digest, seq, holds, checkpoint: entry.kind === "checkpoint" });
  switch (entry.kind) {
    case "spawn":
    case "exec":
      return [one(entry.manifest, `the manifest of process ${entry.pid}`)];
    case "outcome":
      return entry.blob === undefined ? [] : [one(entry.blob, `the value of call ${entry.id}`)];
    case "evict":
      return [
        ...entry.pages.map((page) => one(page.blob, `page ${page.id} of process ${entry.pid}`)),
        ...(entry.turns ?? []).map((turn) => one(turn.blob, `turn ${turn.step} of process ${entry.pid}`)),
      ];
    case "files":
      return [
        ...(entry.safety === null ? [] : [one(entry.safety, `the safety copy of process ${entry.pid}'s ${entry.act}`)]),
        ...(entry.steps === undefined ? [] : [one(entry.steps, `the steps of process ${entry.pid}'s ${entry.act}`)]),
      ];
    case "share":
      return entry.file === null ? [] : [one(entry.file.blob, `the shared file ${entry.path}`)];
    case "park":
      return entry.reason.type === "approval" && entry.reason.frozen !== undefined
        ? [one(entry.reason.frozen, `what call ${entry.reason.call} asks to do`)]
        : [];
    case "checkpoint":
      return [one(entry.blob, "a checkpoint")];
    default:
      return [];
  }
}

function* checkBlob(reference: Reference, input: ReferencesInput, broken: boolean): Generator<Problem> {
  const { digest, seq, holds, checkpoint } = reference;
  const where = `entry ${seq}`;
  const name = `blob ${digest.slice(0, 12)}`;
  const file = input.blobFile?.(digest) ?? null;
  const severity = checkpoint && !broken ? "warning" : "error";
  const loss =
    checkpoint && !broken
      ? "the next boot reads the journal instead and writes a new one"
      : "restore .daimon/blobs from a backup";
  const content = input.blobs.get(digest);
  if (content.ok && sha256(content.value) === digest) return;
  const present =
    content.ok ||
    (file !== null && fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined) ||
    (file === null && input.blobs.has(digest));
  if (!present) {
    yield problem("references", severity, where, `${name}, which holds ${holds}, is missing; ${loss}`);
    return;
  }
  const place = file === null ? null : path.relative(input.layout.root, file).split(path.sep).join("/");
  const repair =
    place === null ? null : { explain: `set the damaged ${name} aside`, acts: [{ act: "move", path: place } as const] };
  yield { ...problem("references", severity, where, `${name}, which holds ${holds}, is damaged; ${loss}`), repair };
}

/** Sessions of no known process. */
function strayed(layout: Layout, pids: ReadonlySet<number>): readonly string[] {
  const known = (name: string): boolean => /^[1-9]\d*$/.test(name) && pids.has(Number(name));
  return listed(layout.sessions).flatMap((name) => (known(name) ? [] : [relativeTo(layout, path.join(layout.sessions, name))]));
}

function* leftovers(layout: Layout, now: number): Generator<Problem> {
  // Sessions hold the agents' own files, quarantine what was set aside: temporary names in there are nobody's leftovers.
  const folders = [layout.journal, layout.blobs, layout.keys, layout.policy, layout.run];
  const files = folders
    .flatMap((folder) => filesBelow(folder))
    .concat(listed(layout.folder).map((name) => path.join(layout.folder, name)))
    .filter((file) => /(?:^|\.)tmp(?:[-.]|$)|\.partial$/.test(path.basename(file)));
  const drafts = listed(layout.root)
    .filter((name) => /^\.daimon-new-\w{6}$/.test(name))
    .map((name) => path.join(layout.root, name));
  for (const file of [...files, ...drafts]) {
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || now - stat.mtimeMs < limits.leftoverAgeMs) continue;
    yield movable(relativeTo(layout, file), "a temporary file that a crash left behind");
  }
}

function movable(place: string, what: string): Problem {
  const acts = [{ act: "move", path: place } as const];
  return { ...problem("references", "warning", place, `this is ${what}`), repair: { explain: `set ${place} aside`, acts } };
}

function problem(rule: string, severity: "error" | "warning", where: string, message: string): Problem {
  return { finding: { rule, severity, where, message }, repair: null };
}

/** By hand: the recursive readdirSync of Node walks into links. */
function filesBelow(folder: string): readonly string[] {
  if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(file) : entry.isFile() ? [file] : [];
  });
}

function listed(folder: string): readonly string[] {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true ? fs.readdirSync(folder).toSorted() : [];
}

function relativeTo(layout: Layout, file: string): string {
  return path.relative(layout.root, file).split(path.sep).join("/");
}
