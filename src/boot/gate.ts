/**
 * Gate, composed: a guest's calls as the tool door needs them.
 *   BOO-29.1  A client is shown the calls that it may hold and that mean something outside: none of an agent's own window, contract or program.
 *   BOO-29.2  What it calls is a call of its process; what servers say of changes reaches it.
 *   BOO-29.3  A guest in a sandbox is shown the calls of servers, and of daimon's own the one that it cannot make itself: fetching a page, where a rule may
 *             permit that. Files and commands it has tools of its own for, on the same session, and a command of the kernel's beside them would move
 *             the covers over secret files under it; what it changed is shared and committed when it has ended.
 */
import type { CallSpec, StandsFor } from "../abi/call.ts";
import type { Gate } from "../abi/gate.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok } from "../lib/result.ts";
import { compileCapabilities } from "../security/capability.ts";
import type { Servers } from "./servers.ts";

type Calls = Pick<Kernel, "calls">;

export function gateOf(specs: readonly CallSpec[], guest: Pick<GuestProcess, "call">, servers: Pick<Servers, "watch">): Gate {
  return {
    specs: () => specs,
    call: async (name, args, exchange) => {
      const given = await guest.call(name, args, exchange);
      return given.ok ? ok(given.value.value) : given;
    },
    watch: (listener) => servers.watch(listener),
  };
}

/** `held`: the capabilities of the process's manifest. */
export function shownToClient({ calls }: Calls, held: readonly string[]): readonly CallSpec[] {
  const capabilities = compileCapabilities(held);
  return [...calls.all()].map(({ spec }) => spec).filter((spec) => isForClients(spec) && capabilities.mayHold(spec.name));
}

/** `mayPermit`: whether some rule permits the call to somebody. */
export function shownInside(kernel: Calls, held: readonly string[], mayPermit: (spec: CallSpec) => boolean): readonly CallSpec[] {
  return shownToClient(kernel, held).filter(
    (spec) => spec.mcp !== undefined || (beyondSandbox.has(spec.name) && mayPermit(spec)),
  );
}

/** What a tool of the door stands for: the call that comes to the trap again when it is made. null: there is none of this name. */
export function callAtDoor(named: ReadonlyMap<string, CallSpec>, tool: string): readonly StandsFor[] | null {
  const spec = named.get(tool);
  return spec === undefined ? null : [{ name: spec.name, args: {}, again: true }];
}

const beyondSandbox: ReadonlySet<string> = new Set(["net.fetch"]);

/** A client keeps its own window and ends its own task; what stands for a guest's own acts nobody calls. */
function isForClients({ name }: CallSpec): boolean {
  return !name.startsWith("mem.") && !name.startsWith("proc.") && !notForClients.has(name);
}

const notForClients: ReadonlySet<string> = new Set(["task.done", "ask", "guest.tool", "net.connect"]);
