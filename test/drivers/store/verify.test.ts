/** Verifying, saving and archiving. */
import {
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { archiveSegments } from "../../../src/drivers/store/archive.ts";
import { salvage, verifyLog, type LogReport } from "../../../src/drivers/store/verify.ts";
import { signedMessage } from "../../../src/drivers/store/signature.ts";
import { checkpoint, readAll } from "../../contract/store-log.ts";
import { makeFolder } from "./folder.ts";
import { entryText, flip, keys, openLog, segmentPath, signWith, writeLog, writeThree } from "./log-folder.ts";

function verify(dir: string, key = true): LogReport {
  const report = verifyLog(dir, key ? keys.publicKey : null);
  if (!report.ok) throw new Error(report.error.message);
  return report.value;
}

describe("verify", () => {
  test("STO-1.20 a log in good order has no findings and is signed to its end", () => {
    expect(verify(writeThree())).toMatchObject({
      segments: 3,
      records: 30,
      signatures: 6,
      signedRecords: 30,
      tornBytes: 0,
      findings: [],
    });
    expect(verify(join(makeFolder(), "none"))).toMatchObject({ segments: 0, records: 0, findings: [] });
  });

  test("STO-1.20 a changed record is found with its segment, place and byte", () => {
    const dir = writeThree();
    flip(dir, readFileSync(segmentPath(dir, 10)).indexOf("person 14"), 0x01, 10);
    const report = verify(dir);
    expect([report.records, report.findings.length]).toEqual([14, 1]);
    expect(report.findings[0]).toMatchObject({ rule: "STO-1.9", severity: "error" });
    expect(report.findings[0]?.where).toMatch(/^000000000010\.log:\d+$/);
  });

  test("STO-1.20 a log that nobody signed is found where there is a key to ask for", () => {
    const dir = writeLog(5);
    expect(verify(dir, false)).toMatchObject({ records: 5, findings: [] });
    expect(verify(dir)).toMatchObject({ records: 5, signedRecords: 0, findings: [{ rule: "STO-1.20", severity: "error" }] });
  });

  test("STO-1.6 a missing, swapped or foreign segment is found", async () => {
    const missing = writeThree();
    unlinkSync(segmentPath(missing, 10));
    expect(verify(missing).findings[0]?.message).toContain("records 10 to 19 are missing");
    expect([...openLog(missing, { readOnly: true }).read(0)].at(-1)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });

    const first = writeThree();
    unlinkSync(segmentPath(first, 0));
    expect(verify(first).findings).toHaveLength(1);

    const swapped = writeThree();
    renameSync(segmentPath(swapped, 20), segmentPath(swapped, 10));
    expect(verify(swapped).findings).toHaveLength(1);

    const foreign = writeThree();
    const other = join(makeFolder(), "log");
    const log = openLog(other, { sign: signWith });
    for (let index = 0; index < 10; index++) log.append(entryText(index + 1));
    await log.rotate(checkpoint(10));
    await log.close();
    copyFileSync(segmentPath(other, 10), segmentPath(foreign, 10));
    expect(verify(foreign).findings[0]?.message).toContain("does not continue the chain");
    const last = [...openLog(foreign, { readOnly: true }).read(0)].at(-1);
    expect(last?.ok === false && last.error.message).toContain("does not continue the chain");
  });

  test("STO-1.20 a segment cut between two records is found by the one after it", () => {
    const dir = writeThree();
    const bytes = readFileSync(segmentPath(dir, 10));
    truncateSync(segmentPath(dir, 10), bytes.indexOf(entryText(18)) - 40);
    const report = verify(dir);
    expect([report.records, report.findings[0]?.message]).toEqual([18, expect.stringContaining("records 18 to 19 are missing")]);
  });

  test("STO-1.10 a signature names length and head, and fits one key", () => {
    expect(signedMessage(3, "ab").toString()).toBe("daimon log head 1\n3\nab\n");
    const dir = writeThree();
    const other = generateKeyPairSync("ed25519").publicKey;
    const report = verifyLog(dir, other);
    expect(report).toMatchObject({ ok: true, value: { records: 30, signatures: 6, signedRecords: 0 } });
    expect(report.ok && report.value.findings.every((finding) => finding.rule === "STO-1.20")).toBe(true);
  });

  test("STO-1.8 a torn tail is told, and is no damage", async () => {
    const dir = writeThree();
    const bytes = readFileSync(segmentPath(dir, 20));
    writeFileSync(segmentPath(dir, 20), Buffer.concat([bytes, bytes.subarray(8, 60)]));
    expect(verify(dir)).toMatchObject({ records: 30, tornBytes: 52, findings: [{ rule: "STO-1.8", severity: "info" }] });
  });
});

describe("salvage", () => {
  const texts = (dir: string) => [...salvage(dir)].flatMap((found) => (found.found === "record" ? [found.text] : []));

  test("STO-1.21 everything is read where nothing is damaged", () => {
    const dir = writeThree();
    expect(texts(dir)).toEqual(readAll(openLog(dir, { readOnly: true })).map((record) => record.text));
  });

  test("STO-1.21 only the damaged record is lost, wherever in it the damage is", () => {
    const dir = writeLog(12);
    const bytes = readFileSync(segmentPath(dir));
    const text = bytes.indexOf(entryText(5));
    for (let at = text - 40; at < text + entryText(5).length; at++) {
      flip(dir, at);
      const found = [...salvage(dir)];
      expect(found.filter((item) => item.found === "gap")).toHaveLength(1);
      expect(texts(dir)).toEqual(Array.from({ length: 12 }, (_, index) => entryText(index)).toSpliced(5, 1));
      const behind = found.flatMap((item) => (item.found === "record" && item.text === entryText(7) ? [item] : []));
      expect(behind).toMatchObject([{ chained: true }]);
      flip(dir, at);
    }
  });

  test("STO-1.21 segments behind a missing or headless one are read with their own numbers", () => {
    const dir = writeThree();
    flip(dir, 20, 0xff, 10);
    const found = [...salvage(dir)];
    expect(found.filter((item) => item.found === "record")).toHaveLength(30);
    expect(found.at(-1)).toMatchObject({ found: "record", seq: 29, chained: true });
  });
});

describe("archive", () => {
  test("STO-1.22 closed segments are compressed, read the same, and the original goes last", async () => {
    const dir = writeThree();
    const before = readAll(openLog(dir, { readOnly: true }));
    const archived = archiveSegments(dir);
    expect(archived).toMatchObject({ ok: true, value: { segments: ["000000000000.log", "000000000010.log"] } });
    expect(archived.ok && archived.value.bytesAfter < archived.value.bytesBefore).toBe(true);
    expect(readdirSync(dir).toSorted()).toEqual(["000000000000.log.zst", "000000000010.log.zst", "000000000020.log"]);
    expect(archiveSegments(dir)).toMatchObject({ ok: true, value: { segments: [] } });
    expect(verify(dir)).toMatchObject({ records: 30, signedRecords: 30, findings: [] });
    const log = openLog(dir);
    expect(readAll(log)).toEqual(before);
    expect(readAll(log, 13)).toEqual(before.slice(13));
    await log.close();
  });

  test("STO-1.22 an archive that reads back differently leaves the original", () => {
    const dir = writeThree();
    const lossy = (content: Buffer): Buffer => zstdCompressSync(content.subarray(1));
    expect(archiveSegments(dir, lossy)).toMatchObject({ ok: false, error: { errno: "EIO" } });
    expect(existsSync(segmentPath(dir, 0))).toBe(true);
    expect(verify(dir)).toMatchObject({ records: 30, findings: [] });
  });

  test("STO-1.7 a plain segment counts where an unfinished archive stands beside it", () => {
    const dir = writeThree();
    writeFileSync(`${segmentPath(dir, 0)}.zst`, "half an archive");
    writeFileSync(`${segmentPath(dir, 10)}.zst.part`, "half an archive");
    expect(verify(dir).findings).toEqual([]);
    expect(archiveSegments(dir)).toMatchObject({ ok: true, value: { segments: ["000000000000.log", "000000000010.log"] } });
    expect(verify(dir)).toMatchObject({ records: 30, findings: [] });
  });

  test("STO-1.7 a damaged archive is found and the segments behind it stay readable", () => {
    const dir = writeThree();
    archiveSegments(dir);
    const path = `${segmentPath(dir, 10)}.zst`;
    const bytes = readFileSync(path);
    bytes.fill(0x55, 20, 60);
    writeFileSync(path, bytes);
    expect(verify(dir)).toMatchObject({ records: 10, findings: [{ severity: "error" }] });
    expect([...salvage(dir)].filter((item) => item.found === "record" && item.seq !== null && item.seq >= 20)).toHaveLength(10);
  });
});
