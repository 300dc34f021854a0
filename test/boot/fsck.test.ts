import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../../src/abi/entry.ts";
import { fail } from "../../src/abi/errno.ts";
import type { BlobDriver } from "../../src/abi/store.ts";
import { openSegmentLog, type SegmentLog } from "../../src/drivers/store/segment-log.ts";
import { openFileBlobs } from "../../src/drivers/store/file-blobs.ts";
import { bootIntegrity } from "../../src/boot/checks/boot-integrity.ts";
import { layoutCheck } from "../../src/boot/checks/layout.ts";
import { references, type ReferencesInput } from "../../src/boot/checks/references.ts";
import { storeSeparation } from "../../src/boot/checks/stores.ts";
import { listRepairs, repair, runChecks, undo, type Act, type Problem } from "../../src/boot/fsck.ts";
import type { Layout } from "../../src/boot/layout.ts";
import { sha256, type Digest } from "../../src/lib/hash.ts";
import { ok } from "../../src/lib/result.ts";
import { freshLayout, put, snapshot } from "./folder.ts";

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

const place = (layout: Layout, digest: Digest): string => path.join(layout.blobs, digest.slice(0, 2), digest.slice(2));

function openBlobs(layout: Layout, readOnly = true): BlobDriver {
  return must(openFileBlobs({ dir: layout.blobs, readOnly }));
}

async function stored(layout: Layout, ...texts: readonly string[]): Promise<readonly Digest[]> {
  const blobs = openBlobs(layout, false);
  const digests = texts.map((text) => blobs.put(text));
  must(await blobs.flush());
  return digests;
}

function check(layout: Layout, entries: readonly Entry[], extra: Partial<ReferencesInput> = {}) {
  const records = entries.map((entry, seq) => ok({ seq, text: JSON.stringify(entry), hash: sha256(String(seq)) }));
  return references({ layout, records, blobs: openBlobs(layout), blobFile: (digest) => place(layout, digest), now, ...extra });
}

const label = { integrity: "derived", confidentiality: "workspace" } as const;

function spawned(pid: number, manifest: Digest): Entry {
  return {
    kind: "spawn",
    at: 1,
    pid,
    parent: 0,
    call: null,
    manifest,
    cpu: "reflex",
    goal: "",
    headTokens: 0,
    label,
    session: pid,
    weight: 1,
    windowTokensMax: 1000,
  };
}

function outcome(id: string, blob: Digest): Entry {
  return { kind: "outcome", at: 1, pid: 1, id, blob, tokens: 1 };
}

function problem(...acts: readonly Act[]): Problem {
  return { finding: { rule: "t", severity: "error", where: "w", message: "m" }, repair: { explain: "do it", acts } };
}

function must<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: { readonly message: string } },
): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

describe("fsck", () => {
  it("FSK-1.1  a check that throws is an error finding and the others still run", async () => {
    const broken = {
      name: "broken",
      *run(): Generator<Problem> {
        yield problem();
        throw Object.assign(new Error("x"), { code: "EACCES" });
      },
    };
    const problems = await runChecks([broken, { name: "fine", run: () => [problem()] }]);
    expect(problems.map((one) => one.finding.rule)).toEqual(["t", "broken", "t"]);
    expect(problems[1]?.finding.message).toContain("EACCES");
    const layout = freshLayout();
    put(path.join(layout.folder, "stray"), "x");
    const before = snapshot(layout.root);
    await runChecks([layoutCheck(layout), check(layout, [spawned(1, sha256("m"))])]);
    expect(snapshot(layout.root)).toEqual(before);
  });

  it("FSK-1.2  the worst come first, then in order", async () => {
    const of = (severity: "info" | "warning" | "error", where: string): Problem => ({
      finding: { rule: "r", severity, where, message: "" },
      repair: null,
    });
    const problems = await runChecks([
      { name: "c", run: () => [of("info", "1"), of("error", "2"), of("warning", "3"), of("error", "4")] },
    ]);
    expect(problems.map((one) => one.finding.where)).toEqual(["2", "4", "3", "1"]);
  });

  it("FSK-1.3  a repair sets aside with a manifest, and deletes nothing", () => {
    const layout = freshLayout();
    put(path.join(layout.folder, "stray/deep/a"), "content");
    const record = must(repair(layout, [problem({ act: "move", path: ".daimon/stray" })], now));
    expect(record?.id).toBe("20261121T120000Z-1");
    expect(fs.readFileSync(path.join(layout.quarantine, "20261121T120000Z-1/0/deep/a"), "utf8")).toBe("content");
    expect(listRepairs(layout)).toEqual([record]);
    put(path.join(layout.folder, "stray"), "again");
    expect(must(repair(layout, [problem({ act: "move", path: ".daimon/stray" })], now))?.id).toBe("20261121T120000Z-2");
  });

  it("FSK-1.4  undo restores names, contents, modes and links exactly, from any point of the repair", () => {
    const name = fc.constantFrom("a", "b", "c/d", "c/e", "f/g/h");
    const kind = fc.constantFrom("file", "link", "folder");
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, kind, fc.integer({ min: 0, max: 0o777 })), { minLength: 1, selector: ([file]) => file }),
        fc.nat(8),
        (files, crashAfter) => {
          const layout = freshLayout();
          const acts = files.map(([file, type, mode]): Act => {
            const place = path.join(layout.folder, "x", file);
            fs.mkdirSync(path.dirname(place), { recursive: true });
            if (type === "link") fs.symlinkSync("nowhere", place);
            else if (type === "folder") put(path.join(place, "inner"), "inner");
            else put(place, file);
            const from = fs.lstatSync(place).mode & 0o7777;
            const relative = `.daimon/x/${file}`;
            return type === "file" && mode % 2 === 1
              ? { act: "mode", path: relative, from, to: 0o600 }
              : { act: "move", path: relative };
          });
          acts.push({ act: "create", path: ".daimon/made", content: "made" });
          const before = snapshot(layout.root);
          const record = must(repair(layout, [problem(...acts)], now));
          expect(snapshot(layout.root)).not.toEqual(before);
          // A crash in the middle looks like this: the later acts were never performed.
          if (crashAfter < acts.length) rewind(layout, record?.id ?? "", acts, crashAfter);
          must(undo(layout, record?.id ?? ""));
          expect(snapshot(layout.root)).toEqual(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("FSK-1.5  undo refuses to overwrite, names the place, and changes nothing", () => {
    const layout = freshLayout();
    put(path.join(layout.folder, "a"), "a");
    put(path.join(layout.folder, "b"), "b");
    const record = must(repair(layout, [problem({ act: "move", path: ".daimon/a" }, { act: "move", path: ".daimon/b" })], now));
    put(path.join(layout.folder, "b"), "new");
    const before = snapshot(layout.root);
    expect(undo(layout, record?.id ?? "")).toMatchObject({
      ok: false,
      error: { errno: "EEXIST", message: expect.stringContaining(".daimon/b") },
    });
    expect(snapshot(layout.root)).toEqual(before);
    for (const id of ["none", "../..", "20261121T120000Z-9"])
      expect(undo(layout, id)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    fs.writeFileSync(path.join(layout.quarantine, record?.id ?? "", "manifest.json"), "{}");
    expect(undo(layout, record?.id ?? "")).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  it("FSK-1.6  after a repair of everything, a second run is clean and a second repair does nothing", async () => {
    const layout = freshLayout();
    const [good = ""] = await stored(layout, "manifest");
    fs.chmodSync(layout.folder, 0o755);
    fs.chmodSync(layout.keys, 0o750);
    put(path.join(layout.keys, "k"), "k");
    put(path.join(layout.folder, "stray.txt"), "x");
    fs.symlinkSync("/etc", path.join(layout.folder, "etc"));
    fs.symlinkSync("/etc/passwd", path.join(layout.blobs, "passwd"));
    fs.rmSync(layout.gitignore);
    fs.symlinkSync("/dev/null", layout.gitignore);
    fs.mkdirSync(path.join(layout.sessions, "99"));
    put(place(layout, sha256("never here")), "damage");
    const old = path.join(layout.journal, "0001.tmp");
    put(old, "x");
    fs.utimesSync(old, 1, 1);
    put(path.join(layout.root, "AGENTS.md"), "x");
    const separation = { rule: "store-separation", severity: "error", where: "AGENTS.md", message: "m" } as const;
    const checks = (): readonly ReturnType<typeof layoutCheck>[] => [
      layoutCheck(layout),
      check(layout, [spawned(1, good), outcome("1.1.0", sha256("never here"))]),
      storeSeparation(fs.existsSync(path.join(layout.root, "AGENTS.md")) ? [separation] : []),
    ];
    const before = snapshot(layout.root);
    const problems = await runChecks(checks());
    expect(problems.filter((one) => one.repair !== null).length).toBeGreaterThanOrEqual(10);
    const record = must(repair(layout, problems, now));
    const second = await runChecks(checks());
    // The value that was damaged is lost: that stays an error, and says so, without a repair.
    expect(second.map((one) => one.finding.message.replace(/^.*? is /, ""))).toEqual([
      "missing; restore .daimon/blobs from a backup",
    ]);
    expect(must(repair(layout, second, now))).toBeNull();
    expect(fs.readdirSync(layout.quarantine)).toEqual([record?.id]);
    must(undo(layout, record?.id ?? ""));
    expect(snapshot(layout.root)).toEqual(before);
  });

  it("FSK-1.7  an act outside the workspace or through a link is refused before anything changes", () => {
    const layout = freshLayout();
    put(path.join(layout.folder, "ok"), "x");
    fs.symlinkSync("/tmp", path.join(layout.folder, "out"));
    const before = snapshot(layout.root);
    for (const file of ["../x", "/etc/passwd", ".daimon/../../x", ".daimon/out/x", "a//b"]) {
      const result = repair(layout, [problem({ act: "move", path: ".daimon/ok" }, { act: "move", path: file })], now);
      expect(result, file).toMatchObject({ ok: false });
    }
    expect(snapshot(layout.root)).toEqual(before);
  });

  it("FSK-1.8  a repair that came along with other files is not listed, and undoing it changes nothing", () => {
    /** As an attacker would have it: undone, it puts a file of theirs where git runs it. */
    const planted = (layout: Layout): string => {
      put(path.join(layout.root, ".git/hooks/post-checkout"), "evil\n");
      const record = must(repair(layout, [problem({ act: "move", path: ".git/hooks/post-checkout" })], now));
      return record?.id ?? "";
    };
    const theirs = freshLayout();
    const id = planted(theirs);
    const own = freshLayout();
    const other = planted(own);
    expect(other).toBe(id);
    const ways: readonly (readonly [string, (layout: Layout) => string])[] = [
      ["unsigned", (layout) => (fs.rmSync(path.join(layout.quarantine, id, "manifest.sig")), id)],
      ["signed by its maker", () => id],
      [
        "under another's signature",
        (layout) => {
          fs.copyFileSync(path.join(own.quarantine, id, "manifest.sig"), path.join(layout.quarantine, id, "manifest.sig"));
          return id;
        },
      ],
    ];
    for (const [name, change] of ways) {
      const layout = freshLayout();
      fs.cpSync(path.join(theirs.quarantine, id), path.join(layout.quarantine, id), { recursive: true });
      const named = change(layout);
      const before = snapshot(layout.root);
      expect(listRepairs(layout), name).toEqual([]);
      expect(undo(layout, named), name).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
      expect(snapshot(layout.root), name).toEqual(before);
    }
    const manifest = path.join(own.quarantine, id, "manifest.json");
    const text = fs.readFileSync(manifest, "utf8");
    fs.writeFileSync(manifest, text.replace("post-checkout", "pre-commit"));
    expect(undo(own, id)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    fs.writeFileSync(manifest, text);
    fs.renameSync(path.join(own.quarantine, id), path.join(own.quarantine, "20250101T000000Z-1"));
    expect(undo(own, "20250101T000000Z-1"), "under another name").toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    fs.renameSync(path.join(own.quarantine, "20250101T000000Z-1"), path.join(own.quarantine, id));
    expect(undo(own, id).ok).toBe(true);
    expect(fs.readFileSync(path.join(own.root, ".git/hooks/post-checkout"), "utf8")).toBe("evil\n");
  });
});

describe("check boot-integrity", () => {
  const boot = (at: number, content: string): Entry => ({
    kind: "boot",
    at,
    version: "1",
    policy: "p",
    digest: "d",
    steps: [{ name: "instructions:AGENTS.md", digest: sha256(content), ms: 1 }],
  });
  const steps = (content: string) => [{ name: "instructions:AGENTS.md", digest: sha256(content), ms: 9 }];

  it("FSK-2.1  a change since the last boot is named with old and new digest", async () => {
    const problems = await runChecks([bootIntegrity([boot(1, "older"), boot(now, "old")], steps("new"))]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.finding).toMatchObject({ rule: "boot-integrity", where: "instructions:AGENTS.md" });
    expect(problems[0]?.finding.message).toContain(
      `changed since the boot of 2026-11-21T12:00:00.000Z: was ${sha256("old").slice(0, 12)}, is ${sha256("new").slice(0, 12)}`,
    );
    expect(await runChecks([bootIntegrity([boot(1, "older"), boot(now, "old")], steps("old"))])).toEqual([]);
  });

  it("FSK-2.2  a workspace that never booted is clean", async () => {
    expect(await runChecks([bootIntegrity([], steps("x"))])).toEqual([]);
  });

  it("FSK-2.3  a changed file has no repair and says how to look", async () => {
    const [found] = await runChecks([bootIntegrity([boot(now, "old")], [])]);
    expect(found?.repair).toBeNull();
    expect(found?.finding.message).toContain("compare the file");
  });
});

describe("check references", () => {
  it("FSK-3.1  a missing blob names its entry and what it held", async () => {
    const layout = freshLayout();
    const page = sha256("page");
    const evict: Entry = { kind: "evict", at: 1, pid: 3, pages: [{ id: "abc", blob: page, stubTokens: 1 }] };
    const rollback: Entry = {
      kind: "files",
      at: 1,
      pid: 3,
      act: "rollback",
      phase: "intent",
      changes: [],
      safety: sha256("safety"),
    };
    const asked: Entry = {
      kind: "park",
      at: 1,
      pid: 3,
      reason: { type: "approval", call: "3.2.0", question: "?", frozen: sha256("plan") },
    };
    const entries = [spawned(3, sha256("m")), outcome("3.1.0", sha256("v")), evict, rollback, asked];
    const problems = await runChecks([check(layout, entries)]);
    expect(problems.map((one) => `${one.finding.where}: ${one.finding.message.split("which holds ")[1]?.split(",")[0]}`)).toEqual(
      [
        "entry 0: the manifest of process 3",
        "entry 1: the value of call 3.1.0",
        "entry 2: page abc of process 3",
        "entry 3: the safety copy of process 3's rollback",
        "entry 4: what call 3.2.0 asks to do",
      ],
    );
    expect(problems.every((one) => one.repair === null && one.finding.severity === "error")).toBe(true);
  });

  it("FSK-3.2  a damaged blob is set aside, a whole one is not", async () => {
    const layout = freshLayout();
    const [good = "", bad = ""] = await stored(layout, "good", "bad");
    put(place(layout, bad), "tampered");
    const problems = await runChecks([check(layout, [spawned(1, good), outcome("1.1.0", bad)])]);
    expect(problems).toMatchObject([
      {
        finding: { where: "entry 1", message: expect.stringContaining("is damaged") },
        repair: { acts: [{ act: "move", path: path.relative(layout.root, place(layout, bad)) }] },
      },
    ]);
    must(repair(layout, problems, now));
    expect([...openBlobs(layout).list()]).toEqual([good]);
  });

  it("FSK-3.3  a missing checkpoint is a warning", async () => {
    const layout = freshLayout();
    const checkpoint: Entry = { kind: "checkpoint", at: 1, blob: sha256("c"), digest: "d" };
    expect(await runChecks([check(layout, [checkpoint])])).toMatchObject([
      { finding: { severity: "warning", message: expect.stringContaining("reads the journal instead") } },
    ]);
  });

  it("FSK-3.4  strange sessions and old temporary files are set aside, known and young ones stay", async () => {
    const layout = freshLayout();
    const [manifest = ""] = await stored(layout, "m");
    for (const name of ["1", "7", "backup"]) fs.mkdirSync(path.join(layout.sessions, name));
    put(path.join(layout.sessions, "1/upper/file.tmp"), "an agent's own");
    const [old, young] = [path.join(layout.blobs, "x.tmp-1"), path.join(layout.blobs, "y.tmp-1")];
    put(old, "");
    put(young, "");
    const draft = path.join(layout.root, ".daimon-new-aB3dEf");
    fs.mkdirSync(draft);
    fs.mkdirSync(path.join(layout.root, ".daimon-newer"));
    for (const [file, at] of [
      [old, now - 3_600_001],
      [draft, now - 3_600_001],
      [path.join(layout.root, ".daimon-newer"), 1],
      [young, now - 1000],
      [path.join(layout.sessions, "1/upper/file.tmp"), 1],
    ] as const)
      fs.utimesSync(file, at / 1000, at / 1000);
    const problems = await runChecks([check(layout, [spawned(1, manifest)])]);
    expect(problems.map((one) => one.finding.where)).toEqual([
      ".daimon/sessions/7",
      ".daimon/sessions/backup",
      ".daimon/blobs/x.tmp-1",
      ".daimon-new-aB3dEf",
    ]);
    must(repair(layout, problems, now));
    expect(fs.readdirSync(layout.sessions)).toEqual(["1"]);
    expect(fs.readdirSync(layout.root).toSorted()).toEqual([".daimon", ".daimon-newer"]);
  });

  it("FSK-3.5  a journal that breaks is one error; no session is judged by the part that cannot be read alone", async () => {
    const layout = freshLayout();
    fs.mkdirSync(path.join(layout.sessions, "9"));
    const records = [
      ok({ seq: 0, text: JSON.stringify(spawned(1, sha256("m"))), hash: "h" }),
      fail("EUCLEAN", "record 1 does not follow from record 0"),
    ];
    const problems = await runChecks([check(layout, [], { records })]);
    expect(problems.map((one) => one.finding.rule)).toEqual(["journal", "references"]);
    expect(problems[0]?.finding.message).toContain("record 1 does not follow");
  });

  it("FSK-3.5  the repair of a journal takes along the sessions that only the damaged part knows, and all of it comes back", async () => {
    const layout = freshLayout();
    for (const pid of ["1", "9"]) put(path.join(layout.sessions, pid, "upper/a.txt"), "mine");
    const log = must(openSegmentLog({ dir: layout.journal, now: () => now }));
    for (const pid of [1, 9]) log.append(JSON.stringify(spawned(pid, sha256("m"))));
    await log.close();
    const file = path.join(layout.journal, "000000000000.log");
    const bytes = fs.readFileSync(file);
    bytes.write("X", bytes.indexOf('"pid":9'));
    fs.writeFileSync(file, bytes);
    const before = snapshot(layout.root);
    const reader = must(openSegmentLog({ dir: layout.journal, now: () => now, readOnly: true }));
    const problems = await runChecks([check(layout, [], { records: reader.read(0) })]);
    await reader.close();
    const broken = problems.filter((one) => one.repair !== null);
    expect(broken).toMatchObject([{ finding: { where: "journal", fix: expect.stringContaining("first 1 records stay") } }]);
    const record = must(repair(layout, broken, now));
    expect(fs.readdirSync(layout.sessions)).toEqual(["1"]);
    const mended = must(openSegmentLog({ dir: layout.journal, now: () => now, readOnly: true }));
    expect(mended.state).toMatchObject({ records: 1, damage: null });
    await mended.close();
    must(undo(layout, record?.id ?? ""));
    expect(snapshot(layout.root)).toEqual(before);
  });

  it("FSK-1.9  a journal that went on is not put back, also where nothing of it was whole", async () => {
    for (const at of ['"pid":1', '"pid":9']) {
      const layout = freshLayout();
      const open = (): SegmentLog => must(openSegmentLog({ dir: layout.journal, now: () => now }));
      const log = open();
      for (const pid of [1, 9]) log.append(JSON.stringify(spawned(pid, sha256("m"))));
      await log.close();
      const file = path.join(layout.journal, "000000000000.log");
      const bytes = fs.readFileSync(file);
      bytes.write("X", bytes.indexOf(at));
      fs.writeFileSync(file, bytes);
      const reader = must(openSegmentLog({ dir: layout.journal, now: () => now, readOnly: true }));
      const problems = await runChecks([check(layout, [], { records: reader.read(0) })]);
      await reader.close();
      const record = must(repair(layout, problems, now));
      const on = open();
      on.append(JSON.stringify(spawned(2, sha256("m"))));
      await on.close();
      const before = snapshot(layout.root);
      expect(undo(layout, record?.id ?? "")).toMatchObject({ ok: false, error: { errno: "ESTALE" } });
      expect(snapshot(layout.root)).toEqual(before);
    }
  });

  it("FSK-3.6  each blob is read once", async () => {
    const layout = freshLayout();
    const [digest = ""] = await stored(layout, "shared");
    const driver = openBlobs(layout);
    let reads = 0;
    const get = (one: Digest): ReturnType<BlobDriver["get"]> => {
      reads += 1;
      return driver.get(one);
    };
    const counting: BlobDriver = {
      name: "counting",
      dirty: false,
      put: (data) => driver.put(data),
      get,
      has: (one) => driver.has(one),
      flush: () => driver.flush(),
      list: () => driver.list(),
    };
    expect(
      await runChecks([
        check(layout, [spawned(1, digest), outcome("1.1.0", digest), outcome("1.2.0", digest)], { blobs: counting }),
      ]),
    ).toEqual([]);
    expect(reads).toBe(1);
  });
});

describe("check store-separation", () => {
  const finding = { rule: "store-separation", severity: "error", where: "AGENTS.md", message: "m" } as const;

  it("FSK-4.1  the loader's findings are reported as they are", async () => {
    const hidden = { rule: "BOO-7.5", severity: "warning", where: "CLAUDE.md:3", message: "h" } as const;
    expect(await runChecks([storeSeparation([hidden])])).toEqual([{ finding: hidden, repair: null }]);
  });

  it("FSK-4.2  a process's AGENTS.md can be set aside and brought back", async () => {
    const layout = freshLayout();
    put(path.join(layout.root, "AGENTS.md"), "planted");
    const [found] = await runChecks([storeSeparation([finding])]);
    expect(found?.finding.fix).toContain("daimon config trust AGENTS.md");
    const record = must(repair(layout, found === undefined ? [] : [found], now));
    expect(fs.existsSync(path.join(layout.root, "AGENTS.md"))).toBe(false);
    must(undo(layout, record?.id ?? ""));
    expect(fs.readFileSync(path.join(layout.root, "AGENTS.md"), "utf8")).toBe("planted");
  });

  it("FSK-4.3  a listed file or one outside the workspace is never moved", async () => {
    for (const where of ["docs/AGENTS.md", "~/AGENTS.md", "/srv/AGENTS.md"]) {
      expect(await runChecks([storeSeparation([{ ...finding, where }])])).toMatchObject([{ repair: null }]);
    }
  });
});

describe("check layout", () => {
  it("FSK-5.1  a linked .daimon is one error, and nothing behind it is looked at", async () => {
    const layout = freshLayout();
    fs.renameSync(layout.folder, `${layout.folder}-real`);
    put(path.join(`${layout.folder}-real`, "stray"), "x");
    fs.symlinkSync(".daimon-real", layout.folder);
    expect(await runChecks([layoutCheck(layout)])).toMatchObject([
      { finding: { severity: "error", where: ".daimon" }, repair: null },
    ]);
  });

  it("FSK-5.2  permissions for others are an error and can be mended", async () => {
    const layout = freshLayout();
    fs.chmodSync(layout.journal, 0o755);
    put(path.join(layout.keys, "deep/key"), "k");
    fs.chmodSync(path.join(layout.keys, "deep"), 0o700);
    fs.chmodSync(path.join(layout.keys, "deep/key"), 0o644);
    put(path.join(layout.blobs, "b"), "a file in a closed folder");
    const problems = await runChecks([layoutCheck(layout)]);
    expect(problems.map((one) => `${one.finding.severity} ${one.finding.where}`)).toEqual([
      "error .daimon/journal",
      "error .daimon/keys/deep/key",
    ]);
    must(repair(layout, problems, now));
    expect(fs.statSync(path.join(layout.keys, "deep/key")).mode & 0o777).toBe(0o600);
  });

  it("FSK-5.3  links and strange files are set aside", async () => {
    const layout = freshLayout();
    fs.symlinkSync("/etc", path.join(layout.blobs, "etc"));
    put(path.join(layout.folder, "notes.txt"), "mine?");
    for (const suffix of ["", "-wal", "-shm"]) put(layout.index + suffix, "");
    const problems = await runChecks([layoutCheck(layout)]);
    expect(problems.map((one) => `${one.finding.severity} ${one.finding.where}`)).toEqual([
      "error .daimon/blobs/etc",
      "warning .daimon/notes.txt",
    ]);
  });

  it("FSK-5.4  a missing .gitignore is made again; a stricter one is left alone", async () => {
    const layout = freshLayout();
    fs.writeFileSync(layout.gitignore, "# all of it\n*\n");
    expect(await runChecks([layoutCheck(layout)])).toEqual([]);
    fs.writeFileSync(layout.gitignore, "cache\n");
    const problems = await runChecks([layoutCheck(layout)]);
    const record = must(repair(layout, problems, now));
    expect(fs.readFileSync(layout.gitignore, "utf8")).toBe("*\n");
    must(undo(layout, record?.id ?? ""));
    expect(fs.readFileSync(layout.gitignore, "utf8")).toBe("cache\n");
    fs.rmSync(layout.gitignore);
    must(repair(layout, await runChecks([layoutCheck(layout)]), now + 1000));
    expect(fs.readFileSync(layout.gitignore, "utf8")).toBe("*\n");
  });

  it("FSK-5.5  sessions and quarantine are not looked into", async () => {
    const layout = freshLayout();
    fs.mkdirSync(path.join(layout.sessions, "1"));
    fs.symlinkSync("/etc", path.join(layout.sessions, "1/link"));
    fs.symlinkSync("/etc", path.join(layout.quarantine, "link"));
    expect(await runChecks([layoutCheck(layout)])).toEqual([]);
  });

  it("FSK-5.6  a workspace without .daimon is clean", async () => {
    const layout = freshLayout();
    fs.rmSync(layout.folder, { recursive: true });
    expect(await runChecks([layoutCheck(layout)])).toEqual([]);
  });
});

/** Take back the acts from `from` on by hand, as if the repair had died before them. */
function rewind(layout: Layout, id: string, acts: readonly Act[], from: number): void {
  for (const [index, act] of [...acts.entries()].slice(from).toReversed()) {
    const place = path.join(layout.root, act.path);
    if (act.act === "move") fs.renameSync(path.join(layout.quarantine, id, String(index)), place);
    else if (act.act === "mode") fs.chmodSync(place, act.from);
    else fs.rmSync(place);
  }
}
