import { describe, expect, it } from "vitest";
import { parseRaise } from "../../src/cli/answer.ts";
import { exitOf } from "../../src/cli/report.ts";
import { waitingOf, type PlanLookup } from "../../src/cli/waiting.ts";
import type { CallSpec } from "../../src/abi/call.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import type { Label } from "../../src/abi/label.ts";
import { callSpecs } from "../../src/boot/call-specs.ts";
import { emptyTable, type Proc } from "../../src/kernel/table.ts";
import type { Review } from "../../src/files/review.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { label } from "../../src/security/labels.ts";
import { documents, onTerminal, place, withProbe, type Loose, type Processes } from "./shell.ts";

describe("a run that needs a person, without a terminal", () => {
  const here = place();

  it("BOO-13.3  a module that nobody trusted is not even loaded", () => {
    here.put(
      "programs/probe/program.ts",
      `import { writeFileSync } from "node:fs"; writeFileSync("ran.txt", ""); export default {};`,
    );
    expect(here.run("run", "probe", "x")).toMatchObject({ code: 76, err: expect.stringContaining("daimon config trust") });
    here.run("run", "probe", "--help");
    expect(here.has("ran.txt")).toBe(false);
  });

  it("CLI-13.1  program, inputs and options are checked before anything is written", () => {
    withProbe(here);
    for (const args of [["nosuch"], ["brief", "nowhere"], ["probe"], ["probe", "a", "b"], ["probe", "a", "2", "c"]]) {
      const ran = here.run("run", ...args);
      expect([64, 66]).toContain(ran.code);
      expect(ran.out).toBe("");
    }
    expect(here.run("run").err).toContain("PROGRAM is missing");
    expect(here.run("run", "probe", "x", "--budget", "lots").code).toBe(64);
    expect(here.run("run", "probe", "x", "--window", "255").err).toContain("`--window` needs a count of 256 or more");
    expect(here.has(".daimon")).toBe(false);
  });

  it("CLI-6.1  words fill the inputs in order, required ones first, and --input names them", () => {
    const help = here.run("run", "probe", "--help").out;
    expect(help).toContain("usage: daimon run [OPTIONS] probe TEXT [TIMES]");
    expect(JSON.parse(here.run("run", "probe", "--help", "--json").out)).toMatchObject({
      program: "probe",
      calls: expect.any(Array),
    });
  });

  it("CLI-6.3  a missing, surplus or misfit input names the program's usage", () => {
    for (const args of [[], ["a", "x"], ["a", "0"], ["a", "1", "b"], ["--input", "[1]"], ["a", "--input", '{"colour":"red"}']]) {
      const ran = here.run("run", "probe", ...args);
      expect(ran.code).toBe(64);
      expect(ran.err).toContain("probe TEXT [TIMES]");
    }
  });

  it("CLI-6.2  a folder or a program is meant as the person sees it, and lies inside the workspace", () => {
    here.put("docs/a.md", "The plan was approved on 3 May 2026.\n");
    here.put("daimon.yaml", "");
    expect(here.run("run", "brief", "/etc").err).toContain(`outside the workspace ${here.folder}`);
    expect(here.run("run", "brief", "..", "--cwd", "docs").code).not.toBe(64);
    const inner = here.json("run", "brief", ".", "--cwd", "docs");
    expect(inner.status.value.documents).toBe(1);
    expect(here.has("docs/.daimon")).toBe(false);
    expect(here.read("BRIEF.md")).toContain("docs/a.md");
    here.put("docs/own.mjs", "export default {};\n");
    expect(here.run("run", "own.mjs", "--cwd", "docs").err).toContain("config trust docs/own.mjs");
  });

  it("CLI-7.2  without a terminal it is left parked with exit 75, and how to answer is told", () => {
    const ran = here.run("run", "probe", "hello");
    expect(ran.code).toBe(75);
    expect(ran.out).toMatch(/answer {6}daimon approve \d+:1 --yes, or --no/);
    expect(ran.out).toContain("net.fetch");
    expect(here.has("notes/a.txt")).toBe(false);
  });

  const parked = (): Loose => here.json("approve").waiting[0];

  it("CLI-10.1  approve lists the call with arguments, rule, digest, origin and risk", () => {
    expect(parked()).toMatchObject({
      program: "probe",
      type: "approval",
      call: { name: "fs.commit", args: { paths: ["notes/a.txt"] }, reversible: true },
      risk: "medium",
      untrusted: [],
    });
    expect(parked().call.rules[0]).toMatchObject({ file: "platform.cedar", scope: "platform" });
    const { out } = here.run("approve");
    for (const part of ["fs.commit", '"notes/a.txt"', "platform.cedar:", parked().call.digest, "risk medium"])
      expect(out).toContain(part);
    expect(out).toMatch(/^asked by$/m);
    for (const part of ["2 of 2: new file, 5 B, +1 -0 lines\n│ notes/a.txt\n", "\n│ +hello\n"]) expect(out).toContain(part);
    expect(parked().call.changes).toMatchObject({
      ok: true,
      value: { steps: [{ path: "notes" }, { path: "notes/a.txt", before: null, added: 1, marks: [] }], stepsLeft: 0 },
    });
  });

  it("CLI-20.8  diff of a question shows all of what a yes would put into the workspace", () => {
    const { id, pid } = parked();
    expect(here.run("diff", id).out).toContain("│ +hello\n");
    expect(here.run("diff", id, "nowhere").out).toContain("nothing");
    expect(here.json("diff", id)).toMatchObject({ question: id, steps: [{ path: "notes" }, { path: "notes/a.txt" }] });
    expect(here.run("diff", `${pid}:7`)).toMatchObject({ code: 16, err: expect.stringContaining("is over") });
    expect(here.run("diff", "99:1")).toMatchObject({ code: 66 });
  });

  it("CLI-13.2  the same run again goes on where it stands and starts no second", () => {
    const { pid } = parked();
    const again = here.json("run", "probe", "hello");
    expect(again).toMatchObject({ pid, resumed: true, status: null, exit: 75 });
    expect(here.json("ps").processes).toHaveLength(1);
  });

  it("CLI-13.6  options that change nothing on an unfinished run are named", () => {
    const { pid } = parked();
    const other = here.run("run", "probe", "hello", "--cpu", "gullible", "--budget", "1", "--tokens", "2M");
    expect(other.err).toContain(
      `goes on where it stood on reflex, and --cpu, --budget, --tokens change nothing; to begin anew, end it first: daimon kill ${pid}`,
    );
    const same = here.run("run", "probe", "hello", "--cpu", "reflex");
    expect(same.err).toContain("goes on where it stood\n");
  });

  it("CLI-13.5  --resume starts nothing new, and of what has ended or never was it says so", () => {
    const { pid } = parked();
    expect(here.json("run", "--resume", String(pid))).toMatchObject({ pid, exit: 75 });
    expect(here.run("run", "--resume", "999")).toMatchObject({ code: 66 });
    expect(here.run("run", "--resume", "1")).toMatchObject({ code: 66 });
    expect(here.run("run", "--resume", "x")).toMatchObject({ code: 64 });
    const idle = here.run("run", "--resume", String(pid), "--budget", "1", "--window", "4000");
    expect(idle).toMatchObject({ code: 64 });
    expect(idle.err).toContain("--budget, --window can only be given to a new run");
    expect(here.run("run", "--resume", String(pid), "more")).toMatchObject({ code: 64 });
  });

  it("CLI-10.4  what does not wait cannot be answered, and answers that contradict are EINVAL", () => {
    expect(here.run("approve", "999", "--yes")).toMatchObject({ code: 66 });
    expect(here.run("approve", "../x", "--yes")).toMatchObject({ code: 66 });
    expect(here.run("approve", "--yes")).toMatchObject({ code: 64 });
    expect(here.run("approve", parked().id, "--yes", "--no")).toMatchObject({ code: 64 });
    expect(here.run("approve", String(parked().pid))).toMatchObject({ code: 75 });
    expect(here.run("approve", `${parked().pid}:9`, "--yes")).toMatchObject({
      code: 16,
      err: expect.stringContaining(`${parked().pid}:1`),
    });
  });

  it("CLI-10.5  a yes, a no, words and a raise name the question itself, never just who asks", () => {
    const { pid, call } = parked();
    for (const id of [String(pid), call.id])
      for (const said of [["--yes"], ["--no"], ["--text", "x"], ["--raise", "tokens=1"]])
        expect(here.run("approve", id, ...said)).toMatchObject({ code: 64, err: expect.stringContaining("daimon approve") });
    expect(parked()).toMatchObject({ id: `${pid}:1`, type: "approval" });
  });

  it("CLI-10.2  an answer without a kernel starts one, which goes on until it waits again or ends", () => {
    const { pid, id } = parked();
    const allowed = here.json("approve", id, "--yes");
    expect(allowed).toMatchObject({ pid, exit: 75, delivered: [{ path: "notes/a.txt" }] });
    expect(here.read("notes/a.txt")).toBe("hello");
    expect(parked()).toMatchObject({ type: "question", question: "Which colour?" });
  });

  it("CLI-10.3  a question needs words", () => {
    const { id } = parked();
    expect(here.run("diff", id)).toMatchObject({ code: 64, err: expect.stringContaining("not about files") });
    expect(here.run("approve", id, "--yes")).toMatchObject({ code: 64, err: expect.stringContaining("--text") });
    const done = here.json("approve", id, "--text", "blue\u001b[2J");
    expect(done.status).toEqual({ ok: true, value: { kept: true, fetched: false, said: "blue\u001b[2J" } });
    expect(here.run("approve").out).toBe("nothing waits for a person\n");
  });

  it("CLI-21.2  the refused calls of a process, and CLI-21.1 the person's answer", () => {
    const { processes } = here.json<Processes>("ps", "--all");
    const pid = processes.find((one) => one.name === "probe")?.pid;
    const { refused } = here.json("why", String(pid));
    expect(refused).toMatchObject([{ call: `${pid}.0.1`, name: "net.fetch", stage: "policy", error: { errno: "EPERM" } }]);
    expect(here.run("why", String(pid)).out).toContain("net.fetch");
    expect(here.json("why", `${pid}.0.1`)).toMatchObject({ decision: "deny", stage: "policy", rules: [], outcome: null });
    expect(here.run("why", `${pid}.0.1`).out).toContain("none permits it");
    expect(here.run("why", `${pid}.0.1`).out).not.toContain("go on without it");
    expect(here.run("why", `${pid}.0.0`).out).toMatch(/^permits {5}platform policy/m);
    expect(here.run("why", `${pid}.0.2`).out).toMatch(/^asks {8}platform policy/m);
    expect(here.json("why", `${pid}.0.2`)).toMatchObject({
      decision: "ask",
      person: expect.stringContaining("allowed it"),
      outcome: "performed",
    });
  });

  it("CLI-21.3  where the policy has changed since, that is said", () => {
    const { processes } = here.json<Processes>("ps", "--all");
    const pid = processes.find((one) => one.name === "probe")?.pid;
    here.put("daimon.yaml", "policy:\n  deny:\n    - fs.read(secret/**)\n");
    const told = here.run("why", `${pid}.0.1`);
    expect(told).toMatchObject({ code: 0, err: expect.stringContaining("policy has changed since") });
    here.put("daimon.yaml", "");
  });

  it("CLI-22.2  a program that changed since is a finding of replay, and CLI-22.3 then the exit code is 1", () => {
    const { processes } = here.json<Processes>("ps", "--all");
    const pid = processes.find((one) => one.name === "probe")?.pid;
    expect(here.run("replay", String(pid)).code).toBe(0);
    here.put("programs/probe/program.ts", `${here.read("programs/probe/program.ts")}\n`);
    here.run("config", "trust", "programs/probe/program.ts");
    const json = here.run("replay", String(pid), "--json");
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out).findings[0]).toMatchObject({ rule: "CLI-22.2", where: `pid ${pid}` });
  });

  it("CLI-22.3  every difference is named and the exit code is 1", () => {
    const { processes } = here.json<Processes>("ps", "--all");
    const pid = processes.find((one) => one.name === "probe")?.pid;
    const ran = here.run("replay", String(pid));
    expect(ran).toMatchObject({
      code: 1,
      out: expect.stringContaining("DIFFERENT"),
      err: expect.stringContaining("changed since"),
    });
  });
});

describe("a person at the terminal", () => {
  const here = place();

  it("CLI-9.1  a call is allowed by its digest, a question answered in words, and the run ends", async () => {
    withProbe(here);
    const { code, screen } = await onTerminal(
      here,
      ["run", "probe", "hi"],
      [
        { after: "to allow, n to deny", keys: "y\r" },
        { after: "to allow, n to deny", keys: "n\r" },
        { after: "empty leaves it parked", keys: "green\r" },
      ],
    );
    expect(screen).toContain('│   "notes/a.txt"');
    expect(screen).toContain("probe (pid 1) is done");
    expect(code).toBe(0);
    expect(here.json("ps", "--all").processes[0].exit.value).toEqual({ kept: false, fetched: false, said: "green" });
    expect(here.has("notes/a.txt")).toBe(false);
  });

  it("CLI-7.3  an interrupt leaves the process where it is, with the signal's exit code", async () => {
    const { code, screen } = await onTerminal(
      here,
      ["run", "probe", "again"],
      [{ after: "to allow, n to deny", keys: "\u0003" }],
    );
    expect(code).toBe(130);
    expect(screen).toContain("was interrupted; nothing is lost");
    expect(here.json("ps").processes).toMatchObject([{ pid: 2, state: "parked" }]);
  });

  it("CLI-7.2  put off, it stays parked; approve asks again", async () => {
    const put = await onTerminal(here, ["approve", "2"], [{ after: "to allow, n to deny", keys: "l\r" }]);
    expect(put.code).toBe(75);
    expect(here.json("approve").waiting).toHaveLength(1);
  });
});

describe("what is told of a waiting call", () => {
  const specs = new Map(callSpecs().map((spec) => [spec.name, spec]));
  const nothing: Review = { steps: [], stepsLeft: 0 };
  const lookup: PlanLookup = { spec: (name) => specs.get(name), rule: () => undefined, review: () => ok(nothing) };
  const proc = (name: string, at: Label, sources: readonly string[] = []): Proc =>
    ({
      pid: 4,
      manifest: { name: "p" },
      label: at,
      park: { type: "approval", call: "4.0.0", question: "?" },
      pending: [{ id: "4.0.0", modelId: "", name, args: {}, verb: "ask", rules: ["r"], result: null, page: null }],
      pages: sources.map((source) => ({ source, label: label("untrusted", "workspace") })),
      messages: [],
    }) as unknown as Proc;
  const [user, untrusted] = [label("user", "workspace"), label("untrusted", "workspace")];

  it("CLI-8.1  risk follows from effect, reversibility and what was read", () => {
    const risk = (name: string, at: Label): string | undefined => waitingOf(proc(name, at), lookup)?.risk;
    expect(risk("fs.read", untrusted)).toBe("low");
    expect(risk("fs.commit", user)).toBe("medium");
    expect(risk("fs.commit", untrusted)).toBe("high");
    expect(risk("mcp.mail.send", user)).toBe("high");
    const step = { path: "a", before: null, after: null, content: "same", added: 0, removed: 0, rows: [], rowsLeft: 0 } as const;
    const commit = (review: Result<Review, SysError>): string | undefined => {
      const asked = { ...proc("fs.commit", user), park: { type: "approval", call: "4.0.0", question: "?", frozen: "f" } } as Proc;
      return waitingOf(asked, { ...lookup, review: () => review })?.risk;
    };
    expect(commit(ok({ steps: [{ ...step, marks: [] }], stepsLeft: 0 }))).toBe("medium");
    expect(commit(ok({ steps: [{ ...step, marks: ["executable"] }], stepsLeft: 0 }))).toBe("high");
    expect(commit(fail("ENOENT", "gone"))).toBe("high");
    const final: readonly CallSpec[] = [...specs.values()].filter(
      (spec) => !spec.reversible && spec.effect !== "pure" && spec.effect !== "read",
    );
    for (const spec of final) expect([spec.name, risk(spec.name, user)]).toEqual([spec.name, "high"]);
    expect(final.length).toBeGreaterThan(0);
  });

  it("CLI-8.2  the documents by others in the window are named, each once", () => {
    const waiting = waitingOf(proc("fs.commit", untrusted, ["a.md#L1-L9", "a.md#L10-L20", "b.md"]), lookup);
    expect(waiting?.untrusted).toEqual(["a.md", "b.md"]);
    expect(waitingOf({ ...proc("fs.commit", user), park: null }, lookup)).toBeNull();
  });

  it("CLI-9.2  a spent budget is raised once for everyone who waits for it, and the run goes on to its end", () => {
    const here = place();
    documents(here);
    const spent = here.json("run", "brief", "inbox", "--tokens", "6000");
    expect(spent).toMatchObject({ exit: 75, status: null });
    const [first] = spent.waiting;
    expect(first).toMatchObject({ type: "budget", budget: { limit: "tokens", group: spent.pid } });
    const said = here.run("approve", first.id, "--yes");
    expect(said).toMatchObject({ code: 64, err: expect.stringContaining("--raise tokens=VALUE") });
    const done = here.json("approve", first.id, "--raise", "tokens=1M");
    expect(done).toMatchObject({ pid: spent.pid, exit: 0, delivered: [{ path: "BRIEF.md", changed: true }] });
    const again = here.json("run", "brief", "inbox");
    expect(again.delivered).toEqual([{ ...done.delivered[0], changed: false }]);
  });

  it("CLI-9.2  a budget is raised by name and unit, and nothing else is taken", () => {
    expect(parseRaise(["costUsd=2 USD", "tokens=2M", "calls=500", "time=1h"])).toEqual({
      ok: true,
      value: { costUsd: 2, tokens: 2_000_000, calls: 500, timeMs: 3_600_000 },
    });
    for (const wrong of ["tokens", "tokens=", "tokens=-1", "colour=2", "time=soon"])
      expect(parseRaise([wrong])).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
  });

  it("CLI-12.2  exit codes: ended well, failed, waiting, interrupted", () => {
    expect(exitOf({ status: { ok: true, value: null } }, null)).toBe(0);
    expect(exitOf({ status: { ok: false, error: { errno: "EDQUOT", message: "" } } }, null)).toBe(22);
    expect(exitOf({ status: null }, null)).toBe(75);
    expect(exitOf({ status: null }, 143)).toBe(143);
    expect(emptyTable().procs.size).toBe(0);
  });
});
