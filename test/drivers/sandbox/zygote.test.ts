import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { SandboxCommand } from "../../../src/abi/sandbox.ts";
import { bwrapSandbox } from "../../../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../../../src/drivers/sandbox/zygote-client.ts";
import { overlaySessions } from "../../../src/drivers/files/overlay.ts";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { errno } from "../../contract/session.ts";
import { processesNamed } from "../../contract/sandbox.ts";
import { rule } from "./sandboxed.ts";

const folder = mkdtempSync(join(tmpdir(), "helper-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const command = (script: string): SandboxCommand => ({
  argv: ["bash", "-c", script],
  root: folder,
  closed: [],
  growth: null,
  cwd: ".",
  env: {},
  stdin: "",
  timeoutMs: 20_000,
  memoryBytesMax: 256 * 1024 * 1024,
  processesMax: 64,
  outputBytesMax: 4_096,
});
const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

describe("zygote", () => {
  test("SBX-8.1 without bubblewrap everything is refused, with the command that installs it", async () => {
    const driver = bwrapSandbox({ helper: new ZygoteClient(), path: ["/nonexistent"], root: false });
    const refused = await driver.available();
    expect(refused).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
    expect(refused.ok ? "" : refused.error.message).toContain("sudo apt-get install -y bubblewrap");
    const marker = join(folder, "ran-anyway");
    expect(errno(await driver.run(command(`touch ${marker}`), never))).toBe("ENOSYS");
    expect(existsSync(marker)).toBe(false);
    await driver.close();
  });

  test("SBX-8.1 a bubblewrap that cannot make a sandbox refuses as well", async () => {
    const driver = bwrapSandbox({ helper: new ZygoteClient({ bubblewrap: "/bin/false" }) });
    const result = await driver.run(command("true"), never);
    expect(errno(result)).toBe("ENOSYS");
    await driver.close();
  });

  rule("SBX-6.1 a kernel killed outright leaves no process, no mount and no folder", async () => {
    const source = join(import.meta.dirname, "../../../src/drivers/sandbox");
    const script = `
      import { ZygoteClient } from ${JSON.stringify(join(source, "zygote-client.ts"))};
      import { bwrapSandbox } from ${JSON.stringify(join(source, "bwrap.ts"))};
      const helper = new ZygoteClient();
      const driver = bwrapSandbox({ helper });
      const run = driver.run(${JSON.stringify(command("touch began; setsid sleep 981 & sleep 981"))}, new AbortController().signal);
      await helper.start();
      console.log(helper.pid);
      await run;`;
    const kernel = spawn(process.execPath, ["--input-type=module-typescript", "--no-warnings", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve) => kernel.stdout.once("data", (text: Buffer) => resolve(Number(text))));
    await until(() => existsSync(join(folder, "began")));
    expect(parentOf(pid)).toBe(kernel.pid);
    await until(() => processesNamed("sleep\x00981").length > 0);
    kernel.kill("SIGKILL");
    await until(() => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/status`, "utf8").includes("State:\tZ"));
    await until(() => processesNamed("sleep\x00981").length === 0);
    const cells = (): readonly string[] =>
      readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandOf(name).includes(`\x00${folder}\x00`));
    await until(() => cells().length === 0);
    rmSync(join(folder, "began"));
  });

  rule("SBX-7.1 a dead helper fails what was asked, and the next request starts another", async () => {
    const helper = new ZygoteClient();
    const driver = bwrapSandbox({ helper });
    const pending = driver.run(command("touch began2; sleep 982"), never);
    await until(() => existsSync(join(folder, "began2")));
    const first = helper.pid ?? 0;
    process.kill(first, "SIGKILL");
    expect(errno(await pending)).toBe("EIO");
    expect(await driver.run(command("echo again"), never)).toMatchObject({ ok: true, value: { stdout: "again\n" } });
    expect(helper.pid).not.toBe(first);
    await until(() => processesNamed("sleep\x00982").length === 0);
    const stale = await driver.run({ ...command("true"), root: `/proc/${first}/root${folder}` }, never);
    expect(errno(stale)).toBe("ESTALE");
    await driver.close();
    expect(helper.pid === null || !existsSync(`/proc/${helper.pid}/root`)).toBe(true);
  });

  rule("SBX-7.2 without a mount namespace it runs sandboxes all the same, and says that there are no overlays", async () => {
    const zygote = new ZygoteClient({ namespaces: false });
    const started = await zygote.start();
    expect(started.ok && started.value.mode).toBe("plain");
    const driver = bwrapSandbox({ helper: zygote });
    expect(await driver.run(command("echo sandboxed"), never)).toMatchObject({ ok: true, value: { stdout: "sandboxed\n" } });
    const sessions = overlaySessions({ helper: zygote, blobs: openMemoryBlobs(), hide: [], isSecret: () => false });
    expect(await sessions.available()).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
    await driver.close();
  });

  rule("SBX-6.4 what a killed helper left in the temporary folder goes at the next start", async () => {
    const left = (pid: number): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(`daimon-zygote-${pid}-`));
    const first = new ZygoteClient();
    await first.start();
    const pid = first.pid ?? 0;
    expect(left(pid)).toHaveLength(1);
    process.kill(pid, "SIGKILL");
    await until(() => first.pid === null);
    const second = new ZygoteClient();
    await second.start();
    expect(left(pid)).toEqual([]);
    const last = second.pid ?? 0;
    await second.close();
    expect(left(last)).toEqual([]);
  });

  rule("SBX-7.3 an idle helper does not keep its kernel alive", async () => {
    const source = join(import.meta.dirname, "../../../src/drivers/sandbox/zygote-client.ts");
    const script = `import { ZygoteClient } from ${JSON.stringify(source)}; await new ZygoteClient().start();`;
    const kernel = spawn(process.execPath, ["--input-type=module-typescript", "--no-warnings", "-e", script], {
      stdio: "inherit",
    });
    expect(await new Promise((resolve) => kernel.once("exit", resolve))).toBe(0);
  });
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
