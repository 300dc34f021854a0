/**
 * Adopt: what `daimon fsck` says of a `.daimon` that daimon did not make here, and `daimon fsck --adopt`, by which a person takes it over.
 *   CLI-24.5  A `.daimon` that is not ours is an error; what is in it is told, with what a next run would go on with, and nothing in it is changed.
 *   CLI-24.6  --adopt tells the same, asks, and records it for this user and this folder; --yes answers, and without a terminal it is needed.
 *   CLI-24.7  Nothing is taken over while the survey has an error, and what is known already is left alone.
 */
import { existsSync } from "node:fs";
import { fail, type SysError } from "../abi/errno.ts";
import type { Layout } from "../boot/layout.ts";
import { adopt, standingOf } from "../boot/provenance.ts";
import { survey, type Survey } from "../boot/survey.ts";
import { ok, type Result } from "../lib/result.ts";
import { confirm } from "./confirm.ts";
import { printField } from "./field.ts";
import { note, print, printFinding, printJson, type Io } from "./io.ts";
import { processTable, rowsOf } from "./processes.ts";
import { columnsOf } from "./term/screen.ts";

/** `refused` is why it is not ours. */
export async function tell(layout: Layout, refused: SysError, io: Io): Promise<Result<number, SysError>> {
  const found = await survey(layout, io.clock);
  const unknown = { rule: "provenance", severity: "error", where: ".daimon", message: refused.message } as const;
  const findings = [unknown, ...found.findings.filter(({ message }) => message !== refused.message)];
  if (io.json) printJson(io, { clean: false, findings, contents: contentsOf(found) });
  else {
    for (const finding of findings) printFinding({ ...io, err: io.out, errColours: io.colours }, finding);
    printContents(found, layout, io);
  }
  return ok(1);
}

export async function run(layout: Layout, yes: boolean, io: Io): Promise<Result<number, SysError>> {
  if (!existsSync(layout.folder)) return fail("ENOENT", "there is no .daimon here to take over; `daimon run` makes one");
  const standing = standingOf(layout);
  if (standing.ok && standing.value === "own") {
    if (io.json) printJson(io, { adopted: false, contents: null });
    else print(io, "this .daimon is known as yours already");
    return ok(0);
  }
  const found = await survey(layout, io.clock);
  const [first] = found.findings.filter(({ severity }) => severity === "error");
  if (first !== undefined) return fail("EUCLEAN", `it cannot be taken over as it is: ${first.where}: ${first.message}`);
  if (!io.json) {
    for (const finding of found.findings) printFinding({ ...io, err: io.out, errColours: io.colours }, finding);
    printContents(found, layout, io);
  }
  const agreed = yes ? ok(true) : await confirm("Is all of this yours? y or n: ", "taking a .daimon over", io);
  if (!agreed.ok) return agreed;
  if (!agreed.value) {
    note(io, "nothing was changed");
    return ok(1);
  }
  const adopted = adopt(layout, io.clock.now());
  if (!adopted.ok) return adopted;
  if (io.json) printJson(io, { adopted: true, contents: contentsOf(found) });
  else print(io, "taken over: from now on daimon uses what is in it");
  return ok(0);
}

function contentsOf({ journal, sessions }: Survey): unknown {
  const table = journal?.table ?? null;
  const rows = table === null ? [] : rowsOf(table, false);
  const commit = table?.unfinished?.changes.map(({ path }) => path) ?? [];
  return { records: journal?.records ?? 0, sessions, unfinished: rows.map(({ summary }) => summary), commit };
}

function printContents({ journal, sessions }: Survey, layout: Layout, io: Io): void {
  printField(io, "workspace", layout.root);
  printField(io, "journal", journal === null ? "none that can be read" : `${journal.records} records`);
  printField(io, "sessions", String(sessions));
  const table = journal?.table ?? null;
  if (table === null) return;
  const commit = table.unfinished?.changes.map(({ path }) => path) ?? [];
  if (commit.length > 0) printField(io, "commit", `cut short, the next run would finish it: ${commit.join(", ")}`);
  const rows = rowsOf(table, false);
  const processes =
    rows.length === 0 ? `${table.procs.size}, all ended` : `${table.procs.size}; the next run would go on with these:`;
  printField(io, "processes", processes);
  if (rows.length > 0) io.out.write(processTable(rows, false, io.clock.now(), columnsOf(io.out), io.colours));
}
