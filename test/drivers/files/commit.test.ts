import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { FileStep, Session } from "../../../src/abi/files.ts";
import { apply, keepContents } from "../../../src/drivers/files/commit.ts";
import { copySessions } from "../../../src/drivers/files/copy.ts";
import { commitSession, rollbackCommit, type CommitDeps } from "./end-to-end.ts";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { planCommit, type Conflict } from "../../../src/files/commit.ts";
import { planRollback, safetyOf } from "../../../src/files/rollback.ts";
import { sha256, type Digest } from "../../../src/lib/hash.ts";
import { done, ok } from "../../../src/lib/result.ts";
import { errno, value } from "../../contract/session.ts";

const top = mkdtempSync(join(tmpdir(), "commit-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

async function world(files: Files) {
  const folder = mkdtempSync(join(top, "world-"));
  const lower = join(folder, "workspace");
  mkdirSync(lower);
  put(lower, files);
  const blobs = openMemoryBlobs();
  const session = value(await copySessions({ blobs, hide: [] }).open({ pid: 3, lower, home: join(folder, "home") }));
  const log: string[] = [];
  const deps: CommitDeps<Conflict> = {
    lower,
    blobs,
    plan: planCommit,
    safetyOf,
    journal: (phase, moved) => {
      log.push(`${phase} ${moved.length} ${blobs.dirty ? "dirty" : "durable"}`);
      return done;
    },
  };
  return { lower, blobs, session, deps, log };
}

function put(lower: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(lower, path, ".."), { recursive: true });
    writeFileSync(join(lower, path), text);
  }
}

/** Every file with its mode and text. */
function picture(folder: string, prefix = ""): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(join(folder, prefix)).map((name) => {
      const path = prefix === "" ? name : `${prefix}/${name}`;
      const stat = lstatSync(join(folder, path));
      if (stat.isDirectory()) return { [`${path}/`]: "folder", ...picture(folder, path) };
      return {
        [path]: stat.isSymbolicLink()
          ? `-> ${readlinkSync(join(folder, path))}`
          : `${stat.mode.toString(8)} ${readFileSync(join(folder, path), "latin1")}`,
      };
    }),
  );
}

async function edit(session: Session, before: Files, after: Files): Promise<void> {
  for (const path of Object.keys(before)) if (after[path] === undefined) value(await session.remove(path));
  for (const [path, text] of Object.entries(after))
    if (before[path] !== text) value(await session.write(path, Buffer.from(text)));
}

const paths = ["a", "b", "d/a", "d/e/f"];
const files = fc
  .tuple(...paths.map(() => fc.option(fc.string({ minLength: 1, maxLength: 4 }), { nil: undefined })))
  .map((texts): Files =>
    Object.fromEntries(paths.flatMap((path, index) => (texts[index] === undefined ? [] : [[path, texts[index]]]))),
  );

describe("commit", () => {
  test("FIL-5.1 commit gives the session's files; rollback gives the workspace back byte for byte; twice is once", async () => {
    await fc.assert(
      fc.asyncProperty(files, files, async (before, after) => {
        const { lower, blobs, session, deps } = await world(before);
        const was = picture(lower);
        await edit(session, before, after);
        const outcome = value(await commitSession(session, deps, null));
        if (!outcome.committed) throw new Error("nobody else changed anything");
        const now = picture(lower);
        for (const path of paths) expect(now[path]?.slice("100644 ".length)).toBe(after[path]);
        expect(value(await session.changes()).filter((change) => change.type !== "folder")).toEqual([]);
        const back = { lower, blobs, planRollback, journal: () => done };
        if (outcome.safety === null) return;
        expect(value(await rollbackCommit(outcome.safety, back)).conflicts).toEqual([]);
        expect(picture(lower)).toEqual(was);
        expect(value(await rollbackCommit(outcome.safety, back)).restored).toEqual([]);
        expect(picture(lower)).toEqual(was);
      }),
      { numRuns: 60 },
    );
  });

  test("FIL-12.1 the safety copy is durable before the intent, the intent before the first write", async () => {
    const { lower, session, deps, log } = await world({ a: "1" });
    value(await session.write("a", Buffer.from("2")));
    const seen: string[] = [];
    const journal: typeof deps.journal = (phase, moved, safety) => {
      seen.push(`${phase}: ${readFileSync(join(lower, "a"), "utf8")}`);
      return deps.journal(phase, moved, safety);
    };
    value(await commitSession(session, { ...deps, journal }, null));
    expect(seen).toEqual(["intent: 1", "outcome: 2"]);
    expect(log).toEqual(["intent 1 durable", "outcome 1 durable"]);
  });

  test("FIL-4.3 with a conflict nothing is written and every conflict is told", async () => {
    const { lower, session, deps, log } = await world({ a: "1", b: "1", c: "1" });
    for (const path of ["a", "b", "c"]) value(await session.write(path, Buffer.from("mine")));
    put(lower, { a: "theirs", b: "theirs" });
    const was = picture(lower);
    const outcome = value(await commitSession(session, deps, null));
    expect(outcome.committed ? [] : outcome.conflicts.map((conflict) => conflict.path)).toEqual(["a", "b"]);
    expect(picture(lower)).toEqual(was);
    expect(log).toEqual([]);
    const solved = value(await commitSession(session, deps, null, { a: "ours", b: "theirs" }));
    expect(solved).toMatchObject({ committed: true, written: ["a", "c"], skipped: ["b"] });
    expect(readFileSync(join(lower, "b"), "utf8")).toBe("theirs");
  });

  test("FIL-4.2 what both changed in different lines is merged, and the merge is rolled back to theirs", async () => {
    const { lower, blobs, session, deps } = await world({ a: "1\n2\n3\n4\n5\n" });
    value(await session.write("a", Buffer.from("ONE\n2\n3\n4\n5\n")));
    put(lower, { a: "1\n2\n3\n4\nFIVE\n" });
    const outcome = value(await commitSession(session, deps, ["a"]));
    expect(outcome).toMatchObject({ committed: true, merged: ["a"] });
    expect(readFileSync(join(lower, "a"), "utf8")).toBe("ONE\n2\n3\n4\nFIVE\n");
    if (!outcome.committed || outcome.safety === null) throw new Error("committed");
    value(await rollbackCommit(outcome.safety, { lower, blobs, planRollback, journal: () => done }));
    expect(readFileSync(join(lower, "a"), "utf8")).toBe("1\n2\n3\n4\nFIVE\n");
  });

  test("FIL-12.2 a file that changes between plan and write stops the commit, and what was applied is put back", async () => {
    const { lower, session, deps } = await world({ a: "1", b: "1", "gone/x": "1" });
    value(await session.write("a", Buffer.from("2")));
    value(await session.write("b", Buffer.from("2")));
    value(await session.write("new", Buffer.from("2")));
    value(await session.remove("gone/x"));
    const journal: typeof deps.journal = () => {
      put(lower, { b: "somebody else's" });
      return done;
    };
    const outcome = await commitSession(session, { ...deps, journal }, null);
    expect(errno(outcome)).toBe("ESTALE");
    expect(picture(lower)).toMatchObject({ a: "100644 1", b: "100644 somebody else's", "gone/x": "100644 1" });
    expect(existsSync(join(lower, "new"))).toBe(false);
    expect(value(await session.changes()).map((change) => change.path)).toContain("a");
  });

  const writes = (path: string, from: string | null, to: string): FileStep => ({
    op: "write",
    path,
    type: "file",
    from: from === null ? null : sha256(from),
    to: sha256(to),
    executable: false,
    typeFrom: "file",
    executableFrom: false,
  });

  test("FIL-12.1 a plan of which a content is missing is not begun", () => {
    const blobs = openMemoryBlobs();
    const lower = mkdtempSync(join(top, "missing-"));
    blobs.put("1");
    expect(errno(apply(lower, [writes("a", null, "1"), writes("b", null, "not kept")], blobs))).toBe("EIO");
    expect(readdirSync(lower)).toEqual([]);
  });

  test("FIL-12.2 what was applied is put back in the reverse order, and what somebody else wrote meanwhile stays", () => {
    const blobs = openMemoryBlobs();
    for (const text of ["1", "2", "3", "4"]) blobs.put(text);
    const lower = mkdtempSync(join(top, "back-"));
    put(lower, { last: "1" });
    const steps: readonly FileStep[] = [
      { op: "mkdir", path: "m" },
      writes("m/f", null, "2"),
      writes("taken", null, "3"),
      writes("last", "1", "4"),
    ];
    const meanwhile = (digest: Digest): ReturnType<typeof blobs.get> => {
      if (digest === sha256("4")) put(lower, { taken: "theirs", last: "theirs too" });
      return blobs.get(digest);
    };
    const watched = Object.create(blobs, { get: { value: meanwhile } }) as typeof blobs;
    expect(errno(apply(lower, steps, watched))).toBe("ESTALE");
    expect(picture(lower)).toEqual({ last: "100644 theirs too", taken: "100644 theirs" });
  });

  test("FIL-12.1 a file that changes in the session while it is kept stops the commit", async () => {
    const { blobs, session } = await world({});
    value(await session.write("a", Buffer.from("1")));
    const changes = value(await session.changes());
    const later = Object.create(session, { read: { value: () => ok(Buffer.from("2")) } }) as Session;
    expect(errno(await keepContents(later, changes, blobs))).toBe("ESTALE");
  });

  test("FIL-12.3 a plan cut off at any step is finished by performing it again", () => {
    const blobs = openMemoryBlobs();
    const write = (path: string, from: string | null, to: string): FileStep => ({
      op: "write",
      path,
      type: "file",
      from: from === null ? null : blobs.put(from),
      to: blobs.put(to),
      executable: false,
      typeFrom: "file",
      executableFrom: false,
    });
    const steps: FileStep[] = [
      { op: "remove", path: "r", type: "file", from: blobs.put("1"), executableFrom: false },
      { op: "mkdir", path: "m" },
      write("a", "1", "2"),
      write("n/o", null, "2"),
    ];
    for (let cut = 0; cut <= steps.length; cut += 1) {
      const lower = mkdtempSync(join(top, "cut-"));
      put(lower, { a: "1", r: "1" });
      value(apply(lower, steps.slice(0, cut), blobs));
      value(apply(lower, steps, blobs));
      value(apply(lower, steps, blobs));
      expect(picture(lower)).toEqual({ a: "100644 2", "m/": "folder", "n/": "folder", "n/o": "100644 2" });
    }
  });

  test("FIL-12.4 a link in the workspace is replaced or refused, never written through", async () => {
    const { lower, session, deps } = await world({ a: "1", "d/x": "1" });
    const outside = join(lower, "..", "outside");
    put(lower, { "../outside/x": "host", "../outside/y": "host" });
    value(await session.write("a", Buffer.from("mine")));
    value(await session.write("d/x", Buffer.from("mine")));
    rmSync(join(lower, "a"));
    symlinkSync(join(outside, "y"), join(lower, "a"));
    rmSync(join(lower, "d"), { recursive: true });
    symlinkSync(outside, join(lower, "d"));
    const outcome = await commitSession(session, deps, null, { a: "ours", "d/x": "ours" });
    expect(outcome.ok && outcome.value.committed).toBe(false);
    const alone = value(await commitSession(session, deps, ["a"], { a: "ours" }));
    expect(alone).toMatchObject({ committed: true, written: ["a"] });
    expect(lstatSync(join(lower, "a")).isFile()).toBe(true);
    expect(picture(outside)).toEqual({ x: "100644 host", y: "100644 host" });
  });

  test("FIL-12.4 a folder that became a link inside the workspace is not written through either", () => {
    const blobs = openMemoryBlobs();
    blobs.put("2");
    const lower = mkdtempSync(join(top, "inside-"));
    put(lower, { "e/x": "1" });
    symlinkSync("e", join(lower, "d"));
    expect(errno(apply(lower, [writes("d/x", "1", "2")], blobs))).not.toBe("ok");
    expect(picture(lower)).toEqual({ d: "-> e", "e/": "folder", "e/x": "100644 1" });
  });

  test("FIL-6.5 the executable bit is committed and the rest of the mode kept", async () => {
    const { lower, session, deps } = await world({ run: "1" });
    chmodSync(join(lower, "run"), 0o750);
    value(await session.write("run", Buffer.from("2")));
    value(await commitSession(session, deps, null));
    expect(lstatSync(join(lower, "run")).mode & 0o777).toBe(0o750);
  });
});
