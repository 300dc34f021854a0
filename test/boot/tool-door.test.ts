import * as fs from "node:fs";
import { request } from "node:http";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { shownToClient } from "../../src/boot/gate.ts";
import { openToolDoor, type OpenToolDoor } from "../../src/boot/tool-door.ts";
import { ok } from "../../src/lib/result.ts";
import { handler, rig } from "../kernel/rig.ts";
import { freshFolder } from "./folder.ts";
import { must } from "./machine.ts";

const initialize = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
});

function status({ socket }: Pick<OpenToolDoor, "socket">, credential: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: "127.0.0.1:4711",
      authorization: `Bearer ${credential}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    };
    const asked = request({ socketPath: socket, path: "/mcp", method: "POST", headers }, (reply) => {
      reply.resume();
      resolve(reply.statusCode);
    });
    asked.on("error", reject);
    asked.end(initialize);
  });
}

describe("tool door", () => {
  it("BOO-32.1  each guest has its own socket and credential, which end with it", async () => {
    const folder = freshFolder();
    const machine = rig({ handlers: [handler({ name: "fs.read" }, () => ok({ value: 1 }))] });
    const open = async (name: string): Promise<OpenToolDoor> => {
      const pid = machine.spawn({ kind: "guest", name, instructions: "{}", calls: ["*"] });
      const guest = must(machine.kernel.guest(pid, () => []));
      const socket = path.join(folder, `${name}.sock`);
      fs.writeFileSync(socket, "left behind");
      const specs = shownToClient(machine.kernel, ["*"]);
      return must(
        await openToolDoor({
          guest,
          specs,
          servers: { watch: () => () => undefined },
          socket,
          credential: name,
          clock: machine.clock,
        }),
      );
    };
    const [one, two] = [await open("one"), await open("two")];
    expect(fs.statSync(one.socket).mode & 0o777).toBe(0o600);
    expect(await status(one, "one")).toBe(200);
    expect(await status(one, "two")).toBe(401);
    expect(await status(two, "two")).toBe(200);
    await one.close();
    expect(fs.existsSync(one.socket)).toBe(false);
    await expect(status(one, "one")).rejects.toThrow();
    expect(await status(two, "two")).toBe(200);
    await two.close();
  });
});
