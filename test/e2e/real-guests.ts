/** The agents themselves, from their npm packages, in a folder of the user's cache that no run of the tests removes. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { guests } from "../../src/guests/all.ts";

/** The newest version of each that is said to be verified; none of their install scripts is run. */
const packages = Object.fromEntries(
  guests.flatMap(({ package: name, verified }) => (name === null ? [] : [[name, verified.at(-1) ?? ""] as const])),
);

/** Where each program lies in them. */
const programs = {
  claude: `@anthropic-ai/claude-code-linux-${process.arch}/claude`,
  codex: "@openai/codex/bin/codex.js",
  opencode: `opencode-linux-${process.arch}/bin/opencode`,
  gemini: "@google/gemini-cli/bundle/gemini.js",
  pi: "@mariozechner/pi-coding-agent/dist/cli.js",
} as const;

export type RealGuest = keyof typeof programs;

/** A folder for the path that holds the programs under their own names; or why there is none. */
export function realGuests(): { readonly folder: string; readonly reason: string } {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "daimon-development", "guests");
  try {
    mkdirSync(join(cache, "bin"), { recursive: true });
    const root = realpathSync(cache);
    const wanted = JSON.stringify({ private: true, dependencies: packages });
    const done = join(root, "installed.json");
    if (!existsSync(done) || readFileSync(done, "utf8") !== wanted) {
      writeFileSync(join(root, "package.json"), wanted);
      const npm = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
      execFileSync("npm", npm, { cwd: root, stdio: "ignore", timeout: 600_000 });
      for (const [name, file] of Object.entries(programs)) {
        rmSync(join(root, "bin", name), { force: true });
        symlinkSync(join(root, "node_modules", file), join(root, "bin", name));
      }
      writeFileSync(done, wanted);
    }
    return { folder: join(root, "bin"), reason: "" };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    return { folder: "", reason: `the agents' packages cannot be installed here: ${why}` };
  }
}
