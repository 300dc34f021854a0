/**
 * daimon log verify, reindex, archive: proof and upkeep of the journal.
 *   CLI-19.1  verify reads every record and signature; a log that does not hold is exit 1, with each finding.
 *   CLI-19.2  reindex makes the search index anew; the journal itself is never written.
 *   CLI-19.4  What is archived is read by every command as before, and the journal goes on behind it.
 *   CLI-19.3  archive takes the workspace's lock, so it never meets a kernel at work.
 */
import { randomBytes } from "node:crypto";
import type { SysError } from "../abi/errno.ts";
import { keyFiles, shownKey } from "../boot/keys.ts";
import { acquireLock, readIdentity } from "../boot/lock.ts";
import { checkJournal, readStores } from "../boot/stores.ts";
import { archiveSegments } from "../drivers/store/archive.ts";
import { verifyLog } from "../drivers/store/verify.ts";
import { ok, type Result } from "../lib/result.ts";
import { print, printFinding, printJson, type Io } from "./io.ts";
import { formatBytes, formatDuration, many } from "./term/format.ts";
import { layoutHere } from "./workspace.ts";

export function verify(io: Io): Result<number, SysError> {
  const layout = layoutHere(io);
  const there = checkJournal(layout);
  if (!there.ok) return there;
  const key = shownKey(layout);
  if (!key.ok) return key;
  const since = performance.now();
  const report = verifyLog(layout.journal, key.value);
  if (!report.ok) return report;
  const ms = performance.now() - since;
  const { findings, records, signedRecords, signatures, head, segments, tornBytes } = report.value;
  const sound = !findings.some((finding) => finding.severity === "error");
  if (io.json) printJson(io, { sound, ...report.value, key: keyFiles.shown, ms });
  else {
    for (const finding of findings) printFinding(io, finding);
    const tail = tornBytes === 0 ? "" : `, and ${formatBytes(tornBytes)} of an unfinished write`;
    print(
      io,
      `${sound ? "sound" : "NOT sound"}: ${records} records in ${many(segments, "segment")}, chained from the first on${tail}`,
    );
    print(io, `signed: ${signedRecords} records under ${many(signatures, "signature")}`);
    print(io, `head: ${head}\nin ${formatDuration(ms)}`);
  }
  return ok(sound ? 0 : 1);
}

export async function reindex(io: Io): Promise<Result<number, SysError>> {
  const layout = layoutHere(io);
  const stores = readStores(layout, io.clock);
  if (!stores.ok) return stores;
  const { openSqliteIndex } = await import("../drivers/index/sqlite.ts");
  const { feedIndex } = await import("../drivers/index/feed.ts");
  const index = openSqliteIndex(layout.index);
  if (!index.ok) return index;
  index.value.clear();
  const fed = feedIndex(index.value, stores.value.log);
  index.value.close();
  await stores.value.log.close();
  if (!fed.ok) return fed;
  if (io.json) printJson(io, { indexed: fed.value });
  else print(io, `indexed ${fed.value} entries`);
  return ok(0);
}

export async function archive(io: Io): Promise<Result<number, SysError>> {
  const layout = layoutHere(io);
  const there = checkJournal(layout);
  if (!there.ok) return there;
  const lock = await acquireLock(layout.lock, readIdentity(process.pid), io.clock, () => randomBytes(4).toString("hex"));
  if (!lock.ok) return lock;
  const archived = archiveSegments(layout.journal);
  lock.value.release();
  if (!archived.ok) return archived;
  const { segments, bytesBefore, bytesAfter } = archived.value;
  if (io.json) printJson(io, archived.value);
  else if (segments.length === 0) print(io, "nothing to archive: only closed segments are, and there is none that is not yet");
  else print(io, `archived ${many(segments.length, "segment")}: ${formatBytes(bytesBefore)} are now ${formatBytes(bytesAfter)}`);
  return ok(0);
}
