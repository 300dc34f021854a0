import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { openStores, readStores } from "../../src/boot/stores.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { freshLayout, snapshot } from "./folder.ts";
import { down, must, refusedBoot, up, workspace } from "./machine.ts";
import { planted } from "./planted.ts";

const clock = systemClock();

describe("stores", () => {
  it("BOO-22.1  another's journal in a .daimon of ours is refused for running and for looking, whatever part of it came along", async () => {
    const theirs = await planted();
    const ways: readonly (readonly [string, (journal: string) => void])[] = [
      ["whole", () => {}],
      ["cut off before its last signature", (file) => fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2))],
      ["with a torn end, which a writer would cut", (file) => fs.truncateSync(file, fs.statSync(file).size - 1)],
    ];
    for (const [name, change] of ways) {
      const ours = workspace();
      await down(await up(ours));
      fs.rmSync(ours.layout.journal, { recursive: true });
      fs.cpSync(theirs.layout.journal, ours.layout.journal, { recursive: true });
      for (const segment of fs.readdirSync(ours.layout.journal)) change(path.join(ours.layout.journal, segment));
      const before = snapshot(ours.layout.journal);
      expect(readStores(ours.layout, clock), name).toMatchObject({ ok: false, error: { errno: "EKEYREJECTED" } });
      expect(await refusedBoot(ours), name).toMatchObject({
        errno: "EKEYREJECTED",
        message: expect.stringContaining("not signed"),
      });
      expect(snapshot(ours.layout.journal), name).toEqual(before);
    }
  });

  it("BOO-22.1  our own is accepted, also where a kill came before its end was signed, and when it goes on in a new segment", async () => {
    const where = await planted();
    const seen = must(readStores(where.layout, clock));
    expect(seen.log.state.records).toBeGreaterThan(3);
    await seen.log.close();
    const machine = await up(where);
    await machine.kernel.recorder.rotateIfLarge(clock.now(), true);
    await down(machine);
    const again = must(readStores(where.layout, clock));
    expect(again.log.state.records).toBeGreaterThan(3);
    await again.log.close();
    await up(where);
  });

  it("BOO-22.1  a segment that came along behind ours is not believed", async () => {
    const theirs = await planted();
    const ours = workspace();
    await down(await up(ours));
    const [segment = ""] = fs.readdirSync(theirs.layout.journal);
    fs.copyFileSync(path.join(theirs.layout.journal, segment), path.join(ours.layout.journal, "000000000099.log"));
    expect(await refusedBoot(ours)).toMatchObject({ errno: expect.stringMatching(/^EUCLEAN|EKEYREJECTED$/) });
    expect(readStores(ours.layout, clock).ok && must(readStores(ours.layout, clock)).log.state.damage === null).toBe(false);
  });

  it("BOO-22.2  a reader of a workspace from elsewhere gets EUCLEAN, and of one without a journal ENOENT", async () => {
    const theirs = await planted();
    const empty = freshLayout();
    expect(readStores({ ...empty, journal: `${empty.journal}-none` }, clock)).toMatchObject({
      ok: false,
      error: { errno: "ENOENT" },
    });
    const ours = workspace();
    expect(readStores(ours.layout, clock)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    fs.cpSync(theirs.layout.folder, ours.layout.folder, { recursive: true });
    expect(readStores(ours.layout, clock)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    const noKey = workspace();
    await down(await up(noKey));
    expect(openStores({ ...noKey.layout, keys: `${noKey.layout.keys}-none` }, clock)).toMatchObject({
      ok: false,
      error: { errno: "EIO" },
    });
  });
});
