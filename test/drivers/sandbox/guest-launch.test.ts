/** A guest's life: streams, exit, signals, bounds, and what is left of it. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { launchGuest } from "../../../src/drivers/sandbox/guest-launch.ts";
import { below } from "../../../src/drivers/sandbox/process-tree.ts";
import { processesNamed } from "../../contract/sandbox.ts";
import { errno, value } from "../../contract/session.ts";
import { launch, missing, runGuest, site } from "./guest-rig.ts";

const rule = (title: string, body: () => Promise<void>): void =>
  test(title, async (context) => {
    context.skip(missing !== null, missing ?? "");
    await body();
  });

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

rule("SBX-12.2 the exit code is the program's, 128 and the number for a signal", async () => {
  const where = await site();
  expect(await runGuest(where, "echo out; echo err >&2; exit 7")).toMatchObject({
    exitCode: 7,
    full: null,
    out: "out\n",
    err: "err\n",
  });
  expect(await runGuest(where, "kill -SEGV $$")).toMatchObject({ exitCode: 139 });
});

rule("SBX-12.2 a sandbox that cannot be made runs nothing and is EIO", async () => {
  const where = await site();
  const plan = where.plan({ argv: ["/bin/touch", "ran"], shown: ["/nonexistent/folder"] });
  const running = value(await launchGuest({ plan, stage: await where.stage(), streams: ["ignore", "ignore", "ignore"] }));
  expect(errno(await running.ended)).toBe("EIO");
  expect(value(await where.session.changes())).toEqual([]);
  const gone = where.plan({ files: [{ path: "/etc/x", content: { from: "/nonexistent/file" } }] });
  expect(errno(await launchGuest({ plan: gone, stage: await where.stage(), streams: ["ignore", "ignore", "ignore"] }))).toBe(
    "ENOENT",
  );
});

rule("SBX-12.1 what it leaves running ends with it, 200 of them, in sessions of their own and deaf to SIGTERM", async () => {
  const where = await site();
  const script = "trap '' TERM HUP INT; for i in {1..100}; do setsid sleep 961 & sleep 961 & done; echo begun";
  expect(await runGuest(where, `${script}; exit 0`, { processesMax: 600 })).toMatchObject({ exitCode: 0, out: "begun\n" });
  expect(processesNamed("sleep\x00961")).toEqual([]);
});

rule("SBX-12.1 a launcher killed outright takes the guest with it", async () => {
  const where = await site();
  const source = join(import.meta.dirname, "../../../src/drivers/sandbox/guest-launch.ts");
  const plan = where.plan({ argv: ["/bin/bash", "-c", "setsid sleep 962 & echo begun; sleep 962"] });
  const script = `
    import { launchGuest } from ${JSON.stringify(source)};
    await launchGuest({ plan: ${JSON.stringify(plan)}, stage: ${JSON.stringify(await where.stage())}, streams: ["ignore", "inherit", "inherit"] });`;
  const launcher = spawn(process.execPath, ["--input-type=module-typescript", "--no-warnings", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => launcher.stdout.once("data", resolve));
  await until(() => processesNamed("sleep\x00962").length === 2);
  launcher.kill("SIGKILL");
  await until(() => processesNamed("sleep\x00962").length === 0);
});

rule("SBX-12.3 an interrupt ends the program and not the sandbox before it", async () => {
  const where = await site();
  const guest = await launch(where, "trap 'echo caught; exit 9' INT; echo ready; while :; do read -t 1 < <(:); done");
  await guest.said("ready");
  // What a terminal does at Ctrl-C: everybody of the foreground group gets it.
  for (const pid of [guest.hostPid, ...below(guest.hostPid)]) process.kill(pid, "SIGINT");
  expect(value(await guest.ended).exitCode).toBe(9);
  expect(guest.out()).toContain("caught");
});

rule("SBX-12.4 end() is SIGTERM to all, and SIGKILL after the grace", async () => {
  const where = await site();
  const polite = await launch(where, "trap 'echo bye; exit 3' TERM; echo ready; sleep 963 & wait");
  await polite.said("ready");
  polite.end();
  expect(value(await polite.ended).exitCode).toBe(3);
  expect(polite.out()).toBe("ready\nbye\n");
  const deaf = await launch(where, "trap '' TERM; echo ready; while :; do sleep 963; done", {}, 100);
  await deaf.said("ready");
  deaf.end();
  deaf.end();
  expect(value(await deaf.ended).exitCode).toBe(137);
  expect(processesNamed("sleep\x00963")).toEqual([]);
});

rule("SBX-12.4 hold() lets every process stand still, and an ended one goes on to its end", async () => {
  const where = await site();
  const guest = await launch(where, "(setsid sleep 964 &) ; echo ready; sleep 964");
  await guest.said("ready");
  await until(() => processesNamed("sleep\x00964").length === 2);
  const [init = 0] = below(guest.hostPid);
  const states = (): readonly string[] =>
    below(init).map((pid) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "");
  guest.hold(true);
  await until(() => states().every((state) => state === "T"));
  guest.hold(false);
  await until(() => states().every((state) => state !== "T"));
  guest.hold(true);
  guest.end();
  expect(value(await guest.ended).exitCode).toBe(143);
});

rule("SBX-12.5 whoever starts more processes than the bound gets no more of them", async () => {
  const where = await site();
  const guest = await launch(where, "for i in {1..120}; do sleep 965 & done; wait", { processesMax: 40 }, 10);
  await until(() => /retry|Resource/.test(guest.err()));
  expect(below(guest.hostPid).length).toBeLessThanOrEqual(50);
  guest.end();
  await guest.ended;
  expect(processesNamed("sleep\x00965")).toEqual([]);
});

rule("SBX-12.5 where there is a control group its memory is bounded, and the group is gone afterwards", async () => {
  const where = await site();
  const zygote = await where.stage();
  const groups = (): readonly string[] =>
    ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].flatMap((folder) =>
      existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(`daimon-${process.pid}-guest`)) : [],
    );
  const { out, exitCode } = await runGuest(where, "cat /proc/self/cgroup; head -c 400M /dev/zero | tail | wc -c");
  if (process.getuid?.() === 0 && zygote.helper.pid > 0 && existsSync("/sys/fs/cgroup/pids"))
    expect(out).not.toContain("419430400");
  expect(exitCode).not.toBeNull();
  await until(() => groups().length === 0);
});

rule("SBX-12.6 a guest that fills its session is ended, and says what was full", async () => {
  const where = await site();
  const stage = await where.stage();
  const growth = stage.growth === null ? null : { ...stage.growth, bytesMax: 8 * 1024 * 1024 };
  const plan = where.plan({ argv: ["/bin/bash", "-c", "i=0; while :; do i=$((i+1)); head -c 1M /dev/zero > f$i; done"] });
  const running = value(
    await launchGuest({ plan, stage: { ...stage, growth }, streams: ["ignore", "ignore", "ignore"], graceMs: 100 }),
  );
  expect(value(await running.ended)).toMatchObject({ full: "session" });
});

rule("SBX-12.7 neither what the sandbox is made of nor the guest's environment stands in a command line", async () => {
  const where = await site();
  const guest = await launch(where, "echo ready; cat /proc/1/cmdline | tr '\\0' ' '; sleep 966", {
    env: { PATH: "/bin", TOKEN: "hunter2" },
  });
  await guest.said("ready");
  const lines = [guest.hostPid, ...below(guest.hostPid)].map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  guest.end();
  await guest.ended;
  for (const line of [...lines, guest.out()]) expect(line).not.toMatch(/hunter2|session\/view|covers/);
});

rule("SBX-12.1 a flood of output is passed on whole, and an early end of its reader ends the writer", async () => {
  const where = await site();
  const { out } = await runGuest(where, "head -c 30000000 /dev/zero | tr '\\0' x");
  expect(out.length).toBe(30_000_000);
  const guest = launchGuest({
    plan: where.plan({ argv: ["/usr/bin/yes"] }),
    stage: await where.stage(),
    streams: ["ignore", "pipe", "ignore"],
  });
  const running = value(await guest);
  running.child.stdout?.once("data", () => running.child.stdout?.destroy());
  expect(value(await running.ended).exitCode).toBeGreaterThan(0);
});

rule("SBX-12.8 doors without socat are refused with what installs it, and without doors it is not asked for", async () => {
  const where = await site();
  const streams = ["ignore", "ignore", "ignore"] as const;
  const [stage, path] = [await where.stage(), ["/nonexistent"]];
  const argv = ["/bin/touch", "ran"];
  const doors = [{ socket: "/nonexistent.sock", port: 8080 }];
  const refused = await launchGuest({ plan: where.plan({ argv, doors }), stage, streams, path });
  expect(errno(refused)).toBe("ENOSYS");
  expect(refused.ok ? "" : refused.error.message).toContain("apt-get install -y socat");
  expect(value(await where.session.changes())).toEqual([]);
  const running = value(await launchGuest({ plan: where.plan({ argv }), stage, streams, path }));
  expect(value(await running.ended).exitCode).toBe(0);
});

rule("SBX-11.1 a secret file that stands there is closed; what is not there is not made", async () => {
  const where = await site({ ".env": "hunter2", "a/.env": "hunter2", "b/x": "1" });
  writeFileSync(join(where.root, "b/.env"), "hunter2");
  const { out, err } = await runGuest(where, "cat .env a/.env b/.env; mv .env e; ls -A b");
  expect(out).not.toContain("hunter2");
  expect(err).toContain("Permission denied");
  expect(value(await where.session.changes())).toEqual([]);
});
