/** The net door as a machine opens it: a socket of each guest's own, and credentials for hosts that only the kernel has. */
import * as fs from "node:fs";
import { request } from "node:http";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import { removeLeft } from "../../src/boot/left.ts";
import { netSockets, openNetDoor, type OpenNetDoor } from "../../src/boot/net-door.ts";
import { openOutside } from "../../src/drivers/net/outside.ts";
import { connectCalls } from "../../src/drivers/tool/net-connect.ts";
import { certificate, servedOverTls } from "../doors/net/rig.ts";
import { rig } from "../kernel/rig.ts";
import { freshFolder } from "./folder.ts";
import { configOf, must } from "./machine.ts";

async function opened(
  folder: string,
  credential: string,
  env: Readonly<Record<string, string>> = {},
  yaml = "",
): Promise<OpenNetDoor> {
  const machine = rig();
  const outside = openOutside({
    clock: machine.clock,
    resolve: async () => ["127.0.0.1"],
    allowLoopback: true,
    ca: certificate.cert,
  });
  const own = rig({ handlers: connectCalls(outside) });
  const pid = own.spawn({ kind: "guest", name: "curl", instructions: "{}", calls: ["*"], limits: noLimits });
  const guest = must(own.kernel.guest(pid, () => []));
  const { egress } = await configOf(yaml);
  const broke = (error: unknown): never => {
    throw error;
  };
  return must(await openNetDoor({ guest, credential, egress, env, clock: own.clock, outside, folder, broke }));
}

function asked({ socket }: OpenNetDoor, credential: string, url: string): Promise<string> {
  const proxy = `Basic ${Buffer.from(`daimon:${credential}`).toString("base64")}`;
  const headers = { host: new URL(url).host, "proxy-authorization": proxy, "x-key": "mine", connection: "close" };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, path: url, headers }, (reply) => {
      let text = `${reply.statusCode} `;
      reply.on("data", (piece: Buffer) => (text += piece.toString())).on("end", () => resolve(text));
    });
    sent.on("error", reject).end();
  });
}

describe("net door", () => {
  it("BOO-33.1  each guest has its own socket and credential, which end with it, and leftovers go", async () => {
    const [one, two] = [freshFolder(), freshFolder()];
    const doors = [await opened(one, "dmn_one"), await opened(two, "dmn_two")] as const;
    expect(fs.statSync(doors[0].socket).mode & 0o777).toBe(0o600);
    expect(path.basename(doors[0].socket).length).toBeLessThanOrEqual("control.sock".length);
    const url = "http://10.0.0.1/";
    expect(await asked(doors[0], "dmn_one", url)).toMatch(/^403 /);
    expect(await asked(doors[0], "dmn_two", url)).toMatch(/^407 /);
    expect(await asked(doors[1], "dmn_two", url)).toMatch(/^403 /);
    await doors[0].close();
    expect(fs.readdirSync(one)).toEqual([]);
    await expect(asked(doors[0], "dmn_one", url)).rejects.toThrow();
    await doors[1].close();
    for (const name of ["net1.sock", "netzz.sock", "model.sock", "control.sock", "network"])
      fs.writeFileSync(path.join(one, name), "");
    removeLeft(one, netSockets);
    expect(fs.readdirSync(one).toSorted()).toEqual(["control.sock", "model.sock", "network"]);
  });

  it("BOO-33.2  a host gets what its variable holds, and a variable that is not set refuses the request by its name", async () => {
    const seen: (string | undefined)[] = [];
    const port = await servedOverTls((asking, response) => {
      seen.push([asking.headers["x-key"], asking.headers.authorization].join(" "));
      response.end("fine");
    });
    const yaml = "egress:\n  a.test: { header: X-Key, keyEnv: KEY }\n  b.test: { header: authorization, keyEnv: TOKEN }\n";
    const env = { KEY: " hunter2 ", TOKEN: "token3" };
    const door = await opened(freshFolder(), "dmn_one", env, yaml);
    expect(await asked(door, "dmn_one", `http://a.test:${port}/`)).toBe("200 fine");
    expect(await asked(door, "dmn_one", `http://b.test:${port}/`)).toBe("200 fine");
    expect(seen).toEqual(["hunter2 ", "mine Bearer token3"]);
    await door.close();
    for (const wrong of [{}, { KEY: "" }, { KEY: "a\r\nX-Other: b" }] as const) {
      const without = await opened(freshFolder(), "dmn_one", wrong, yaml);
      const refused = await asked(without, "dmn_one", `http://a.test:${port}/`);
      expect(refused).toMatch(/^502 daimon refused .*a\.test is asked with what KEY holds/s);
      expect(refused).not.toContain("X-Other");
      await without.close();
    }
    expect(seen).toHaveLength(2);
  });
});
