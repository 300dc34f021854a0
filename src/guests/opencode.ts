/** opencode. Facts measured with 1.18.33 against a local endpoint in an empty network namespace; documentation: opencode.ai/docs. */
import { limits } from "../abi/limits.ts";
import { after, doorName, type Guest } from "./guest.ts";

const measured = "measured with 1.18.33";

export const opencode: Guest = {
  name: "opencode",
  title: "opencode",
  programs: ["opencode"],
  package: "opencode-ai",
  verified: ["1.18.33"],
  speaks: ["chat", "messages", "responses"],
  launch: ({ model, tools, credential }) => ({
    env: {
      OPENCODE_CONFIG_CONTENT: JSON.stringify({
        autoupdate: false,
        share: "disabled",
        provider: {
          anthropic: { options: { baseURL: `${model}/v1`, apiKey: credential } },
          openai: { options: { baseURL: `${model}/v1`, apiKey: credential } },
        },
        ...(tools !== null && {
          mcp: {
            [doorName]: {
              type: "remote",
              url: tools,
              headers: { Authorization: `Bearer ${credential}` },
              oauth: false,
              enabled: true,
              timeout: limits.guestToolTimeoutMs,
            },
          },
        }),
      }),
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      npm_config_offline: "true",
      npm_config_fetch_retries: "0",
    },
    files: [],
    args: [],
  }),
  tools: {
    bash: { call: "shell.run", command: ["command"] },
    read: { call: "fs.read", path: ["filePath"] },
    write: { call: "fs.write", path: ["filePath"] },
    edit: { call: "fs.edit", path: ["filePath"] },
    multiedit: { call: "fs.edit", path: ["filePath"] },
    list: { call: "fs.list", path: ["path"], optional: true },
    glob: { call: "fs.list", path: ["path"], optional: true },
    grep: { call: "fs.search", path: ["path"], optional: true },
    webfetch: { call: "net.fetch", url: ["url"] },
    task: { call: null },
    todoread: { call: null },
    todowrite: { call: null },
    skill: { call: null },
    question: { call: null },
  },
  toolAt: after(`${doorName}_`),
  quirks: [
    { what: "asks a small model for a title beside the first request", source: measured },
    { what: "with a plugin and no network it waits a minute for packages unless npm is told to stay offline", source: measured },
    { what: "an error whose code is insufficient_quota is tried again for ever", source: measured },
  ],
};
