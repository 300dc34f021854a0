/** What only an overlay has: commands change the session, and its upper folder tells what they did. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { CallValue } from "../../../src/abi/call.ts";
import type { SysError } from "../../../src/abi/errno.ts";
import type { Change, Session } from "../../../src/abi/files.ts";
import { overlaySessions } from "../../../src/drivers/files/overlay.ts";
import { commitSession, rollbackCommit } from "./end-to-end.ts";
import { bwrapSandbox } from "../../../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../../../src/drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { shellCalls } from "../../../src/drivers/tool/shell.ts";
import { planCommit } from "../../../src/files/commit.ts";
import { planRollback, safetyOf } from "../../../src/files/rollback.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import type { QuotaBounds } from "../../../src/drivers/files/quota.ts";
import { done, ok, type Result } from "../../../src/lib/result.ts";
import { processesNamed } from "../../contract/sandbox.ts";
import { errno, value } from "../../contract/session.ts";
import { isSecret } from "../../../src/security/policy/names.ts";

const MiB = 1024 * 1024;
const top = mkdtempSync(join(tmpdir(), "overlay-"));
const helper = new ZygoteClient();
const sandbox = bwrapSandbox({ helper });
const blobs = openMemoryBlobs();
const driver = overlaySessions({ helper, blobs, hide: [".daimon"], isSecret });
const checks = [await driver.available(), await sandbox.available()];
const missing = checks.find((check) => !check.ok);
const reason = missing === undefined || missing.ok ? "" : missing.error.message;
const rule = (title: string, body: () => Promise<void>): void =>
  test(title, async (context) => {
    context.skip(reason !== "", reason);
    await body();
  });

afterAll(async () => {
  await driver.close();
  await sandbox.close();
  rmSync(top, { recursive: true, force: true });
});

async function opened(files: Readonly<Record<string, string>>, quota: QuotaBounds = { bytesMax: 2 ** 30, filesMax: 10_000 }) {
  const folder = mkdtempSync(join(top, "test-"));
  const [lower, home] = [join(folder, "workspace"), join(folder, "workspace/.daimon/sessions/1")];
  mkdirSync(home, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(lower, path, ".."), { recursive: true });
    writeFileSync(join(lower, path), text);
  }
  const driver = overlaySessions({ helper, blobs, hide: [".daimon"], isSecret, quota });
  const session = value(await driver.open({ pid: 1, lower, home }));
  const [call] = shellCalls({ session: () => ok(session), sandbox });
  const run = async (command: string): Promise<Result<CallValue, SysError>> => {
    const context = { pid: 1, id: "1.0.0", signal: new AbortController().signal, now: 0, frozen: null };
    return await (call?.perform({ command } as never, context) ?? Promise.reject(new Error("no call")));
  };
  const shell = async (command: string) =>
    value(await run(command)).value as { exitCode: number | null; changed: string[]; text: string; note?: string };
  return { session, lower, home, run, shell };
}

const rows = async (session: Session): Promise<(string | null)[][]> =>
  value(await session.changes()).map((change: Change) => [change.kind, change.type, change.path, change.base, change.now]);

describe("overlay with commands", () => {
  rule("SBX-9.2 shell.run tells output in order, exit code and changed files", async () => {
    const { session, lower, shell } = await opened({ a: "1", b: "2", "d/x": "3" });
    const result = await shell("echo out; echo err >&2; echo more >> a; rm b; mkdir n; echo new > n/f; exit 4");
    expect(result).toEqual({ exitCode: 4, changed: ["a", "b", "n", "n/f"], text: "out\nerr\n" });
    expect((await shell("cat a n/f; ls")).text).toBe("1more\nnew\na\nd\nn\n");
    expect((await shell("true")).changed).toEqual([]);
    expect(readFileSync(join(lower, "a"), "utf8")).toBe("1");
    await session.close();
  });

  rule(
    "SBX-9.6 where something is closed the commands of a session run one after the other, and each is told what is closed by then",
    async () => {
      const { session, lower, shell } = await opened({ "conf/.env": "hunter2" });
      const each = "echo begin >> log; sleep 0.1; echo end >> log";
      const [moved, seen] = await Promise.all([
        shell(`mv conf c3; ${each}`),
        shell(`cat conf/.env c3/.env; ${each}`),
        shell(each),
      ]);
      expect(`${moved.text}${seen.text}`).not.toContain("hunter2");
      expect((await shell("cat log; rm log")).text).toBe("begin\nend\n".repeat(3));
      expect(readFileSync(join(lower, "conf/.env"), "utf8")).toBe("hunter2");
      await session.close();
    },
  );

  rule("FIL-8.1 deletions, replaced folders, remade folders, renames and links are what they are", async () => {
    const { session, shell } = await opened({ "d/x": "x", "d/y": "y", "e/z": "z", f: "f", "g/deep/w": "w", keep: "k" });
    await shell(
      "rm -r d; mkdir d; echo new > d/x; rm -r e; echo file > e; rm f; mkdir f; echo in > f/in; mv g h; ln -s d/x l; touch keep",
    );
    expect(await rows(session)).toEqual([
      ["modified", "file", "d/x", sha256("x"), sha256("new\n")],
      ["deleted", "file", "d/y", sha256("y"), null],
      ["deleted", "folder", "e", null, null],
      ["added", "file", "e", null, sha256("file\n")],
      ["deleted", "file", "e/z", sha256("z"), null],
      ["deleted", "file", "f", sha256("f"), null],
      ["added", "folder", "f", null, null],
      ["added", "file", "f/in", null, sha256("in\n")],
      ["deleted", "folder", "g", null, null],
      ["deleted", "folder", "g/deep", null, null],
      ["deleted", "file", "g/deep/w", sha256("w"), null],
      ["added", "folder", "h", null, null],
      ["added", "folder", "h/deep", null, null],
      ["added", "file", "h/deep/w", null, sha256("w")],
      ["added", "link", "l", null, sha256("\0link\0d/x")],
    ]);
    await session.close();
  });

  rule(
    "FIL-10.3 a file the workspace replaced before a command changed it has no certain base, so a commit is a conflict",
    async () => {
      const { session, lower, shell } = await opened({ a: "1\n", b: "1\n" });
      await shell("cat a b");
      for (const name of ["a", "b"]) {
        writeFileSync(join(lower, `${name}.next`), "theirs\n");
        renameSync(join(lower, `${name}.next`), join(lower, name));
      }
      await shell("echo mine >> a; echo mine > b.tmp; mv b.tmp b");
      const outcome = value(
        await commitSession(session, { lower, blobs, plan: planCommit, safetyOf, journal: () => done }, null),
      );
      expect(outcome.committed ? [] : outcome.conflicts.map((conflict) => conflict.path)).toEqual(["a", "b"]);
      expect(readFileSync(join(lower, "a"), "utf8")).toBe("theirs\n");
      await session.close();
    },
  );

  rule("FIL-5.1 a command's work is committed and rolled back, folders and modes included", async () => {
    const { session, lower, shell } = await opened({ a: "1", "d/x": "x", e: "e" });
    await shell(
      "echo two > a; rm -r d; echo dir-to-file > d; rm e; mkdir e; echo in > e/in; echo '#!/bin/sh' > run; chmod +x run; ln -s a link",
    );
    const outcome = value(await commitSession(session, { lower, blobs, plan: planCommit, safetyOf, journal: () => done }, null));
    if (!outcome.committed || outcome.safety === null) throw new Error(JSON.stringify(outcome));
    const { statSync, readlinkSync } = await import("node:fs");
    expect(readFileSync(join(lower, "d"), "utf8")).toBe("dir-to-file\n");
    expect(readFileSync(join(lower, "e/in"), "utf8")).toBe("in\n");
    expect(statSync(join(lower, "run")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(lower, "link"))).toBe("a");
    expect(await rows(session)).toEqual([]);
    const back = value(await rollbackCommit(outcome.safety, { lower, blobs, planRollback, journal: () => done }));
    expect(back.conflicts).toEqual([]);
    expect(readFileSync(join(lower, "d/x"), "utf8")).toBe("x");
    expect(readFileSync(join(lower, "e"), "utf8")).toBe("e");
    expect(existsSync(join(lower, "run"))).toBe(false);
    expect(readdirSync(lower)).not.toContain("link");
    await session.close();
  });

  rule("FIL-6.2 what a command plants cannot move a later call outside", async () => {
    const { session, lower, shell } = await opened({ a: "1" });
    await shell(
      `ln -s /etc/passwd p; ln -s ${lower}/a abs; ln -s ../../../../etc up; ln -s /work/a fine; mkfifo pipe; ln -s /proc/self/root/etc root; mkdir -m 000 shut`,
    );
    for (const path of ["p", "abs", "up/passwd", "root/passwd"]) {
      expect(errno(await session.read(path))).toBe("EPERM");
      expect(errno(await session.write(path, Buffer.from("x")))).toBe("EPERM");
    }
    expect(errno(await session.read("pipe"))).toBe("EINVAL");
    expect(value(await session.read("fine")).toString()).toBe("1");
    const outcome = value(await commitSession(session, { lower, blobs, plan: planCommit, safetyOf, journal: () => done }, null));
    const reasons = outcome.committed ? [] : outcome.conflicts.map((conflict) => `${conflict.path} ${conflict.reason}`);
    expect(reasons).toEqual(expect.arrayContaining(["p link-leaves-workspace", "up link-leaves-workspace", "pipe not-a-file"]));
    await session.close();
  });

  rule("FIL-10.2 the platform's folder is not there for commands, and what they make in its place is not a change", async () => {
    const { session, lower, shell } = await opened({ ".daimon/policy": "mine", a: "1" });
    expect((await shell("ls -A; mkdir .daimon && echo permit > .daimon/policy; ls .daimon")).text).toBe("a\npolicy\n");
    expect(await rows(session)).toEqual([]);
    expect(readFileSync(join(lower, ".daimon/policy"), "utf8")).toBe("mine");
    await session.close();
  });

  rule("SBX-9.4 what the workspace holds of secrets is closed to a command, and that is no change of the session", async () => {
    const files = {
      ".env": "A=hunter2\n",
      "conf/.env": "B=hunter2\n",
      "conf/app.ts": "app",
      ".aws/credentials": "hunter2",
      "x.pem": "hunter2",
    };
    const { session, lower, shell } = await opened(files);
    const tricks = await shell(
      "cat .env conf/.env .aws/* x.pem; cp -r . /tmp/all; grep -r hunter . /tmp/all; mv conf moved; cat moved/.env; ln x.pem y; mv .env e; cat e; rm -rf .aws conf; true",
    );
    expect(tricks.text).not.toMatch(/hunter2/);
    expect(tricks.text).toMatch(/cat: \.env: Permission denied/);
    expect((await rows(session)).map((row) => row[2]).filter((path) => /env|aws|pem/.test(path ?? ""))).toEqual([]);
    const outcome = value(await commitSession(session, { lower, blobs, plan: planCommit, safetyOf, journal: () => done }, null));
    expect(outcome.committed).toBe(true);
    for (const [path, text] of Object.entries(files).filter(([path]) => path !== "conf/app.ts"))
      expect(readFileSync(join(lower, path), "utf8")).toBe(text);
    await session.close();
  });

  rule(
    "SBX-9.4 a secret that a command makes is its own; one that the workspace gets meanwhile is closed to the next command",
    async () => {
      const { session, lower, shell } = await opened({ a: "1" });
      expect((await shell("mkdir k; echo mine > k/own.pem; cat k/own.pem")).text).toBe("mine\n");
      expect((await shell("cat k/own.pem")).text).toBe("mine\n");
      writeFileSync(join(lower, ".env"), "hunter2");
      mkdirSync(join(lower, "later"));
      writeFileSync(join(lower, "later/.env"), "hunter2");
      const { text } = await shell("cat .env later/.env; true");
      expect(text).not.toContain("hunter2");
      expect((await rows(session)).map((row) => row[2])).toEqual(["k", "k/own.pem"]);
      await session.close();
    },
  );

  rule("SBX-10.1 no file of a command becomes longer than what is left to its session", async () => {
    const { session, shell } = await opened({ a: "1" }, { bytesMax: 4 * MiB, filesMax: 100 });
    const long = await shell("head -c 8000000 /dev/zero > long; truncate -s 100M sparse || echo refused; stat -c %s long");
    expect(long.text).toMatch(/File too large.*refused\n(?:419\d{4}|41[0-8]\d{4})\n$/s);
    await session.close();
  });

  rule(
    "SBX-9.5 SBX-10.2 a command that fills its session with many files is ended with EDQUOT, and nothing is lost",
    async () => {
      const { session, run, shell } = await opened({ a: "1" }, { bytesMax: 16 * MiB, filesMax: 1_000 });
      value(await session.write("before", Buffer.from("kept")));
      const filled = await run("n=0; while :; do n=$((n+1)); head -c 3000000 /dev/zero > f$n; done");
      expect(filled).toMatchObject({
        ok: false,
        error: { errno: "EDQUOT", message: expect.stringMatching(/was ended.*16 MiB.*kept: delete/) as string },
      });
      expect(errno(await session.write("more", Buffer.from("x")))).toBe("EDQUOT");
      expect(value(await session.read("before")).toString()).toBe("kept");
      const kept = await rows(session);
      expect(kept.length).toBeGreaterThan(3);
      const tight = await shell("echo x > new; cat before; wc -c < f1");
      expect(tight.text).toContain("kept3000000");
      expect(tight.note).toMatch(/could delete but not write/);
      expect((await rows(session)).map((row) => row[2]).filter((path) => path !== "new")).toEqual(kept.map((row) => row[2]));
      expect(await shell("rm -f f* new")).toMatchObject({ exitCode: 0 });
      value(await session.write("more", Buffer.from("x")));
      const after = await shell("head -c 3000000 /dev/zero > fits; stat -c %s fits");
      expect(after).toMatchObject({ exitCode: 0, text: "3000000\n" });
      expect(after.note).toBeUndefined();
      await session.close();
    },
  );

  rule(
    "SBX-10.2 a command that makes too many files is ended, empty ones in a hidden folder that nobody may list too",
    async () => {
      const { session, run } = await opened({ a: "1" }, { bytesMax: 64 * MiB, filesMax: 2_000 });
      const filled = await run("mkdir .daimon; cd .daimon; chmod 300 .; n=0; while :; do n=$((n+1)); : > f$n; done");
      expect(filled).toMatchObject({ ok: false, error: { errno: "EDQUOT" } });
      await session.close();
    },
  );

  rule("SBX-10.3 a command is ended before the disk is full, with ENOSPC", async () => {
    const { bavail, bsize } = statfsSync(top);
    const { session, run } = await opened(
      { a: "1" },
      { bytesMax: 2 ** 40, filesMax: 1_000_000, freeBytesMin: bavail * bsize - 256 * MiB },
    );
    const filled = await run("n=0; while :; do n=$((n+1)); head -c 20000000 /dev/zero > f$n; done");
    expect(filled).toMatchObject({
      ok: false,
      error: { errno: "ENOSPC", message: expect.stringMatching(/was ended.*disk/) as string },
    });
    await session.close();
  });

  rule("SBX-10.4 on a disk that is full from the start a command deletes and does not write", async () => {
    const { session, shell } = await opened({ a: "1" }, { bytesMax: 2 ** 40, filesMax: 1_000_000, freeBytesMin: 2 ** 50 });
    const { text, note, changed } = await shell("echo x > b; rm a; ls");
    expect(text).not.toContain("a\n");
    expect(note).toMatch(/disk is almost full.*delete but not write/);
    expect(changed).toContain("a");
    await session.close();
  });

  rule("FIL-10.4 a session that cannot be opened because its disk is full is ENOSPC, and opens once there is space", async () => {
    const disk = mkdtempSync(join(top, "disk-"));
    const [lower, home] = [join(disk, "workspace"), join(disk, "home")];
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]);
    /** Only root mounts a small disk; anybody can take the rights to a folder away. */
    const small = mounted.status === 0;
    mkdirSync(lower);
    mkdirSync(home);
    /** Started now: a helper sees the mounts there were when it began. */
    const fresh = new ZygoteClient();
    const sessions = overlaySessions({ helper: fresh, blobs, hide: [".daimon"], isSecret });
    try {
      const filler = join(disk, "filler");
      const { bavail, bsize } = statfsSync(disk);
      if (small) writeFileSync(filler, Buffer.alloc(bavail * bsize));
      else chmodSync(home, 0o500);
      const full = await sessions.open({ pid: 9, lower, home: join(home, "9") });
      expect(errno(full)).toBe(small ? "ENOSPC" : "EACCES");
      if (small) rmSync(filler);
      else chmodSync(home, 0o700);
      await value(await sessions.open({ pid: 9, lower, home: join(home, "9") })).close();
    } finally {
      await fresh.close();
      if (small) spawnSync("umount", ["-l", disk]);
    }
  });

  rule("FIL-8.3 a half-written file is not a change", async () => {
    const { session, shell } = await opened({ a: "1" });
    await shell("echo torn > .daimon~tmp; mkdir d; echo torn > d/.daimon~tmp");
    expect((await rows(session)).map((row) => row[2])).toEqual(["d"]);
    expect(errno(await session.write("d/.daimon~tmp", Buffer.from("x")))).toBe("EINVAL");
    await session.close();
  });

  rule("FIL-9.1 a link and a file that say the same are not the same change", async () => {
    const { session, shell } = await opened({ f: "target" });
    await shell("rm f; ln -s target f");
    expect(await rows(session)).toEqual([["modified", "link", "f", sha256("target"), sha256("\0link\0target")]]);
    expect(value(blobs.get(sha256("\0link\0target"))).toString()).toBe("\0link\0target");
    await session.close();
  });

  rule("FIL-9.2 a change of content alone, of the same length, is seen", async () => {
    const { session, shell } = await opened({ f: "1" });
    for (const text of ["a", "b", "c", "a"]) {
      await shell(`printf ${text} > f`);
      expect(await rows(session)).toEqual([["modified", "file", "f", sha256("1"), sha256(text)]]);
    }
    await shell("printf 1 > f");
    expect(await rows(session)).toEqual([]);
    await session.close();
  });

  rule("SBX-6.3 a view is unmounted although a sandbox waits on it, and nothing is left in the helper's world", async () => {
    const { session, home, shell } = await opened({ a: "1" });
    await shell("true");
    await new Promise((resolve) => setTimeout(resolve, 40));
    const world = `/proc/${helper.pid}/mountinfo`;
    expect(readFileSync(world, "utf8")).toContain(`${home}/view`);
    await session.close();
    expect(readFileSync(world, "utf8")).not.toContain(`${home}/view`);
    expect(processesNamed(`${home}/view`)).toEqual([]);
  });
});
