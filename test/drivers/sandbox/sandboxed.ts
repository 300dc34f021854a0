/** Sandboxed: tests that need the sandbox. Where it cannot be made they are skipped, and the run says why. */
import { it } from "vitest";
import { bwrapSandbox } from "../../../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../../../src/drivers/sandbox/zygote-client.ts";

const probe = bwrapSandbox({ helper: new ZygoteClient() });
const available = await probe.available();
await probe.close();

/** Why there is no sandbox here; empty: there is one. */
export const noSandbox = available.ok ? "" : available.error.message;

export function rule(title: string, body: () => Promise<void> | void): void {
  it(title, async (context) => {
    context.skip(noSandbox !== "", noSandbox);
    await body();
  });
}
