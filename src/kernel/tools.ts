/** Tools: what a process's model is offered: the calls its manifest holds, with its own contract on task.done. */
import type { ToolDefinition } from "../abi/message.ts";
import type { Manifest } from "../abi/process.ts";
import { isObject } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";
import type { CallTable } from "./calls.ts";
import type { Trap } from "./trap.ts";

export interface Tools {
  readonly definitions: readonly ToolDefinition[];
  /** What they take of the window. */
  readonly tokens: number;
}

/** The same array for every process of one manifest, so that drivers can cache its wire form. */
export function toolsFor(manifest: Manifest, calls: CallTable, trap: Trap, known: WeakMap<Manifest, Tools>): Tools {
  const found = known.get(manifest);
  if (found !== undefined) return found;
  const definitions = calls.tools((name) => trap.holds(manifest, name)).map((tool) => withContract(tool, manifest));
  const tools = { definitions, tokens: definitions.length === 0 ? 0 : estimateTokens(JSON.stringify(definitions)) };
  known.set(manifest, tools);
  return tools;
}

function withContract(tool: ToolDefinition, manifest: Manifest): ToolDefinition {
  if (tool.name !== "task.done" || manifest.output === null) return tool;
  const properties = isObject(tool.input["properties"]) ? tool.input["properties"] : {};
  return { ...tool, input: { ...tool.input, properties: { ...properties, value: manifest.output } } };
}
