/**
 * Preview: what a boot would load at this moment, for those who only look: `why`, `approve`, `fsck`.
 *   BOO-17.1  It takes no lock, connects no server and starts nothing; a step has the digest that the next boot would measure.
 *   BOO-17.2  A policy that cannot be loaded is an error of its own, and the rest can still be looked at.
 */
import type { CallSpec } from "../abi/call.ts";
import type { BootStep } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import type { PolicyEngine } from "../abi/policy.ts";
import { sha256 } from "../lib/hash.ts";
import { canonical } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Table } from "../kernel/table.ts";
import { loadInputs } from "./boot.ts";
import { callSpecs } from "./call-specs.ts";
import type { Config } from "./config.ts";
import type { Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";
import { loadPolicies } from "./policies.ts";

export interface Preview {
  readonly config: Config;
  readonly specs: readonly CallSpec[];
  readonly policy: Result<PolicyEngine, SysError>;
  /** Without the steps that only a connection shows: MCP servers, and with any of them the table of calls. */
  readonly steps: readonly BootStep[];
  /** What the loader says of instructions and configuration. */
  readonly findings: readonly Finding[];
}

export async function preview(
  layout: Layout,
  table: Pick<Table, "produced" | "producedPaths">,
): Promise<Result<Preview, SysError>> {
  const inputs = await loadInputs(layout, table);
  if (!inputs.ok) return inputs;
  const { config, findings } = inputs.value;
  const specs = callSpecs();
  const policies = await loadPolicies({ layout, config, specs, engine: "compiled", tick: () => performance.now() });
  const calls = Object.keys(config.mcp).length > 0 ? [] : [bootStep("calls", sha256(canonical(specs)), 0, 0)];
  const steps = [...inputs.value.steps, ...(policies.ok ? policies.value.steps : []), ...calls];
  return ok({ config, specs, policy: policies.ok ? ok(policies.value.engine) : policies, steps, findings });
}
