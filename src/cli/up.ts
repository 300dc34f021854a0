/**
 * daimon up: a kernel that stays: unfinished processes go on, guests of other terminals become processes of it, and programs outside any sandbox find its
 * doors on loopback.
 *   CLI-50.1  It stays until it is interrupted, or can no longer keep its journal, and leaves every process where it stands; the next kernel goes on.
 *   CLI-50.2  It tells where its doors are, and in which file a client finds its credential, which is printed nowhere.
 *   CLI-50.3  While it stays it tells what begins, ends and waits for a person, a line each.
 */
import type { Entry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { Machine } from "../boot/boot.ts";
import type { Client } from "../boot/client.ts";
import { ok, type Result } from "../lib/result.ts";
import { entryLine } from "./entry.ts";
import type { upOptions } from "./guest-commands.ts";
import { interrupts, unless } from "./interrupt.ts";
import { note, printJson, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { withMachine } from "./workspace.ts";

export async function run({ options }: Input<typeof upOptions>, io: Io): Promise<Result<number, SysError>> {
  return await withMachine(io, { cpu: options.cpu, processes: "resume" }, async (machine) => {
    const { openClient } = await import("../boot/client.ts");
    const client = await openClient(machine, { name: "client", port: options.port ?? 0 });
    if (!client.ok) return client;
    const interrupt = interrupts(io.host);
    const stopTelling = machine.kernel.on((entry, seq) => tell(seq, entry, io));
    announce(machine, client.value, io);
    const stopped = await unless(interrupt, machine.kernel.stopped());
    interrupt.close();
    stopTelling();
    await client.value.close();
    return stopped === null || stopped.ok ? ok(0) : stopped;
  });
}

function announce({ layout, digest, resumed }: Machine, { pid, models, tools, file }: Client, io: Io): void {
  if (io.json)
    return printJson(io, { kernel: process.pid, root: layout.root, boot: digest, resumed, client: { pid, models, tools, file } });
  note(io, `the kernel of ${layout.root} is up; Ctrl-C leaves, and processes go on with the next one`);
  note(io, `models  ${models}`);
  note(io, `tools   ${tools}`);
  note(
    io,
    `client  process ${pid}: \`set -a; . ${file}\` in a shell, then start any program there; it is in no sandbox, \`daimon exec\` gives it one`,
  );
}

/** Processes as they come and go, and whoever waits for a person. */
function tell(seq: number, entry: Entry, io: Io): void {
  if (entry.kind !== "spawn" && entry.kind !== "exit" && entry.kind !== "park") return;
  if (io.json) return printJson(io, { seq, entry });
  note(io, entryLine(seq, entry, null, io.errColours));
}
