/**
 * daimon fsck: the workspace's invariants, with repairs that can be undone.
 *   CLI-24.1  Looking takes no lock and changes nothing; exit 1 where a check found an error, ENOENT where there is nothing to check.
 *   CLI-24.2  --repair takes the workspace's lock, tells what it will do and asks; --yes answers, and without a terminal it is needed.
 *   CLI-24.3  --undo ID puts a repair back, --list names those that can be.
 *   CLI-24.4  A damaged journal is set aside from the damage on, every byte kept, so that the workspace boots again with what is whole; until it
 *            went on, --undo puts it back.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BootStep, Entry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { bootIntegrity } from "../boot/checks/boot-integrity.ts";
import { layoutCheck } from "../boot/checks/layout.ts";
import { cutOf, references } from "../boot/checks/references.ts";
import { storeSeparation } from "../boot/checks/stores.ts";
import { listRepairs, repair, runChecks, undo, type Check, type Problem } from "../boot/fsck.ts";
import { checkFolder, type Layout } from "../boot/layout.ts";
import { acquireLock, readIdentity } from "../boot/lock.ts";
import { standingOf } from "../boot/provenance.ts";
import { checkJournal, readStores } from "../boot/stores.ts";
import { decode } from "../kernel/codec.ts";
import { recoverTable } from "../kernel/recover.ts";
import { emptyTable } from "../kernel/table.ts";
import { ok, type Result } from "../lib/result.ts";
import type { fsckOptions } from "./commands.ts";
import { confirm } from "./confirm.ts";
import { note, print, printFinding, printJson, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { neutralise } from "./term/neutralise.ts";
import { layoutHere } from "./workspace.ts";

export async function run(input: Input<typeof fsckOptions>, io: Io): Promise<Result<number, SysError>> {
  const { options } = input;
  const layout = layoutHere(io);
  if ([options.repair, options.list, options.adopt, options.undo !== undefined].filter(Boolean).length > 1)
    return fail("EINVAL", "--repair, --undo, --list and --adopt are different things; give one of them");
  if (options.yes && !options.repair && !options.adopt)
    return fail("EINVAL", "--yes answers what --repair or --adopt asks; give both");
  // Where there is nothing, nothing is proved.
  if (!existsSync(layout.folder) && !existsSync(layout.config))
    return fail("ENOENT", "there is no workspace here to check; start with: daimon run brief FOLDER");
  if (options.adopt) return await (await import("./adopt.ts")).run(layout, options.yes, io);
  const standing = standingOf(layout);
  if (!standing.ok) {
    if (options.repair || options.list || options.undo !== undefined) return standing;
    return await (await import("./adopt.ts")).tell(layout, standing.error, io);
  }
  if (options.list) return list(layout, io);
  if (options.undo !== undefined) {
    const id = options.undo;
    return await locked(layout, io, () => Promise.resolve(putBack(layout, id, io)));
  }
  if (!options.repair) return ok(show(await check(layout, io), io));
  return await locked(layout, io, () => mend(layout, options.yes, io));
}

async function check(layout: Layout, io: Io): Promise<readonly Problem[]> {
  const checks: Check[] = [layoutCheck(layout)];
  const there = checkJournal(layout);
  const stores = there.ok ? readStores(layout, io.clock) : null;
  const table = stores?.ok === true ? recoverTable(stores.value.log, stores.value.blobs) : null;
  const { preview } = await import("../boot/preview.ts");
  const now = await preview(layout, table?.ok === true ? table.value.table : emptyTable());
  const problems: Problem[] = [];
  const failed = now.ok ? (now.value.policy.ok ? null : now.value.policy.error) : now.error;
  if (failed !== null) problems.push(problemOf("the next boot", `would be refused: ${failed.message}`));
  if (now.ok)
    checks.push(
      storeSeparation(now.value.findings.filter(({ rule }) => rule.startsWith("BOO-7.") || rule === "store-separation")),
    );
  if (!there.ok && there.error.errno !== "ENOENT") problems.push(problemOf(".daimon/journal", there.error.message));
  if (stores !== null && !stores.ok) {
    // Setting the end aside mends damage; who signed it is another matter.
    if (stores.error.errno === "EKEYREJECTED") problems.push(problemOf(".daimon/journal", stores.error.message));
    else problems.push({ ...problemOf(".daimon/journal", stores.error.message), repair: cutOf(layout, []) });
  }
  if (stores?.ok === true) {
    const { log, blobs } = stores.value;
    if (now.ok && failed === null) checks.push(bootIntegrity(boots(log.read(0), now.value.steps), now.value.steps));
    const blobFile = (digest: string): string => join(layout.blobs, digest.slice(0, 2), digest.slice(2));
    checks.push(references({ layout, records: log.read(0), blobs, blobFile, now: io.clock.now() }));
  }
  problems.push(...(await runChecks(checks)));
  if (stores?.ok === true) await stores.value.log.close();
  return problems;
}

/** Boot entries, without the steps that only a booted machine can measure. */
function* boots(records: Iterable<Result<{ readonly text: string }, SysError>>, now: readonly BootStep[]): Generator<Entry> {
  const withCalls = now.some((step) => step.name === "calls");
  for (const record of records) {
    const entry = record.ok ? decode(record.value.text) : null;
    if (entry?.kind !== "boot") continue;
    yield { ...entry, steps: entry.steps.filter(({ name }) => !name.startsWith("mcp:") && (withCalls || name !== "calls")) };
  }
}

function problemOf(where: string, message: string): Problem {
  return { finding: { rule: "fsck", severity: "error", where, message }, repair: null };
}

function show(problems: readonly Problem[], io: Io): number {
  const findings = problems.map((problem) => problem.finding);
  const errors = findings.filter((finding) => finding.severity === "error").length;
  const repairs = problems.filter((problem) => problem.repair !== null).length;
  if (io.json) printJson(io, { clean: errors === 0, findings });
  else {
    for (const finding of findings) {
      printFinding({ ...io, err: io.out, errColours: io.colours }, finding);
      if (finding.fix !== undefined) io.out.write(`         ${io.colours.paint("dim", "fix:")} ${neutralise(finding.fix)}\n`);
    }
    print(
      io,
      findings.length === 0
        ? "clean: boot integrity, references, separate stores and layout hold"
        : `${findings.length} found, ${errors} of them errors`,
    );
    if (repairs > 0) note(io, `${repairs} can be repaired: daimon fsck --repair`);
  }
  return errors === 0 ? 0 : 1;
}

async function mend(layout: Layout, yes: boolean, io: Io): Promise<Result<number, SysError>> {
  const problems = await check(layout, io);
  const repairs = problems.flatMap((problem) => problem.repair ?? []);
  if (repairs.length === 0) return ok(show(problems, io));
  if (!io.json) for (const { explain } of repairs) print(io, `will ${explain}`);
  const agreed = yes ? ok(true) : await confirm("Go on? y or n: ", "a repair", io);
  if (!agreed.ok) return agreed;
  if (!agreed.value) {
    note(io, "nothing was changed");
    return ok(1);
  }
  const mended = repair(layout, problems, io.clock.now());
  if (!mended.ok) return mended;
  const left = await check(layout, io);
  if (io.json) {
    const findings = left.map((problem) => problem.finding);
    printJson(io, { repaired: mended.value, findings });
  } else {
    if (mended.value !== null)
      print(io, `repaired ${mended.value.repairs.length}; \`daimon fsck --undo ${mended.value.id}\` puts it back`);
    show(left, io);
  }
  return ok(left.some(({ finding }) => finding.severity === "error") ? 1 : 0);
}

function list(layout: Layout, io: Io): Result<number, SysError> {
  const repairs = listRepairs(layout);
  if (io.json) printJson(io, { repairs });
  else if (repairs.length === 0) print(io, "there is no repair that could be undone");
  else
    for (const { id, at, repairs: done } of repairs)
      print(io, `${id}  ${new Date(at).toISOString()}  ${done.map(({ explain }) => explain).join("; ")}`);
  return ok(0);
}

function putBack(layout: Layout, id: string, io: Io): Result<number, SysError> {
  const undone = undo(layout, id);
  if (!undone.ok) return undone;
  if (io.json) printJson(io, { undone: undone.value });
  else print(io, `put back: ${undone.value.repairs.map(({ explain }) => explain).join("; ")}`);
  return ok(0);
}

/** A repair under a running kernel would pull the floor from under it. */
async function locked(layout: Layout, io: Io, work: () => Promise<Result<number, SysError>>): Promise<Result<number, SysError>> {
  for (const folder of [layout.folder, layout.run, layout.lock]) {
    const sound = checkFolder(folder, layout.uid);
    if (!sound.ok) return sound;
  }
  if (!existsSync(layout.lock)) return await work();
  const lock = await acquireLock(layout.lock, readIdentity(process.pid), io.clock, () => randomBytes(4).toString("hex"));
  if (!lock.ok) return lock;
  try {
    return await work();
  } finally {
    lock.value.release();
  }
}
