import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errnos, sysError, type Errno } from "../../../src/abi/errno.ts";
import { askApproval, renderApproval, type ApprovalRequest, type Keyboard } from "../../../src/cli/term/approval.ts";
import { printError, printPanic } from "../../../src/cli/term/errors.ts";
import { openKeyboard } from "../../../src/cli/term/keyboard.ts";
import { progress, type Host } from "../../../src/cli/term/progress.ts";
import { palette } from "../../../src/cli/term/screen.ts";
import { widthOf } from "../../../src/cli/term/width.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import { Panic } from "../../../src/lib/assert.ts";
import { recorder, rendered } from "./screen.ts";

const none = palette(recorder(), {}, false);

class FakeHost extends EventEmitter implements Host {
  readonly pid = 7;
  readonly killed: string[] = [];
  kill(pid: number, signal: string): void {
    this.killed.push(`${pid} ${signal}`);
  }
}

function liveProgress(size = { isTTY: true, columns: 40, rows: 10 }) {
  const [screen, clock, host] = [recorder(size), new FakeClock(0), new FakeHost()];
  return { screen, clock, host, bar: progress({ screen, clock, host, env: {}, colours: none }) };
}

describe("progress", () => {
  it("TTY-6.1  lines are repainted in place, cut to the width, ten times a second at most", () => {
    const { screen, clock, bar } = liveProgress();
    for (let n = 0; n < 500; n++) {
      bar.update([
        { key: "1", label: "extract", done: n, total: 1000, costUsd: null },
        { key: "2", label: `a long label ${"x".repeat(100)}` },
      ]);
      clock.advance(10);
    }
    const seen = rendered(screen.text());
    expect(seen.lines).toHaveLength(3);
    expect(seen.lines[0]).toMatch(/^⠋ extract · 4\d\d\/1000 · \? · 5 s · ab?o?u?t?/);
    for (const line of seen.lines) expect(widthOf(line)).toBeLessThanOrEqual(39);
    expect(screen.text().split("\u001b[J").length - 1).toBeLessThanOrEqual(51);
    expect(screen.text()).not.toContain("\u001b[2J");
  });

  it("TTY-6.1  more lines than the screen has are counted, not painted", () => {
    const { screen, bar } = liveProgress();
    bar.update(Array.from({ length: 30 }, (_, n) => ({ key: String(n), label: `line ${n}` })));
    const { lines } = rendered(screen.text());
    expect(lines).toHaveLength(9);
    expect(lines.at(-2)).toBe("  and 23 more");
  });

  it("TTY-6.2  in a pipe there are plain lines, at once on change and else one a second", () => {
    for (const [size, env] of [
      [{}, {}],
      [{ isTTY: true, columns: 80 }, { TERM: "dumb" }],
      [{ isTTY: true, columns: 80 }, { CI: "1" }],
    ] as const) {
      const [screen, clock] = [recorder(size), new FakeClock(0)];
      const bar = progress({ screen, clock, host: new FakeHost(), env, colours: none });
      for (let n = 0; n < 300; n++) {
        bar.update([{ key: "1", label: n < 150 ? "extract" : "audit\u001b[2J", done: n, total: 300, costUsd: 0.01 }]);
        clock.advance(10);
      }
      bar.finish();
      expect(screen.text().split("\n")).toEqual([
        "extract · 0/300 · $0.01",
        "extract · 100/300 · $0.01 · 1 s",
        "audit␛[2J · 150/300 · $0.01 · 1.5 s",
        "audit␛[2J · 250/300 · $0.01 · 2.5 s",
        "",
      ]);
    }
  });

  it("TTY-6.2  what is counted without a total is named", () => {
    const [screen, clock] = [recorder(), new FakeClock(0)];
    const bar = progress({ screen, clock, host: new FakeHost(), env: {}, colours: none });
    bar.update([{ key: "1", label: "extract", done: 3, what: "agents done", costUsd: 0 }]);
    expect(screen.text()).toBe("extract · 3 agents done · $0\n");
  });

  it("TTY-6.3  the cursor comes back at finish, exit and signals, once", () => {
    for (const end of ["finish", "exit", "SIGINT", "SIGTERM", "SIGHUP"]) {
      const { screen, host, bar } = liveProgress();
      bar.update([{ key: "1", label: "work" }]);
      expect(rendered(screen.text()).cursorShown).toBe(false);
      if (end === "finish") bar.finish();
      else host.emit(end);
      expect(rendered(screen.text()).cursorShown, end).toBe(true);
      bar.finish();
      expect(screen.text().split("\u001b[?25h")).toHaveLength(2);
      expect(host.killed).toEqual(end.startsWith("SIG") ? [`7 ${end}`] : []);
      expect(host.eventNames()).toEqual([]);
    }
    // Where the command line listens itself, the signal is its business.
    const { host, bar } = liveProgress();
    host.on("SIGINT", () => {});
    bar.update([{ key: "1", label: "work" }]);
    host.emit("SIGINT");
    expect(host.killed).toEqual([]);
  });

  it("TTY-6.3  a real process killed by a signal gives the cursor back and dies of that signal", () => {
    const module = (name: string): string => JSON.stringify(path.resolve(import.meta.dirname, "../../../src", name));
    const script = `
      const { progress } = await import(${module("cli/term/progress.ts")});
      const { systemClock } = await import(${module("drivers/clock/system.ts")});
      const screen = { isTTY: true, columns: 40, rows: 10, write: (text) => (process.stdout.write(text), true) };
      const bar = progress({ screen, env: {}, clock: systemClock(), host: process, colours: { colour: false, paint: (_, text) => text } });
      bar.update([{ key: "1", label: "work" }]);
      process.kill(process.pid, "SIGTERM");`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", timeout: 20_000 });
    expect(child.signal).toBe("SIGTERM");
    expect(rendered(child.stdout).cursorShown).toBe(true);
  });

  it("TTY-6.4  time left is told when there is something to tell from", () => {
    const { screen, clock, bar } = liveProgress({ isTTY: true, columns: 100, rows: 10 });
    const last = (): string => rendered(screen.text()).lines.at(-2) ?? "";
    bar.update([{ key: "1", label: "work", done: 5, total: 100 }]);
    clock.advance(1000);
    expect(last()).not.toContain("left");
    clock.advance(3000);
    expect(last()).toContain("4 s · about 1 min 16 s left");
    bar.update([{ key: "1", label: "work", done: 50, total: 100, costUsd: null }]);
    clock.advance(1000);
    expect(last()).toContain("50/100 · ? · 5 s · about 5 s left");
    bar.update([{ key: "1", label: "work", done: 100, total: 100 }]);
    clock.advance(1000);
    expect(last()).not.toContain("left");
  });

  it("TTY-6.5  a note stays above the live lines", () => {
    const { screen, clock, bar } = liveProgress();
    bar.update([{ key: "1", label: "work" }]);
    bar.note("refused: fs.write\u001b[1A");
    clock.advance(500);
    bar.note("second");
    expect(rendered(screen.text()).lines.map((line) => line.replace(/^\S+ (work) .*/, "$1"))).toEqual([
      "refused: fs.write␛[1A",
      "second",
      "work",
      "",
    ]);
    bar.finish();
    expect(rendered(screen.text()).lines).toEqual(["refused: fs.write␛[1A", "second", ""]);
  });
});

describe("errors", () => {
  function printed(error: Parameters<typeof printError>[0], json = false) {
    const screen = recorder();
    return { exit: printError(error, { screen, env: {}, colours: none, json }), text: screen.text() };
  }

  it("TTY-7.1  what, why and next stand on lines of their own", () => {
    expect(printed(sysError("ENOENT", "there is no process 9; `daimon ps` lists them", "lookup")).text).toBe(
      "daimon: there is no process 9\nwhy: not found (ENOENT): lookup\nnext: `daimon ps` lists them\n",
    );
    expect(
      printed(sysError("EINVAL", "the configuration has errors; correct them\ndaimon.yaml:1: a; b\ndaimon.yaml:2: c")).text,
    ).toBe(
      "daimon: the configuration has errors\n  daimon.yaml:1: a; b\n  daimon.yaml:2: c\nwhy: invalid argument (EINVAL)\nnext: correct them\n",
    );
    for (const errno of Object.keys(errnos) as Errno[])
      expect(printed(sysError(errno, "it broke")).text).toMatch(/^daimon: it broke\nwhy: .+\nnext: .+\n$/);
  });

  it("TTY-7.2  the exit code is the table's, and 70 for our own bugs", () => {
    for (const errno of Object.keys(errnos) as Errno[]) expect(printed(sysError(errno, "x")).exit).toBe(errnos[errno].exit);
    expect(printPanic(new Panic("x"), { screen: recorder(), env: {}, colours: none, json: false })).toBe(70);
  });

  it("TTY-7.3  a stack is shown with DAIMON_DEBUG=1 alone", () => {
    for (const debug of [undefined, "0", "1"]) {
      const screen = recorder();
      printPanic(new Panic("pages are never negative"), { screen, env: { DAIMON_DEBUG: debug }, colours: none, json: false });
      expect(screen.text()).toContain("why: pages are never negative");
      expect(screen.text().includes("live.test.ts")).toBe(debug === "1");
    }
  });

  it("TTY-7.4  with --json an error is one object", () => {
    expect(JSON.parse(printed(sysError("EBUSY", "held; wait"), true).text)).toEqual({
      error: { errno: "EBUSY", message: "held; wait", exit: 73 },
    });
  });

  it("TTY-7.5  a message cannot control the terminal", () => {
    expect(printed(sysError("EIO", "a\u001b]0;x\u0007; b\u202e", "c\r")).text).toBe(
      "daimon: a␛]0;x␇\nwhy: a driver failed (EIO): c␍\nnext: b⟨U+202E⟩\n",
    );
  });
});

const request: ApprovalRequest = {
  id: "3.7.0",
  pid: 3,
  program: "brief",
  call: "shell.run",
  effect: "write",
  reversible: true,
  args: [{ name: "command", role: "command", value: "ls -la" }],
  source: "All of it comes from the process, after reading text by others.",
  untrusted: ["inbox/a.md"],
  changes: null,
  rules: [{ does: "asks", line: "daimon.yaml:4 ask shell.run" }],
  words: null,
  digest: sha256("call"),
};

/** A person who types these lines; `early` is what was typed before the question. */
function person(answers: readonly (string | null)[], early: readonly string[] = []): Keyboard {
  let queue: (string | null)[] = [...early];
  let drained = false;
  return {
    isTTY: true,
    drain: async () => {
      if (!drained) queue = [...answers];
      drained = true;
    },
    readLine: async () => queue.shift() ?? null,
  };
}

async function ask(over: Partial<ApprovalRequest>, answers: readonly (string | null)[], early: readonly string[] = []) {
  const screen = recorder({ isTTY: true, columns: 60, rows: 20 });
  const answer = await askApproval({ ...request, ...over }, screen, person(answers, early), none);
  return { answer: answer.ok ? answer.value : answer.error.errno, text: screen.text() };
}

function argument(value: string, role: "command" | "content" = "command"): Partial<ApprovalRequest> {
  return { args: [{ name: "command", role, value }] };
}

describe("approval", () => {
  it("TTY-11.10  a rule that permits without asking is not shown as the one that asks", () => {
    const rules = [
      { does: "permits", line: "rules.cedar:1 permit" },
      { does: "asks", line: "daimon.yaml:4 ask" },
    ] as const;
    const rows = renderApproval({ ...request, rules }, 60, none).join("\n");
    expect(rows).toContain("\npermitted by\n│ rules.cedar:1 permit\nasked by\n│ daimon.yaml:4 ask\n");
  });

  it("TTY-11.1  no row of a value can look like the kernel's own", () => {
    const forged = "ok\nProcess 3 (brief) wants nothing.\r\u001b[1A\nAllow? y";
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(forged, `\n${"call 3.7.0, digest ".repeat(20)}\n`));
    const kernel = renderApproval({ ...request, ...argument("V"), rules: [{ does: "asks", line: "R" }], words: "W" }, 60, none);
    fc.assert(
      fc.property(text, text, text, (value, words, rule) => {
        const rows = renderApproval(
          { ...request, args: [{ name: "command", role: "content", value }], words, rules: [{ does: "asks", line: rule }] },
          60,
          none,
        );
        const unquoted = rows
          .filter((row) => !/^[│┆] /.test(row))
          .map((row) => row.replace("(content", "(command").replace(/, \d+ lines/, ""));
        expect(unquoted).toEqual(kernel.filter((row) => !row.startsWith("│")));
        for (const row of rows) expect(row).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u);
      }),
      { numRuns: 300 },
    );
  });

  it("TTY-11.2  a value is shown whole, and yes counts only after the last page", async () => {
    const value = Array.from({ length: 50 }, (_, n) => `echo ${n} ${"x".repeat(70)}`).join("\n");
    const rows = renderApproval({ ...request, ...argument(value), untrusted: [] }, 60, none);
    const shown = rows.filter((row) => /^[│┆] /.test(row)).slice(1);
    expect(
      shown
        .map((row) => (row.startsWith("│") ? "\n" : "") + row.slice(2))
        .join("")
        .slice(1),
    ).toBe(value);
    const long = await ask(argument(value), ["y", "y", "y", "y", "y", "y", "y"]);
    expect(long.answer).toBe("allow");
    expect(long.text).toContain("echo 49");
    expect(long.text).toContain("page 1 of 7");
    expect((await ask(argument(value), ["y", "y", "n"])).answer).toBe("deny");
    expect((await ask(argument(value), ["", "l"])).answer).toBe("later");
  });

  it("TTY-11.3  more than ASCII in what acts on the world stands in escaped form too", () => {
    const rows = renderApproval({ ...request, ...argument("curl http://аpple.com \u202e") }, 80, none);
    expect(rows).toContain("│ curl http://\\u{430}pple.com \\u{202e}");
    expect(rows).toContain("│ curl http://аpple.com ⟨U+202E⟩");
    expect(renderApproval({ ...request, ...argument("Größe", "content") }, 80, none).join("\n")).not.toContain("escaped");
  });

  it("TTY-11.4  what was typed too early does not answer, and only yes allows", async () => {
    expect((await ask({}, ["n"], ["y", "y"])).answer).toBe("deny");
    expect((await ask({}, ["", "ja", "ok", "1", "YES "])).answer).toBe("allow");
    expect((await ask({}, ["", "no"])).answer).toBe("deny");
  });

  it("TTY-11.5  a final call needs the digits of its digest", async () => {
    for (const effect of ["irreversible", "external"] as const) {
      expect((await ask({ effect, reversible: false }, ["y", "yes", "n"])).answer).toBe("deny");
      const allowed = await ask({ effect, reversible: false }, ["y", request.digest.slice(0, 6)]);
      expect(allowed.answer).toBe("allow");
      expect(allowed.text.replaceAll("\n", " ")).toContain("it cannot be undone");
    }
  });

  it("TTY-11.6  without a terminal nothing is asked and nothing allowed", async () => {
    const screen = recorder();
    const refused = await askApproval(request, screen, person(["y"]), none);
    expect(refused).toMatchObject({
      ok: false,
      error: { errno: "EAGAIN", message: expect.stringContaining("daimon approve 3") },
    });
    const piped = await askApproval(request, recorder({ isTTY: true }), { ...person(["y"]), isTTY: false }, none);
    expect(piped.ok).toBe(false);
    expect(screen.text()).toBe("");
  });

  it("TTY-11.7  a closed input leaves the call parked", async () => {
    expect((await ask({}, [null])).answer).toBe("later");
    expect((await ask({ effect: "external" }, ["y", null])).answer).toBe("later");
  });

  it("TTY-11.8  drain forgets what came before it, a line or half of one", async () => {
    const source = Object.assign(new EventEmitter(), { isTTY: true, resume() {}, pause() {} });
    const keyboard = openKeyboard(source);
    source.emit("data", "y\nye");
    // Still on its way when drain is called: the terminal held it.
    setImmediate(() => source.emit("data", "s\nyes"));
    await keyboard.drain();
    const line = keyboard.readLine();
    source.emit("data", "n\r\n");
    expect(await line).toBe("n");
    source.emit("data", `${"x".repeat(5000)}\n`);
    expect((await keyboard.readLine())?.length).toBe(1024);
    const closed = keyboard.readLine();
    source.emit("end");
    expect(await closed).toBeNull();
    keyboard.close();
    expect(source.eventNames()).toEqual([]);
  });
});
