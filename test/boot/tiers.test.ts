/** What every process sees besides its own session, on a whole machine with real files. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../src/boot/boot.ts";
import { openFileBlobs } from "../../src/drivers/store/file-blobs.ts";
import { decode } from "../../src/kernel/codec.ts";
import { replay } from "../../src/kernel/replay.ts";
import type { Entry } from "../../src/abi/entry.ts";
import { label } from "../../src/security/labels.ts";
import { answer } from "../kernel/answer.ts";
import { down, must, outcomes, parked, start, told, up, workspace, type Call } from "./machine.ts";

/** A process that writes a file and shares it; a person says yes. */
async function share(machine: Machine, file: string, text: string, to?: string): Promise<number> {
  const pid = await start(machine, [
    ["fs.write", { path: file, text }],
    ["fs.share", to === undefined ? { path: file } : { path: file, to }],
  ]);
  await parked(machine, pid);
  must(answer(machine.kernel, pid));
  expect(told(outcomes(await machine.kernel.wait(pid))[1])).toMatch(/^ok/);
  return pid;
}

async function all(machine: Machine, calls: readonly Call[]): Promise<readonly string[]> {
  return outcomes(await machine.kernel.wait(await start(machine, calls))).map(told);
}

describe("the platform tier", () => {
  it("FIL-17.2  holds daimon's documentation and programs, to be listed, read and searched", async () => {
    const machine = await up(workspace());
    const [top, page, hit, code, source] = await all(machine, [
      ["fs.list", { path: "/platform" }],
      ["fs.read", { path: "/platform/docs/concepts.md", to: 1 }],
      ["fs.search", { query: "copy-on-write", path: "/platform/docs" }],
      ["fs.list", { path: "/platform/src" }],
      ["fs.read", { path: "/platform/docs/../package.json" }],
    ]);
    expect(top).toContain("/platform/docs/");
    expect(top).toContain("/platform/programs/");
    expect(top).not.toContain("src");
    expect(page).toContain("1│ #");
    expect(hit).toMatch(/\/platform\/docs\/\w+\.md:\d+:/);
    expect(code).toMatch(/^ENOENT/);
    expect(source).toMatch(/^EINVAL/);
  });

  it("FIL-17.2  is of the system: to read it taints nobody", async () => {
    const machine = await up(workspace());
    const pid = await start(machine, [["fs.read", { path: "/platform/llms.txt" }]]);
    await machine.kernel.wait(pid);
    const entries = entriesOf(machine);
    expect(entries.find((entry) => entry.kind === "outcome")).toMatchObject({ label: label("system", "public") });
  });
});

describe("the shared tier", () => {
  it("FIL-17.4  is empty where nothing was shared, and nothing is made for it", async () => {
    const where = workspace();
    const machine = await up(where);
    const before = fs.readdirSync(where.layout.folder);
    const [listed, missing] = await all(machine, [
      ["fs.list", { path: "/shared" }],
      ["fs.read", { path: "/shared/a.md" }],
    ]);
    expect(listed).toContain("nothing here");
    expect(missing).toMatch(/^ENOENT there is no \/shared\/a.md/);
    expect(fs.readdirSync(where.layout.folder)).toEqual(before);
  });

  it("FIL-17.6  gives a copy to processes of other sessions: what becomes of the file later is not seen", async () => {
    const machine = await up(workspace());
    const first = await share(machine, "notes/a.md", "one\n");
    const session = must(await machine.sessions.open(first));
    must(await session.write("notes/a.md", Buffer.from("two\n")));
    const [top, folder, page, hit, asFolder, asFile] = await all(machine, [
      ["fs.list", { path: "/shared" }],
      ["fs.list", { path: "/shared/notes" }],
      ["fs.read", { path: "/shared/notes/a.md" }],
      ["fs.search", { query: "one", path: "/shared" }],
      ["fs.read", { path: "/shared/notes" }],
      ["fs.list", { path: "/shared/notes/a.md" }],
    ]);
    expect(top).toContain("/shared/notes/");
    expect(folder).toContain("/shared/notes/a.md  4 bytes");
    expect(page).toContain("1│ one");
    expect(hit).toContain("/shared/notes/a.md:1: one");
    expect(asFolder).toMatch(/^EINVAL .*is a folder/);
    expect(asFile).toContain("/shared/notes/a.md  4 bytes");
  });

  it("FIL-17.3  a file keeps the label it was shared with, and a search has the join of all it looked at", async () => {
    const machine = await up(workspace());
    await share(machine, "a.md", "alpha\n");
    const pid = await start(machine, [
      ["fs.read", { path: "/shared/a.md" }],
      ["fs.search", { query: "alpha", path: "/shared" }],
    ]);
    await machine.kernel.wait(pid);
    const labels = entriesOf(machine).flatMap((entry) => (entry.kind === "outcome" && entry.pid === pid ? [entry.label] : []));
    expect(labels).toEqual([label("untrusted", "workspace"), label("untrusted", "workspace")]);
    expect(machine.kernel.recorder.table.shared.get("a.md")?.label).toEqual(label("untrusted", "workspace"));
  });

  it("FIL-17.5  a person is shown what stood there and what will, and their yes is for that content", async () => {
    const machine = await up(workspace());
    const pid = await start(machine, [
      ["fs.write", { path: "a.md", text: "shown\n" }],
      ["fs.share", { path: "a.md", to: "b.md" }],
    ]);
    await parked(machine, pid);
    const park = machine.kernel.processes()[0]?.park;
    expect(park).toMatchObject({ type: "approval", frozen: expect.any(String) });
    const session = must(await machine.sessions.open(pid));
    must(await session.write("a.md", Buffer.from("another\n")));
    must(answer(machine.kernel, pid));
    await parked(machine, pid);
    expect(machine.kernel.processes()).toMatchObject([
      { parks: 2, park: { question: expect.stringContaining("changed since") } },
    ]);
    expect(machine.kernel.recorder.table.shared.size).toBe(0);
    must(answer(machine.kernel, pid));
    expect(told(outcomes(await machine.kernel.wait(pid))[1])).toContain("/shared/b.md");
    expect([...machine.kernel.recorder.table.shared.keys()]).toEqual(["b.md"]);
  });

  it("FIL-17.5  a no shares nothing, and neither does a file that looks like a secret or a path that leaves the tier", async () => {
    const where = workspace({ "a.md": "text\n", ".env": "KEY=1\n" });
    const machine = await up(where);
    const pid = await start(machine, [
      ["fs.share", { path: "a.md" }],
      ["fs.share", { path: ".env", to: "harmless.md" }],
      ["fs.share", { path: "a.md", to: "../a.md" }],
      ["fs.share", { path: "a.md", to: "/shared/a.md" }],
      ["fs.share", { path: "none.md" }],
    ]);
    await parked(machine, pid);
    must(answer(machine.kernel, pid, { allow: false, text: "keep it" }));
    const [no, secret, out, absolute, none] = outcomes(await machine.kernel.wait(pid)).map(told);
    expect(no).toMatch(/^EPERM .*keep it/);
    expect(secret).toMatch(/^EPERM/);
    expect(out).toMatch(/^EINVAL/);
    expect(absolute).toMatch(/^EROFS/);
    expect(none).toMatch(/^ENOENT/);
    expect(machine.kernel.recorder.table.shared.size).toBe(0);
  });

  it("TRP-1.4  no call changes a tier by its path, whatever policy permits", async () => {
    const where = workspace();
    fs.mkdirSync(where.layout.user.folder, { recursive: true });
    fs.writeFileSync(
      where.layout.user.config,
      "policy:\n  allow:\n    - fs.write\n    - fs.edit\n    - fs.commit\n    - fs.share\n",
    );
    const machine = await up(where);
    const refused = await all(machine, [
      ["fs.write", { path: "/shared/a.md", text: "x" }],
      ["fs.write", { path: "/platform/docs/api.md", text: "x" }],
      ["fs.edit", { path: "/platform/llms.txt", old: "a", new: "b" }],
      ["fs.commit", { paths: ["/shared"] }],
      ["fs.share", { path: "/platform/llms.txt", to: "x" }],
    ]);
    expect(refused).toHaveLength(5);
    for (const one of refused) expect(one).toMatch(/^EROFS \/(?:shared|platform)\S* cannot be changed/);
    const [allowed] = await all(machine, [["fs.share", { path: "programs/performer/program.ts", to: "p.ts" }]]);
    expect(allowed).toMatch(/^ok/);
  });

  it("KRN-18.1  what a process that saw a secret shares is as secret as what it saw", async () => {
    const machine = await up(workspace());
    const pid = await start(machine, [
      ["fs.write", { path: "a.md", text: "x" }],
      ["fs.share", { path: "a.md" }],
    ]);
    await parked(machine, pid);
    const proc = machine.kernel.recorder.table.procs.get(pid);
    if (proc !== undefined) proc.label = label("derived", "secret");
    must(machine.kernel.shared.put(pid, { path: "s.md", blob: machine.blobs.put("x"), bytes: 1 }));
    expect(machine.kernel.recorder.table.shared.get("s.md")?.label).toEqual(label("untrusted", "secret"));
  });

  it("KRN-18.2  a path is a file or a folder and never both", async () => {
    const machine = await up(workspace());
    await share(machine, "a.md", "x", "notes/a");
    const pid = await start(machine, [["ask", { question: "?" }]]);
    await parked(machine, pid);
    const blob = machine.blobs.put("y");
    for (const clash of ["notes", "notes/a/b"]) {
      expect(machine.kernel.shared.put(pid, { path: clash, blob, bytes: 1 })).toMatchObject({
        ok: false,
        error: { errno: "EEXIST" },
      });
    }
    expect(machine.kernel.shared.put(pid, { path: "notes/a", blob, bytes: 1 }).ok).toBe(true);
    for (let n = 1; n < 1_000; n += 1) must(machine.kernel.shared.put(pid, { path: `f${n}`, blob, bytes: 1 }));
    expect(machine.kernel.shared.put(pid, { path: "one-more", blob, bytes: 1 })).toMatchObject({
      ok: false,
      error: { errno: "EDQUOT" },
    });
    expect(machine.kernel.shared.put(pid, { path: "f1", blob, bytes: 1 }).ok).toBe(true);
  });

  it("KRN-18.3  what was shared is there after a restart and what was taken out is not; replay agrees; shared text is no instruction", async () => {
    const where = workspace();
    const first = await up(where);
    await share(first, "a.md", "kept\n");
    await share(first, "b.md", "taken out\n");
    must(first.kernel.shared.remove("b.md"));
    expect(first.kernel.shared.remove("b.md")).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    await down(first);
    const second = await up(where);
    expect((await all(second, [["fs.list", { path: "/shared" }]]))[0]).toMatch(/"text":"\/shared\/a\.md {2}5 bytes"/);
    expect(replay({ log: second.log, blobs: second.blobs, until: null, pid: null })).toMatchObject({
      ok: true,
      value: { findings: [] },
    });
    const { shared, produced } = second.kernel.recorder.table;
    const blob = shared.get("a.md")?.blob ?? "";
    expect(produced.has(blob)).toBe(true);
    expect(fs.existsSync(path.join(where.root, "a.md"))).toBe(false);
    expect(must(openFileBlobs({ dir: where.layout.blobs })).get(blob)).toMatchObject({ ok: true });
  });
});

function entriesOf(machine: Machine): readonly Entry[] {
  return [...machine.log.read(0)].flatMap((record) => (record.ok ? [decode(record.value.text) as Entry] : []));
}
