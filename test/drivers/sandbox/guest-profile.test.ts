/** What a guest sees and reaches, and the known ways out of a sandbox. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { value } from "../../contract/session.ts";
import { missing, runGuest, site } from "./guest-rig.ts";

const rule = (title: string, body: () => Promise<void>): void =>
  test(title, async (context) => {
    context.skip(missing !== null, missing ?? "");
    await body();
  });

function listening(address: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"));
    server.listen(address, () => resolve(server));
  });
}

rule(
  "SBX-13.3 the workspace is at its own path as a session, the home empty at its own, and all else read-only or not there",
  async () => {
    const where = await site({ "sub/a.txt": "lower\n" });
    writeFileSync(join(where.home, "private"), "hunter2");
    const { out, err } = await runGuest(
      where,
      `pwd; cat a.txt; echo changed > a.txt; ls -A ~; ls -A ${where.home}; touch ~/x /tmp/x /var/tmp/x /run/x && echo own;
     for f in /usr/x /etc/x /x /dev/x; do touch $f && echo wrote $f; done
     for d in /home /root/.bashrc /sys /srv /mnt /opt /var/lib /etc/shadow /etc/ssh /etc/ssl/private /etc/resolv.conf; do [ -e $d ] && echo has $d; done; id -un`,
      { cwd: join(where.root, "sub") },
    );
    expect(out).toBe(`${where.root}/sub\nlower\nwork\nwork\nown\nagent\n`);
    expect(err.match(/Read-only file system/g)).toHaveLength(4);
    expect(readFileSync(join(where.root, "sub/a.txt"), "utf8")).toBe("lower\n");
    expect(value(await where.session.changes())).toMatchObject([{ path: "sub/a.txt", kind: "modified" }]);
  },
);

rule("SBX-13.3 folders shown are read-only, in the home too, and a link leads into them", async () => {
  const where = await site();
  mkdirSync(join(where.home, "tools/bin"), { recursive: true });
  writeFileSync(join(where.home, "tools/bin/hello"), "#!/bin/sh\necho hello\n");
  chmodSync(join(where.home, "tools/bin/hello"), 0o755);
  const more = {
    shown: [join(where.home, "tools")],
    links: [{ path: join(where.home, "bin/hi"), target: join(where.home, "tools/bin/hello") }],
  };
  const { out, err } = await runGuest(where, "~/bin/hi; touch ~/tools/x; rm ~/tools/bin/hello; ls -A ~", more);
  expect(out).toBe("hello\nbin\ntools\nwork\n");
  expect(err.match(/Read-only file system/g)).toHaveLength(2);
});

rule("SBX-13.4 files below the home are the guest's, others it and its own sandboxes cannot change", async () => {
  const where = await site();
  const files = [
    { path: join(where.home, ".agent/config"), content: { text: "mine\n" } },
    { path: "/etc/agent/managed.json", content: { text: "{}\n" } },
  ];
  const script = `cat ~/.agent/config /etc/agent/managed.json; echo more >> ~/.agent/config && echo changed
    rm -f /etc/agent/managed.json; echo x > /etc/agent/managed.json; mv /etc/agent /etc/other; chmod 666 /etc/agent/managed.json
    unshare -Urm sh -c 'echo x > /etc/agent/managed.json; mount -o remount,rw / && echo remounted'; cat /etc/agent/managed.json`;
  const { out } = await runGuest(where, script, { files });
  expect(out).toBe("mine\n{}\nchanged\n{}\n");
});

rule("SBX-13.5 the environment is the plan's and nothing of the host's", async () => {
  process.env["DAIMON_TEST_SECRET"] = "leak";
  const where = await site();
  const { out } = await runGuest(where, "env; cat /proc/1/environ | tr '\\0' '\\n'", {
    env: { PATH: "/bin", GIVEN: "it's $HOME\nx" },
  });
  delete process.env["DAIMON_TEST_SECRET"];
  expect(out).toContain("GIVEN=it's $HOME\nx");
  expect(out).toContain(`HOME=${where.home}\n`);
  for (const name of ["USER=agent", "SHELL=/bin/bash", "TMPDIR=/tmp"]) expect(out).toContain(`${name}\n`);
  expect(out).not.toContain("leak");
  expect(out).not.toContain(process.cwd());
});

rule("SBX-13.6 a door is open before the program runs, at its port; the rest of the network is not there", async () => {
  const where = await site();
  const socket = join(where.home, "door.sock");
  const [door, host] = [await listening(socket), createServer()];
  await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
  const address = host.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    const script = `exec 7<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&7; tail -c 5 <&7; echo
      for to in 127.0.0.1/${port} 127.0.0.1/8081 1.1.1.1/53 10.0.0.1/80; do (exec 8<>/dev/tcp/$to) 2>/dev/null && echo reached $to; done
      getent hosts example.com; cut -d: -f1 /proc/net/dev | tail -n +3; ls /proc | grep -c '^[0-9]'`;
    const { out } = await runGuest(where, script, { doors: [{ socket, port: 8080 }] });
    const lines = out
      .trim()
      .split("\n")
      .map((line) => line.trim());
    expect(lines.slice(0, 2)).toEqual(["hello", "lo"]);
    expect(Number(lines[2])).toBeLessThan(12);
  } finally {
    door.close();
    host.close();
  }
});

rule("SBX-13.6 without a door there is no forwarder, and no child that the program did not start", async () => {
  const where = await site();
  const { out } = await runGuest(
    where,
    'wait; ls -A /run; grep -c . /proc/net/tcp; read -r children < /proc/$$/task/$$/children; echo "$children."',
  );
  expect(out).toBe("1\n.\n");
});

rule(
  "SBX-13.3 sockets of the host are not reached: one in the workspace, an abstract one, one in a temporary folder",
  async () => {
    const where = await site();
    const name = `daimon-test-${process.pid}`;
    const servers = [
      await listening(join(where.root, "s.sock")),
      await listening(`\0${name}`),
      await listening(join(tmpdir(), `${name}.sock`)),
    ];
    try {
      const script = `for to in UNIX-CONNECT:s.sock ABSTRACT-CONNECT:${name} UNIX-CONNECT:${tmpdir()}/${name}.sock; do socat -u $to - 2>/dev/null && echo reached $to; done; true`;
      expect((await runGuest(where, script)).out).toBe("");
    } finally {
      for (const server of servers) server.close();
    }
  },
);

rule("SBX-13.3 links, /proc, temporary names and shared memory lead nowhere outside", async () => {
  const where = await site();
  writeFileSync(join(where.home, "secret"), "host secret");
  symlinkSync(join(where.home, "secret"), join(where.root, "abs"));
  symlinkSync("../secret", join(where.root, "up"));
  const shared = join(tmpdir(), `daimon-test-shared-${process.pid}`);
  writeFileSync(shared, "host secret");
  const script = `cat abs up ../secret /proc/self/root${where.home}/secret /proc/1/root${where.home}/secret /proc/1/cwd/secret ${shared} /dev/shm/* 2>/dev/null
    ln -s ${where.home}/secret l; echo overwritten > l; echo overwritten > up; echo overwritten > ${shared}
    for f in /proc/self/fd/* /proc/1/fd/*; do readlink $f; done | grep -v -e pipe: -e socket: -e anon_inode: -e /dev/null -e /proc/ -e /fd/; echo checked`;
  const { out } = await runGuest(where, script);
  expect(out).toBe("checked\n");
  for (const file of [join(where.home, "secret"), shared]) expect(readFileSync(file, "utf8")).toBe("host secret");
});

rule("SBX-13.3 what is closed stays closed, in nested namespaces too", async () => {
  const where = await site({ ".env": "hunter2", "conf/.env": "hunter2" });
  const tricks = [
    "cat .env conf/.env /proc/self/cwd/.env /proc/1/cwd/.env",
    "mv .env e; cat e; ln .env f; cat f; mv conf c; cat c/.env; mv c conf",
    "chmod 777 .env; cat .env",
    "umount .env; cat .env",
    "unshare -Urm sh -c 'umount -l .env; umount conf/.env; cat .env conf/.env'",
    "unshare -Urm sh -c 'mkdir -p /tmp/m; mount --bind . /tmp/m; cat /tmp/m/.env'",
    "unshare -Urm sh -c 'mkdir -p /tmp/u /tmp/w /tmp/m; mount -t overlay o -o lowerdir=$PWD,upperdir=/tmp/u,workdir=/tmp/w /tmp/m; cat /tmp/m/.env'",
    "unshare -Urmpf sh -c 'mount -t proc p /proc; cat /proc/1/root$PWD/.env'",
    "bwrap --unshare-all --bind / / --dev /dev sh -c 'cat .env conf/.env'",
    "git init -q . && git add -A; git show :.env",
  ];
  for (const trick of tricks) {
    const { out, err } = await runGuest(where, `(${trick}) 2>&1; true`);
    expect(out + err, trick).not.toContain("hunter2");
  }
});

rule(
  "SBX-2.4 a guest nests sandboxes of its own; input into the terminal, keys, modules and foreign sockets stay refused",
  async () => {
    const where = await site();
    const nested =
      "bwrap --unshare-all --ro-bind / / --dev /dev --tmpfs /tmp --bind $PWD $PWD sh -c 'echo nested; echo n > made; touch /usr/x 2>/dev/null || echo walls'";
    expect((await runGuest(where, nested)).out).toBe("nested\nwalls\n");
    expect(value(await where.session.changes())).toMatchObject([{ path: "made" }]);
    if (!existsSync("/usr/bin/perl")) return;
    const numbers = process.arch === "arm64" ? "219 117 280 282 425 105" : "250 101 321 323 425 175";
    const { out } = await runGuest(
      where,
      `perl -e 'for my $n (@ARGV) { $! = 0; syscall($n, 0, 0, 0, 0, 0); print "$n:", $!+0, "\\n" }' ${numbers}
     perl -MSocket -e 'for my $f (1,2,16,40,38) { my $k = socket(my $s, $f, 3, 0); print "$f:", $!+0 == 97 ? "refused" : "open", "\\n" }'
     grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; find / -xdev -perm -4000 2>/dev/null | head -1 | grep -q . && echo setuid-listed; sudo -n id 2>/dev/null; su -c id 2>/dev/null </dev/null; true`,
    );
    expect(out.match(/^\d+:1$/gm)).toHaveLength(6);
    expect(out).toContain("1:open\n2:open\n16:open\n40:refused\n38:refused\n");
    expect(out).toMatch(/CapEff:\s+0{16}\nCapBnd:\s+0{16}\nNoNewPrivs:\s+1\nSeccomp:\s+2/);
    expect(out).not.toContain("uid=0");
  },
);

rule("SBX-2.4 nothing can be pushed into the terminal that the guest shares with its person", async () => {
  if (!existsSync("/usr/bin/perl") || !existsSync("/usr/bin/script")) return;
  const where = await site();
  const { launchGuest } = await import("../../../src/drivers/sandbox/guest-launch.ts");
  const push = `for my $r (0x5412, 0x541c) { my $c = "x"; my $k = ioctl(STDIN, $r, $c); print "push:", $k ? "done" : $!+0, "\\n" }`;
  const plan = where.plan({ argv: ["/usr/bin/script", "-qfec", `perl -e '${push}'`, "/dev/null"] });
  const running = value(await launchGuest({ plan, stage: await where.stage(), streams: ["ignore", "pipe", "pipe"] }));
  let out = "";
  running.child.stdout?.on("data", (piece: Buffer) => (out += piece.toString()));
  const closed = new Promise((resolve) => running.child.once("close", resolve));
  await running.ended;
  await closed;
  expect(out.match(/push:\S+/g)).toEqual(["push:1", "push:1"]);
});

rule("SBX-3.7 no descriptor that a parent left open is seen inside", async () => {
  const where = await site();
  const source = join(import.meta.dirname, "../../../src/drivers/sandbox");
  const script = `
    import { launchGuest } from ${JSON.stringify(join(source, "guest-launch.ts"))};
    const plan = ${JSON.stringify(where.plan({ argv: ["/bin/bash", "-c", "ls /proc/self/fd /proc/1/fd; ls -d /proc/self/fd/40/.. /proc/1/fd/40/.."] }))};
    const running = await launchGuest({ plan, stage: ${JSON.stringify(await where.stage())}, streams: ["ignore", "inherit", "inherit"] });
    await running.value.ended;
    const { ZygoteClient } = await import(${JSON.stringify(join(source, "zygote-client.ts"))});
    const { bwrapSandbox } = await import(${JSON.stringify(join(source, "bwrap.ts"))});
    const sandbox = bwrapSandbox({ helper: new ZygoteClient() });
    const command = { argv: ["bash", "-c", "ls /proc/self/fd /proc/1/fd"], root: "/usr", closed: [], growth: null, cwd: ".", env: {}, stdin: "",
      timeoutMs: 20000, memoryBytesMax: 1 << 28, processesMax: 64, outputBytesMax: 4096 };
    const ran = await sandbox.run(command, new AbortController().signal);
    console.log(ran.value.stdout);
    await sandbox.close();`;
  const node = `exec 40</; exec "$0" --input-type=module-typescript --no-warnings -e "$1"`;
  const ran = spawnSync("/bin/bash", ["-c", node, process.execPath, script], { encoding: "utf8" });
  expect(ran.stdout).toContain("/proc/1/fd:");
  expect(ran.stdout.split("\n")).not.toContain("40");
  expect(readdirSync("/proc/self/fd").length).toBeGreaterThan(0);
});

rule("SBX-13.3 the person's other processes are neither seen nor signalled", async () => {
  const where = await site();
  const host = spawn("sleep", ["967"]);
  const { out } = await runGuest(
    where,
    `kill -9 ${host.pid} 2>/dev/null && echo killed; ps ax -o args | grep -c '[s]leep 967'; true`,
  );
  expect(out).toBe("0\n");
  expect(host.exitCode).toBeNull();
  host.kill();
});
