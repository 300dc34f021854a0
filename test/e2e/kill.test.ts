/**
 * The kernel is killed with SIGKILL at random points of the main job, for real: real files, real processes, real locks.
 * Whoever comes after must end with the same BRIEF.md and the same fold as the run that nobody disturbed.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openFileBlobs } from "../../src/drivers/store/file-blobs.ts";
import { openSegmentLog } from "../../src/drivers/store/segment-log.ts";
import { replay } from "../../src/kernel/replay.ts";
import { prng } from "../../src/lib/prng.ts";
import { isObject, parseJson, type JsonObject } from "../../src/lib/json.ts";

const kills = Number(process.env["KILLS"] ?? 200);
const seed = Number(process.env["SEED"] ?? 20_261_121);
const root = mkdtempSync(join(tmpdir(), "daimon-kill-"));
const child = join(import.meta.dirname, "brief-child.ts");
const inbox = join(import.meta.dirname, "../../examples/inbox");

interface Ended {
  readonly killed: boolean;
  readonly report: JsonObject | null;
  readonly errors: string;
}

function life(folder: string, killAt: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", child, folder, String(killAt)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let errors = "";
    process_.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
    process_.stderr.on("data", (piece: Buffer) => (errors += piece.toString()));
    process_.on("error", reject);
    process_.on("close", (_, signal) => {
      const report = parseJson(out);
      resolve({ killed: signal === "SIGKILL", report: isObject(report) ? report : null, errors });
    });
  });
}

function workspace(name: string): string {
  const folder = join(root, name);
  cpSync(inbox, join(folder, "inbox"), { recursive: true });
  return folder;
}

interface Calm {
  readonly brief: string;
  readonly digest: string;
  readonly entries: number;
}

let calm: Calm = { brief: "", digest: "", entries: 0 };

beforeAll(async () => {
  const folder = workspace("calm");
  const { report, errors } = await life(folder, 0);
  expect(errors).toBe("");
  expect(report).toMatchObject({ status: { ok: true }, live: 0 });
  calm = {
    brief: readFileSync(join(folder, "BRIEF.md"), "utf8"),
    digest: String(report?.["digest"]),
    entries: Number(report?.["entries"]),
  };
}, 60_000);

afterAll(() => rmSync(root, { recursive: true, force: true }));

test(
  `KRN-9.1 and PRG-4.1 kill -9 at ${kills} random points of brief changes neither BRIEF.md nor the fold (seed ${seed})`,
  async () => {
    expect(calm.entries).toBeGreaterThan(100);
    const chance = prng(seed);
    /** Some are killed more than once: the recovery itself is a place to die, too. */
    const plans = Array.from({ length: kills }, (_, n) => ({
      n,
      points: Array.from({ length: chance.chance(0.2) ? 2 : 1 }, () => 1 + chance.below(calm.entries)),
    }));
    await Promise.all([0, 1].map((lane) => runLane(plans.filter((plan) => plan.n % 2 === lane))));
  },
  Math.max(1_200_000, kills * 5_000),
);

async function runLane(plans: readonly { readonly n: number; readonly points: readonly number[] }[]): Promise<void> {
  for (const { n, points } of plans) {
    const folder = workspace(`kill-${n}`);
    const where = `plan ${n}, killed at ${points.join(" and ")}`;
    for (const point of points) await life(folder, point);
    const { report, errors } = await life(folder, 0);
    expect(errors, where).toBe("");
    expect(report, where).toMatchObject({ status: { ok: true }, live: 0, digest: calm.digest });
    expect(readFileSync(join(folder, "BRIEF.md"), "utf8"), where).toBe(calm.brief);
    expect(readdirSync(folder).toSorted(), where).toEqual([".daimon", "BRIEF.md", "inbox"]);
    expect(proof(folder), where).toEqual([]);
    rmSync(folder, { recursive: true });
  }
}

function proof(folder: string): unknown {
  const log = openSegmentLog({ dir: join(folder, ".daimon/journal"), now: () => 0, readOnly: true });
  const blobs = openFileBlobs({ dir: join(folder, ".daimon/blobs"), readOnly: true });
  if (!log.ok || !blobs.ok) return "the stores do not open";
  const report = replay({ log: log.value, blobs: blobs.value, until: null, pid: null });
  return report.ok ? report.value.findings : report.error;
}
