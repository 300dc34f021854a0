/**
 * Survey: what lies in a `.daimon` that nobody vouches for, for the person who decides about it.
 *   BOO-24.1  Names and kinds come first: a `.daimon` that is no folder, a link in it, a pipe, a device, another user's file and one that has a second name elsewhere are errors,
 *             and while there is one nothing is opened.
 *   BOO-24.2  Sockets in `run`, what agents left in their sessions and what a repair set aside are no errors; sessions are counted, and not looked into.
 *   BOO-24.3  The journal is read and not written; one that its key did not sign, or that the kernel cannot fold, is an error or a finding, never a crash.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Clock } from "../abi/clock.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import { recoverTable } from "../kernel/recover.ts";
import type { Table } from "../kernel/table.ts";
import { fsError } from "../drivers/store/disk.ts";
import { checkFolder, folderName, foldersOf, type Layout } from "./layout.ts";
import { readUnproven } from "./stores.ts";

export interface Survey {
  readonly findings: readonly Finding[];
  readonly sessions: number;
  /** Null where nothing has run, or nothing can be read. */
  readonly journal: { readonly records: number; readonly table: Table | null } | null;
}

export async function survey(layout: Layout, clock: Clock): Promise<Survey> {
  const sound = checkFolder(layout.folder, layout.uid);
  const strange = sound.ok ? [...strangers(layout, layout.folder)] : [problem("error", folderName, sound.error.message)];
  if (strange.length > 0) return { findings: strange.slice(0, limits.surveyFindingsMax), sessions: 0, journal: null };
  const sessions = fs.existsSync(layout.sessions) ? fs.readdirSync(layout.sessions).length : 0;
  if (!fs.existsSync(layout.journal)) return { findings: [], sessions, journal: null };
  const stores = readUnproven(layout, clock);
  if (!stores.ok) return { findings: [problem("error", "journal", stores.error.message)], sessions, journal: null };
  const { log, blobs } = stores.value;
  try {
    const recovered = recoverTable(log, blobs);
    const journal = { records: log.state.records, table: recovered.ok ? recovered.value.table : null };
    return { findings: recovered.ok ? [] : [problem("warning", "journal", recovered.error.message)], sessions, journal };
  } catch {
    // The fold asserts what a kernel of ours keeps: whoever wrote this journal was none.
    const message = "its entries contradict each other, so no daimon wrote it; move .daimon away";
    return { findings: [problem("error", "journal", message)], sessions, journal: null };
  } finally {
    await log.close();
  }
}

/** By hand: the recursive readdirSync of Node walks into links. */
function* strangers(layout: Layout, folder: string): Generator<Finding> {
  let names: readonly string[];
  try {
    names = fs.readdirSync(folder).toSorted();
  } catch (thrown) {
    yield problem("error", path.relative(layout.root, folder), fsError(thrown, "it cannot be looked into").message);
    return;
  }
  for (const name of names) {
    const place = path.join(folder, name);
    const stat = fs.lstatSync(place);
    const why = whyStrange(layout, place, stat);
    if (why !== null) yield problem("error", path.relative(layout.root, place), why);
    else if (stat.isFile() && foldersOf(layout).includes(place))
      yield problem("error", path.relative(layout.root, place), "it is no folder; move it away");
    else if (stat.isDirectory() && !isForOthers(layout, place)) yield* strangers(layout, place);
  }
}

function whyStrange(layout: Layout, place: string, stat: fs.Stats): string | null {
  if (stat.uid !== layout.uid)
    return `it belongs to user ${stat.uid} and you are user ${layout.uid}; move it away, or take it over with \`chown\``;
  if (stat.isDirectory()) return null;
  if (stat.isFile())
    return stat.nlink === 1 ? null : "it has a second name elsewhere, through which it could change; put a copy in its place";
  if (stat.isSocket() && path.dirname(place) === layout.run) return null;
  // An overlay's own link, set anew at each mount.
  if (stat.isSymbolicLink() && path.basename(place) === "lower" && path.dirname(path.dirname(place)) === layout.sessions)
    return null;
  return `it is ${stat.isSymbolicLink() ? "a link" : "neither file nor folder"}, and daimon makes none there; move it away`;
}

/** What the agents changed, with the overlay's own folders beside it, and what a repair set aside. */
function isForOthers(layout: Layout, place: string): boolean {
  return path.dirname(path.dirname(place)) === layout.sessions || path.dirname(place) === layout.quarantine;
}

function problem(severity: "error" | "warning", where: string, message: string): Finding {
  return { rule: "provenance", severity, where, message };
}
