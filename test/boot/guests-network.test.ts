/** The network of a guest: a real program in a real sandbox, which reaches what policy permits, and nothing else by any way. */
import { describe, expect } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { GuestPlan } from "../../src/abi/sandbox.ts";
import type { Machine } from "../../src/boot/boot.ts";
import type { HeldGuest } from "../../src/boot/guests.ts";
import { launchGuest } from "../../src/drivers/sandbox/guest-launch.ts";
import { findProgram } from "../../src/drivers/sandbox/guest-program.ts";
import { proxyEnv } from "../../src/guests/network.ts";
import { replay } from "../../src/kernel/replay.ts";
import { rule } from "../drivers/sandbox/sandboxed.ts";
import { certificate, served, servedOverTls } from "../doors/net/rig.ts";
import { surroundings } from "./folder.ts";
import { down, must, up, workspace, type Workspace } from "./machine.ts";

/** What the program tells of each thing it tries: a status with the first line, or the error. */
const script = `
import { request } from "node:http";
import { connect } from "node:net";
const told = {};
const fetched = async (url) => {
  try {
    const answer = await fetch(url);
    return answer.status + " " + (await answer.text()).split("\\n")[0];
  } catch (error) {
    return "error " + (error.cause?.code ?? error.message);
  }
};
for (const [name, url] of Object.entries(JSON.parse(process.argv[2]))) told[name] = await fetched(url);
told.direct = await new Promise((resolve) => {
  const socket = connect(Number(new URL(JSON.parse(process.argv[2]).plain).port), "127.0.0.1");
  socket.once("connect", () => resolve("reached")).once("error", (error) => resolve(error.code));
});
told.stolen = await new Promise((resolve) => {
  const proxy = new URL(process.env.HTTP_PROXY);
  const headers = { host: "a.test", "proxy-authorization": "Basic " + Buffer.from("daimon:" + process.argv[3]).toString("base64") };
  request({ host: proxy.hostname, port: proxy.port, path: "http://a.test/", headers }, (answer) => resolve(answer.statusCode)).end();
});
told.env = JSON.stringify(process.env);
console.log(JSON.stringify(told));
process.exit(0);
`;

function planOf(where: Workspace, { open }: HeldGuest, args: readonly string[]): GuestPlan {
  const place = { root: where.root, cwd: where.root, home: where.home, path: process.env["PATH"] ?? "" };
  const { file, shown, links } = must(findProgram(process.execPath, place));
  return {
    argv: [file, "try.mjs", ...args],
    root: where.root,
    cwd: where.root,
    home: where.home,
    env: {
      PATH: "/usr/bin:/bin",
      NODE_EXTRA_CA_CERTS: `${where.root}/ca.crt`,
      ...proxyEnv(open.doors.net.port, open.credential),
    },
    files: [],
    shown,
    links,
    doors: [open.doors.model, open.doors.net],
    memoryBytesMax: 1024 * 1024 * 1024,
    processesMax: 200,
  };
}

async function ran(where: Workspace, machine: Machine, urls: Readonly<Record<string, string>>, stolen: string) {
  const held = must(await machine.guests.open({ name: "node", command: ["node"], cwd: where.root, limits: noLimits }));
  const plan = planOf(where, held, [JSON.stringify(urls), stolen]);
  const running = must(await launchGuest({ plan, stage: held.open.stage, streams: ["ignore", "pipe", "inherit"], graceMs: 100 }));
  let out = "";
  running.child.stdout?.on("data", (piece: Buffer) => (out += piece.toString()));
  const end = await running.ended;
  const report = must(await held.ended(end));
  return { report, pid: held.open.pid, told: JSON.parse(out) as Readonly<Record<string, string>> };
}

describe("a guest's network", () => {
  rule(
    "BOO-40.6  a guest reaches the hosts that policy permits, with and without TLS, and no others; the kernel adds a key it never sees",
    async () => {
      const keys: (string | undefined)[] = [];
      const plain = await served((_request, response) => response.end("plain"));
      const secure = await servedOverTls((asked, response) => {
        keys.push(asked.headers["x-key"] as string | undefined);
        response.end("secure");
      });
      const where = workspace({ "try.mjs": script, "ca.crt": certificate.cert });
      where.put(
        "../home/.config/daimon/config.yaml",
        `policy:\n  allow: ["net.connect(a.test:${plain})", "net.connect(a.test:${secure})", "net.connect(b.test:${secure})", net.connect(inside.test)]\negress:\n  b.test: { header: X-Key, keyEnv: THE_KEY }\n`,
      );
      const resolve = async (host: string): Promise<readonly string[]> => [host === "inside.test" ? "192.168.7.7" : "127.0.0.1"];
      const machine = await up(where, {
        world: { ...surroundings(where.folder), env: { THE_KEY: "hunter2" } },
        outside: { resolve, allowLoopback: true, ca: certificate.cert },
      });
      const other = must(await machine.guests.open({ name: "other", command: ["other"], cwd: where.root, limits: noLimits }));
      const urls = {
        plain: `http://a.test:${plain}/`,
        secure: `https://a.test:${secure}/`,
        keyed: `http://b.test:${secure}/`,
        closed: "http://c.test/",
        closedSecure: "https://c.test/",
        otherPort: "http://a.test/",
        inside: "http://inside.test/",
        literal: "http://169.254.169.254/latest/meta-data/",
      };
      const { told, report, pid } = await ran(where, machine, urls, other.open.credential);
      expect(told).toMatchObject({
        plain: "200 plain",
        secure: "200 secure",
        keyed: "200 secure",
        closed: expect.stringMatching(/^403 daimon refused GET http:\/\/c\.test\/: .*no rule permits/) as string,
        closedSecure: expect.stringMatching(/^error /) as string,
        otherPort: expect.stringMatching(/^403 .*no rule permits/) as string,
        inside: expect.stringMatching(/^403 .*192\.168\.7\.7 is private/) as string,
        literal: expect.stringMatching(/^403 .*no rule permits/) as string,
        direct: "ECONNREFUSED",
        stolen: 407,
      });
      expect(keys).toEqual([undefined, "hunter2"]);
      expect(JSON.stringify(told)).not.toContain("hunter2");
      expect(report).toMatchObject({ modelCalls: 0, summary: { refused: 4, spend: { calls: 10 } } });
      const refused = machine.kernel.recorder.table.procs.get(pid)?.label;
      expect(refused).toMatchObject({ integrity: "untrusted" });
      const { log, blobs } = machine;
      expect(replay({ log, blobs, until: null, pid: null })).toMatchObject({ ok: true, value: { findings: [] } });
      await down(machine);
    },
  );
});
