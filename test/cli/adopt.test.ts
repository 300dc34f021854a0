/** What the command line says and does of a `.daimon` that daimon did not make here. */
import * as fs from "node:fs";
import { createServer } from "node:net";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { daimon, documents, onTerminal, place, withProbe, type Place } from "./shell.ts";
import { snapshot } from "../boot/folder.ts";

interface Doctor {
  readonly checks: readonly unknown[];
}

/** A workspace with a run that waits for a person, copied as it is beside the one it was made in. */
function arrived(from: Place): Place {
  const here = place();
  fs.cpSync(from.folder, here.folder, { recursive: true, verbatimSymlinks: true });
  return here;
}

const theirs = place();
beforeAll(() => {
  documents(theirs);
  withProbe(theirs);
  expect(theirs.run("run", "probe", "hello").code).toBe(75);
}, 60_000);

describe("a workspace from elsewhere", () => {
  it("CLI-24.5  fsck says that it is not ours, and tells what is in it", () => {
    const here = arrived(theirs);
    const before = snapshot(here.folder);
    const ran = here.run("fsck");
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/error: .daimon: .daimon was not made by daimon for you.*move it away.*daimon fsck --adopt/);
    expect(ran.out).toMatch(/journal +\d+ records/);
    expect(ran.out).toMatch(/sessions +1/);
    expect(ran.out).toMatch(/1; the next run would go on with these:\n.*\n +1 +probe/);
    const { clean, findings, contents } = here.json("fsck");
    expect(clean).toBe(false);
    expect(findings).toMatchObject([{ rule: "provenance", severity: "error", where: ".daimon" }]);
    expect(contents).toMatchObject({ sessions: 1, commit: [], unfinished: [{ pid: 1, name: "probe", state: "parked" }] });
    expect(snapshot(here.folder)).toEqual(before);
  });

  it("CLI-24.5  every other command is refused with the same words, and nothing is changed", () => {
    const here = arrived(theirs);
    const before = snapshot(here.folder);
    const commands = [
      ["run", "brief", "inbox"],
      ["run", "--resume"],
      ["ps"],
      ["top"],
      ["log"],
      ["log", "--grep", "hello"],
      ["log", "verify"],
      ["log", "reindex"],
      ["log", "archive"],
      ["why", "1"],
      ["replay"],
      ["approve"],
      ["approve", "1", "--yes"],
      ["kill", "1"],
      ["nice", "1", "200"],
      ["diff", "1"],
      ["commit", "1"],
      ["rollback", "1"],
      ["init"],
      ["fsck", "--repair", "--yes"],
      ["fsck", "--list"],
      ["fsck", "--undo", "20260101T000000Z-1"],
    ];
    for (const command of commands) {
      const ran = here.run(...command);
      expect([command.join(" "), ran.code]).toEqual([command.join(" "), 117]);
      expect(ran.err, command.join(" ")).toMatch(/was not made by daimon for you/);
      expect(ran.out, command.join(" ")).toBe("");
    }
    expect(snapshot(here.folder)).toEqual(before);
    expect(here.json<Doctor>("doctor").checks).toContainEqual(
      expect.objectContaining({
        name: "workspace",
        state: "missing",
        detail: expect.stringContaining("was not made by daimon for you"),
      }),
    );
    expect(snapshot(here.folder)).toEqual(before);
  });

  it("CLI-5.4  nobody is asked through its socket, though somebody listens", async () => {
    const here = arrived(theirs);
    const socket = path.join(here.folder, ".daimon/run/control.sock");
    let asked = 0;
    const server = createServer((connection) => {
      asked += 1;
      connection.resume().end(`${JSON.stringify({ ok: true, value: null })}\n`);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    for (const command of [["kill", "1"], ["nice", "1", "200"], ["approve", "1", "--yes"], ["ps"], ["doctor"]])
      expect([command[0], (await here.start(...command)).code]).toEqual([command[0], command[0] === "doctor" ? 1 : 117]);
    expect(asked).toBe(0);
    expect((await here.start("fsck", "--adopt", "--yes")).code).toBe(0);
    expect((await here.start("kill", "1")).code).toBe(0);
    expect(asked, "once it is ours it is asked").toBe(1);
    await new Promise((resolve) => server.close(resolve));
  });

  it("CLI-24.6  without a terminal a take-over needs --yes; with it the workspace is ours, and goes on where it was", () => {
    const here = arrived(theirs);
    const asked = here.run("fsck", "--adopt");
    expect(asked).toMatchObject({
      code: 75,
      err: expect.stringContaining("--yes"),
      out: expect.stringMatching(/journal +\d+ records/),
    });
    expect(here.run("ps").code).toBe(117);
    expect(here.json("fsck", "--adopt", "--yes")).toMatchObject({ adopted: true, contents: { unfinished: [{ name: "probe" }] } });
    expect(here.json("ps").processes).toMatchObject([{ name: "probe", state: "parked" }]);
    expect(here.json("fsck").findings).toEqual([]);
    expect(theirs.run("ps").code).toBe(0);
    expect(theirs.json("ps").processes).toMatchObject([{ state: "parked" }]);
  });

  it("CLI-24.8  at a terminal it asks, and only a yes is a yes", async () => {
    const here = arrived(theirs);
    const no = await onTerminal(here, ["fsck", "--adopt"], [{ after: "y or n:", keys: "yup\r" }]);
    expect(no.code).toBe(1);
    expect(no.screen).toContain("nothing was changed");
    expect(here.run("ps").code).toBe(117);
    const yes = await onTerminal(here, ["fsck", "--adopt"], [{ after: "y or n:", keys: "yes\r" }]);
    expect(yes.screen).toContain("taken over");
    expect(here.run("ps").code).toBe(0);
  });

  it("CLI-24.7  what the survey objects to is not taken over, and what is known or not there is left alone", () => {
    const here = arrived(theirs);
    fs.symlinkSync("/etc/passwd", path.join(here.folder, ".daimon/blobs/link"));
    const refused = here.run("fsck", "--adopt", "--yes");
    expect(refused).toMatchObject({ code: 117, err: expect.stringMatching(/blobs\/link: it is a link/) });
    expect(here.run("ps").code).toBe(117);
    fs.rmSync(path.join(here.folder, ".daimon/blobs/link"));
    expect(here.run("fsck", "--adopt", "--yes").code).toBe(0);
    expect(here.json("fsck", "--adopt")).toEqual({ adopted: false, contents: null });
    expect(place().run("fsck", "--adopt", "--yes")).toMatchObject({ code: 66 });
    expect(here.run("fsck", "--adopt", "--repair")).toMatchObject({ code: 64 });
  });
});

describe("a workspace that was moved", () => {
  it("CLI-24.6  is told as such, and one command later works again", () => {
    const here = arrived(theirs);
    expect(here.run("fsck", "--adopt", "--yes").code).toBe(0);
    const moved = `${here.folder}-moved`;
    fs.renameSync(here.folder, moved);
    const ran = daimon(moved, ["ps"], here.env());
    expect(ran).toMatchObject({ code: 117, err: expect.stringContaining("the workspace was moved") });
    expect(daimon(moved, ["fsck", "--adopt", "--yes"], here.env()).code).toBe(0);
    expect(daimon(moved, ["ps"], here.env()).code).toBe(0);
    // The session's own link to the workspace follows.
    expect(daimon(moved, ["diff", "1"], here.env())).toMatchObject({ code: 0, out: expect.stringContaining("notes/a.txt") });
  });
});
