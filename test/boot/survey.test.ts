import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import type { Layout } from "../../src/boot/layout.ts";
import { survey } from "../../src/boot/survey.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { canonical } from "../../src/lib/json.ts";
import { freshFolder, freshLayout, put, snapshot } from "./folder.ts";
import { down, up, workspace } from "./machine.ts";
import { planted } from "./planted.ts";

const clock = systemClock();

async function told(layout: Layout): Promise<readonly string[]> {
  return (await survey(layout, clock)).findings.map(({ severity, where, message }) => `${severity} ${where}: ${message}`);
}

describe("survey", () => {
  it("BOO-24.1  what is no plain file of this user's own is an error, wherever it lies, and nothing is opened then", async () => {
    const elsewhere = path.join(freshFolder(), "victim");
    put(elsewhere, "as it was");
    const ways: readonly (readonly [string, (place: string) => void, RegExp])[] = [
      ["link", (place) => fs.symlinkSync(elsewhere, place), /it is a link/],
      ["pipe", (place) => spawnSync("mkfifo", [place]), /neither file nor folder/],
      ["second name", (place) => fs.linkSync(elsewhere, place), /a second name elsewhere/],
    ];
    for (const [name, make, words] of ways) {
      for (const folder of ["journal", "keys", "blobs/ab", "run", "run/lock", "sessions/1", "index", "."]) {
        const layout = freshLayout();
        const place = path.join(layout.folder, folder, "000000000000.log");
        fs.mkdirSync(path.dirname(place), { recursive: true });
        make(place);
        const { findings, journal } = await survey(layout, clock);
        expect(findings, `${name} in ${folder}`).toMatchObject([
          { severity: "error", where: path.relative(layout.root, place), message: expect.stringMatching(words) },
        ]);
        expect(journal).toBeNull();
      }
    }
    if (process.getuid?.() !== 0) return;
    const layout = freshLayout();
    put(path.join(layout.blobs, "theirs"), "x");
    fs.chownSync(path.join(layout.blobs, "theirs"), 1, 1);
    expect(await told(layout)).toMatchObject([expect.stringMatching(/^error \.daimon\/blobs\/theirs: it belongs to user 1/)]);
  });

  it("BOO-24.1  a .daimon that is a link or a file is one error, and a file in a folder's place another", async () => {
    const linked = freshLayout();
    fs.rmSync(linked.folder, { recursive: true });
    // Whoever followed it would look through the whole machine.
    fs.symlinkSync("/", linked.folder);
    expect(await told(linked)).toEqual([expect.stringMatching(/^error \.daimon: \.daimon is a link/)]);
    fs.rmSync(linked.folder);
    put(linked.folder, "text");
    expect(await told(linked)).toEqual([expect.stringMatching(/^error \.daimon: \.daimon is not a folder/)]);
    for (const name of ["sessions", "journal", "blobs"]) {
      const layout = freshLayout();
      fs.rmSync(path.join(layout.folder, name), { recursive: true });
      put(path.join(layout.folder, name), "text");
      expect(await told(layout)).toEqual([expect.stringMatching(new RegExp(`^error \\.daimon/${name}: it is no folder`))]);
    }
  });

  it("BOO-24.1  of many not all are told", async () => {
    const layout = freshLayout();
    for (let index = 0; index < 3 * limits.surveyFindingsMax; index++)
      fs.symlinkSync("/etc", path.join(layout.blobs, String(index)));
    expect(await told(layout)).toHaveLength(limits.surveyFindingsMax);
  });

  it("BOO-24.2  a socket in run, an overlay's link and what agents left are no errors", async () => {
    const layout = freshLayout();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(layout.socket, resolve));
    fs.mkdirSync(path.join(layout.sessions, "1/upper"), { recursive: true });
    fs.symlinkSync(layout.root, path.join(layout.sessions, "1/lower"));
    fs.symlinkSync("/etc", path.join(layout.sessions, "1/upper/link"));
    spawnSync("mkfifo", [path.join(layout.sessions, "1/upper/pipe")]);
    fs.mkdirSync(path.join(layout.quarantine, "20260101T000000Z-1"));
    fs.symlinkSync("/etc", path.join(layout.quarantine, "20260101T000000Z-1/0"));
    expect(await survey(layout, clock)).toMatchObject({ findings: [], sessions: 1 });
    await new Promise((resolve) => server.close(resolve));
  });

  it("BOO-24.3  the journal is read and not written, and says what would go on", async () => {
    const theirs = await planted();
    const before = snapshot(theirs.root);
    const seen = await survey(theirs.layout, clock);
    expect(seen).toMatchObject({ findings: [], sessions: 1 });
    expect(seen.journal?.table?.unfinished).toMatchObject({ act: "commit", changes: [{ path: "build.sh" }] });
    expect([...(seen.journal?.table?.procs.values() ?? [])].map((proc) => proc.state)).toEqual(["zombie", "parked"]);
    expect(snapshot(theirs.root)).toEqual(before);
    expect(await survey(freshLayout(), clock)).toMatchObject({ findings: [], sessions: 0 });
  });

  it("BOO-24.3  a journal of another key is an error, a damaged one is told, and one that no kernel wrote is no crash", async () => {
    const theirs = await planted();
    const ours = workspace();
    await down(await up(ours));
    fs.cpSync(ours.layout.keys, theirs.layout.keys, { recursive: true });
    expect(await told(theirs.layout)).toMatchObject([expect.stringMatching(/^error journal: .*not signed/)]);

    const [segment = ""] = fs.readdirSync(ours.layout.journal);
    const file = path.join(ours.layout.journal, segment);
    const bytes = fs.readFileSync(file);
    bytes.write("?", Math.floor(bytes.length / 2));
    fs.writeFileSync(file, bytes);
    expect(await told(ours.layout)).toMatchObject([expect.stringMatching(/^warning journal: .*damaged/)]);

    const absurd = workspace();
    const machine = await up(absurd);
    // An outcome of a call that nobody made: the fold asserts that there is one.
    machine.log.append(canonical({ kind: "outcome", at: 1, pid: 77, id: "77.0.0", ms: 1, value: null }));
    await down(machine);
    expect(await told(absurd.layout)).toMatchObject([expect.stringMatching(/^error journal: .*no daimon wrote it/)]);
  });
});
