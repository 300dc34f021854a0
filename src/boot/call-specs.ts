/** Call specs: the table of calls without the drivers behind them, for readers: `daimon why`, the reference page. */
import type { CallSpec } from "../abi/call.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { fsCalls } from "../drivers/tool/fs.ts";
import { shareCalls } from "../drivers/tool/fs-share.ts";
import { netCalls } from "../drivers/tool/net.ts";
import { connectCalls } from "../drivers/tool/net-connect.ts";
import { shellCalls } from "../drivers/tool/shell.ts";
import { systemClock } from "../drivers/clock/system.ts";
import { specs as kernelSpecs } from "../kernel/calls/specs.ts";
import type { Err } from "../lib/result.ts";

/** In the order in which boot measures them, without the tools of MCP servers. */
export function callSpecs(): readonly CallSpec[] {
  const nothing = new Map<string, never>();
  const none = (): Err<SysError> => fail("ENOSYS", "these calls are only looked at");
  const sandbox = { name: "none", available: none, run: () => Promise.resolve(none()), close: () => {} };
  const handlers = [
    ...fsCalls({
      session: none,
      tier: () => null,
      diff: none,
      freeze: none,
      commit: none,
      workspace: none,
      searchable: () => () => false,
    }),
    ...shareCalls({ session: none, shared: () => nothing, keep: () => "", keepPlan: () => Promise.resolve(none()), share: none }),
    ...shellCalls({ session: none, sandbox }),
    ...netCalls({ clock: systemClock() }),
    ...connectCalls({ locate: () => Promise.resolve(none()) }),
  ];
  return [...Object.values(kernelSpecs), ...handlers.map((handler) => handler.spec)];
}
