/** Codex. Facts measured with 0.169.0 against a local endpoint in an empty network namespace; documentation: developers.openai.com/codex. */
import type { StandsFor } from "../abi/call.ts";
import { limits } from "../abi/limits.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { hookCommand, hookFile, hookFolder, hookScript, hookTimeoutSeconds } from "./hook.ts";
import { doorName, inWorkspace, standsFor, type Guest, type Place } from "./guest.ts";

const measured = "measured with 0.169.0";

export const codex: Guest = {
  name: "codex",
  title: "Codex",
  programs: ["codex"],
  package: "@openai/codex",
  verified: ["0.169.0"],
  speaks: ["responses"],
  launch: ({ model, tools, credential }, { home, workspace }) => ({
    env: { CODEX_HOME: `${home}/.codex`, DAIMON_CREDENTIAL: credential },
    files: [
      {
        // The folder has to be there, and what lies in it is Codex's to change.
        path: `${home}/.codex/config.toml`,
        text: [`[projects.${JSON.stringify(workspace)}]`, 'trust_level = "trusted"', ""].join("\n"),
      },
      { path: "/etc/codex/managed_config.toml", text: managed(model, tools).join("\n") },
      { path: "/etc/codex/requirements.toml", text: required.join("\n") },
      { path: hookFile, text: hookScript({ model, credential }) },
    ],
    args: [],
  }),
  tools: {
    exec_command: { call: "shell.run", command: ["cmd"] },
    shell_command: { call: "shell.run", command: ["command"] },
    shell: { call: "shell.run", command: ["command"] },
    "container.exec": { call: "shell.run", command: ["cmd", "command"] },
    local_shell: (args, place) => standsFor(codex, place, () => null, "shell", isObject(args["action"]) ? args["action"] : args),
    apply_patch: patched,
    // Its hook calls every command so.
    Bash: { call: "shell.run", command: ["command"] },
    read_file: { call: "fs.read", path: ["file_path"] },
    view_image: { call: "fs.read", path: ["path"] },
    list_dir: { call: "fs.list", path: ["dir_path"], optional: true },
    grep_files: { call: "fs.search", path: ["path"], optional: true },
    update_plan: { call: null },
    request_user_input: { call: null },
    tool_search: { call: null },
  },
  toolAt: (name) => inNamespace.exec(name)?.[1] ?? null,
  quirks: [
    { what: "OPENAI_BASE_URL is not looked at; a provider of the configuration is", source: measured },
    { what: "an answer of 429 ends it at once, 402 and 403 after six tries", source: measured },
    { what: "its own sandbox needs a writable temporary folder of its own", source: measured },
    { what: "compacts in a loop when its limit lies below its own prompt", source: measured },
  ],
};

/** A namespace of the Responses API, or one name; which of them depends on the version. */
const inNamespace = new RegExp(`^mcp__${doorName}(?:__)?(?:\\.|__)(.+)$`);

/** Above the configuration of the workspace, of its home and of the command line. */
function managed(model: string, tools: string | null): readonly string[] {
  const provider = [
    'model_provider = "daimon"',
    "check_for_update_on_startup = false",
    "[model_providers.daimon]",
    'name = "daimon"',
    `base_url = ${JSON.stringify(`${model}/v1`)}`,
    'env_key = "DAIMON_CREDENTIAL"',
    'wire_api = "responses"',
    "supports_websockets = false",
  ];
  if (tools === null) return [...provider, ""];
  return [
    ...provider,
    `[mcp_servers.${doorName}]`,
    `url = ${JSON.stringify(tools)}`,
    'bearer_token_env_var = "DAIMON_CREDENTIAL"',
    `tool_timeout_sec = ${limits.guestToolTimeoutMs / 1000}`,
    'default_tools_approval_mode = "approve"',
    "",
  ];
}

/** A hook that is named here runs without being trusted first, and others do not run. */
const required: readonly string[] = [
  "allow_managed_hooks_only = true",
  "[features]",
  "hooks = true",
  "[hooks]",
  `managed_dir = ${JSON.stringify(hookFolder)}`,
  "[[hooks.PreToolUse]]",
  'matcher = ".*"',
  "[[hooks.PreToolUse.hooks]]",
  'type = "command"',
  `command = ${JSON.stringify(hookCommand)}`,
  `timeout = ${hookTimeoutSeconds}`,
  "",
];

const patchedFile = /^\*\*\* (?:(?:Add|Update|Delete) File|Move to): *(.+)$/s;

/** Each file that a patch names, by lines that Codex trims; a patch that names none is refused as an edit without a path. */
function patched(args: JsonObject, place: Place): readonly StandsFor[] {
  const text = args["input"] ?? args["patch"];
  const files = typeof text === "string" ? text.split("\n").flatMap((line) => patchedFile.exec(line.trim())?.[1] ?? []) : [];
  if (files.length === 0) return [{ name: "fs.edit", args: {} }];
  return files.map((path) => {
    const inside = inWorkspace(path, place);
    return inside === null ? { name: "guest.tool", args: { tool: "apply_patch" } } : { name: "fs.edit", args: { path: inside } };
  });
}
