/** The model door as a machine opens it: a socket for guests, a credential for each. */
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "undici";
import { afterAll, expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import { loadConfig } from "../../src/boot/config.ts";
import { openCpus } from "../../src/boot/cpus.ts";
import { openModelDoor, type OpenModelDoor } from "../../src/boot/model-door.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import type { GuestProcess } from "../../src/kernel/guest.ts";
import { rig } from "../kernel/rig.ts";
import { must } from "./machine.ts";

const folder = mkdtempSync(join(tmpdir(), "daimon-model-door-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function opened(env: Readonly<Record<string, string>>, yaml: string): Promise<OpenModelDoor> {
  const source = {
    scope: "user",
    format: "yaml",
    name: "c",
    folder: "/nowhere",
    text: yaml,
    trusted: true,
    accepted: null,
    widened: [],
  } as const;
  const config = must(await loadConfig([source]));
  const clock = systemClock();
  const cpus = await openCpus({ config, env, clock, random: () => 0.5, instance: "test", chosen: null });
  const broke = (error: unknown): never => {
    throw error;
  };
  return must(await openModelDoor({ config, env, clock, chosen: null, cpus, folder, socket: join(folder, "model.sock"), broke }));
}

function guest(): GuestProcess {
  const machine = rig();
  const pid = machine.spawn({ kind: "guest", name: "claude", instructions: "{}", calls: ["*"], limits: noLimits });
  return must(machine.kernel.guest(pid, () => []));
}

async function ask(socket: string, credential: string): Promise<{ readonly status: number; readonly text: string }> {
  const client = new Client("http://localhost", { socketPath: socket });
  const answer = await client.request({
    method: "POST",
    path: "/v1/messages",
    headers: { "x-api-key": credential },
    body: JSON.stringify({ model: "m", max_tokens: 5, messages: [{ role: "user", content: "hi" }] }),
  });
  const text = await answer.body.text();
  await client.destroy();
  return { status: answer.statusCode, text };
}

test("BOO-31.1 the socket is the user's alone while the door is open, and gone when it is closed", async () => {
  const door = await opened({}, "");
  expect(statSync(door.socket).mode & 0o777).toBe(0o600);
  await door.close();
  expect(existsSync(door.socket)).toBe(false);
});

test("BOO-31.2 each guest has a credential of its own, good until it leaves; the provider's key stays outside", async () => {
  const keys: (string | undefined)[] = [];
  const provider = createServer((request, response) => {
    keys.push(request.headers["x-api-key"] as string | undefined);
    const usage = { input_tokens: 1, output_tokens: 1 };
    const reply = {
      id: "m",
      type: "message",
      role: "assistant",
      model: "m",
      content: [{ type: "text", text: "hello" }],
      stop_reason: "end_turn",
      usage,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(reply));
  });
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const yaml = `models:\n  anthropic:\n    baseUrl: http://127.0.0.1:${(provider.address() as AddressInfo).port}\n`;
  const door = await opened({ ANTHROPIC_API_KEY: "sk-real" }, yaml);
  const [one, two] = [door.seat(guest()), door.seat(guest())];
  expect(one.credential).not.toBe(two.credential);
  expect(one.credential).toMatch(/^dmn_[\w-]{43}$/);
  expect(await ask(door.socket, one.credential)).toMatchObject({ status: 200, text: expect.stringContaining("hello") as string });
  one.leave();
  expect((await ask(door.socket, one.credential)).status).toBe(403);
  expect((await ask(door.socket, two.credential)).status).toBe(200);
  expect((await ask(door.socket, "sk-real")).status).toBe(403);
  expect(keys).toEqual(["sk-real", "sk-real"]);
  await door.close();
  await new Promise((resolve) => provider.close(resolve));
});
