/**
 * The agents that people use, unmodified, as guest processes: a turn with a real call through the model door and the sandbox, a refusal they go on
 * from, a budget that ends them. The model is a real server on the loopback interface that speaks their formats.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bwrapSandbox } from "../../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../../src/drivers/sandbox/zygote-client.ts";
import { isObject, type Json, type JsonObject } from "../../src/lib/json.ts";
import { bin, place, type Place, type Processes } from "../cli/shell.ts";
import { startUpstream, type Upstream } from "../upstream/server.ts";
import type { Seen, Turn } from "../upstream/turns.ts";
import { realGuests, type RealGuest } from "./real-guests.ts";

const probe = bwrapSandbox({ helper: new ZygoteClient() });
const available = await probe.available();
await probe.close();
const agents = available.ok ? realGuests() : { folder: "", reason: available.error.message };
if (agents.reason !== "") process.stderr.write(`skipped: ${agents.reason}\n`);
const rule = (title: string, body: () => Promise<void>): void =>
  it(
    title,
    async (context) => {
      context.skip(agents.reason !== "", agents.reason);
      await body();
    },
    120_000,
  );

/** How each is told to do one thing without asking. */
const commands: Readonly<Record<RealGuest, readonly string[]>> = {
  claude: ["claude", "-p", "do it", "--model", "claude-sonnet-5-5", "--dangerously-skip-permissions"],
  codex: ["codex", "exec", "--skip-git-repo-check", "-m", "gpt-5.1", "do it"],
  opencode: ["opencode", "run", "--model", "anthropic/claude-sonnet-4-5", "do it"],
  gemini: ["gemini", "--yolo", "-m", "gemini-2.5-pro", "-p", "do it"],
  pi: ["pi", "--offline", "--no-session", "--provider", "openai", "--model", "gpt-5.1", "-p", "do it"],
};

/** Some agents will not have their home in the temporary folder. */
const base = agents.folder === "" ? "" : mkdtempSync(join(agents.folder, "../work-"));
afterAll(() => {
  if (base !== "") rmSync(base, { recursive: true, force: true });
});

/** A test that ran out of time leaves nothing behind. */
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
});

const command = "echo made by a guest > made.txt && cat made.txt";
const shells = ["Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command"];
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream(scripted);
});
afterAll(async () => {
  await upstream.close();
});

/** The command once, then words. What has no shell among its tools, such as the wish for a title, gets words. */
function scripted({ body, text }: Seen): Turn {
  const tool = toolsOf(body as JsonObject).find(({ name }) => shells.includes(name));
  const over = /"(?:tool_result|function_call_output|functionResponse)"|"role":"tool"|daimon refused/.test(text);
  if (tool === undefined || over) return { kind: "reply", text: "That is all." };
  const field = ["command", "cmd"].find((name) => tool.fields.includes(name)) ?? "command";
  const more = tool.fields.includes("description") ? { description: "makes a file" } : {};
  return { kind: "reply", text: "I make a file.", calls: [{ name: tool.name, args: { [field]: command, ...more } }] };
}

interface Tool {
  readonly name: string;
  readonly fields: readonly string[];
}

function toolsOf(body: JsonObject): readonly Tool[] {
  const listed = Array.isArray(body["tools"]) ? (body["tools"] as readonly Json[]).filter(isObject) : [];
  return listed.flatMap((tool): readonly Tool[] => {
    const declared = tool["functionDeclarations"];
    if (Array.isArray(declared)) return (declared as readonly Json[]).filter(isObject).flatMap(toolOf);
    return toolOf(isObject(tool["function"]) ? tool["function"] : tool);
  });
}

function toolOf(tool: JsonObject): readonly Tool[] {
  const schema = [tool["input_schema"], tool["parameters"], tool["parametersJsonSchema"]].find(isObject);
  const properties = isObject(schema?.["properties"]) ? schema["properties"] : {};
  return typeof tool["name"] === "string" ? [{ name: tool["name"], fields: Object.keys(properties) }] : [];
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function exec(where: Place, guest: RealGuest, ...options: readonly string[]): Promise<Ended> {
  const env = where.env({ PATH: `${agents.folder}:${process.env["PATH"] ?? ""}`, GUEST_TEST_KEY: "sk-test" });
  const child = spawn(process.execPath, [bin, "exec", ...options, "--", ...commands[guest]], {
    cwd: where.folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.once("close", () => running.delete(child));
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}

/** A workspace of a person who has one provider, and rules of their own. */
function workspace(policy = ""): Place {
  const where = place(base);
  const providers = ["anthropic", "openai", "gemini"].map((name) => {
    const version = name === "openai" ? "/v1" : "";
    return `  ${name}:\n    baseUrl: ${upstream.origin}${version}\n    keyEnv: GUEST_TEST_KEY\n`;
  });
  const file = join(where.home, ".config/daimon/config.yaml");
  where.put(`../home/${file.slice(where.home.length + 1)}`, `models:\n${providers.join("")}${policy}`);
  return where;
}

for (const guest of Object.keys(commands) as RealGuest[]) {
  describe(guest, () => {
    rule("GUE-3.1 makes a turn with a real call; it is journaled, and the file it made lies in its session alone", async () => {
      const where = workspace();
      const { code, err } = await exec(where, guest);
      expect(code, err).toBe(0);
      expect(err).toContain("1 changed file");
      expect(where.has("made.txt")).toBe(false);
      const log = where.run("log", "1").out;
      expect(log).toContain(command);
      expect(log).toMatch(/outcome .*made by a guest/);
      expect(where.run("diff", "1").out).toContain("+made by a guest");
      expect(where.run("commit", "1").code).toBe(0);
      expect(readFileSync(join(where.folder, "made.txt"), "utf8")).toBe("made by a guest\n");
    });

    rule("GUE-3.2 is refused a command before it hears of it, and goes on to its end", async () => {
      const where = workspace("policy:\n  deny: [shell.run(echo made*)]\n");
      const { code, err } = await exec(where, guest);
      expect(code, err).toBe(0);
      expect(err).toMatch(/[1-9]\d* refused/);
      expect(err).toContain("0 changed files");
      // What it would send to hosts of its own accord is refused, too.
      const refused = where
        .run("log", "1")
        .out.split("\n")
        .filter((line) => line.includes("refused, EPERM"));
      expect(refused.filter((line) => !line.includes("net.connect"))).toHaveLength(1);
    });

    rule("GUE-3.3 ends by itself when its process was ended", async () => {
      const where = workspace();
      const running = exec(where, guest, "--tokens", "10");
      for (;;) {
        const listed = await where.start("ps", "--json");
        if (listed.code === 0 && (JSON.parse(listed.out) as Processes).processes[0]?.state === "parked") break;
      }
      const answered = await where.start("approve", "1:1", "--no");
      expect(answered.code, answered.err).toBe(0);
      const { code, err } = await running;
      expect(err).toContain("was ended");
      expect(code).not.toBe(0);
    });
  });
}
