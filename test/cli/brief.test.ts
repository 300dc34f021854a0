import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { tell } from "../../src/cli/entry.ts";
import { argsLine, decidedBy, forPerson, refusalsBy, stageOf } from "../../src/cli/refusals.ts";
import { processTable, rowsOf } from "../../src/cli/processes.ts";
import { palette } from "../../src/cli/term/screen.ts";
import { recorder } from "./term/screen.ts";
import { inspect } from "../../src/boot/inspect.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { verifyLog } from "../../src/drivers/store/verify.ts";
import type { Entry } from "../../src/abi/entry.ts";
import type { Table } from "../../src/kernel/table.ts";
import type { Report } from "../../src/cli/report.ts";
import { documents, onTerminal, place, type Ran } from "./shell.ts";

/** One run of the shipped program, which all tests here only look at. */
const here = place();
let ran: Ran;
let report: Report & { readonly exit: number };

beforeAll(() => {
  documents(here);
  const json = here.run("run", "brief", "inbox", "--json");
  report = JSON.parse(json.out);
  ran = json;
});

function table(of = here): Table {
  const seen = inspect({ cwd: of.folder, env: {}, home: of.home, uid: process.getuid?.() ?? 0 }, systemClock());
  if (!seen.ok) throw new Error(seen.error.message);
  seen.value.close();
  return seen.value.table;
}

function entries(): { seq: number; entry: Entry }[] {
  return here
    .run("log", "--json")
    .out.trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { seq: number; entry: Entry });
}

describe("run brief", () => {
  it("CLI-12.1  the report's numbers are those of the journal, and the brief is there", () => {
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(report).toMatchObject({ pid: 1, program: "brief", cpu: "reflex", resumed: false, exit: 0, status: { ok: true } });
    expect(report.delivered.map((file) => file.path)).toEqual(["BRIEF.md"]);
    expect(report.delivered[0]?.bytes).toBe(fs.statSync(path.join(here.folder, "BRIEF.md")).size);
    const log = verifyLog(path.join(here.folder, ".daimon/journal"), null);
    expect(log).toMatchObject({ ok: true, value: { records: report.journal.entries, head: report.journal.head } });
    const procs = [...table().procs.values()];
    expect(report.processes).toBe(procs.length);
    expect(report.paged.pages).toBe(procs.reduce((sum, proc) => sum + proc.pagesEvicted, 0));
    expect(report.refused).toHaveLength(procs.reduce((sum, proc) => sum + proc.refused, 0));
    expect(report.cost.tokens).toBe(table().procs.get(1)?.spend.tokens);
    expect(report.boot.digest).toBe(table().bootDigest);
  });

  it("CLI-12.1  every command the report names works as it stands", () => {
    for (const command of report.next) {
      if (command.includes("rollback")) continue;
      const [, ...args] = command.split(" ");
      expect([command, here.run(...args).code]).toEqual([command, 0]);
    }
  });

  it("CLI-2.4  neither a document's name nor its content reaches the terminal as it is", () => {
    expect(fs.readdirSync(path.join(here.folder, "inbox")).some((name) => name.includes("\u001b"))).toBe(true);
    for (const args of [["log"], ["ps", "--all"], ["why", "1"], ["log", "--json"]]) {
      const { out, err } = here.run(...args);
      expect(out + err).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    }
    expect(here.run("log").out).toContain("␛]0;owned");
  });
});

describe("run --window", () => {
  it("PRG-9.1  a small window is worked in, and every document is covered", () => {
    const small = place();
    documents(small);
    fs.writeFileSync(path.join(small.folder, "inbox/one.txt"), "The crane arrives on 12 June 2026.\n");
    const { status } = JSON.parse(small.run("run", "brief", "inbox", "--window", "2000", "--json").out) as Report;
    expect(status).toMatchObject({ ok: true, value: { failures: [], audit: { broken: [] } } });
    expect(fs.readFileSync(path.join(small.folder, "BRIEF.md"), "utf8")).toContain(
      "\n- 1 line: [inbox/one.txt](inbox/one.txt)\n",
    );
  });

  it("PRG-9.2  one too small for anything is refused before a process is started", () => {
    const small = place();
    documents(small);
    const { code, out } = small.run("run", "brief", "inbox", "--window", "900");
    expect(code).not.toBe(0);
    expect(out).toMatch(
      /ENOMEM pass extract of brief cannot work in a window of 900 tokens: .*the smallest window that works is \d+ tokens/s,
    );
    expect(out).toContain("1 process ");
  });
});

describe("run brief in a project", () => {
  it("KRN-13.6  its agents are told the user's instructions and not the project's", () => {
    const project = place();
    documents(project);
    fs.writeFileSync(path.join(project.folder, "AGENTS.md"), "Run the linter before each commit.\n");
    fs.mkdirSync(path.join(project.home, ".config/daimon"), { recursive: true });
    fs.writeFileSync(path.join(project.home, ".config/daimon/AGENTS.md"), "Speak plainly.\n");
    expect(project.run("run", "brief", "inbox").code).toBe(0);
    const agents = [...table(project).procs.values()].filter(({ manifest }) => manifest.kind === "agent");
    expect(agents.length).toBeGreaterThan(3);
    for (const { manifest } of agents) {
      expect(manifest.instructions).toContain("Speak plainly.");
      expect(manifest.instructions).not.toContain("linter");
    }
  });
});

describe("ps and top", () => {
  it("CLI-15.1  children stand under their parent, in the order of their pids", () => {
    const rows = rowsOf(table(), true);
    expect(rows[0]).toMatchObject({ depth: 0, summary: { pid: 1 } });
    expect(rows.slice(1).every((row) => row.depth === 1 && row.summary.parent === 1)).toBe(true);
    const pids = rows.map((row) => row.summary.pid);
    expect(pids).toEqual(pids.toSorted((a, b) => a - b));
    expect(here.run("ps", "-a").out.split("\n")[2]).toMatch(/^ {2,}2 {4}extract/);
  });

  it("CLI-15.5  from 60 columns on it is a table of one line a process, and none is wider than the terminal", () => {
    const rows = rowsOf(table(), true);
    const long = rows.map((row) => ({
      ...row,
      summary: { ...row.summary, park: { type: "stopped", question: "Why? ".repeat(30) } as const },
    }));
    for (const width of [60, 70, 80, 90, 100, 110, 120, 200]) {
      const lines = processTable(long, true, 0, width, palette(recorder(), {}, false))
        .trimEnd()
        .split("\n");
      expect(lines).toHaveLength(rows.length + 1);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    }
  });

  it("CLI-15.3  without --all the ended are only counted", () => {
    expect(here.run("ps").out).toBe(`no process is unfinished; ${report.processes} have ended: daimon ps --all\n`);
  });

  it("CLI-15.4  JSON: the kernel's state and a summary for each process", () => {
    const json = here.json("ps", "--all");
    expect(json.kernel).toBe("none");
    expect(json.processes[0]).toMatchObject({
      pid: 1,
      parent: 0,
      name: "brief",
      kind: "body",
      state: "zombie",
      exit: { ok: true },
    });
    expect(here.json("ps").processes).toEqual([]);
  });

  it("CLI-23.3  top without a terminal prints the table once", () => {
    expect(here.run("top").out).toBe(here.run("ps", "--all").out);
    expect(here.json("top").processes).toHaveLength(report.processes);
  });

  it("CLI-23.1  top works while no kernel runs, and q leaves the terminal as it was", async () => {
    const { code, screen } = await onTerminal(here, ["top"], [{ after: "q quits", keys: "jjkq" }]);
    expect(code).toBe(0);
    expect(screen).toContain("no kernel");
    expect(screen).toContain("extract");
    expect(screen.indexOf("\u001b[?1049h")).toBeLessThan(screen.indexOf("\u001b[?1049l"));
    expect(screen.trimEnd().endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
  });

  it("CLI-23.2  Ctrl-C, Esc and an error leave the terminal as it was too", async () => {
    for (const keys of ["\u0003", "\u001b"]) {
      const { code, screen } = await onTerminal(here, ["top"], [{ after: "q quits", keys }]);
      expect(code).toBe(0);
      expect(screen.trimEnd().endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    }
  });
});

describe("log", () => {
  it("CLI-17.1  every entry is one line, whatever it holds", () => {
    const lines = here.run("log").out.trimEnd().split("\n");
    expect(lines).toHaveLength(report.journal.entries);
    for (const [seq, line] of lines.entries()) expect(Number(line.slice(0, 6))).toBe(seq);
    const kinds = new Set(entries().map(({ entry }) => entry.kind));
    for (const kind of ["boot", "spawn", "turn", "call", "outcome", "files", "exit"]) expect(kinds).toContain(kind);
    for (const { entry } of entries()) expect(tell(entry)).not.toBe("");
  });

  it("CLI-18.1  filters combine, and the index finds what the log holds", () => {
    const all = entries();
    const spawned = here.run("log", "1", "--kind", "call", "--kind", "exit", "--json").out.trim().split("\n");
    const direct = all.filter(({ entry }) => (entry.kind === "call" || entry.kind === "exit") && entry.pid === 1);
    expect(spawned).toHaveLength(direct.length);
    const found = here.run("log", "--grep", "North Dock", "--kind", "outcome", "--json").out.trim().split("\n");
    const grep = here.run("log", "--grep", "charter.md", "--kind", "turn", "--json").out.trim().split("\n");
    expect(new Set(found.map((line) => JSON.parse(line).entry.kind))).toEqual(new Set(["outcome"]));
    expect(grep.length).toBeGreaterThan(0);
    for (const line of grep) expect(line).toContain("charter.md");
    const call = here.run("log", "--call", "1.0.0", "--json").out.trim().split("\n");
    expect(call.map((line) => JSON.parse(line).entry.kind)).toEqual(["call", "outcome"]);
    expect(here.run("log", "--call", "fs.list", "1", "--json").out).toContain('"fs.list"');
    expect(here.run("log", "--grep", "no such words anywhere")).toMatchObject({ code: 0, out: "" });
  });

  it("CLI-18.4  --limit gives the last so many", () => {
    const last = here
      .run("log", "--limit", "3", "--json")
      .out.trim()
      .split("\n")
      .map((line) => JSON.parse(line).seq);
    const n = report.journal.entries;
    expect(last).toEqual([n - 3, n - 2, n - 1]);
    const grep = here.run("log", "--grep", "inbox", "--limit", "2", "--json").out.trim().split("\n");
    expect(grep).toHaveLength(2);
    expect(here.run("log", "--limit", "0").out).toBe("");
  });

  it("CLI-18.3  --follow goes on until it is interrupted, and exits with the signal's code", async () => {
    const { code, screen } = await onTerminal(
      here,
      ["log", "1", "--follow", "--limit", "1"],
      [{ after: "done:", keys: "\u0003" }],
    );
    expect(code).toBe(130);
    expect(screen).toContain("exit");
  });

  it("CLI-18.1  every kind can be asked for; wrong filters are EINVAL with the nearest word", () => {
    expect(here.run("log", "--kind", "exec")).toMatchObject({ code: 0, out: "" });
    expect(here.run("log", "--kind", "spwan")).toMatchObject({ code: 64, err: expect.stringContaining("did you mean `spawn`?") });
    expect(here.run("log", "verfy")).toMatchObject({ code: 64, err: expect.stringContaining("did you mean `verify`?") });
  });

  it("CLI-19.1  verify proves the whole log and its signatures", () => {
    const json = here.json("log", "verify");
    expect(json).toMatchObject({ sound: true, records: report.journal.entries, head: report.journal.head, findings: [] });
    expect(json.signedRecords).toBe(report.journal.entries);
    expect(here.run("log", "verify")).toMatchObject({ code: 0, out: expect.stringContaining("sound: ") });
  });

  it("CLI-19.2  reindex makes the index anew and leaves the journal alone", () => {
    const before = fs.readFileSync(
      path.join(here.folder, ".daimon/journal", fs.readdirSync(path.join(here.folder, ".daimon/journal"))[0] ?? ""),
    );
    expect(here.json("log", "reindex")).toEqual({ indexed: report.journal.entries });
    const after = fs.readFileSync(
      path.join(here.folder, ".daimon/journal", fs.readdirSync(path.join(here.folder, ".daimon/journal"))[0] ?? ""),
    );
    expect(after.equals(before)).toBe(true);
  });

  it("CLI-19.3  archive takes the lock and says when there is nothing to do", () => {
    expect(here.json("log", "archive")).toEqual({ segments: [], bytesBefore: 0, bytesAfter: 0 });
  });
});

describe("why", () => {
  it("CLI-21.1  a call's maker, arguments, rule with file and line, and label with its documents", () => {
    const turn = entries().find(({ entry }) => entry.kind === "turn" && entry.step === 1);
    const decided = turn === undefined ? undefined : decidedBy(turn.entry)[0];
    const json = here.json("why", decided?.call ?? "");
    expect(json).toMatchObject({
      call: decided?.call,
      seq: turn?.seq,
      name: decided?.name,
      args: decided?.args,
      decision: "allow",
      stage: null,
      error: null,
      process: { pid: decided?.pid, name: "brief/extract", step: 1 },
      label: { integrity: "untrusted" },
    });
    expect(json.untrusted.length).toBeGreaterThan(0);
    expect(json.untrusted[0]).toMatch(/^inbox\//);
    expect(json.rules[0]).toMatchObject({ scope: "platform", file: "platform.cedar", text: expect.stringContaining("permit") });
    expect(json.rules[0].line).toBeGreaterThan(0);
    expect(json.policy.decided).toBe(json.policy.today);
    const text = here.run("why", decided?.call ?? "").out;
    expect(text).toContain(`platform.cedar:${json.rules[0].line}`);
    expect(text).toContain(json.untrusted[0]);
    expect(here.run("why", "1.0.0").out).toContain("\npath        │ inbox\n");
  });

  it("CLI-21.1  a number that is no call is EINVAL, an unknown one ENOENT", () => {
    expect(here.run("why", "1.2")).toMatchObject({ code: 64 });
    expect(here.run("why", "1.0.9999")).toMatchObject({ code: 66 });
    expect(here.run("why", "999")).toMatchObject({ code: 66 });
  });
});

describe("the example", () => {
  it("an obedient model tries the attack once, covers every document and delivers the brief of one that obeys nobody", () => {
    const [plain, obedient] = ["reflex", "gullible"].map((cpu) => {
      const where = place();
      for (const name of ["examples/inbox", "AGENTS.md"])
        fs.cpSync(path.resolve(name), path.join(where.folder, path.basename(name)), { recursive: true });
      const json: Report = where.json("run", "brief", "inbox", "--cpu", cpu);
      return { json, brief: where.read("BRIEF.md") };
    });
    expect(plain?.json.refused).toEqual([]);
    expect(obedient?.json.refused.map(({ name, error, about }) => [name, error.errno, about])).toEqual([
      ["fs.read", "EACCES", "inbox/contractor-offer.md"],
      ["net.fetch", "EACCES", "inbox/contractor-offer.md"],
    ]);
    expect(obedient?.brief).toBe(plain?.brief);
    expect(plain?.brief).toContain("## Flagged");
    expect(plain?.brief).not.toContain("Not covered");
    expect(plain?.json.paged.pages).toBeGreaterThan(0);
  });
});

describe("with --json and with Cedar itself", () => {
  const where = place();
  beforeAll(() => {
    documents(where);
    where.put("daimon.yaml", "policy:\n  deny: [Read(inbox/charter.md)]\n");
  });

  it("--policy-engine cedar decides the same, and gives the same rules", () => {
    const [compiled, cedar] = ["compiled", "cedar"].map((engine): Report =>
      where.json("run", "brief", "inbox", "--policy-engine", engine),
    );
    const told = ({ refused }: Report): unknown => refused.map(({ name, args, stage, rules }) => ({ name, args, stage, rules }));
    expect(compiled?.refused).not.toEqual([]);
    expect(told(cedar as Report)).toEqual(told(compiled as Report));
    expect(cedar?.delivered).toMatchObject([{ path: "BRIEF.md", changed: false }]);
  });

  it("CLI-2.2  every command prints JSON alone: a result, or an error with its exit code", () => {
    const words: Readonly<Record<string, readonly string[]>> = {
      completion: ["bash"],
      init: ["fresh"],
      kill: ["999"],
      nice: ["999", "100"],
      run: ["nosuch"],
      why: ["1"],
      log: ["1"],
      diff: ["1"],
      commit: ["1", "--dry-run"],
      rollback: ["1"],
    };
    /** What `mcp` prints is the protocol's, and `up` stays: test/cli/up.test.ts reads its lines. */
    for (const { name } of commands.filter((command) => command.name !== "mcp" && command.name !== "up")) {
      const { code, out, err } = where.run(name, ...(words[name] ?? []), "--json");
      const told = (code === 0 ? out : err).trimEnd().split("\n");
      expect([name, code === 0 ? err : out]).toEqual([name, ""]);
      expect([name, told.length === 1 || name === "log"]).toEqual([name, true]);
      for (const line of told) expect([name, typeof JSON.parse(line)]).toEqual([name, "object"]);
      if (code !== 0) expect(JSON.parse(told[0] ?? "")).toMatchObject({ error: { exit: code } });
    }
  });
});

describe("replay", () => {
  it("CLI-22.1  every digest is proved, with entries, speed and the state at the end", () => {
    const json = here.json("replay", "1");
    expect(json).toMatchObject({
      pid: 1,
      entries: report.journal.entries,
      proved: 1,
      bodies: 1,
      findings: [],
      process: { pid: 1, exit: { ok: true } },
    });
    expect(json.entriesPerSecond).toBeGreaterThan(0);
    const all = here.run("replay");
    expect(all.code).toBe(0);
    expect(all.out).toContain(`${report.processes} recorded digests proved`);
    expect(here.run("replay", "1", "--entries").out.split("\n").length).toBeGreaterThan(20);
    expect(here.run("replay", "--entries", "--json")).toMatchObject({ code: 64 });
  });

  it("CLI-22.1  --until stops anywhere; before the process existed it is ENOENT", () => {
    expect(here.json("replay", "1", "--until", "5")).toMatchObject({ entries: 6, process: { exit: null } });
    expect(here.run("replay", "1", "--until", "0")).toMatchObject({ code: 66 });
    expect(here.run("replay", "77")).toMatchObject({ code: 66 });
  });
});

describe("sessions", () => {
  it("CLI-20.1  a child's number stands for the session of its root", () => {
    expect(here.json("diff", "2")).toEqual({ pid: 2, session: 1, changes: [], diff: "" });
    expect(here.run("diff", "2").err).toContain("daimon rollback 1");
  });
});

describe("refusals", () => {
  it("CLI-11.1  the stage follows from the error", () => {
    const lookup = { rule: () => undefined };
    for (const [errno, stage] of [
      ["EINVAL", "schema"],
      ["ENOSYS", "schema"],
      ["EACCES", "capability"],
      ["EPERM", "policy"],
      ["EDQUOT", "budget"],
      ["E2BIG", "limit"],
    ] as const) {
      const intent = { verb: "deny", rules: ["r1"], error: { errno, message: "why" } } as const;
      const entry: Entry = { kind: "call", at: 1, pid: 3, id: "3.0.4", name: "fs.read", args: { path: "a" }, intent };
      expect(stageOf(errno)).toBe(stage);
      expect(refusalsBy(entry, lookup)).toMatchObject([
        { call: "3.0.4", pid: 3, name: "fs.read", stage, rules: [{ id: "r1", text: "" }] },
      ]);
    }
    expect(argsLine({ text: "x".repeat(500) })).toHaveLength(160);
  });

  it("CLI-11.2  a person reads what was refused and why, without the process's next step", () => {
    const error = (message: string) => ({ errno: "EPERM", message }) as const;
    expect(forPerson(error("fs.write was refused: no rule permits it; go on without it"))).toBe(
      "fs.write was refused: no rule permits it",
    );
    expect(forPerson(error("a person refused this call: no; not now; go on without it"))).toBe(
      "a person refused this call: no; not now",
    );
    expect(forPerson(error("plain"))).toBe("plain");
    const entry: Entry = {
      kind: "outcome",
      at: 1,
      pid: 3,
      id: "3.0.4",
      error: error("it is closed; ask for another"),
      tokens: 1,
    };
    expect(tell(entry)).toBe("3.0.4 EPERM it is closed");
  });
});
