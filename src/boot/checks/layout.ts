/**
 * Check layout: is `.daimon` as boot would make it?
 *   FSK-5.1  A `.daimon` that is a link, no folder or another user's is one error, without a repair, and nothing below it is looked at.
 *   FSK-5.2  Permission bits for group or others on `.daimon`, on one of its folders, or on anything among the keys, are an error with a repair.
 *   FSK-5.3  A link outside the sessions is an error, a file that nobody knows is a warning; the repair sets either aside.
 *   FSK-5.4  A missing `.gitignore` is a warning and made again; one with other rules that still ignores everything is left alone.
 *   FSK-5.5  Sessions and quarantine are never looked into: their content belongs to the agents and to the person.
 *   FSK-5.6  A workspace without `.daimon` is clean.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Severity } from "../../abi/finding.ts";
import type { Act, Check, Problem } from "../fsck.ts";
import { checkFolder, foldersOf, type Layout } from "../layout.ts";

const indexSuffixes = ["", "-wal", "-shm", "-journal"];

export function layoutCheck(layout: Layout): Check {
  return {
    name: "layout",
    *run() {
      if (fs.lstatSync(layout.folder, { throwIfNoEntry: false }) === undefined) return;
      const sound = checkFolder(layout.folder, layout.uid);
      if (!sound.ok) {
        yield { finding: { rule: "layout", severity: "error", where: ".daimon", message: sound.error.message }, repair: null };
        return;
      }
      yield* modes(layout, layout.folder);
      yield* topLevel(layout);
      for (const folder of foldersOf(layout)) {
        if (![layout.sessions, layout.quarantine, layout.lock].includes(folder)) yield* below(layout, folder);
      }
      yield* gitignore(layout);
    },
  };
}

function* topLevel(layout: Layout): Generator<Problem> {
  const known = new Set([
    layout.gitignore,
    layout.run,
    ...foldersOf(layout),
    ...indexSuffixes.map((suffix) => layout.index + suffix),
  ]);
  for (const name of fs.readdirSync(layout.folder).toSorted()) {
    const file = path.join(layout.folder, name);
    const place = relativeTo(layout, file);
    const stat = fs.lstatSync(file);
    if (file === layout.gitignore) continue;
    if (stat.isSymbolicLink()) yield linked(place);
    else if (!known.has(file)) yield setAside("warning", place, "daimon knows no such file here");
    else if (foldersOf(layout).includes(file) && !stat.isDirectory()) yield setAside("error", place, "this is no folder");
    else if (stat.isDirectory()) yield* modes(layout, file);
  }
}

function* below(layout: Layout, folder: string): Generator<Problem> {
  if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(folder, entry.name);
    const own = foldersOf(layout).includes(file);
    if (entry.isSymbolicLink()) yield linked(relativeTo(layout, file));
    else if (!own) {
      // A closed folder protects what lies in it; keys are closed one by one, for they are copied about.
      if (folder.startsWith(layout.keys)) yield* modes(layout, file);
      if (entry.isDirectory()) yield* below(layout, file);
    }
  }
}

function* modes(layout: Layout, file: string): Generator<Problem> {
  const stat = fs.lstatSync(file);
  const from = stat.mode & 0o7777;
  if ((from & 0o077) === 0 || stat.isSocket()) return;
  const place = relativeTo(layout, file);
  const to = from & 0o700;
  const message = `mode ${octal(from)} lets other users of the machine in; it should be ${octal(to)}`;
  yield problemOf("error", place, message, `set the mode of ${place} to ${octal(to)}`, { act: "mode", path: place, from, to });
}

function* gitignore(layout: Layout): Generator<Problem> {
  const place = relativeTo(layout, layout.gitignore);
  const stat = fs.lstatSync(layout.gitignore, { throwIfNoEntry: false });
  if (stat === undefined) {
    const act: Act = { act: "create", path: place, content: "*\n" };
    yield problemOf("warning", place, "missing: the journal could be committed by accident", `write ${place} with \`*\``, act);
    return;
  }
  const ignores = stat.isFile() && fs.readFileSync(layout.gitignore, "utf8").split("\n").includes("*");
  if (ignores) return;
  const acts: readonly Act[] = [
    { act: "move", path: place },
    { act: "create", path: place, content: "*\n" },
  ];
  const finding = {
    rule: "layout",
    severity: "warning",
    where: place,
    message: "it does not ignore everything: the journal could be committed",
  } as const;
  yield { finding, repair: { explain: `set ${place} aside and write one with \`*\``, acts } };
}

function linked(place: string): Problem {
  return setAside("error", place, "this is a link, which could lead daimon's files elsewhere");
}

function setAside(severity: Severity, place: string, message: string): Problem {
  return problemOf(severity, place, message, `set ${place} aside`, { act: "move", path: place });
}

function problemOf(severity: Severity, where: string, message: string, explain: string, act: Act): Problem {
  return { finding: { rule: "layout", severity, where, message }, repair: { explain, acts: [act] } };
}

function relativeTo(layout: Layout, file: string): string {
  return path.relative(layout.root, file).split(path.sep).join("/");
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
