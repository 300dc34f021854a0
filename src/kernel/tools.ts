/** Tools: what a process's model is offered: the calls its manifest holds, with its own contract on task.done. */
import type { ToolDefinition } from "../abi/message.ts";
import type { Manifest } from "../abi/process.ts";
import { isObject } from "../lib/json.ts";
import type { CallTable } from "./calls.ts";
import type { Trap } from "./trap.ts";

/** The same array for every process of one manifest, so that drivers can cache its wire form. */
export function toolsFor(
  manifest: Manifest,
  calls: CallTable,
  trap: Trap,
  known: WeakMap<Manifest, readonly ToolDefinition[]>,
): readonly ToolDefinition[] {
  const found = known.get(manifest);
  if (found !== undefined) return found;
  const tools = calls.tools((name) => trap.holds(manifest, name)).map((tool) => withContract(tool, manifest));
  known.set(manifest, tools);
  return tools;
}

function withContract(tool: ToolDefinition, manifest: Manifest): ToolDefinition {
  if (tool.name !== "task.done" || manifest.output === null) return tool;
  const properties = isObject(tool.input["properties"]) ? tool.input["properties"] : {};
  return { ...tool, input: { ...tool.input, properties: { ...properties, value: manifest.output } } };
}
