/** `daimon exec`: any program as a process, from the command line as a person types it. */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { childrenOf } from "../../src/drivers/sandbox/process-tree.ts";
import { processesNamed } from "../contract/sandbox.ts";
import { bin, daimon, onTerminal, place, type Place, type Processes } from "./shell.ts";
import { rule } from "../drivers/sandbox/sandboxed.ts";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** In another terminal: the process goes on while the test looks. */
function begun(where: Place, ...args: string[]) {
  const child = spawn(process.execPath, [bin, "exec", ...args], {
    cwd: where.folder,
    env: where.env(),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (piece: Buffer) => (said.out += piece.toString()));
  child.stderr.on("data", (piece: Buffer) => (said.err += piece.toString()));
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, said, code };
}

describe("daimon exec", () => {
  rule("CLI-40.3  the exit code is the program's, 128 and the number for a signal, and the errno's where daimon ended it", () => {
    const where = place();
    expect(where.run("exec", "--", "bash", "-c", "exit 7").code).toBe(7);
    expect(where.run("exec", "bash", "-c", "kill -USR1 $$").code).toBe(138);
    const late = where.run("exec", "--time", "300ms", "--", "sleep", "941");
    expect(late.code).toBe(124);
    expect(late.err).toContain("--time");
    expect(where.run("ps", "--all").out).toContain("ETIMEDOUT");
  });

  rule("CLI-40.2  streams are passed through: input, output, errors, and a flood through a slow pipe", () => {
    const where = place();
    const ran = daimon(where.folder, ["exec", "-q", "--", "bash", "-c", "cat; echo err >&2"], where.env(), "given\n");
    expect(ran).toEqual({ code: 0, out: "given\n", err: "err\n" });
    const flood = spawnSync(
      "/bin/bash",
      [
        "-c",
        `"$0" "$1" exec -q -- bash -c 'head -c 8000000 /dev/zero || echo failed >&2' | (read -r -n 1 -d x -t 0.3; wc -c)`,
        process.execPath,
        bin,
      ],
      { cwd: where.folder, env: where.env(), encoding: "utf8" },
    );
    expect(flood.stderr).toBe("");
    expect(Number(flood.stdout)).toBeGreaterThan(7_900_000);
  });

  rule("CLI-40.5  the last line tells what came of it and what to type, and that works", () => {
    const where = place();
    where.put("a.txt", "one\n");
    const ran = where.run("exec", "--", "bash", "-c", "echo two > a.txt; mkdir d; echo new > d/b.txt");
    expect(ran.out).toBe("");
    expect(ran.err).toContain("bash (pid 1) ended with 0");
    expect(ran.err).toMatch(
      /\$0 · 0 model calls · 0 tool calls · 0 refused · 3 changed files · .* · next: daimon diff 1, daimon commit 1, daimon rollback 1/,
    );
    expect(where.read("a.txt")).toBe("one\n");
    expect(where.run("diff", "1").out).toContain("+two");
    expect(where.run("commit", "1").code).toBe(0);
    expect(where.read("d/b.txt")).toBe("new\n");
    expect(where.run("rollback", "1").code).toBe(0);
    expect([where.read("a.txt"), where.has("d")]).toEqual(["one\n", false]);
    expect(where.run("log", "1").out).toContain("bash");
    expect(where.run("replay", "1").code).toBe(0);
    expect(where.run("fsck").code).toBe(0);
  });

  rule("CLI-40.5  with --json the report is a document on standard error, and the output is the program's", () => {
    const where = place();
    const ran = where.run("exec", "--json", "--", "sh", "-c", "echo mine; exit 3");
    expect(ran.out).toBe("mine\n");
    const report = {
      pid: 1,
      program: "sh",
      exit: 3,
      status: { ok: true, value: { exitCode: 3 } },
      modelCalls: 0,
      refused: 0,
      changes: 0,
    };
    expect(JSON.parse(ran.err)).toMatchObject(report);
  });

  rule("CLI-40.4  of the environment only terminal, language and time zone are passed on", () => {
    const where = place();
    const env = where.env({
      TERM: "xterm",
      LC_ALL: "C.UTF-8",
      TZ: "UTC",
      ANTHROPIC_API_KEY: "hunter2",
      LD_PRELOAD: "/x.so",
      BASH_ENV: "/x",
    });
    const { out } = daimon(where.folder, ["exec", "-q", "--", "env"], env);
    for (const line of ["TERM=xterm", "LC_ALL=C.UTF-8", "TZ=UTC", `HOME=${where.home}`]) expect(out.split("\n")).toContain(line);
    expect(out).not.toMatch(/hunter2|LD_PRELOAD|BASH_ENV/);
  });

  rule("CLI-40.8  the net door is in its environment, and refuses in words what no rule permits", () => {
    const where = place();
    const script = `exec 7<>/dev/tcp/127.0.0.1/\${HTTP_PROXY##*:}; who=\${HTTP_PROXY#http://}
      printf 'GET http://a.test/ HTTP/1.1\\r\\nHost: a.test\\r\\nProxy-Authorization: Basic %s\\r\\nConnection: close\\r\\n\\r\\n' "$(printf %s "\${who%@*}" | base64 -w0)" >&7; cat <&7`;
    const { code, out, err } = where.run("exec", "--", "bash", "-c", script);
    expect(code).toBe(0);
    expect(out).toMatch(/^HTTP\/1\.1 403 daimon: net\.connect was refused: no rule permits this external call\r\n/);
    expect(out).toContain("add net.connect(a.test) to policy.allow");
    expect(err).toContain("0 model calls · 1 tool call · 1 refused");
    expect(where.run("log", "1").out).toContain('net.connect {"url":"http://a.test","method":"GET"} → refused, EPERM');
    expect(where.run("why", "1").out).toContain("no rule permits this external call");
  });

  rule("CLI-40.1  a program that is not there is told before anything is written", () => {
    const where = place();
    const ran = where.run("exec", "--", "no-such-program");
    expect(ran.code).toBe(66);
    expect(ran.err).toContain("no-such-program");
    expect(where.has(".daimon")).toBe(false);
    expect(where.run("exec").code).toBe(64);
    expect(daimon("/usr", ["exec", "--", "true"], where.env()).code).toBe(64);
  });

  it("CLI-40.1  without bubblewrap nothing is run, and what installs it is told", () => {
    const where = place();
    // A mount namespace in which the program is not there.
    const hidden = 'mount --bind /dev/null /usr/bin/bwrap && exec "$@"';
    const ran = spawnSync("unshare", ["-rm", "sh", "-c", hidden, "sh", process.execPath, bin, "exec", "--", "touch", "ran"], {
      cwd: where.folder,
      env: where.env(),
      encoding: "utf8",
    });
    if (ran.stderr.includes("unshare failed")) return;
    expect(ran.status).toBe(78);
    expect(ran.stderr).toContain("apt-get install -y bubblewrap");
    expect(where.has("ran")).toBe(false);
  });

  rule("CLI-40.1  a package's program runs with its interpreter and its tree, and sees nothing else of the home", () => {
    const where = place();
    const put = (file: string, text: string): void => {
      fs.mkdirSync(path.dirname(path.join(where.home, file)), { recursive: true });
      fs.writeFileSync(path.join(where.home, file), text, { mode: 0o755 });
    };
    put(
      "npm/lib/node_modules/agent/cli.js",
      `#!/usr/bin/env node\nconsole.log(require("helper"), require("fs").readdirSync(process.env.HOME).join());\n`,
    );
    put("npm/lib/node_modules/helper/index.js", `module.exports = "helped";\n`);
    put("secret", "hunter2");
    fs.mkdirSync(path.join(where.home, "npm/bin"));
    fs.symlinkSync("../lib/node_modules/agent/cli.js", path.join(where.home, "npm/bin/agent"));
    const PATH = [path.join(where.home, "npm/bin"), path.dirname(process.execPath), "/usr/bin", "/bin"].join(":");
    expect(daimon(where.folder, ["exec", "-q", "--", "agent"], where.env({ PATH }))).toEqual({
      code: 0,
      out: "helped npm\n",
      err: "",
    });
  });

  rule("CLI-40.6  SIGTERM ends the program as kill does, and it is journaled", async () => {
    const where = place();
    const { child, said, code } = begun(where, "--", "bash", "-c", "trap 'echo bye; exit 4' TERM; echo ready; sleep 942 & wait");
    await until(() => said.out.includes("ready"));
    child.kill("SIGTERM");
    expect(await code).toBe(4);
    expect(said.out).toBe("ready\nbye\n");
    expect(where.json<Processes>("ps", "--all").processes).toMatchObject([{ exit: { ok: true, value: { exitCode: 4 } } }]);
  });

  rule(
    "CLI-40.2  killed outright it leaves no process, no mount and no folder, and the next kernel says how it ended",
    async () => {
      const where = place();
      const { child, said, code } = begun(
        where,
        "--",
        "bash",
        "-c",
        "setsid sleep 943 & echo kept > file; echo ready; sleep 943",
      );
      await until(() => said.out.includes("ready") && processesNamed("sleep\x00943").length === 2);
      const helpers = childrenOf(child.pid ?? 0);
      const folders = (): readonly string[] =>
        fs.readdirSync(os.tmpdir()).filter((name) => helpers.some((pid) => name.startsWith(`daimon-zygote-${pid}-`)));
      expect(folders()).toHaveLength(1);
      child.kill("SIGKILL");
      await code;
      await until(() => processesNamed("sleep\x00943").length === 0);
      await until(() => !fs.readFileSync("/proc/mounts", "utf8").includes(where.folder));
      await until(() => folders().length === 0);
      expect(where.run("commit", "1").code).toBe(0);
      expect(where.read("file")).toBe("kept\n");
      const [proc] = where.json<Processes>("ps", "--all").processes;
      expect(proc?.exit).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    },
  );

  rule("CLI-5.5  a second exec becomes a process of the first one's kernel, which stays for it", async () => {
    const where = place();
    const first = begun(where, "--", "bash", "-c", "echo ready; read -r line; exit");
    await until(() => first.said.out.includes("ready"));
    const second = begun(where, "--", "bash", "-c", "echo ready; echo 2 > two; sleep 944");
    await until(() => second.said.out.includes("ready"));
    expect(where.json<Processes>("ps").processes.map(({ pid, kind }) => [pid, kind])).toEqual([
      [1, "guest"],
      [2, "guest"],
    ]);
    expect(where.run("diff", "2").code).toBe(73);
    first.child.stdin.end("go\n");
    await until(() => first.said.err.includes("still runs on this kernel"));
    expect(first.said.err).toContain("bash (pid 1) ended with 0");
    expect(where.run("kill", "2").code).toBe(0);
    expect(await second.code).toBe(130);
    expect(second.said.err).toMatch(/pid 2\) was ended: killed by .*\n.*1 changed file/);
    expect(await first.code).toBe(0);
    expect(where.run("diff", "2").out).toContain("+2");
  });
});

describe("several at once", () => {
  rule("CLI-40.7  four that are started at the same moment all run, each as a process", async () => {
    const where = place();
    const guests = [1, 2, 3, 4].map((n) => begun(where, "--", "bash", "-c", `echo ${n} > n; exit ${n}`));
    expect(await Promise.all(guests.map(({ code }) => code))).toEqual([1, 2, 3, 4]);
    const { processes } = where.json<Processes>("ps", "--all");
    expect(processes.map(({ pid }) => pid)).toEqual([1, 2, 3, 4]);
    expect(processes.every(({ exit }) => exit?.ok === true)).toBe(true);
  });
});

describe("daimon exec on a terminal", () => {
  rule("TTY-16.2  Ctrl-C is the program's, job control works, and the window's size is seen", async () => {
    const where = place();
    const { screen, code } = await onTerminal(
      where,
      ["exec", "--", "bash", "--norc", "-i"],
      [
        { after: "$ ", keys: "stty size; bash -c 'echo child''-one; sleep 945'\n" },
        { after: "40 100", keys: "" },
        { after: "child-one", keys: "\u0003" },
        { after: "$ ", keys: "echo after=$?\n" },
        { after: "after=130", keys: "bash -c 'echo child''-two; sleep 946'\n" },
        { after: "child-two", keys: "\u001a" },
        { after: "Stopped", keys: "exit 6\n" },
        { after: "There are stopped jobs", keys: "exit 6\n" },
      ],
    );
    expect(screen).toContain("after=130");
    expect(screen).not.toContain("no job control");
    expect(screen).toContain("ended with 6");
    expect(code).toBe(6);
  });

  rule("TTY-16.1  a program that is killed while it has the terminal in its own modes leaves it as it was", async () => {
    const where = place();
    const inner = "stty raw -echo; printf '\\033[?1049h\\033[?25l'; kill -9 $$";
    const command = `'${process.execPath}' '${bin}' exec -q -- bash -c '${inner.replaceAll("'", `'\\''`)}'`;
    const ran = spawnSync("script", ["-qfec", `stty -g > before; ${command}; echo "code=$?"; stty -g > after`, "/dev/null"], {
      cwd: where.folder,
      env: where.env({ TERM: "xterm" }),
      encoding: "utf8",
    });
    expect(ran.stdout).toContain("code=137");
    expect(where.read("after")).toBe(where.read("before"));
    const left = ran.stdout.slice(ran.stdout.indexOf("\u001b[?1049h"));
    for (const mode of ["\u001b[?1047l", "\u001b[?25h", "\u001b[?2004l"]) expect(left).toContain(mode);
  });
});
