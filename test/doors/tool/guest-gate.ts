/** A gate over a whole kernel: each call of the client is a call of a guest process, decided, journaled and performed. */
import type { CallHandler } from "../../../src/abi/call.ts";
import type { Gate } from "../../../src/abi/gate.ts";
import { gateOf, shownToClient } from "../../../src/boot/gate.ts";
import type { McpServer } from "../../../src/drivers/tool/mcp.ts";
import { rig, type Rig, type RigOptions } from "../../kernel/rig.ts";

export interface GuestGate {
  readonly gate: Gate;
  readonly machine: Rig;
}

export function guestGate(
  servers: readonly McpServer[],
  own: readonly CallHandler[] = [],
  options: RigOptions = {},
  calls: readonly string[] = ["*"],
): GuestGate {
  const machine = rig({ ...options, handlers: [...own, ...servers.flatMap((server) => server.calls)] });
  const pid = machine.spawn({ kind: "guest", name: "client", instructions: "{}", calls: [...calls] });
  const guest = machine.kernel.guest(pid, () => []);
  if (!guest.ok) throw new Error(guest.error.message);
  const watch: Gate["watch"] = (listener) => {
    const stops = servers.map((server) => server.watch(listener));
    return () => stops.forEach((stop) => stop());
  };
  return { gate: gateOf(shownToClient(machine.kernel, calls), guest.value, { watch }), machine };
}
