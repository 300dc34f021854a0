/** A server that has all that the protocol has: resources in pages, prompts, completions, and tools that ask, tell and change. */
import { Server } from "@modelcontextprotocol/server";
import type { JsonObject } from "../../../src/lib/json.ts";

const anything = { type: "object" as const };
const image = { type: "image" as const, data: "AAAA", mimeType: "image/png" };

export interface RichState {
  /** Of `image`, as it is now. */
  description: string;
  lists: number;
}

export function richServer(state: RichState = { description: "Shows a picture.", lists: 0 }): Server {
  const server = new Server(
    { name: "rich", version: "1.0.0" },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, prompts: {}, completions: {}, logging: {} } },
  );
  server.setRequestHandler("tools/list", () => {
    state.lists += 1;
    return {
      tools: [
        {
          name: "image",
          description: state.description,
          inputSchema: { ...anything, properties: { region: { type: "string", "x-mcp-header": "Region" } } },
        },
        ...["ask_name", "tell", "links", "change", "lists", "long", "hang"].map((name) => ({ name, inputSchema: anything })),
      ],
    };
  });
  server.setRequestHandler("tools/call", async ({ params: { name, arguments: args } }, { mcpReq }) => {
    if (name === "ask_name") {
      const asked = await mcpReq
        .elicitInput({ message: "Who?", requestedSchema: { type: "object", properties: { name: { type: "string" } } } })
        .catch(() => ({ action: "refused", content: {} }));
      return said(asked.action === "accept" ? JSON.stringify(asked.content) : asked.action);
    }
    if (name === "tell") {
      await mcpReq.notify({ method: "notifications/message", params: { level: "info", data: "working" } });
      const progressToken = mcpReq._meta?.progressToken;
      if (progressToken !== undefined)
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 2 } });
      // The client answers this after it has heard the others.
      await mcpReq.elicitInput({ message: "Heard?", requestedSchema: { type: "object", properties: {} } }).catch(() => null);
      return said("told");
    }
    if (name === "change") {
      state.description = String((args ?? {}).description ?? state.description);
      for (let n = 0; n < 50; n += 1) await server.sendToolListChanged();
      return said("changed");
    }
    if (name === "links")
      return {
        content: [
          { type: "resource_link", uri: "file:///b", name: "b" },
          { type: "resource", resource: { uri: "file:///a", text: "inside" } },
        ],
      };
    if (name === "lists") return said(String(state.lists));
    if (name === "long") return said("lorem ".repeat(20_000));
    if (name === "hang")
      return await new Promise((_resolve, reject) =>
        mcpReq.signal.addEventListener("abort", () => reject(new Error("cancelled"))),
      );
    return { content: [{ type: "text", text: "a picture" }, image] };
  });
  server.setRequestHandler("resources/list", ({ params }) =>
    params?.cursor === "2"
      ? { resources: [{ uri: "file:///b", name: "b" }] }
      : { resources: [{ uri: "file:///a", name: "a\u200bb" }], nextCursor: "2" },
  );
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [{ uriTemplate: "file:///{name}", name: "any" }],
  }));
  server.setRequestHandler("resources/read", ({ params: { uri } }) => ({
    contents: [{ uri, mimeType: "text/plain", text: `of ${uri}` }],
  }));
  server.setRequestHandler("resources/subscribe", async ({ params: { uri } }) => {
    await server.sendResourceUpdated({ uri });
    return {};
  });
  server.setRequestHandler("resources/unsubscribe", () => ({}));
  server.setRequestHandler("prompts/list", () => ({ prompts: [{ name: "greet", arguments: [{ name: "whom" }] }] }));
  server.setRequestHandler("prompts/get", ({ params }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet\u{e0041} ${params.arguments?.whom ?? "nobody"}` } }],
  }));
  server.setRequestHandler("completion/complete", ({ params }) => ({
    completion: { values: [`${params.argument.value}!`, "ref" in params ? JSON.stringify(params.ref) : ""] },
  }));
  server.setRequestHandler("logging/setLevel", () => ({}));
  return server;
}

function said(text: string): { content: { type: "text"; text: string }[] } & JsonObject {
  return { content: [{ type: "text", text }] };
}
