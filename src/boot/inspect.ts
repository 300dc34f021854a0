/**
 * Inspect: look at a workspace without running it, also while a kernel does.
 *   BOO-15.1  Looking takes no lock, writes nothing, and starts nothing.
 *   BOO-15.2  It also sees what a running or killed kernel has written and not yet made durable.
 */
import type { Clock } from "../abi/clock.ts";
import type { SysError } from "../abi/errno.ts";
import { recoverTable } from "../kernel/recover.ts";
import type { Table } from "../kernel/table.ts";
import { ok, type Result } from "../lib/result.ts";
import { findRoot, layoutOf, type Layout, type Surroundings } from "./layout.ts";
import { readStores, type Stores } from "./stores.ts";

export interface Inspection extends Stores {
  readonly layout: Layout;
  readonly table: Table;
  close(): void;
}

export function inspect(world: Surroundings, clock: Clock): Result<Inspection, SysError> {
  const layout = layoutOf(findRoot(world.cwd), world);
  const stores = readStores(layout, clock);
  if (!stores.ok) return stores;
  const { log, blobs } = stores.value;
  const recovered = recoverTable(log, blobs);
  if (!recovered.ok) return recovered;
  return ok({ layout, log, blobs, table: recovered.value.table, close: () => void log.close() });
}
