/** A gate over a whole kernel: each call of the client is a call of a body process, decided, journaled and performed. */
import type { CallContext, CallHandler } from "../../../src/abi/call.ts";
import type { SysError } from "../../../src/abi/errno.ts";
import type { ChangeKind, Exchange, Gate } from "../../../src/abi/gate.ts";
import type { Sys } from "../../../src/abi/sys.ts";
import type { McpServer } from "../../../src/drivers/tool/mcp.ts";
import type { Json, JsonObject } from "../../../src/lib/json.ts";
import type { Result } from "../../../src/lib/result.ts";
import { rig, type Rig, type RigOptions } from "../../kernel/rig.ts";

export interface BodyGate {
  readonly gate: Gate;
  readonly machine: Rig;
  readonly pid: number;
}

export async function bodyGate(
  servers: readonly McpServer[],
  own: readonly CallHandler[] = [],
  options: RigOptions = {},
  calls: readonly string[] = ["*"],
): Promise<BodyGate> {
  const exchanges = new WeakMap<object, Exchange>();
  const started = Promise.withResolvers<Sys>();
  const handlers = [...own, ...servers.flatMap((server) => server.calls)];
  const machine = rig({
    ...options,
    handlers: handlers.map((handler) => withExchange(handler, exchanges)),
    bodies: {
      client: (sys) => {
        started.resolve(sys);
        return new Promise(() => undefined);
      },
    },
  });
  const pid = machine.spawn({ kind: "body", name: "client", instructions: "client", calls: [...calls] });
  const sys = await started.promise;
  const holds = (name: string): boolean =>
    calls.some((call) => call === "*" || call === name || (call.endsWith("*") && name.startsWith(call.slice(0, -1))));
  const specs = handlers.map(({ spec }) => spec).filter(({ name }) => holds(name));
  const gate: Gate = {
    specs: () => specs,
    call: (name, args, exchange): Promise<Result<Json, SysError>> => {
      const own = typeof args === "object" && args !== null && !Array.isArray(args) ? { ...args } : args;
      if (typeof own === "object" && own !== null) exchanges.set(own, exchange);
      return sys.call(name, own);
    },
    watch: (listener: (kind: ChangeKind) => void) => {
      const stops = servers.map((server) => server.watch(listener));
      return () => stops.forEach((stop) => stop());
    },
  };
  return { gate, machine, pid };
}

/** The kernel hands the arguments on as they are, so they tell whose request a call answers. */
function withExchange(handler: CallHandler, exchanges: WeakMap<object, Exchange>): CallHandler {
  return {
    ...handler,
    perform: (args: JsonObject, context: CallContext) => {
      const { pid, id, now, frozen, signal } = context;
      const exchange = exchanges.get(args);
      return handler.perform(args as never, { pid, id, now, frozen, signal, ...(exchange === undefined ? {} : { exchange }) });
    },
  };
}
