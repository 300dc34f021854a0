/** Limited sandbox: no command gets more than the configuration allows, whatever the call asks for. */
import type { SandboxDriver } from "../abi/sandbox.ts";
import type { SandboxLimits } from "./config.ts";

export function limitedSandbox(sandbox: SandboxDriver, limits: SandboxLimits): SandboxDriver {
  return {
    name: sandbox.name,
    available: () => sandbox.available(),
    run: (command, signal) =>
      sandbox.run(
        {
          ...command,
          timeoutMs: Math.min(command.timeoutMs, limits.timeoutMs),
          memoryBytesMax: Math.min(command.memoryBytesMax, limits.memoryBytesMax),
          processesMax: Math.min(command.processesMax, limits.processesMax),
          outputBytesMax: Math.min(command.outputBytesMax, limits.outputBytesMax),
        },
        signal,
      ),
    close: () => sandbox.close(),
  };
}
