/**
 * Program: any command as a guest. One that uses a client library of Anthropic, OpenAI or Google finds the model door in the variables that those
 * libraries read; one that asks no model is a command in a sandbox. One that speaks MCP finds the tool door in two more. Client libraries offer a model the
 * tools of a server under the server's own names.
 */
import type { Guest } from "./guest.ts";

export const program: Guest = {
  name: "program",
  title: "any program with an Anthropic, OpenAI or Google client library",
  programs: [],
  package: null,
  verified: [],
  speaks: ["messages", "responses", "chat", "gemini"],
  launch: ({ model, tools, credential }) => ({
    env: {
      ANTHROPIC_BASE_URL: model,
      ANTHROPIC_API_KEY: credential,
      OPENAI_BASE_URL: `${model}/v1`,
      OPENAI_API_BASE: `${model}/v1`,
      OPENAI_API_KEY: credential,
      GOOGLE_GEMINI_BASE_URL: model,
      GEMINI_API_KEY: credential,
      ...(tools !== null && { DAIMON_MCP_URL: tools, DAIMON_MCP_TOKEN: credential }),
    },
    files: [],
    args: [],
  }),
  tools: {
    bash: { call: "shell.run", command: ["command", "cmd"] },
    shell: { call: "shell.run", command: ["command", "cmd"] },
    shell_command: { call: "shell.run", command: ["command", "cmd"] },
    exec: { call: "shell.run", command: ["command", "cmd"] },
    exec_command: { call: "shell.run", command: ["cmd", "command"] },
    run_shell_command: { call: "shell.run", command: ["command"] },
  },
  toolAt: (name) => name,
  quirks: [],
};
