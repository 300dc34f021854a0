import { describe, expect, it } from "vitest";
import type { CallHandler } from "../../src/abi/call.ts";
import type { Exchange } from "../../src/abi/gate.ts";
import { gateOf } from "../../src/boot/gate.ts";
import { ok } from "../../src/lib/result.ts";
import { handler, rig } from "../kernel/rig.ts";

const names = ["fs.read", "mcp.docs.echo", "mem.note2", "guest.tool2", "net.connect"];

describe("gate", () => {
  it("BOO-29.1  a guest is shown what it may hold and what means something outside", () => {
    const machine = rig({ handlers: names.map((name) => handler({ name }, () => ok({ value: 1 }))) });
    const guest = guestOn(machine, ["*"]);
    const shown = gateOf(machine.kernel, guest, ["*"], { watch: () => () => undefined }).specs();
    expect(shown.map(({ name }) => name)).toEqual(["fs.read", "guest.tool2", "mcp.docs.echo"]);
    const narrow = gateOf(machine.kernel, guest, ["mcp.docs.*"], { watch: () => () => undefined });
    expect(narrow.specs().map(({ name }) => name)).toEqual(["mcp.docs.echo"]);
    expect(narrow.specs()).toBe(narrow.specs());
  });

  it("BOO-29.2  each call is one of the process, sees the request it answers, and gives what it gave", async () => {
    const seen: (Exchange | undefined)[] = [];
    const echo: CallHandler = {
      ...handler({ name: "mcp.docs.echo" }, () => ok({ value: 1 })),
      perform: (args: { readonly n: number }, context) => {
        seen.push(context.exchange);
        return ok({ value: { text: "said", result: { n: args.n } } });
      },
    };
    const machine = rig({ handlers: [echo] });
    const told: string[] = [];
    const watch = (listener: (kind: "tools") => void): (() => void) => {
      listener("tools");
      return () => undefined;
    };
    const gate = gateOf(machine.kernel, guestOn(machine, ["mcp.docs.*"]), ["mcp.docs.*"], { watch });
    gate.watch((kind) => void told.push(kind));
    const [one, two] = [exchange(), exchange()];
    const both = await Promise.all([gate.call("mcp.docs.echo", { n: 1 }, one), gate.call("mcp.docs.echo", { n: 2 }, two)]);
    expect(both).toEqual([
      { ok: true, value: { text: "said", result: { n: 1 } } },
      { ok: true, value: { text: "said", result: { n: 2 } } },
    ]);
    expect(seen).toEqual([one, two]);
    expect(told).toEqual(["tools"]);
    expect(await gate.call("fs.read", {}, one)).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
    expect(machine.kernel.processes()[0]).toMatchObject({ step: 3, refused: 1 });
  });
});

function guestOn(machine: ReturnType<typeof rig>, calls: readonly string[]) {
  const pid = machine.spawn({ kind: "guest", name: "client", instructions: "{}", calls });
  const guest = machine.kernel.guest(pid, () => []);
  if (!guest.ok) throw new Error(guest.error.message);
  return guest.value;
}

function exchange(): Exchange {
  const { signal } = new AbortController();
  return {
    era: "sessions",
    session: signal,
    signal,
    capabilities: {},
    resume: {},
    tell: () => undefined,
    ask: () => Promise.reject(new Error("nobody")),
  };
}
