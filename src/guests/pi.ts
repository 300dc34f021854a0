/** pi. Facts measured with 0.73.1 and 0.85.0 against a local endpoint in an empty network namespace. */
import type { Guest } from "./guest.ts";

const measured = "measured with 0.85.0";

export const pi: Guest = {
  name: "pi",
  title: "pi",
  programs: ["pi"],
  package: "@mariozechner/pi-coding-agent",
  verified: ["0.73.1"],
  speaks: ["chat", "messages", "responses"],
  launch: ({ model, credential }, { home }) => ({
    env: { PI_OFFLINE: "1" },
    files: [
      {
        path: `${home}/.pi/agent/models.json`,
        text: JSON.stringify({
          providers: {
            anthropic: { baseUrl: model, api: "anthropic-messages", apiKey: credential },
            openai: { baseUrl: `${model}/v1`, api: "openai-responses", apiKey: credential },
          },
        }),
      },
    ],
    args: [],
  }),
  tools: {
    bash: { call: "shell.run", command: ["command"] },
    read: { call: "fs.read", path: ["path", "file_path"] },
    write: { call: "fs.write", path: ["path", "file_path"] },
    edit: { call: "fs.edit", path: ["path", "file_path"] },
    ls: { call: "fs.list", path: ["path"], optional: true },
    find: { call: "fs.list", path: ["path"], optional: true },
    grep: { call: "fs.search", path: ["path"], optional: true },
  },
  toolAt: () => null,
  quirks: [
    { what: "an answer of 429 is tried again a dozen times, 400, 402 and 403 end it at once", source: measured },
    { what: "it speaks no MCP, so it has no tool door", source: "its own documentation: no MCP by design" },
  ],
};
