import { spawn, spawnSync, type ChildProcessByStdio } from "node:child_process";
import { existsSync, readFileSync, utimesSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { acquire } from "../../tools/setup/lock.mjs";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();
const lockUrl = pathToFileURL(join(import.meta.dirname, "../../tools/setup/lock.mjs")).href;

/** Takes the lock, says so, and holds it until its input ends. */
function holder(path: string): ChildProcessByStdio<Writable, Readable, Readable> {
  const script = `const { acquire } = await import(${JSON.stringify(lockUrl)});
    const release = await acquire(${JSON.stringify(path)}); console.log("held");
    process.stdin.resume().on("end", () => release());`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "pipe"] });
}

function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

describe("lock", () => {
  test("TOOL-1.5 the second waits until the first has given the lock back", async () => {
    const path = join(folder(), "setup.lock");
    const first = holder(path);
    await once(first.stdout, "data");
    const second = holder(path);
    const [told] = (await once(second.stderr, "data")) as [Buffer];
    expect(told.toString()).toContain(`process ${first.pid ?? 0}`);
    const held = once(second.stdout, "data");
    first.stdin.end();
    await once(first, "close");
    await held;
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: second.pid });
    second.stdin.end();
    await once(second, "close");
    expect(existsSync(path)).toBe(false);
  });

  test("TOOL-1.6 a lock whose owner was killed is taken over", async () => {
    const path = join(folder(), "setup.lock");
    const first = holder(path);
    await once(first.stdout, "data");
    first.kill("SIGKILL");
    await once(first, "close");
    expect(existsSync(path)).toBe(true);
    const release = await acquire(path);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid });
    release();
    expect(existsSync(path)).toBe(false);
  });

  test("TOOL-1.6 a number given to another process since does not keep the lock", async () => {
    const path = put(folder(), "setup.lock", JSON.stringify({ pid: process.pid, started: "1", host: hostname() }));
    (await acquire(path))();
    expect(existsSync(path)).toBe(false);
  });

  test("TOOL-1.6 an unreadable lock and an old claim are swept away in time", async () => {
    const root = folder();
    const path = put(root, "setup.lock", "half a rec");
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(path, old, old);
    (await acquire(path))();
    put(root, "setup.lock", JSON.stringify({ pid: deadPid(), started: "1", host: hostname() }));
    const dead = (JSON.parse(readFileSync(path, "utf8")) as { pid: number }).pid;
    put(root, `setup.lock.claim-${dead}/x`, "");
    utimesSync(join(root, `setup.lock.claim-${dead}`), old, old);
    (await acquire(path))();
    expect(existsSync(path)).toBe(false);
  });

  test("TOOL-1.6 of many who find a dead owner's lock, one at a time gets in", async () => {
    const root = folder();
    const path = put(root, "setup.lock", JSON.stringify({ pid: deadPid(), started: "1", host: hostname() }));
    const script = `import { mkdirSync, rmdirSync } from "node:fs";
      const { acquire } = await import(${JSON.stringify(lockUrl)});
      for (let turn = 0; turn < 5; turn += 1) {
        const release = await acquire(${JSON.stringify(path)});
        mkdirSync(${JSON.stringify(join(root, "inside"))}); await null; rmdirSync(${JSON.stringify(join(root, "inside"))});
        release();
      }`;
    const runs = await Promise.all([1, 2, 3, 4].map(() => node(["--input-type=module", "-e", script])));
    expect(runs.map((run) => run.code)).toEqual([0, 0, 0, 0]);
    expect(existsSync(path)).toBe(false);
  });
});
