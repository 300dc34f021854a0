/**
 * Gate, composed: a guest's calls as the tool door needs them.
 *   BOO-29.1  A guest is shown the calls that it may hold and that mean something outside: none of an agent's own window, contract or program.
 *   BOO-29.2  What it calls is a call of its process; what servers say of changes reaches it.
 */
import type { CallSpec } from "../abi/call.ts";
import type { Gate } from "../abi/gate.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok } from "../lib/result.ts";
import { compileCapabilities } from "../security/capability.ts";
import type { Servers } from "./servers.ts";

export function gateOf(
  { calls }: Pick<Kernel, "calls">,
  guest: Pick<GuestProcess, "call">,
  held: readonly string[],
  servers: Pick<Servers, "watch">,
): Gate {
  const capabilities = compileCapabilities(held);
  const specs = [...calls.all()].map(({ spec }) => spec).filter((spec) => isForClients(spec) && capabilities.mayHold(spec.name));
  return {
    specs: () => specs,
    call: async (name, args, exchange) => {
      const given = await guest.call(name, args, exchange);
      return given.ok ? ok(given.value.value) : given;
    },
    watch: (listener) => servers.watch(listener),
  };
}

/** A client keeps its own window and ends its own task; what stands for a guest's own acts nobody calls. */
function isForClients({ name }: CallSpec): boolean {
  return !name.startsWith("mem.") && !name.startsWith("proc.") && !notForClients.has(name);
}

const notForClients: ReadonlySet<string> = new Set(["task.done", "ask", "guest.tool", "net.connect"]);
