import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acquireLock, readIdentity, type Identity } from "../../src/boot/lock.ts";
import { limits } from "../../src/abi/limits.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { freshFolder } from "./folder.ts";

const contender = path.join(import.meta.dirname, "lock-contender.ts");
const self = readIdentity(process.pid);
let serial = 0;
const nonce = (): string => String(serial++);

interface Ended {
  readonly signal: string | null;
  readonly report: { readonly held: number; readonly overlaps: number } | null;
}

function contend(folder: string, witness: string, tries: number, crashes: number): Promise<Ended> {
  const child = spawn(process.execPath, [contender, folder, witness, String(tries), String(crashes)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (data: Buffer) => (text += data.toString()));
  return new Promise((resolve) => {
    child.once("close", (_, signal) =>
      resolve({ signal, report: text === "" ? null : (JSON.parse(text) as NonNullable<Ended["report"]>) }),
    );
  });
}

describe("lock", () => {
  it("BOO-5.1  many processes that start and are killed never hold it at once", async () => {
    const folder = freshFolder();
    const witness = path.join(freshFolder(), "mark");
    const calm = await Promise.all(Array.from({ length: 6 }, () => contend(folder, witness, 400, 0)));
    expect(calm.map((one) => one.report?.overlaps)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(calm.reduce((sum, one) => sum + (one.report?.held ?? 0), 0)).toBeGreaterThan(6);
    // Now with holders that are killed while they hold: the others take over what is stale, at the same moment.
    const wild = await Promise.all(Array.from({ length: 8 }, (_, n) => contend(folder, witness, 200, n < 5 ? 0.2 : 0)));
    expect(wild.some((one) => one.signal === "SIGKILL")).toBe(true);
    expect(wild.flatMap((one) => (one.report === null ? [] : [one.report.overlaps]))).toSatisfy((list: number[]) =>
      list.every((n) => n === 0),
    );
    const last = await acquireLock(folder, self, systemClock(), nonce);
    expect(last.ok).toBe(true);
    if (last.ok) last.value.release();
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it("BOO-5.1  two kernels of one process exclude each other", async () => {
    const folder = freshFolder();
    const first = await acquireLock(folder, self, systemClock(), nonce);
    expect(first.ok).toBe(true);
    expect(await acquireLock(folder, self, systemClock(), nonce)).toMatchObject({ ok: false, error: { errno: "EBUSY" } });
    if (first.ok) first.value.release();
  });

  it("BOO-5.2  a dead process, a reused pid and an earlier boot hold nothing", async () => {
    const clock = new FakeClock(5_000_000);
    const dead = { ...self, pid: 4_194_305 };
    const reused = { ...self, start: String(Number(self.start) + 1) };
    for (const gone of [dead, reused]) {
      const folder = freshFolder();
      plant(folder, gone, 4_000_000, 5_000_000);
      const lock = await acquireLock(folder, self, clock, nonce);
      expect(lock.ok).toBe(true);
      expect(fs.readdirSync(folder)).toHaveLength(2);
    }
    const folder = freshFolder();
    plant(folder, { ...self, boot: "00000000" }, 1, 5_000_000 - limits.lockStaleMs);
    expect((await acquireLock(folder, self, clock, nonce)).ok).toBe(true);
  });

  it("BOO-5.2  a zombie holds nothing", async () => {
    // The shell becomes `sleep`, which never reaps its child: that child stays a zombie until it ends.
    const parent = spawn("/bin/sh", ["-c", "sh -c 'echo $$' & exec sleep 20"], { stdio: ["ignore", "pipe", "ignore"] });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once("data", (data: Buffer) => resolve(Number(data.toString()))),
    );
    try {
      const stat = (): string => fs.readFileSync(`/proc/${pid}/stat`, "utf8");
      await expect.poll(() => stat().split(") ")[1]?.[0]).toBe("Z");
      const start = stat().split(") ")[1]?.split(" ")[19] ?? "";
      const folder = freshFolder();
      plant(folder, { ...self, pid, start }, 1, 1);
      expect((await acquireLock(folder, self, new FakeClock(1_000_000), nonce)).ok).toBe(true);
    } finally {
      parent.kill("SIGKILL");
    }
  });

  it("BOO-5.3  a claim from another namespace lives by its heartbeat", async () => {
    const folder = freshFolder();
    const clock = new FakeClock(50_000_000);
    const there: Identity = { ...self, space: "1" };
    const held = await acquireLock(folder, there, clock, nonce);
    const heldName = fs.readdirSync(folder).find((name) => !name.endsWith(".held")) ?? "";
    for (let beats = 0; beats < 20; beats++) clock.advance(limits.lockHeartbeatMs);
    const refused = await acquireLock(folder, self, clock, nonce);
    expect(refused).toMatchObject({
      ok: false,
      error: { errno: "EBUSY", message: expect.stringContaining("another machine or container") },
    });
    // The holder is gone without a word: its heart stops, and the claim lapses.
    if (held.ok) held.value.release();
    plant(folder, there, 50_000_000, clock.now());
    clock.advance(limits.lockStaleMs);
    expect((await acquireLock(folder, self, clock, nonce)).ok).toBe(true);
    expect(fs.readdirSync(folder)).not.toContain(heldName);
  });

  it("BOO-5.4  a refusal names the holder, since when, and what to do", async () => {
    const folder = freshFolder();
    const clock = new FakeClock(Date.UTC(2026, 10, 21, 9, 0, 0));
    await acquireLock(folder, self, clock, nonce);
    clock.advance(30_000);
    const refused = await acquireLock(folder, self, clock, nonce);
    const message = `process ${process.pid} holds this workspace since 2026-11-21T09:00:00.000Z (30 s); use it (\`daimon ps\`), or end it with \`kill ${process.pid}\` and try again`;
    expect(refused).toEqual({ ok: false, error: { errno: "EBUSY", message } });
  });

  it("BOO-5.4  a refusal names who holds, not who came first, and comes at once though the holder's clock was ahead", async () => {
    const folder = freshFolder();
    fs.writeFileSync(path.join(folder, claimName(readIdentity(process.ppid), 8_999_999)), "");
    plant(folder, self, 9_000_005, 9_000_005);
    const refused = await acquireLock(folder, self, new FakeClock(9_000_000), nonce);
    expect(refused).toMatchObject({
      ok: false,
      error: { errno: "EBUSY", message: expect.stringContaining(`process ${process.pid} holds`) },
    });
  });

  it("BOO-5.4  of starters that meet before anyone holds, the earlier waits for the later to go, and the later goes", async () => {
    const folder = freshFolder();
    const clock = new FakeClock(9_000_000);
    // An earlier starter that has not settled: we withdraw at once and leave its claim alone.
    const earlier = claimName(self, 8_999_999);
    fs.writeFileSync(path.join(folder, earlier), "");
    expect(await acquireLock(folder, self, clock, nonce)).toMatchObject({ ok: false, error: { errno: "EBUSY" } });
    expect(fs.readdirSync(folder)).toEqual([earlier]);
    // A later one: we wait, and hold as soon as it has withdrawn.
    fs.renameSync(path.join(folder, earlier), path.join(folder, claimName(self, 9_000_001)));
    const waiting = acquireLock(folder, self, clock, nonce);
    for (const name of fs.readdirSync(folder)) if (name.startsWith("0000000009000001")) fs.rmSync(path.join(folder, name));
    clock.advance(50);
    expect((await waiting).ok).toBe(true);
  });

  it("BOO-5.5  release is once and one's own", async () => {
    const folder = freshFolder();
    const first = await acquireLock(folder, self, systemClock(), nonce);
    if (!first.ok) throw new Error(first.error.message);
    first.value.release();
    const second = await acquireLock(folder, self, systemClock(), nonce);
    first.value.release();
    expect(fs.readdirSync(folder)).toHaveLength(2);
    if (second.ok) second.value.release();
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it("BOO-5.1  a folder that cannot be written is an error with a next step, not a lock", async () => {
    const refused = await acquireLock(path.join(freshFolder(), "missing"), self, systemClock(), nonce);
    expect(refused).toMatchObject({ ok: false, error: { errno: "EIO", message: expect.stringContaining("daimon fsck") } });
  });
});

function claimName(identity: Identity, since: number): string {
  return `${String(since).padStart(16, "0")}-${identity.pid}-${identity.start}-${identity.boot}-${identity.space}-planted`;
}

function plant(folder: string, identity: Identity, since: number, beat: number): void {
  const file = path.join(folder, claimName(identity, since));
  fs.writeFileSync(file, "");
  fs.writeFileSync(`${file}.held`, "");
  fs.utimesSync(file, beat / 1000, beat / 1000);
}
