/**
 * daimon mcp: this workspace as one MCP server, for any client that starts it: daimon's own calls and the servers of the configuration, by one process.
 *   CLI-49.1  Standard output carries the protocol and nothing else; what a person should know goes to standard error.
 *   CLI-49.2  The client is a process of kind guest with its own session: it is in `ps` and `log`, its files wait for `commit`, and it ends when the client leaves.
 *   CLI-49.3  --server shows one server under its own names, and nothing else.
 */
import { noLimits, type Limits } from "../abi/budget.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Machine } from "../boot/boot.ts";
import { guestManifest } from "../boot/guests.ts";
import { version } from "../boot/version.ts";
import { ok, type Result } from "../lib/result.ts";
import { tighten } from "../scheduler/budget.ts";
import type { mcpOptions } from "./guest-commands.ts";
import { interrupts, unless } from "./interrupt.ts";
import { note, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { withMachine } from "./workspace.ts";

type Options = Input<typeof mcpOptions>["options"];

export async function run(options: Options, io: Io): Promise<Result<number, SysError>> {
  return await withMachine(io, { processes: "leave" }, (machine) => serve(machine, options, io));
}

async function serve(machine: Machine, options: Options, io: Io): Promise<Result<number, SysError>> {
  const { kernel, servers } = machine;
  const { server } = options;
  if (server !== undefined && ![...kernel.calls.all()].some(({ spec }) => spec.mcp?.server === server))
    return fail("ENOENT", `no MCP server "${server}" is connected; \`daimon config\` lists those in force`);
  const manifest = guestManifest("mcp", limitsOf(machine, options));
  const pid = kernel.spawn({ manifest, goal: null, parent: 0, call: null });
  if (!pid.ok) return pid;
  const guest = kernel.guest(pid.value, () => []);
  if (!guest.ok) return guest;
  const { gateOf } = await import("../boot/gate.ts");
  const { toolDoor } = await import("../doors/tool/door.ts");
  const { serveStreams } = await import("../doors/tool/stdio.ts");
  const gate = gateOf(kernel, guest.value, manifest.calls, servers);
  const mode = server === undefined ? ({ type: "namespaced" } as const) : ({ type: "identity", server } as const);
  const door = serveStreams(toolDoor({ gate, mode, version }), process.stdin, process.stdout);
  note(io, `process ${pid.value} serves an MCP client here`);
  const interrupt = interrupts(io.host);
  const killed = await unless(interrupt, Promise.race([door.ended, kernel.wait(pid.value)]));
  interrupt.close();
  await door.close();
  // Whoever killed it has said how it ended.
  if (killed === undefined || killed === null) guest.value.ended({ ok: true, value: null });
  note(
    io,
    `process ${pid.value} ended; \`daimon diff ${pid.value}\` shows what it changed, \`daimon log ${pid.value}\` what it did`,
  );
  return ok(0);
}

function limitsOf({ config }: Machine, { calls, time }: Options): Limits {
  return tighten(config.limits, { ...noLimits, calls: calls ?? null, timeMs: time ?? null });
}
