/** The contract of every session driver. */
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
  renameSync,
  linkSync,
  chmodSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, Session, SessionDriver } from "../../src/abi/files.ts";
import type { BlobDriver } from "../../src/abi/store.ts";
import type { QuotaBounds } from "../../src/drivers/files/quota.ts";
import { sha256 } from "../../src/lib/hash.ts";
import type { Result } from "../../src/lib/result.ts";
import type { SysError } from "../../src/abi/errno.ts";

export interface SessionHarness {
  readonly driver: SessionDriver;
  /** The same kind, with another bound on what a session takes of the disk. */
  bounded(quota: QuotaBounds): SessionDriver;
  readonly blobs: BlobDriver;
  /** Why its tests cannot run here; null where they can. */
  readonly missing: string | null;
  /** An empty folder of this test. */
  folder(): string;
}

const MiB = 1024 * 1024;

export function value<T>(result: Result<T, SysError>): T {
  if (!result.ok) throw new Error(`${result.error.errno}: ${result.error.message} ${result.error.cause ?? ""}`);
  return result.value;
}

export function errno(result: Result<unknown, SysError>): string {
  return result.ok ? "ok" : result.error.errno;
}

export function testSession(name: string, harness: SessionHarness): void {
  const { driver, blobs } = harness;
  // Visible in the report: a skipped test says why.
  const rule = (title: string, body: () => Promise<void>): void =>
    test(title.replace("@", name), async (context) => {
      context.skip(harness.missing !== null, harness.missing ?? "");
      await body();
    });
  const opened = async (files: Readonly<Record<string, string>>): Promise<{ session: Session; lower: string; home: string }> => {
    const folder = harness.folder();
    const [lower, home] = [join(folder, "workspace"), join(folder, "home")];
    mkdirSync(lower);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(lower, path, ".."), { recursive: true });
      writeFileSync(join(lower, path), text);
    }
    return { session: value(await driver.open({ pid: 7, lower, home })), lower, home };
  };
  const text = async (session: Session, path: string): Promise<string> => value(await session.read(path)).toString();
  const changes = async (session: Session): Promise<readonly Change[]> => value(await session.changes());

  rule("FIL-10.1 @: writes are seen by the session and by nobody else", async () => {
    const { session, lower } = await opened({ "a.txt": "one", "d/b.txt": "two" });
    expect(value(await session.write("a.txt", Buffer.from("ONE")))).toBe(sha256("ONE"));
    value(await session.write("new/deep/c.txt", Buffer.from("three")));
    value(await session.remove("d"));
    expect(await text(session, "a.txt")).toBe("ONE");
    expect(await text(session, "new/deep/c.txt")).toBe("three");
    expect(errno(await session.read("d/b.txt"))).toBe("ENOENT");
    expect(value(await session.list(".")).map((entry) => entry.path)).toEqual(["a.txt", "new"]);
    expect(readFileSync(join(lower, "a.txt"), "utf8")).toBe("one");
    expect(readFileSync(join(lower, "d/b.txt"), "utf8")).toBe("two");
    expect(readdirSync(lower).toSorted()).toEqual(["a.txt", "d"]);
    expect((await changes(session)).map((change) => [change.path, change.kind, change.base, change.now])).toEqual([
      ["a.txt", "modified", sha256("one"), sha256("ONE")],
      ["d", "deleted", null, null],
      ["d/b.txt", "deleted", sha256("two"), null],
      ["new", "added", null, null],
      ["new/deep", "added", null, null],
      ["new/deep/c.txt", "added", null, sha256("three")],
    ]);
    await session.close();
  });

  rule("FIL-10.1 @: changes are there at the next open", async () => {
    const { session, lower, home } = await opened({ a: "1", b: "2" });
    value(await session.write("a", Buffer.from("changed")));
    value(await session.remove("b"));
    const before = await changes(session);
    await session.close();
    const again = value(await driver.open({ pid: 7, lower, home }));
    expect(await text(again, "a")).toBe("changed");
    expect(errno(await again.read("b"))).toBe("ENOENT");
    expect(await changes(again)).toEqual(before);
    await again.close();
  });

  rule("FIL-7.1 @: the base is what the session started from, even when the workspace moves on", async () => {
    const { session, lower } = await opened({ a: "base" });
    value(await session.write("a", Buffer.from("first")));
    writeFileSync(join(lower, "a"), "somebody else's");
    value(await session.write("a", Buffer.from("second")));
    const [change] = await changes(session);
    expect(change).toMatchObject({ base: sha256("base"), now: sha256("second") });
    expect(value(blobs.get(sha256("base"))).toString()).toBe("base");
    await session.close();
  });

  rule("FIL-13.3 @: expect refuses what changed, what is gone and what is there", async () => {
    const { session } = await opened({ a: "1" });
    expect(errno(await session.write("a", Buffer.from("2"), sha256("other")))).toBe("ESTALE");
    expect(errno(await session.write("a", Buffer.from("2"), null))).toBe("EEXIST");
    expect(errno(await session.write("none", Buffer.from("2"), sha256("1")))).toBe("ESTALE");
    expect(errno(await session.write("none", Buffer.from("2"), null))).toBe("ok");
    expect(errno(await session.write("a", Buffer.from("2"), sha256("1")))).toBe("ok");
    await session.close();
  });

  rule("FIL-6.1 @: paths that are not plain and relative are refused by every call", async () => {
    const { session } = await opened({ a: "1" });
    for (const path of ["/etc/passwd", "../x", "a/../../x", "", "a//b", "a\0b", "x".repeat(300), "y/".repeat(3_000)]) {
      for (const result of [
        session.read(path),
        session.write(path, Buffer.from("x")),
        session.remove(path),
        session.stat(path),
        session.list(path),
      ]) {
        expect(["EINVAL", "EPERM"]).toContain(errno(await result));
      }
    }
    expect(await changes(session)).toEqual([]);
    await session.close();
  });

  rule("FIL-6.1 @: odd but honest names work: line feeds, case twins, leading dashes", async () => {
    const { session } = await opened({ "-rf": "1", "line\nfeed": "2" });
    for (const path of ["-rf", "line\nfeed", "Twin", "twin", "ünï", "a b"]) {
      value(await session.write(path, Buffer.from(path)));
      expect(await text(session, path)).toBe(path);
    }
    expect((await changes(session)).length).toBe(6);
    await session.close();
  });

  rule("FIL-6.2 @: a link out of the workspace is not followed; one inside is", async () => {
    const folder = harness.folder();
    writeFileSync(join(folder, "secret"), "host");
    const [lower, home] = [join(folder, "w"), join(folder, "h")];
    mkdirSync(join(lower, "d"), { recursive: true });
    writeFileSync(join(lower, "d/real"), "inside");
    symlinkSync("../secret", join(lower, "up"));
    symlinkSync(join(folder, "secret"), join(lower, "abs"));
    symlinkSync("..", join(lower, "parent"));
    symlinkSync("loop", join(lower, "loop"));
    symlinkSync("d", join(lower, "dir"));
    symlinkSync("../d/./real", join(lower, "d/twisted"));
    const session = value(await driver.open({ pid: 7, lower, home }));
    for (const path of ["up", "abs", "parent/secret", "parent/w/d/real"]) {
      expect(errno(await session.read(path))).toBe("EPERM");
      expect(errno(await session.write(path, Buffer.from("x")))).toBe("EPERM");
    }
    expect(errno(await session.read("loop"))).toBe("EINVAL");
    expect(await text(session, "dir/real")).toBe("inside");
    expect(await text(session, "d/twisted")).toBe("inside");
    value(await session.write("dir/real", Buffer.from("through")));
    expect(await text(session, "d/real")).toBe("through");
    expect((await changes(session)).map((change) => change.path)).toEqual(["d/real"]);
    expect(readFileSync(join(folder, "secret"), "utf8")).toBe("host");
    await session.close();
  });

  rule("FIL-6.4 @: a hard link of the workspace to a file outside is not written through", async () => {
    const folder = harness.folder();
    writeFileSync(join(folder, "outside"), "host");
    const [lower, home] = [join(folder, "w"), join(folder, "h")];
    mkdirSync(lower);
    linkSync(join(folder, "outside"), join(lower, "linked"));
    const session = value(await driver.open({ pid: 7, lower, home }));
    value(await session.write("linked", Buffer.from("changed")));
    expect(readFileSync(join(folder, "outside"), "utf8")).toBe("host");
    await session.close();
  });

  rule("FIL-6.5 @: a file's mode survives its being written", async () => {
    const { session, lower, home } = await opened({ run: "#!/bin/sh\n" });
    await session.close();
    chmodSync(join(lower, "run"), 0o755);
    const again = value(await driver.open({ pid: 7, lower, home }));
    value(await again.write("run", Buffer.from("#!/bin/bash\n")));
    expect(await changes(again)).toMatchObject([{ path: "run", executable: true, wasExecutable: true }]);
    await again.close();
  });

  rule("FIL-6.7 @: a file's state is another one for each content, and the same for the same", async () => {
    const { session, lower } = await opened({ a: "one", "d/b": "two" });
    const state = async (path: string): Promise<string> => value(await session.state(path));
    const seen = [await state("a")];
    expect(await state("a")).toBe(seen[0]);
    value(await session.write("a", Buffer.from("ONE")));
    seen.push(await state("a"));
    value(await session.write("a", Buffer.from("longer than one")));
    seen.push(await state("a"));
    seen.push(await state("d/b"));
    writeFileSync(join(lower, "d/b"), "TWO");
    seen.push(await state("d/b"));
    expect(new Set(seen).size).toBe(5);
    symlinkSync("d/b", join(lower, "link"));
    expect(await state("link")).toBe(await state("d/b"));
    expect(errno(await session.state("d"))).toBe("EINVAL");
    expect(errno(await session.state("none"))).toBe("ENOENT");
    await session.close();
    expect(errno(await session.state("a"))).toBe("EIO");
  });

  rule("FIL-10.2 @: hidden names are not seen, written or reported", async () => {
    const { session } = await opened({ ".daimon/policy": "secret", a: "1" });
    expect(errno(await session.read(".daimon/policy"))).toBe("ENOENT");
    expect(value(await session.list(".")).map((entry) => entry.path)).toEqual(["a"]);
    expect(["EPERM", "EACCES"]).toContain(errno(await session.write(".daimon/policy", Buffer.from("mine"))));
    expect(await changes(session)).toEqual([]);
    await session.close();
  });

  rule("FIL-12.3 @: what is settled shows the workspace again, and later edits have it as their base", async () => {
    const { session, lower } = await opened({ a: "1", b: "2" });
    value(await session.write("a", Buffer.from("committed")));
    value(await session.write("b", Buffer.from("kept")));
    writeFileSync(join(lower, "a.next"), "committed");
    renameSync(join(lower, "a.next"), join(lower, "a"));
    value(await session.settle([{ path: "a", now: sha256("committed") }]));
    expect((await changes(session)).map((change) => change.path)).toEqual(["b"]);
    expect(await text(session, "a")).toBe("committed");
    value(await session.write("a", Buffer.from("again")));
    expect((await changes(session))[0]).toMatchObject({ path: "a", base: sha256("committed"), now: sha256("again") });
    await session.close();
  });

  rule(
    "FIL-16.1 @: a write beyond the session's bound is EDQUOT and loses nothing; what is deleted makes room again",
    async () => {
      const small = harness.bounded({ bytesMax: 2 * MiB, filesMax: 6 });
      const folder = harness.folder();
      const [lower, home] = [join(folder, "w"), join(folder, "h")];
      mkdirSync(lower);
      writeFileSync(join(lower, "large"), Buffer.alloc(8 * MiB, 1));
      const session = value(await small.open({ pid: 7, lower, home }));
      value(await session.write("a", Buffer.alloc(MiB, 1)));
      const refused = await session.write("b", Buffer.alloc(1.5 * MiB, 1));
      expect(refused).toMatchObject({
        ok: false,
        error: { errno: "EDQUOT", message: expect.stringMatching(/2 MiB.*is kept: delete/) as string },
      });
      expect(errno(await session.read("b"))).toBe("ENOENT");
      expect(value(await session.read("a")).length).toBe(MiB);
      expect(value(await session.read("large")).length).toBe(8 * MiB);
      value(await session.remove("a"));
      value(await session.write("b", Buffer.alloc(1.5 * MiB, 1)));
      for (const name of ["1", "2", "3", "4", "5"]) await session.write(name, Buffer.from("x"));
      expect(errno(await session.write("6", Buffer.from("x")))).toBe("EDQUOT");
      expect((await changes(session)).map((change) => change.path)).toEqual(["1", "2", "3", "4", "5", "b"]);
      await session.close();
      await small.close();
    },
  );

  rule("FIL-16.2 @: writing one file again and again takes the room of one file", async () => {
    const small = harness.bounded({ bytesMax: 3 * MiB, filesMax: 4 });
    const folder = harness.folder();
    mkdirSync(join(folder, "w"));
    const session = value(await small.open({ pid: 7, lower: join(folder, "w"), home: join(folder, "h") }));
    for (let turn = 0; turn < 20; turn += 1) value(await session.write("a", Buffer.alloc(MiB, turn)));
    await session.close();
    await small.close();
  });

  rule("FIL-16.3 @: with too little free on the disk a write is ENOSPC before it is tried", async () => {
    const full = harness.bounded({ bytesMax: 2 ** 30, filesMax: 100, freeBytesMin: Number.MAX_SAFE_INTEGER });
    const folder = harness.folder();
    mkdirSync(join(folder, "w"));
    const session = value(await full.open({ pid: 7, lower: join(folder, "w"), home: join(folder, "h") }));
    expect(await session.write("a", Buffer.from("x"))).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(await changes(session)).toEqual([]);
    await session.close();
    await full.close();
  });

  rule("FIL-8.2 @: what others add to the workspace is never reported as deleted", async () => {
    const { session, lower } = await opened({ "d/a": "1" });
    value(await session.list("d"));
    value(await session.remove("d"));
    value(await session.write("d/mine", Buffer.from("m")));
    writeFileSync(join(lower, "d/theirs"), "added later");
    const paths = (await changes(session)).filter((change) => change.kind === "deleted").map((change) => change.path);
    expect(paths).toContain("d/a");
    expect(paths).not.toContain("d/theirs");
    await session.close();
  });

  rule("FIL-10.1 @: any run of writes and removals reads like a plain map, and changes() is its difference", async () => {
    const paths = ["a", "b", "d/a", "d/b", "e/f/g"];
    const act = fc.record({
      path: fc.constantFrom(...paths),
      text: fc.option(fc.string({ minLength: 1, maxLength: 5 }), { nil: null }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...paths), fc.string()),
        fc.array(act, { maxLength: 12 }),
        async (start, acts) => {
          const { session } = await opened(start);
          const model = new Map(Object.entries(start));
          for (const { path, text: next } of acts) {
            if (next === null) expect((await session.remove(path)).ok).toBe(model.delete(path));
            else {
              value(await session.write(path, Buffer.from(next)));
              model.set(path, next);
            }
          }
          for (const path of paths) {
            const found = await session.read(path);
            expect(found.ok ? found.value.toString() : undefined).toBe(model.get(path));
          }
          const wanted = paths
            .filter((path) => start[path] !== model.get(path))
            .map((path) => {
              const [was, now] = [start[path], model.get(path)];
              return [path, was === undefined ? null : sha256(was), now === undefined ? null : sha256(now)];
            });
          const files = (await changes(session)).filter((change) => change.type !== "folder");
          expect(files.map((change) => [change.path, change.base, change.now])).toEqual(wanted);
          await session.close();
        },
      ),
      { numRuns: 15 },
    );
  });

  rule("FIL-11.2 @: a removed folder hides what was in it, and what is written there anew is of the session", async () => {
    const { session } = await opened({ "d/a": "1", "d/b": "2" });
    value(await session.remove("d"));
    expect(errno(await session.list("d"))).toBe("ENOENT");
    value(await session.write("d/b", Buffer.from("new")));
    expect(value(await session.list("d")).map((entry) => entry.path)).toEqual(["d/b"]);
    expect(
      (await changes(session)).filter((change) => change.type === "file").map((change) => [change.path, change.kind]),
    ).toEqual([
      ["d/a", "deleted"],
      ["d/b", "modified"],
    ]);
    await session.close();
  });

  rule(
    "FIL-11.1 @: opening twice is refused while the first is open, and nothing of the host is linked into the home",
    async () => {
      const { session, lower, home } = await opened({ a: "1" });
      expect(errno(await driver.open({ pid: 7, lower, home }))).toBe("EBUSY");
      expect(lstatSync(join(home, "upper")).isDirectory()).toBe(true);
      await session.close();
    },
  );
}
