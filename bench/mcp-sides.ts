/** The two sides of bench/mcp.ts: one tool that says its text again, by the SDK's server and by the tool door over a whole kernel. */
import { Server } from "@modelcontextprotocol/server";
import { toolDoor, type ToolDoor } from "../src/doors/tool/door.ts";
import { ok } from "../src/lib/result.ts";
import { guestGate } from "../test/doors/tool/guest-gate.ts";
import { handler } from "../test/kernel/rig.ts";

const input = { type: "object" as const, properties: { text: { type: "string" as const } }, required: ["text"] };

export function sdkServer(): Server {
  const server = new Server({ name: "sdk", version: "1" }, { capabilities: { tools: {} } });
  server.setRequestHandler("tools/list", () => ({ tools: [{ name: "say__again", inputSchema: input }] }));
  server.setRequestHandler("tools/call", ({ params }) => ({
    content: [{ type: "text", text: typeof params.arguments?.["text"] === "string" ? params.arguments["text"] : "" }],
  }));
  return server;
}

export function doorOf(): ToolDoor {
  const again = handler({ name: "say.again", input }, ({ text }) => ok({ value: text ?? "" }));
  const { gate } = guestGate([], [again]);
  return toolDoor({ gate, mode: { type: "namespaced" }, version: "1" });
}
