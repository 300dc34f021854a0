/** A damaged log, cut where it stops being whole, and put back. */
import { copyFileSync, existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { archiveSegments } from "../../../src/drivers/store/archive.ts";
import { cutSegment, endsAt, findDamage, uncutSegment, type LogDamage } from "../../../src/drivers/store/damage.ts";
import { verifyLog } from "../../../src/drivers/store/verify.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import { checkpoint } from "../../contract/store-log.ts";
import { makeFolder } from "./folder.ts";
import { entryText, flip, keys, openLog, segmentPath, signWith, writeThree } from "./log-folder.ts";

function harm(dir: string, first: number, text: string): void {
  flip(dir, readFileSync(segmentPath(dir, first)).indexOf(text), 0x01, first);
}

function damageOf(dir: string): LogDamage | null {
  const found = findDamage(dir);
  if (!found.ok) throw new Error(found.error.message);
  return found.value;
}

/** As a repair does it: the cut, then the segments after it. */
function mend(dir: string, aside: string): LogDamage {
  const found = damageOf(dir);
  if (found === null) throw new Error("there is damage");
  if (found.cut !== null) cutSegment(join(dir, found.cut.name), join(aside, found.cut.name), found.cut.bytes);
  for (const name of found.rest) renameSync(join(dir, name), join(aside, name));
  return found;
}

describe("damage", () => {
  test.each([
    { where: "in the middle of the last segment", first: 20, text: "person 25", records: 25, cut: "000000000020.log", rest: 0 },
    { where: "at the first record of a segment", first: 20, text: '"checkpoint"', records: 20, cut: "000000000010.log", rest: 1 },
    { where: "in the header of a segment", first: 10, text: '"segment"', records: 10, cut: "000000000000.log", rest: 2 },
    { where: "in a segment before the last", first: 10, text: "person 14", records: 14, cut: "000000000010.log", rest: 1 },
    { where: "at the very first record", first: 0, text: "person 0", records: 0, cut: null, rest: 3 },
  ])("STO-1.23 a log damaged $where goes on before the damage", async ({ first, text, records, cut, rest }) => {
    const [dir, aside] = [writeThree(), makeFolder()];
    harm(dir, first, text);
    const damaged = readFileSync(segmentPath(dir, first));
    const found = mend(dir, aside);
    expect([found.records, found.cut?.name ?? null, found.rest.length]).toEqual([records, cut, rest]);
    expect(readFileSync(segmentPath(aside, first)).equals(damaged)).toBe(true);
    const log = openLog(dir, { sign: signWith });
    expect(log.next).toBe(records);
    log.append(entryText(records));
    await log.close();
    const report = verifyLog(dir, keys.publicKey);
    expect(report).toMatchObject({ ok: true, value: { records: records + 1, findings: [] } });
  });

  test("STO-1.23 also where the segments before are archived; a whole or a torn log has no damage", async () => {
    const [dir, aside] = [writeThree(), makeFolder()];
    expect(damageOf(dir)).toBeNull();
    writeFileSync(segmentPath(dir, 20), readFileSync(segmentPath(dir, 20)).subarray(0, -300));
    expect(damageOf(dir)).toBeNull();
    archiveSegments(dir);
    harm(dir, 20, '"checkpoint"');
    expect(mend(dir, aside).cut?.name).toBe("000000000010.log.zst");
    expect(readdirSync(dir).toSorted()).toEqual(["000000000000.log.zst", "000000000010.log"]);
    const log = openLog(dir);
    expect([log.next, log.resumeFrom]).toEqual([20, 10]);
    await log.close();
  });

  test.each(["plain", "archived"] as const)("STO-1.28 a %s segment is put back from every moment of a cut", (form) => {
    const dir = writeThree();
    if (form === "archived") archiveSegments(dir);
    harm(dir, 20, '"checkpoint"');
    const { cut } = damageOf(dir) ?? {};
    if (cut === null || cut === undefined) throw new Error("there is damage");
    const file = join(dir, cut.name);
    const whole = readFileSync(file);
    const names = readdirSync(dir).toSorted();
    const sound = (): void => {
      expect([readFileSync(file).equals(whole), readdirSync(dir).toSorted()]).toEqual([true, names]);
    };
    const folder = makeFolder();
    const aside = join(folder, "0");
    uncutSegment(file, aside, cut.digest);
    sound();
    // The copy is there and nothing was exchanged yet.
    copyFileSync(file, aside);
    expect(endsAt(file, aside, cut.digest, new Set(["000000000020.log"]))).toBe(true);
    uncutSegment(file, aside, cut.digest);
    sound();
    cutSegment(file, aside, cut.bytes);
    expect(sha256(readFileSync(segmentPath(dir, 10)))).toBe(cut.digest);
    // An archive is still beside its beginning.
    if (form === "archived") copyFileSync(aside, file);
    uncutSegment(file, aside, cut.digest);
    sound();
    cutSegment(file, aside, cut.bytes);
    uncutSegment(file, aside, cut.digest);
    sound();
    expect(existsSync(aside)).toBe(false);
  });

  test("STO-1.28 a log that went on does not end where it was cut, in the same segment or in a later one", async () => {
    for (const rotates of [false, true]) {
      const [dir, aside] = [writeThree(), makeFolder()];
      harm(dir, 20, '"checkpoint"');
      const { cut } = mend(dir, aside);
      const ends = (): boolean => cut !== null && endsAt(join(dir, cut.name), join(aside, cut.name), cut.digest, new Set());
      expect(ends()).toBe(true);
      const log = openLog(dir, { sign: signWith });
      if (rotates) void log.rotate(checkpoint(20));
      else log.append(entryText(20));
      await log.close();
      expect(ends()).toBe(false);
      if (rotates) expect(existsSync(segmentPath(dir, 20))).toBe(true);
    }
  });
});
