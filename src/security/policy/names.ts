/**
 * Names: the one home of the names that are guarded: files that are obeyed without being asked, and files that hold secrets.
 * Obeyed is what takes effect because somebody opens, enters, clones, commits, pushes, installs, or starts a tool or an agent. What a person
 * runs by its name (a Makefile, a script of package.json, a test) is source code like any other, and is not here.
 * A name stands for itself at any depth, whether it exists yet or not; `*` in it is any text. All are lower-case: paths are compared folded.
 *   POL-14.5  isObeyed() is true of the paths that POL-14.3 forbids to commit, and of no others.
 *   POL-15.1  isSecret() says of a file exactly what the platform's rules say of reading it, and of a folder whether they close all that lies in it.
 */
import { foldPath } from "../../lib/fold.ts";

/** Instructions of agents. */
const agentFiles = [
  "agents.md",
  "agents.override.md",
  "agent.md",
  "claude.md",
  "claude.local.md",
  "gemini.md",
  "qwen.md",
  "crush.md",
  "warp.md",
  "replit.md",
  "skill.md",
  "program.md",
  "copilot-instructions.md",
  ".cursorrules",
  ".windsurfrules",
  ".clinerules",
  ".roorules",
  ".roomodes",
  ".continuerules",
  ".rules",
  ".goosehints",
  ".augment-guidelines",
  ".aider.conf.yml",
  "daimon.yaml",
  "daimon.yml",
  "daimon.cedar",
  ".mcp.json",
  "mcp.json",
  "opencode.json",
  "opencode.jsonc",
  "crush.json",
  ".crush.json",
];

/** Version control and its hooks, and who must look at a change. `git~1` is `.git` to a file system with short names. */
const versionControlFiles = [
  ".git",
  "git~1",
  "git~1/*",
  ".gitmodules",
  ".gitattributes",
  ".gitconfig",
  ".hgrc",
  "codeowners",
  ".pre-commit-config.yaml",
  ".pre-commit-config.yml",
  ".pre-commit-hooks.yaml",
  "lefthook.*",
  ".lefthook.*",
  "lefthook-local.*",
  ".lefthook-local.*",
  ".huskyrc*",
  ".lintstagedrc*",
  "lint-staged.config.*",
  ".simple-git-hooks.*",
  ".overcommit.yml",
];

/** What a service runs when something is pushed. */
const pipelineFiles = [
  ".gitlab-ci.yml",
  ".travis.yml",
  ".drone.yml",
  ".woodpecker.yml",
  ".cirrus.yml",
  ".appveyor.yml",
  "appveyor.yml",
  "azure-pipelines.yml",
  "bitbucket-pipelines.yml",
  "jenkinsfile",
  "cloudbuild.yaml",
  "buildspec.yml",
  "netlify.toml",
  "vercel.json",
  "dependabot.yml",
  "renovate.json",
];

/** Start files of shells and sessions, and what is read on entering a folder. */
const startFiles = [
  ".envrc",
  ".bashrc",
  ".bash_profile",
  ".bash_login",
  ".bash_logout",
  ".bash_aliases",
  ".profile",
  ".login",
  ".cshrc",
  ".tcshrc",
  ".kshrc",
  ".zshrc",
  ".zshenv",
  ".zprofile",
  ".zlogin",
  ".zlogout",
  "config.fish",
  ".inputrc",
  ".screenrc",
  ".tmux.conf",
  ".xprofile",
  ".xinitrc",
  ".xsession",
  ".pam_environment",
  ".tool-versions",
  "mise.toml",
  ".mise.toml",
  "mise.*.toml",
  ".mise.*.toml",
  "devbox.json",
];

/** Start files of editors, interpreters and debuggers, and the tasks of editors. */
const toolFiles = [
  ".vimrc",
  ".exrc",
  ".nvimrc",
  ".nvim.lua",
  ".dir-locals.el",
  ".dir-locals-2.el",
  ".ycm_extra_conf.py",
  "*.code-workspace",
  ".devcontainer.json",
  "devcontainer.json",
  ".gitpod.yml",
  ".replit",
  "conftest.py",
  "sitecustomize.py",
  "usercustomize.py",
  ".pdbrc",
  ".gdbinit",
  ".lldbinit",
  ".irbrc",
  ".pryrc",
  ".rspec",
  ".rprofile",
  ".renviron",
  ".ghci",
  ".psqlrc",
  ".sqliterc",
  "ansible.cfg",
  ".ansible.cfg",
];

/** Settings of package managers and compilers' front ends: where code comes from, and what is run beside it. */
const packageFiles = [
  ".npmrc",
  ".yarnrc",
  ".yarnrc.yml",
  ".pnp.cjs",
  ".pnp.loader.mjs",
  ".pnpmfile.cjs",
  "bunfig.toml",
  ".pypirc",
  "pip.conf",
  "uv.toml",
  ".condarc",
  ".gemrc",
  "nuget.config",
  "rust-toolchain",
  "rust-toolchain.toml",
  ".bazelrc",
  ".bazeliskrc",
  ".buckconfig",
];

export const obeyedFiles: readonly string[] = [
  ...agentFiles,
  ...versionControlFiles,
  ...pipelineFiles,
  ...startFiles,
  ...toolFiles,
  ...packageFiles,
];

/** Folders of the same kinds, with all that lies in them. Each begins with a dot. */
export const obeyedFolders: readonly string[] = [
  ...[".daimon", ".agents", ".claude", ".codex", ".gemini", ".qwen", ".opencode", ".crush", ".cursor", ".windsurf", ".roo"],
  ...[".clinerules", ".kilocode", ".continue", ".aider", ".goose", ".amp", ".augment", ".factory", ".junie", ".kiro", ".amazonq", ".trae"],
  ...[".git", ".hg", ".jj", ".svn", ".husky", ".githooks", ".lefthook"],
  ...[".github/workflows", ".github/actions", ".github/agents", ".github/chatmodes", ".github/instructions", ".github/prompts"],
  ...[".gitea/workflows", ".forgejo/workflows", ".circleci", ".buildkite", ".woodpecker", ".semaphore"],
  ...[".vscode", ".idea", ".zed", ".fleet", ".vs", ".devcontainer", ".idx", ".jupyter"],
  ...[".config/fish", ".config/git", ".config/mise", ".config/nvim", ".config/autostart", ".config/systemd", ".config/environment.d"],
  ...[".direnv", ".mise", ".yarn", ".bundle", ".cargo", ".mvn", ".ssh"],
]; // prettier-ignore

export const secretFiles: readonly string[] = [
  ".env",
  "*.env",
  "*.pem",
  "*.key",
  "*.p12",
  "*.pfx",
  "*.jks",
  "*.keystore",
  "*.kdbx",
  "*.ppk",
  "id_rsa",
  "id_dsa",
  "id_ecdsa",
  "id_ed25519",
  ".netrc",
  "_netrc",
  ".pgpass",
  ".my.cnf",
  ".git-credentials",
  ".htpasswd",
  ".npmrc",
  ".pypirc",
  ".dockercfg",
  ".docker/config.json",
  ".vault-token",
  ".terraformrc",
  "credentials.json",
  "service-account*.json",
  "client_secret*.json",
  "*.tfstate",
  "secrets.yaml",
  "secrets.yml",
  "secrets.json",
  "secrets.toml",
  ".boto",
  ".s3cfg",
  ".rclone.conf",
];

/** Variants of `.env`; the star reaches into a folder of such a name too. */
export const envFiles: readonly string[] = [".env.*"];

/** Shown to everyone, and named like the secret they stand for. */
export const envTemplates: readonly string[] = [".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults"];

export const secretFolders: readonly string[] = [
  ...[".ssh", ".aws", ".azure", ".gnupg", ".kube", ".config/gcloud", ".config/gh", ".password-store"],
]; // prettier-ignore

/** Most names are whole or an ending, and a tree of many files is looked through by them: only the few others need an expression. */
const whole = new Set(secretFiles.filter((name) => !/[*/]/.test(name)));
const endings = new Set(secretFiles.filter((name) => /^\*\.[^*./]+$/.test(name)).map((name) => name.slice(1)));
const others = pattern(
  secretFiles.filter((name) => !whole.has(name) && !endings.has(name.slice(1))),
  "$",
);
const obeyedFile = pattern(obeyedFiles, "$");
const obeyedFolder = pattern(obeyedFolders, "(?:/|$)");
const env = pattern(envFiles, "$");
const template = pattern(envTemplates, "$");
const credentials = pattern(secretFolders, "(?:/|$)");

/** Whether a path of the workspace is one that agents, shells, editors or builds obey without being asked. */
export function isObeyed(path: string): boolean {
  const folded = foldPath(path);
  return obeyedFile.test(folded) || obeyedFolder.test(folded);
}

/** Whether a file of the workspace holds secrets by its path; of a folder, whether everything in it does. */
export function isSecret(path: string, type: "file" | "folder"): boolean {
  const folded = foldPath(path);
  if (credentials.test(folded)) return true;
  if (type === "folder") return false;
  const name = folded.slice(folded.lastIndexOf("/") + 1);
  if (whole.has(name) || endings.has(name.slice(name.lastIndexOf(".")))) return true;
  return others.test(folded) || (env.test(folded) && !template.test(folded));
}

/** The names are ours, so their expressions are known to be harmless. */
function pattern(names: readonly string[], end: string): RegExp {
  const one = (name: string): string => name.replace(/[.\\+?^${}()|[\]]/g, "\\$&").replaceAll("*", "[^]*");
  return new RegExp(`(?:^|/)(?:${names.map(one).join("|")})${end}`);
}
