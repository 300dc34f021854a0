/** Claude Code. Facts measured with 2.1.329 against a local endpoint in an empty network namespace; documentation: code.claude.com/docs. */
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
    env: {
      ANTHROPIC_BASE_URL: doors.model,
      ANTHROPIC_AUTH_TOKEN: doors.credential,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      IS_SANDBOX: "1",
    },
    files: [
      {
        path: `${home}/.claude.json`,
        text: JSON.stringify({
          hasCompletedOnboarding: true,
          projects: { [workspace]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } },
        }),
      },
      ...managedServers(doors),
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

/** What the system's folder names is all that there is: neither the workspace nor an argument adds a server beside the door. */
function managedServers({ tools, credential }: DoorAddresses): readonly { readonly path: string; readonly text: string }[] {
  if (tools === null) return [];
  const server = { type: "http", url: tools, headers: { Authorization: `Bearer ${credential}` } };
  return [{ path: "/etc/claude-code/managed-mcp.json", text: JSON.stringify({ mcpServers: { [doorName]: server } }) }];
}
