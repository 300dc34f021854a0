/** The contract of every sandbox driver. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import type { SandboxCommand, SandboxDriver, SandboxResult } from "../../src/abi/sandbox.ts";
import { value, errno } from "./session.ts";

export interface SandboxHarness {
  readonly driver: SandboxDriver;
  readonly missing: string | null;
  folder(): string;
}

export function testSandbox(name: string, harness: SandboxHarness): void {
  const { driver } = harness;
  const rule = (title: string, body: () => Promise<void>): void =>
    test(title.replace("@", name), async (context) => {
      context.skip(harness.missing !== null, harness.missing ?? "");
      await body();
    });
  const command = (script: string, root: string, more: Partial<SandboxCommand> = {}): SandboxCommand => ({
    argv: ["bash", "-c", script],
    root,
    closed: [],
    growth: null,
    cwd: ".",
    env: {},
    stdin: "",
    timeoutMs: 10_000,
    memoryBytesMax: 256 * 1024 * 1024,
    processesMax: 64,
    outputBytesMax: 64 * 1024,
    ...more,
  });
  const run = async (script: string, root: string, more: Partial<SandboxCommand> = {}): Promise<SandboxResult> =>
    value(await driver.run(command(script, root, more), new AbortController().signal));

  rule("SBX-3.2 @: a command reads and writes its workspace, gets its input and tells how it ended", async () => {
    const root = harness.folder();
    mkdirSync(join(root, "sub"));
    const result = await run("cat; pwd; echo made > file; echo to-stderr > /dev/stderr; echo out > /dev/stdout; exit 3", root, {
      stdin: "given\n",
      cwd: "sub",
    });
    expect(result).toMatchObject({ exitCode: 3, signal: null, timedOut: false, truncated: false, stderr: "to-stderr\n" });
    expect(result.stdout).toBe("given\n/work/sub\nout\n");
    expect(readFileSync(join(root, "sub/file"), "utf8")).toBe("made\n");
  });

  rule("SBX-3.1 @: nothing of the host is there but system folders, and they are read-only", async () => {
    const root = harness.folder();
    const result = await run(
      "ls -A /; for d in /root /home /run /sys /srv /mnt /var/lib /etc/shadow /etc/ssh /etc/ssl; do [ -e $d ] && echo has $d; done; touch /usr/x /etc/x /x /dev/x 2>/dev/null && echo wrote; cat /etc/hostname 2>/dev/null; hostname; id -u; true",
      root,
    );
    expect(result.stdout).not.toMatch(/has |wrote/);
    expect(result.stdout.trim().split("\n").slice(-2)).toEqual(["daimon", "1000"]);
    expect(result.stdout).not.toContain(join(root, "..").split("/").at(-1));
  });

  rule("SBX-3.3 @: there is no network, not even the host's loopback, and no other process", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const result = await run(
        `(exec 9<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null && echo connected; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | tail -n +3 | cut -d: -f1; true`,
        harness.folder(),
      );
      expect(result.stdout).not.toContain("connected");
      expect(Number(result.stdout.trim().split("\n")[0])).toBeLessThan(8);
      expect(
        result.stdout
          .trim()
          .split("\n")
          .slice(1)
          .map((line) => line.trim()),
      ).toEqual(["lo"]);
    } finally {
      server.close();
    }
  });

  rule("SBX-3.6 @: what is closed can be neither read, changed, moved, linked nor removed, by whatever path", async () => {
    const root = harness.folder();
    mkdirSync(join(root, "conf/.aws"), { recursive: true });
    for (const path of [".env", "conf/.env", "conf/.aws/credentials"]) writeFileSync(join(root, path), "hunter2");
    symlinkSync(".env", join(root, "way"));
    symlinkSync("/etc/passwd", join(root, "elsewhere"));
    const closed = [".env", "conf/.env", "conf/.aws", "not-there", "elsewhere", "conf/.aws/credentials", "conf/.aws"];
    const tricks = [
      "cat .env conf/.env conf/.aws/credentials way /proc/self/cwd/.env /proc/1/root/work/.env",
      "ls conf/.aws",
      "mv .env e; cat e",
      "ln .env e; cat e",
      "ln -s .env s; cat s",
      "cp .env e; cp -r conf c2; tar cf - . | tr -d '\\0'",
      "mv conf c3; cat c3/.env c3/.aws/credentials; mv c3 conf",
      "chmod 777 .env conf/.aws; cat .env; ls conf/.aws",
      "umount .env; umount -l conf/.aws; cat .env",
      "mkdir m; mount --bind . m; cat m/.env",
      "unshare -Urm cat .env",
      "exec 7<.env; cat <&7",
      "rm -rf conf; rm -f .env",
      "echo changed > .env; echo changed > conf/.aws/credentials; touch conf/.aws/x",
      "git init -q . && git add -A && git show :.env",
    ];
    for (const trick of tricks) {
      const result = await run(`(${trick}) 2>&1; true`, root, { closed });
      expect(result.exitCode, trick).toBe(0);
      expect(result.stdout, trick).not.toContain("hunter2");
    }
    expect((await run("cat .env", root, { closed })).stderr).toContain("Permission denied");
    expect((await run("cat conf/.aws/credentials conf/.env; head -c4 elsewhere", root, { closed })).stdout).toBe("root");
    for (const path of [".env", "conf/.env", "conf/.aws/credentials"])
      expect(readFileSync(join(root, path), "utf8")).toBe("hunter2");
    expect(readdirSync(join(root, "conf/.aws"))).toEqual(["credentials"]);
    expect(existsSync(join(root, "not-there"))).toBe(false);
  });

  rule(
    "SBX-3.6 @: what is closed to one command and not to the next is what each was told, also in a cell made ahead",
    async () => {
      const root = harness.folder();
      writeFileSync(join(root, ".env"), "hunter2");
      for (const closed of [[".env"], [], [".env"], [".env"], []]) {
        const { stdout } = await run("cat .env", root, { closed });
        expect(stdout).toBe(closed.length === 0 ? "hunter2" : "");
        await run("sleep 0.05", root, { closed });
      }
      rmSync(join(root, ".env"));
      expect((await run("ls -A", root, { closed: [".env"] })).stdout).toBe("");
      writeFileSync(join(root, ".env"), "hunter3");
      expect((await run("cat .env", root, { closed: [".env"] })).stdout).toBe("");
    },
  );

  rule("SBX-6.5 @: a command that moves a folder to and fro does not make the next one's cover land elsewhere", async () => {
    const root = harness.folder();
    mkdirSync(join(root, "conf"));
    writeFileSync(join(root, "conf/.env"), "hunter2");
    const closed = ["conf/.env"];
    for (let round = 0; round < 6; round += 1) {
      const moved = await run("end=$((SECONDS+1)); while [ $SECONDS -lt $end ]; do mv conf c3; mv c3 conf; done", root, {
        closed,
      });
      expect(moved.stderr).toBe("");
      expect((await run("cat conf/.env; true", root, { closed })).stdout).toBe("");
      expect(readdirSync(root)).toEqual(["conf"]);
      expect(readdirSync(join(root, "conf"))).toEqual([".env"]);
      expect(readFileSync(join(root, "conf/.env"), "utf8")).toBe("hunter2");
    }
  });

  rule("SBX-3.4 @: the environment is built from nothing but what the caller gives", async () => {
    process.env["DAIMON_TEST_SECRET"] = "leak";
    try {
      const result = await run("env; cat /proc/1/environ | tr '\\0' '\\n'; ps ax -o args", harness.folder(), {
        env: { GIVEN: "it's $HOME" },
      });
      expect(result.stdout).toContain("GIVEN=it's $HOME");
      expect(result.stdout).toContain("HOME=/tmp/home");
      expect(result.stdout).not.toContain("leak");
      expect(result.stdout).not.toContain(process.cwd());
    } finally {
      delete process.env["DAIMON_TEST_SECRET"];
    }
  });

  rule("SBX-3.5 @: no argument becomes a word of a script", async () => {
    const root = harness.folder();
    const nasty = ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"', "\\", "a\nb", "*", "-n", "ü", ""];
    const result = value(
      await driver.run(
        command("", root, { argv: ["printf", "%s|", ...nasty], env: { X: "'; touch pwned; '" } }),
        new AbortController().signal,
      ),
    );
    expect(result.stdout).toBe(nasty.map((word) => `${word}|`).join(""));
    const long = "x".repeat(100_000);
    const echoed = value(
      await driver.run(
        command("", root, { argv: ["printf", "%s", long], outputBytesMax: 200_000 }),
        new AbortController().signal,
      ),
    );
    expect(echoed.stdout).toBe(long);
    expect(readdirSync(root)).toEqual([]);
  });

  rule("SBX-2.1 @: mounts, namespaces, keys, ptrace and io_uring are refused", async () => {
    const result = await run(
      "unshare -Ur true 2>/dev/null && echo userns; mount -t tmpfs x /tmp 2>/dev/null && echo mount; chroot / true 2>/dev/null && echo chroot; " +
        "perl -e 'for my $n (@ARGV) { $! = 0; my $r = syscall($n, 0, 0, 0, 0, 0); print \"$n:\", $!+0, \"\\n\" }' $NUMBERS; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status",
      harness.folder(),
      { env: { NUMBERS: process.arch === "arm64" ? "219 117 280 282 425" : "250 101 321 323 425" } },
    );
    expect(result.stdout).not.toMatch(/userns|mount$|chroot/m);
    if (existsSync("/usr/bin/perl")) expect(result.stdout.match(/^\d+:1$/gm)).toHaveLength(5);
    expect(result.stdout).toMatch(/CapEff:\s+0{16}\nCapBnd:\s+0{16}\nNoNewPrivs:\s+1\nSeccomp:\s+2/);
  });

  rule("SBX-2.2 @: a socket of a family that crosses network namespaces is refused", async () => {
    if (!existsSync("/usr/bin/perl")) return;
    const result = await run(
      'perl -MSocket -e \'for my $f (1,2,40,38) { my $k = socket(my $s, $f, 1, 0); print "$f:", $k ? 0 : $!+0, "\\n" }\'',
      harness.folder(),
    );
    expect(result.stdout).toBe("1:0\n2:0\n40:97\n38:97\n");
  });

  rule("SBX-3.1 @: links and /proc tricks lead nowhere outside", async () => {
    const folder = harness.folder();
    writeFileSync(join(folder, "secret"), "host secret");
    const root = join(folder, "root");
    mkdirSync(root);
    symlinkSync(join(folder, "secret"), join(root, "abs"));
    symlinkSync("../secret", join(root, "up"));
    const result = await run(
      `cat abs up ../secret /proc/self/root${folder}/secret /proc/1/root${folder}/secret /proc/self/cwd/../secret 2>/dev/null; ` +
        `for f in /proc/self/fd/*; do readlink $f; done; ln ${folder}/secret h 2>/dev/null && echo linked; true`,
      root,
    );
    expect(result.stdout).not.toContain("host secret");
    expect(result.stdout).not.toContain("linked");
    expect(result.stdout).not.toContain(folder);
  });

  rule("SBX-5.2 @: time ends the whole tree, children in their own sessions too", async () => {
    const root = harness.folder();
    const result = await run("setsid sleep 977 & (trap '' TERM INT HUP; sleep 977) & sleep 977", root, { timeoutMs: 300 });
    expect(result).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: true });
    expect(processesNamed("sleep\x00977")).toEqual([]);
  });

  rule("SBX-5.2 @: what a command leaves in the background ends with it", async () => {
    const result = await run("nohup setsid sleep 978 >/dev/null 2>&1 & echo started", harness.folder());
    expect(result.stdout).toBe("started\n");
    expect(processesNamed("sleep\x00978")).toEqual([]);
  });

  rule("SBX-8.3 @: an aborted call ends the tree and answers ECANCELED", async () => {
    const stop = new AbortController();
    const root = harness.folder();
    const pending = driver.run(command("touch began; sleep 979", root), stop.signal);
    while (!existsSync(join(root, "began"))) await new Promise(setImmediate);
    stop.abort();
    expect(errno(await pending)).toBe("ECANCELED");
    expect(processesNamed("sleep\x00979")).toEqual([]);
    expect(errno(await driver.run(command("true", root), stop.signal))).toBe("ECANCELED");
  });

  rule("SBX-4.1 @: a fork bomb is bounded and ends with its time", async () => {
    const result = await run("bomb() { bomb | bomb & }; bomb; sleep 1; ls /proc | grep -c '^[0-9]'", harness.folder(), {
      timeoutMs: 1_500,
      processesMax: 32,
    });
    expect(result.exitCode !== 0 || Number(result.stdout.trim()) <= 34).toBe(true);
    expect(await run("echo alive", harness.folder())).toMatchObject({ stdout: "alive\n" });
  });

  rule("SBX-4.1 @: memory is bounded", async () => {
    const result = await run("head -c 600000000 /dev/zero | tail -c 500000000 | wc -c", harness.folder(), {
      memoryBytesMax: 64 * 1024 * 1024,
    });
    expect(result.stdout.trim()).not.toBe("500000000");
    const shm = await run(
      "head -c 600000000 /dev/zero > /dev/shm/x; head -c 600000000 /dev/zero > /tmp/x; stat -c %s /dev/shm/x /tmp/x; true",
      harness.folder(),
      {
        memoryBytesMax: 64 * 1024 * 1024,
      },
    );
    for (const size of shm.stdout.trim().split("\n").filter(Boolean)) expect(Number(size)).toBeLessThanOrEqual(64 * 1024 * 1024);
  });

  rule("SBX-5.3 @: output beyond the bound keeps head and tail and says what was dropped", async () => {
    const result = await run("echo first; head -c 100000 /dev/zero | tr '\\0' x; echo; echo last", harness.folder(), {
      outputBytesMax: 1_000,
    });
    expect(result.truncated).toBe(true);
    expect(result.stdout).toMatch(/^first\nx+\n\[\d+ bytes of output dropped\]\nx+\nlast\n$/);
    expect(result.stdout.length).toBeLessThan(1_100);
    const flood = await run("yes", harness.folder(), { outputBytesMax: 1_000, timeoutMs: 9_000 });
    expect(flood).toMatchObject({ truncated: true, timedOut: false, signal: "SIGKILL" });
  });

  rule("SBX-5.1 @: nothing of one command is there for the next", async () => {
    const root = harness.folder();
    await run("echo left > /tmp/left; echo left > /dev/shm/left; export LEFT=1; echo left > /tmp/home/.bashrc", root);
    const next = await run("ls -A /tmp /dev/shm /tmp/home; echo $LEFT", root);
    expect(next.stdout).not.toContain("left");
  });

  rule("SBX-8.2 @: what is malformed is refused before anything starts", async () => {
    const root = harness.folder();
    const bad: Partial<SandboxCommand>[] = [
      { argv: [] },
      { argv: ["a\0b"] },
      { env: { "A;B": "x" } },
      { env: { A: "\0" } },
      { cwd: ".." },
      { cwd: "/etc" },
      { root: "relative" },
      { closed: ["../x"] },
      { closed: ["a\0b"] },
    ];
    for (const more of bad)
      expect(errno(await driver.run(command("true", root, more), new AbortController().signal))).toBe("EINVAL");
    expect(await run("true", root, { cwd: "none" })).toMatchObject({ exitCode: 126 });
    expect(await run("", root, { argv: ["no-such-program"] })).toMatchObject({ exitCode: 127 });
  });

  rule("SBX-6.2 @: commands run side by side do not mix", async () => {
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, index) => run(`for i in 1 2 3; do echo ${index}; done; exit ${index}`, harness.folder())),
    );
    results.forEach((result, index) => expect(result).toMatchObject({ exitCode: index, stdout: `${index}\n`.repeat(3) }));
  });
}

/** The host's processes whose command line holds this. */
export function processesNamed(part: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(part);
      } catch {
        return false;
      }
    })
    .map(Number);
}
