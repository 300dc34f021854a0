/** Claude Code. Facts measured with 2.1.329 against a local endpoint in an empty network namespace; documentation: code.claude.com/docs. */
import { hookCommand, hookFile, hookScript, hookTimeoutSeconds } from "./hook.ts";
import { after, doorName, type DoorAddresses, type Guest } from "./guest.ts";

const measured = "measured with 2.1.329";

export const claude: Guest = {
  name: "claude",
  title: "Claude Code",
  programs: ["claude"],
  package: "@anthropic-ai/claude-code",
  verified: ["2.1.330"],
  speaks: ["messages"],
  launch: (doors, { home, workspace }) => ({
    env: environment(doors),
    files: [
      {
        path: `${home}/.claude.json`,
        text: JSON.stringify({
          hasCompletedOnboarding: true,
          projects: { [workspace]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } },
        }),
      },
      ...managed(doors),
    ],
    args: [],
  }),
  tools: {
    Bash: { call: "shell.run", command: ["command"] },
    Read: { call: "fs.read", path: ["file_path"] },
    Write: { call: "fs.write", path: ["file_path"] },
    Edit: { call: "fs.edit", path: ["file_path"] },
    MultiEdit: { call: "fs.edit", path: ["file_path"] },
    NotebookEdit: { call: "fs.edit", path: ["notebook_path"] },
    Glob: { call: "fs.list", path: ["path"], optional: true },
    LS: { call: "fs.list", path: ["path"], optional: true },
    Grep: { call: "fs.search", path: ["path"], optional: true },
    WebFetch: { call: "net.fetch", url: ["url"] },
    Agent: { call: null },
    Task: { call: null },
    TaskCreate: { call: null },
    TaskGet: { call: null },
    TaskList: { call: null },
    TaskOutput: { call: null },
    TaskStop: { call: null },
    TaskUpdate: { call: null },
    TodoWrite: { call: null },
    ToolSearch: { call: null },
    AskUserQuestion: { call: null },
    EnterPlanMode: { call: null },
    ExitPlanMode: { call: null },
    BashOutput: { call: null },
    KillShell: { call: null },
    Skill: { call: null },
  },
  toolAt: after(`mcp__${doorName}__`),
  quirks: [
    { what: "asks HEAD /api/hello first unless nonessential traffic is off", source: measured },
    { what: "an answer of 402 or 403 ends it at once, one of 400 after six tries, one of 429 never", source: measured },
    { what: "a hook that crashes lets the tool run; only exit code 2 refuses", source: measured },
  ],
};

function environment({ model, credential }: DoorAddresses): Readonly<Record<string, string>> {
  return {
    ANTHROPIC_BASE_URL: model,
    ANTHROPIC_AUTH_TOKEN: credential,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    IS_SANDBOX: "1",
  };
}

/**
 * The system's settings stand above those of the workspace, of its home and of the command line. Hooks of others could change a call after it was
 * decided on, so there are none; and the servers that are named here are all that there are.
 */
function managed(doors: DoorAddresses): readonly { readonly path: string; readonly text: string }[] {
  const asks = { type: "command", command: hookCommand, timeout: hookTimeoutSeconds };
  const settings = {
    env: environment(doors),
    allowManagedHooksOnly: true,
    hooks: { PreToolUse: [{ matcher: "*", hooks: [asks] }] },
  };
  const files = [
    { path: "/etc/claude-code/managed-settings.json", text: JSON.stringify(settings) },
    { path: hookFile, text: hookScript(doors) },
  ];
  if (doors.tools === null) return files;
  const server = { type: "http", url: doors.tools, headers: { Authorization: `Bearer ${doors.credential}` } };
  return [...files, { path: "/etc/claude-code/managed-mcp.json", text: JSON.stringify({ mcpServers: { [doorName]: server } }) }];
}
