/**
 * daimon init: make a workspace.
 *   CLI-14.1  It writes a commented daimon.yaml that changes nothing, makes .daimon, trusts the file as the person's own, and nothing else.
 *   CLI-14.2  A workspace that has a daimon.yaml already is left alone: EEXIST.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import { acceptFile } from "../boot/accept.ts";
import { configName, layoutOf } from "../boot/layout.ts";
import { openWorkspace } from "../boot/provenance.ts";
import { ok, type Result } from "../lib/result.ts";
import { print, printFinding, printJson, type Io } from "./io.ts";

export async function run(folder: string | undefined, io: Io): Promise<Result<number, SysError>> {
  const root = resolve(io.world.cwd, folder ?? ".");
  const layout = layoutOf(root, io.world);
  if (existsSync(layout.config))
    return fail(
      "EEXIST",
      `${configName} exists here already, and it is left alone; edit it, or look at what is in force with \`daimon config\``,
    );
  try {
    mkdirSync(root, { recursive: true });
  } catch {
    return fail("EIO", `the folder \`${folder ?? "."}\` cannot be made; name another`);
  }
  const made = openWorkspace(layout, io.clock.now());
  if (!made.ok) return made;
  for (const finding of made.value) printFinding(io, finding);
  try {
    writeFileSync(layout.config, template, { flag: "wx" });
  } catch {
    return fail("EIO", `${configName} cannot be written here; make the folder writable and try again`);
  }
  const trusted = await acceptFile(layout, configName, io.clock.now());
  if (!trusted.ok) return trusted;
  if (io.json) printJson(io, { root, files: [configName, ".daimon"], trusted: configName });
  else
    print(
      io,
      `made ${configName}, which says nothing yet, and .daimon, which git ignores; once it permits something: daimon config trust ${configName}\n` +
        "next: daimon run brief FOLDER, or daimon doctor to see what this machine can do",
    );
  return ok(0);
}

const template = `# daimon's settings for this workspace. Every line is optional; \`daimon config\` shows what is in force and why.

# The model to run on. Left out: a provider whose key is set, a local server, else the embedded reflex.
# cpu: reflex
# cpu: anthropic/claude-sonnet-4-5

# What a run may spend at most. Whoever reaches a limit waits and asks.
# budget:
#   costUsd: 2 USD
#   tokens: 2M
#   time: 1h

# What agents may do, in short form; a deny anywhere wins. Cedar files may be named under \`files\`.
# policy:
#   allow:
#     - fs.commit(docs/**)
#   ask:
#     - shell.run(npm *)
#   deny:
#     - fs.read(private/**)

# Texts every agent is told to follow, besides AGENTS.md and CLAUDE.md.
# instructions:
#   - docs/house-rules.md
`;
