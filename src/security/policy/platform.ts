/**
 * Platform: the policy daimon ships, the lowest scope. It permits what stays inside a process's session and can be put back, asks before
 * the workspace changes, and forbids what would let a text become an instruction or a secret leave. All else is denied by default.
 *   POL-14.1  Pure and read calls, and writes into the session, are permitted; external and irreversible calls are not.
 *   POL-14.2  A declared output may be committed; committing anything else asks a person.
 *   POL-14.6  Sharing a file with other processes asks a person.
 *   POL-14.3  What instructs an agent or runs by itself (AGENTS.md, .git, shell start files, editor tasks …) is never committed, at any depth.
 *   POL-14.4  Files that look like secrets are not read, searched, changed or committed, at any depth; their templates (.env.example) may be.
 */
import type { PolicyText } from "../../abi/policy.ts";
import { cedarPattern, cedarString } from "./glob-cedar.ts";
import { envFiles, envTemplates, obeyedFiles, obeyedFolders, secretFiles, secretFolders } from "./names.ts";

/** All the folders and `.env.*` begin with a dot: this one look spares the many others for most paths. */
const hidden = '(context.pathFolded like ".*" || context.pathFolded like "*/.*")';

export const platformFile = "platform.cedar";

/** The shipped policy as Cedar text. */
export const platformPolicy: PolicyText = { scope: "platform", file: platformFile, text: platformText() };

function platformText(): string {
  return `// What daimon permits by itself. A forbid here cannot be overruled by another scope; a question (@ask) is settled by a plain permit elsewhere.

// Looking and computing change nothing outside the process.
@id("platform.pure")
permit(principal, action in Action::"pure", resource);

@id("platform.read")
permit(principal, action in Action::"read", resource);

// Writes go to the process's own copy-on-write session; commands run in the sandbox on the same session, without a network.
@id("platform.write-session")
permit(principal, action in Action::"write", resource)
when { context.session };

// Putting a change into the workspace: what the program declared it delivers may go, the rest asks.
@id("platform.commit-declared")
permit(principal, action == Action::"fs.commit", resource)
when { context.declared };

@id("platform.commit-ask")
@ask("Put this change into the workspace?")
permit(principal, action == Action::"fs.commit", resource)
unless { context.declared };

// What is shared is read by processes that never saw who wrote it.
@id("platform.share-ask")
@ask("Let every process of this workspace read this file?")
permit(principal, action == Action::"fs.share", resource);

// A file that instructs agents or runs by itself would turn text into authority. Only a person writes it.
@id("platform.no-commit-of-instructions")
@reason("the file instructs agents or runs by itself; only a person may change it in the workspace")
forbid(principal, action == Action::"fs.commit", resource)
when { context has pathFolded && ${among(obeyedFiles, [])} };

@id("platform.no-commit-of-tool-folders")
@reason("the folder holds what tools run by themselves; only a person may change it in the workspace")
forbid(principal, action == Action::"fs.commit", resource)
when { context has pathFolded && ${hidden} && ${among([], obeyedFolders)} };

// Secrets have no place in a window: what is read can be quoted. In three rules, so that the index finds the first by its names.
@id("platform.no-secret-files")
@reason("the file looks like a secret; what a process reads can leave with its words")
forbid(principal, action, resource)
when { context has pathFolded && ${among(secretFiles, [])} };

@id("platform.no-env-files")
@reason("an .env file holds secrets; read its template (.env.example) instead")
forbid(principal, action, resource)
when { context has pathFolded && ${hidden} && ${among(envFiles, [])} }
unless { context has pathFolded && ${among(envTemplates, [])} };

@id("platform.no-secret-folders")
@reason("the folder holds credentials; what a process reads can leave with its words")
forbid(principal, action, resource)
when { context has pathFolded && ${hidden} && ${among([], secretFolders)} };
`;
}

/** The name at any depth; a folder with all that lies below it. */
function among(files: readonly string[], folders: readonly string[]): string {
  const conditions = [...files.flatMap(fileConditions), ...folders.flatMap(folderConditions)];
  return `(\n  ${conditions.join(" ||\n  ")}\n)`;
}

/** A star in a name would cross slashes only towards the careful side: \`.env.*\` then also covers what lies below such a folder. */
function fileConditions(name: string): readonly string[] {
  if (name.startsWith("*")) return [`context.pathFolded like ${cedarPattern(name)}`];
  return [named(name), `context.pathFolded like ${cedarPattern(`*/${name}`)}`];
}

function folderConditions(name: string): readonly string[] {
  return [
    ...fileConditions(name),
    `context.pathFolded like ${cedarPattern(`${name}/*`)}`,
    `context.pathFolded like ${cedarPattern(`*/${name}/*`)}`,
  ];
}

function named(name: string): string {
  return name.includes("*") ? `context.pathFolded like ${cedarPattern(name)}` : `context.pathFolded == ${cedarString(name)}`;
}
