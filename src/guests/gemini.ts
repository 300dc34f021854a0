/** Gemini CLI. Facts measured with 0.61.0 against a local endpoint in an empty network namespace; documentation: geminicli.com/docs. */
import { limits } from "../abi/limits.ts";
import { hookCommand, hookFile, hookScript, hookTimeoutSeconds } from "./hook.ts";
import { after, doorName, type Guest } from "./guest.ts";

const measured = "measured with 0.61.0";

export const gemini: Guest = {
  name: "gemini",
  title: "Gemini CLI",
  programs: ["gemini"],
  package: "@google/gemini-cli",
  verified: ["0.61.0"],
  speaks: ["gemini"],
  launch: ({ model, tools, credential }, { home }) => ({
    env: { GOOGLE_GEMINI_BASE_URL: model, GEMINI_API_KEY: credential, GEMINI_TELEMETRY_ENABLED: "false" },
    files: [
      {
        path: `${home}/.gemini/settings.json`,
        text: JSON.stringify({
          security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
          general: { disableAutoUpdate: true, disableUpdateNag: true },
          privacy: { usageStatisticsEnabled: false },
          hooksConfig: { enabled: true },
          hooks: {
            BeforeTool: [
              {
                matcher: ".*",
                hooks: [{ type: "command", name: "daimon", command: hookCommand, timeout: hookTimeoutSeconds * 1000 }],
              },
            ],
          },
          ...(tools !== null && {
            mcpServers: {
              [doorName]: {
                httpUrl: tools,
                headers: { Authorization: `Bearer ${credential}` },
                trust: true,
                timeout: limits.guestToolTimeoutMs,
              },
            },
          }),
        }),
      },
      { path: hookFile, text: hookScript({ model, credential }) },
    ],
    args: ["--skip-trust"],
  }),
  tools: {
    run_shell_command: { call: "shell.run", command: ["command"] },
    read_file: { call: "fs.read", path: ["absolute_path", "file_path"] },
    read_many_files: { call: "fs.read", path: ["path"], optional: true },
    write_file: { call: "fs.write", path: ["file_path"] },
    replace: { call: "fs.edit", path: ["file_path"] },
    list_directory: { call: "fs.list", path: ["path", "dir_path"], optional: true },
    glob: { call: "fs.list", path: ["path", "dir_path"], optional: true },
    search_file_content: { call: "fs.search", path: ["path", "dir_path"], optional: true },
    grep_search: { call: "fs.search", path: ["path", "dir_path"], optional: true },
    save_memory: { call: null },
    write_todos: { call: null },
    ask_user: { call: null },
    enter_plan_mode: { call: null },
    exit_plan_mode: { call: null },
  },
  toolAt: after(`mcp_${doorName}_`),
  quirks: [
    {
      what: "takes settings of the system from files of root alone, and in its sandbox nothing is root's: .gemini/settings.json of the workspace stands above ours",
      source: measured,
    },
    { what: "gives up on an answer that is held for some minutes, and asks again", source: measured },
    { what: "an answer of 429 is tried again for minutes, 400, 402 and 403 end it at once", source: measured },
  ],
};
