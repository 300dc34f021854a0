import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Change, FileStep, Version } from "../../src/abi/files.ts";
import { linkMark, planCommit, type CommitRequest } from "../../src/files/commit.ts";
import type { FilesEntry } from "../../src/abi/entry.ts";
import { lastRollback, planRollback, safetyOf } from "../../src/files/rollback.ts";
import { sha256 } from "../../src/lib/hash.ts";

type Files = Readonly<Record<string, string>>;

const version = (text: string): Version => ({ type: "file", digest: sha256(text), executable: false });

function changesBetween(base: Files, session: Files): Change[] {
  return [...new Set([...Object.keys(base), ...Object.keys(session)])]
    .filter((path) => base[path] !== session[path])
    .toSorted()
    .map((path) => {
      const [was, now] = [base[path], session[path]];
      return {
        path,
        kind: was === undefined ? "added" : now === undefined ? "deleted" : "modified",
        type: "file",
        base: was === undefined ? null : sha256(was),
        now: now === undefined ? null : sha256(now),
        executable: false,
        wasExecutable: false,
      };
    });
}

function request(base: Files, session: Files, workspace: Files, more: Partial<CommitRequest> = {}): CommitRequest {
  const texts = new Map(
    [base, session, workspace].flatMap((files) => Object.values(files)).map((text) => [sha256(text), Buffer.from(text)]),
  );
  const now = new Map(Object.entries(workspace).map(([path, text]) => [path, version(text)]));
  return {
    changes: changesBetween(base, session),
    workspace: now,
    paths: null,
    resolutions: {},
    content: (digest) => texts.get(digest) ?? null,
    ...more,
  };
}

/** Performs the steps on a record of files, and fails where a step's `from` does not hold. */
function perform(files: Files, steps: readonly FileStep[], contents: ReadonlyMap<string, string>): Record<string, string> {
  const out: Record<string, string> = { ...files };
  for (const step of steps) {
    const now = out[step.path];
    const digest = now === undefined ? null : sha256(now);
    if (step.op === "write") {
      expect([step.from, step.to]).toContain(digest);
      out[step.path] = contents.get(step.to) ?? "missing";
    }
    if (step.op === "remove") {
      expect([step.from, null]).toContain(digest);
      delete out[step.path];
    }
  }
  return out;
}

const paths = ["a", "b", "c/d", "c/e"];
const content = fc
  .array(fc.constantFrom("1\n", "2\n", "3\n", "4\n", "5\n"), { minLength: 1, maxLength: 6 })
  .map((lines) => lines.join(""));
const files = fc
  .tuple(...paths.map(() => fc.option(content, { nil: undefined })))
  .map((texts): Files =>
    Object.fromEntries(paths.flatMap((path, index) => (texts[index] === undefined ? [] : [[path, texts[index]]]))),
  );

describe("commit plan", () => {
  test("FIL-4.1 what only the session changed is applied, what both changed alike is skipped", () => {
    fc.assert(
      fc.property(files, files, (base, session) => {
        const decision = planCommit(request(base, session, base));
        expect(decision.ok).toBe(true);
        if (!decision.ok) return;
        const contents = new Map(Object.values(session).map((text) => [sha256(text), text]));
        expect(perform(base, decision.plan.steps, contents)).toEqual(session);
        const again = planCommit(request(base, session, session));
        expect(again.ok && again.plan.steps).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("FIL-4.2 never a silent overwrite: what the workspace alone changed is there afterwards", () => {
    fc.assert(
      fc.property(files, files, files, (base, session, workspace) => {
        const asked = request(base, session, workspace);
        const decision = planCommit(asked);
        for (const path of paths) {
          const [was, mine, theirs] = [base[path], session[path], workspace[path]];
          const both = mine !== was && theirs !== was && mine !== theirs;
          if (decision.ok && both) expect(decision.plan.merged.map((merge) => merge.path)).toContain(path);
          if (!decision.ok) continue;
          const merged = decision.plan.merged.map((merge): [string, string] => [merge.digest, merge.text]);
          const contents = new Map([...Object.values(session).map((text): [string, string] => [sha256(text), text]), ...merged]);
          const after = perform(workspace, decision.plan.steps, contents);
          if (mine === was) expect(after[path]).toBe(theirs);
          if (theirs === was) expect(after[path]).toBe(mine);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["both-added", {}, { f: "mine" }, { f: "theirs" }],
    ["both-changed", { f: "was\n" }, { f: "mine\n" }, { f: "theirs\n" }],
    ["binary", { f: "a\0" }, { f: "b\0" }, { f: "c\0" }],
    ["deleted-here-changed-there", { f: "was" }, {}, { f: "theirs" }],
    ["changed-here-deleted-there", { f: "was" }, { f: "mine" }, {}],
  ] as const)("FIL-4.2 the conflict %s has its name", (reason, base, session, workspace) => {
    const decision = planCommit(request(base, session, workspace));
    expect(decision.ok ? [] : decision.conflicts.map((conflict) => conflict.reason)).toEqual([reason]);
  });

  test("FIL-4.3 one conflict and there is no plan at all", () => {
    const decision = planCommit(request({ f: "1" }, { f: "2", g: "new" }, { f: "3" }));
    expect(decision).not.toHaveProperty("plan");
    expect(decision).toMatchObject({ ok: false, conflicts: [{ path: "f" }] });
  });

  test("FIL-4.4 ours takes the session's version, theirs keeps the workspace's", () => {
    const [base, session, workspace] = [{ f: "1" }, { f: "2" }, { f: "3" }];
    const ours = planCommit(request(base, session, workspace, { resolutions: { f: "ours" } }));
    expect(ours.ok && ours.plan.steps).toMatchObject([{ op: "write", path: "f", from: sha256("3"), to: sha256("2") }]);
    const theirs = planCommit(request(base, session, workspace, { resolutions: { f: "theirs", other: "ours" } }));
    expect(theirs).toMatchObject({ ok: true, plan: { steps: [], skipped: ["f"] } });
  });

  test.each(["/etc/passwd", "../../outside", "x/../../..", "a/../../../b"])(
    "FIL-4.5 a link to %s is not committed, whatever the resolution",
    (target) => {
      const text = `${linkMark}${target}`;
      const change: Change = {
        path: "d/l",
        kind: "added",
        type: "link",
        base: null,
        now: sha256(text),
        executable: false,
        wasExecutable: false,
      };
      const asked = { ...request({}, {}, {}), changes: [change], content: () => Buffer.from(text) };
      expect(planCommit({ ...asked, resolutions: { "d/l": "ours" } })).toMatchObject({
        ok: false,
        conflicts: [{ reason: "link-leaves-workspace" }],
      });
      expect(planCommit({ ...asked, resolutions: { "d/l": "theirs" } })).toMatchObject({ ok: true, plan: { steps: [] } });
    },
  );

  test("FIL-4.5 a link that stays inside is committed; a pipe is not", () => {
    const text = `${linkMark}../e/f`;
    const change: Change = {
      path: "d/l",
      kind: "added",
      type: "link",
      base: null,
      now: sha256(text),
      executable: false,
      wasExecutable: false,
    };
    expect(planCommit({ ...request({}, {}, {}), changes: [change], content: () => Buffer.from(text) })).toMatchObject({
      ok: true,
    });
    const pipe: Change = { ...change, type: "other", now: null };
    expect(planCommit({ ...request({}, {}, {}), changes: [pipe] })).toMatchObject({
      ok: false,
      conflicts: [{ reason: "not-a-file" }],
    });
  });

  test("FIL-4.5 a file beyond the bound is not committed, whatever the resolution", () => {
    const asked = { ...request({}, { f: "large" }, {}), content: () => null };
    const refused = { ok: false, conflicts: [{ path: "f", reason: "too-large" }] };
    expect(planCommit({ ...asked, resolutions: { f: "ours" } })).toMatchObject(refused);
    expect(planCommit({ ...asked, resolutions: { f: "theirs" } })).toMatchObject({ ok: true, plan: { steps: [] } });
  });

  test.each(["folder", "other"] as const)("FIL-4.2 nothing is written or removed where a %s stands now", (type) => {
    const workspace = new Map<string, Version>([["f", { type, digest: null, executable: false }]]);
    for (const session of [{ f: "mine" }, {}]) {
      const decision = planCommit({ ...request({ f: "was" }, session, {}), workspace, resolutions: { f: "ours" } });
      expect(decision).toMatchObject({ ok: false, conflicts: [{ path: "f", reason: "type-changed" }] });
    }
  });

  const changed = (path: string, part: Partial<Change>): Change => {
    return { path, kind: "added", type: "file", base: null, now: null, executable: false, wasExecutable: false, ...part };
  };

  test("FIL-4.2 what the session puts in a folder's place does not replace a file that somebody else put there", () => {
    const changes = [changed("x", { kind: "deleted", type: "folder" }), changed("x", { now: sha256("mine") })];
    const asked = { ...request({}, { x: "mine" }, { x: "theirs" }), changes };
    expect(planCommit(asked)).toMatchObject({ ok: false, conflicts: [{ path: "x", reason: "both-added" }] });
    const folder: Version = { type: "folder", digest: null, executable: false };
    const plan = planCommit({ ...asked, workspace: new Map([["x", folder]]) });
    expect(plan.ok && plan.plan.steps.map(({ op }) => op)).toEqual(["rmdir", "write"]);
  });

  test("FIL-4.2 links that both changed are not merged, whatever their text", () => {
    const [base, mine, theirs] = ["a", "b", "c"].map((target) => `${linkMark}${target}`);
    const asked = request({ l: base ?? "" }, { l: mine ?? "" }, { l: theirs ?? "" });
    const changes = asked.changes.map((change) => ({ ...change, type: "link" as const }));
    expect(planCommit({ ...asked, changes })).toMatchObject({ ok: false, conflicts: [{ reason: "both-changed" }] });
  });

  test("FIL-4.7 steps go removals first and deepest first, then folders and files outermost first", () => {
    const gone = { kind: "deleted" } as const;
    const folder = { type: "folder" } as const;
    const changes = [
      changed("new/deep/f", { now: sha256("f") }),
      changed("new", folder),
      changed("old", { ...gone, ...folder }),
      changed("new/deep", folder),
      changed("old/deep", { ...gone, ...folder }),
      changed("old/deep/f", { ...gone, base: sha256("was") }),
      changed("old/f", { ...gone, base: sha256("was") }),
    ];
    const stands: Version = { type: "folder", digest: null, executable: false };
    const workspace = new Map([
      ["old", stands],
      ["old/deep", stands],
      ["old/deep/f", version("was")],
      ["old/f", version("was")],
    ]);
    const decision = planCommit({ ...request({}, { f: "f" }, {}), changes, workspace });
    expect(decision.ok && decision.plan.steps.map(({ op, path }) => `${op} ${path}`)).toEqual([
      "remove old/deep/f",
      "remove old/f",
      "rmdir old/deep",
      "rmdir old",
      "mkdir new",
      "mkdir new/deep",
      "write new/deep/f",
    ]);
  });

  test("FIL-4.6 only selected paths are planned, and a conflict elsewhere does not matter", () => {
    const decision = planCommit(request({ f: "1" }, { f: "2", "d/x": "n", dx: "n" }, { f: "3" }, { paths: ["d"] }));
    expect(decision.ok && decision.plan.steps.map((step) => step.path)).toEqual(["d/x"]);
  });

  test("FIL-4.7 performing a plan twice is performing it once", () => {
    fc.assert(
      fc.property(files, files, (base, session) => {
        const decision = planCommit(request(base, session, base));
        if (!decision.ok) return;
        const contents = new Map(Object.values(session).map((text) => [sha256(text), text]));
        const once = perform(base, decision.plan.steps, contents);
        expect(perform(once, decision.plan.steps, contents)).toEqual(once);
      }),
    );
  });
});

describe("rollback plan", () => {
  const committed = (base: Files, session: Files) => {
    const decision = planCommit(request(base, session, base));
    if (!decision.ok) throw new Error("no conflict is possible here");
    return safetyOf(1, decision.plan.steps);
  };
  const versions = (now: Files) => new Map(Object.entries(now).map(([path, text]) => [path, version(text)]));

  test("FIL-5.1 commit, then rollback, restores every file; what changed since stays and is named", () => {
    fc.assert(
      fc.property(files, files, files, (base, session, later) => {
        const safety = committed(base, session);
        const after: Files = { ...session, ...Object.fromEntries(Object.entries(later).filter(([path]) => path === "a")) };
        const plan = planRollback(safety, versions(after));
        const contents = new Map(Object.values(base).map((text) => [sha256(text), text]));
        const back = perform(after, plan.steps, contents);
        for (const path of paths) {
          if (after[path] === session[path]) expect(back[path]).toBe(base[path]);
          else expect(back[path]).toBe(after[path]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("FIL-5.2 a file the commit did not write is never in the plan", () => {
    const safety = committed({ a: "1" }, { a: "2", b: "new" });
    const plan = planRollback(safety, versions({ a: "2", b: "somebody else's", c: "c" }));
    expect(plan.steps.map((step) => step.path)).toEqual(["a"]);
    expect(plan.conflicts.map((conflict) => conflict.path)).toEqual(["b"]);
  });

  test("FIL-5.1 another mode and another kind of thing are changes too: what has one is named and stays", () => {
    const safety = committed({ a: "1" }, { a: "2" });
    const now = { ...version("2"), executable: true };
    expect(planRollback(safety, new Map([["a", now]]))).toMatchObject({ steps: [], conflicts: [{ path: "a" }] });
    const made = safetyOf(1, [{ op: "mkdir", path: "d" }]);
    const pipe: Version = { type: "other", digest: null, executable: false };
    expect(planRollback(made, new Map([["d", pipe]]))).toMatchObject({ steps: [], conflicts: [{ path: "d" }] });
  });

  test("FIL-5.3 rolling back twice changes nothing more", () => {
    const safety = committed({ a: "1" }, { b: "new" });
    expect(planRollback(safety, versions({ a: "1" }))).toEqual({ steps: [], conflicts: [] });
  });
});

describe("the last rollback", () => {
  let digests = 0;
  const act = (name: FilesEntry["act"], extra: Partial<FilesEntry> = {}): readonly FilesEntry[] => {
    const { steps, ...rest } = extra;
    const entry = { kind: "files", at: 1, pid: 1, act: name, changes: [], safety: null, ...rest } as const;
    return [
      { ...entry, phase: "intent", ...(steps === undefined ? {} : { steps }) },
      { ...entry, phase: "outcome" },
    ];
  };
  const undoing = (safety: string): readonly FilesEntry[] => act("rollback", { safety, steps: `undo ${safety}` });
  const again = (safety: string): readonly FilesEntry[] => act("commit", { safety, steps: `again ${safety} ${(digests += 1)}` });
  const last = (...entries: readonly (readonly FilesEntry[])[]) => lastRollback(entries.flat(), 1);
  const commits = (...names: readonly string[]) => names.map((safety) => ({ safety, steps: `undo ${safety}` }));

  test("FIL-5.4  its commits come oldest first, and what stands again or was undone whole is no more of it", () => {
    const first = [act("commit", { safety: "a" }), act("commit", { safety: "b" }), undoing("b"), undoing("a")];
    const one = [...first, act("stash", { stash: "s" })];
    expect(last()).toBeNull();
    expect(last(act("commit", { safety: "a" }))).toBeNull();
    expect(last(...one)).toEqual({ commits: commits("a", "b"), redone: [], stash: "s" });
    expect(last(...one, again("a"))).toEqual({ commits: commits("b"), redone: ["a"], stash: "s" });
    expect(last(...one, again("a"), again("b"), act("unstash", { stash: "s" }))).toBeNull();
    const two = [...one, act("commit", { safety: "c" }), undoing("c"), act("stash", { stash: "t" })];
    expect(last(...two)).toEqual({ commits: commits("c"), redone: [], stash: "t" });
    expect(last(...two, again("c"), act("unstash", { stash: "t" }))).toEqual({
      commits: commits("a", "b"),
      redone: [],
      stash: "s",
    });
  });

  test("FIL-5.4  one that was cut short counts as far as it came, and what failed or is another session's does not count", () => {
    expect(last(undoing("b"))).toEqual({ commits: commits("b"), redone: [], stash: null });
    expect(last(undoing("b"), undoing("a"), act("stash", { stash: "s" }))).toMatchObject({ commits: commits("a", "b") });
    expect(last(undoing("b"), again("b"))?.commits).toEqual([]);
    const [intent] = undoing("b");
    const failed = act("rollback").slice(1);
    expect(lastRollback([...(intent === undefined ? [] : [intent]), ...failed, ...act("stash").slice(1)], 1)).toBeNull();
    expect(
      lastRollback(
        undoing("b").map((entry) => ({ ...entry, pid: 2 })),
        1,
      ),
    ).toBeNull();
  });
});
