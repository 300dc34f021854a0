import { describe, expect, it } from "vitest";
import type { CallHandler } from "../../src/abi/call.ts";
import type { Exchange } from "../../src/abi/gate.ts";
import { gateOf, shownInside, shownToClient } from "../../src/boot/gate.ts";
import { ok } from "../../src/lib/result.ts";
import { handler, rig } from "../kernel/rig.ts";

const names = ["fs.read", "mcp.docs.echo", "mem.note2", "guest.tool2", "net.connect"];

describe("gate", () => {
  it("BOO-29.1  a client is shown what it may hold and what means something outside", () => {
    const machine = rig({ handlers: names.map((name) => handler({ name }, () => ok({ value: 1 }))) });
    const shown = (held: readonly string[]): readonly string[] => shownToClient(machine.kernel, held).map(({ name }) => name);
    expect(shown(["*"])).toEqual(["fs.read", "guest.tool2", "mcp.docs.echo"]);
    expect(shown(["mcp.docs.*"])).toEqual(["mcp.docs.echo"]);
    const specs = shownToClient(machine.kernel, ["*"]);
    const gate = gateOf(specs, guestOn(machine, ["*"]), { watch: () => () => undefined });
    expect(gate.specs()).toBe(specs);
  });

  it("BOO-29.3  a guest in a sandbox is shown servers' calls, and of daimon's own a page's where a rule may permit it", () => {
    const own = ["fs.read", "fs.write", "fs.commit", "shell.run", "net.fetch"].map((name) =>
      handler({ name }, () => ok({ value: 1 })),
    );
    const mcp = { server: "docs", method: "tools/call", definition: null };
    const machine = rig({ handlers: [...own, handler({ name: "mcp.docs.echo", mcp }, () => ok({ value: 1 }))] });
    const shown = (held: readonly string[], permitted: boolean): readonly string[] =>
      shownInside(machine.kernel, held, () => permitted).map(({ name }) => name);
    expect(shown(["*"], true)).toEqual(["mcp.docs.echo", "net.fetch"]);
    expect(shown(["*"], false)).toEqual(["mcp.docs.echo"]);
    expect(shown(["net.*"], true)).toEqual(["net.fetch"]);
    expect(shown(["fs.*"], true)).toEqual([]);
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
    const gate = gateOf(shownToClient(machine.kernel, ["mcp.docs.*"]), guestOn(machine, ["mcp.docs.*"]), { watch });
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
