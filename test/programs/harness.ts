/**
 * Harness: the smallest loop that drives a real model driver over real files the way the kernel does: window, stubs, capabilities,
 * contracts. It is for tests of CPUs and programs alone; the kernel's own tests use the kernel.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fail, sysError, type SysError } from "../../src/abi/errno.ts";
import { limits } from "../../src/abi/limits.ts";
import type { CallPart, Message, Part, ResultPart, ToolDefinition } from "../../src/abi/message.ts";
import type { ModelDriver } from "../../src/abi/model.ts";
import type { Sys } from "../../src/abi/sys.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { canonical, isObject, parseJson, type Json, type JsonObject, type JsonSchema } from "../../src/lib/json.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { schemaCompiler } from "../../src/lib/schema.ts";
import { estimateTokens } from "../../src/lib/tokens.ts";

export interface HarnessCall {
  readonly pid: number;
  readonly name: string;
  readonly args: Json;
  readonly ok: boolean;
}

export interface Harness {
  readonly sys: Sys;
  /** Every call of every process, in order. */
  readonly calls: readonly HarnessCall[];
  /** What was written, by path. */
  readonly written: ReadonlyMap<string, string>;
  readonly committed: readonly string[];
  readonly evicted: number;
  /** The largest window any process had when its model was asked, in tokens. */
  readonly windowTokensHighest: number;
  readonly agents: readonly {
    readonly pid: number;
    readonly name: string;
    readonly steps: number;
    readonly status: JsonObject;
  }[];
}

export interface HarnessOptions {
  readonly root: string;
  readonly driver: ModelDriver;
  readonly goal: Json;
  /** Calls whose refusal is part of the test; everything outside a manifest's list is refused anyway. */
  readonly deny?: (name: string, args: JsonObject) => string | null;
  /** A bound on every window, as an option or a model sets it. */
  readonly windowTokens?: number;
  /** Files that differ from the disk. */
  readonly files?: ReadonlyMap<string, string>;
  /** What an agent's value becomes before its parent sees it: a CPU that lies. */
  readonly tamper?: (name: string, value: Json) => Json;
}

interface Manifest {
  readonly name: string;
  readonly instructions: string;
  readonly calls: readonly string[];
  readonly output: JsonSchema | null;
  readonly windowTokens: number | null;
  readonly stepsMax: number;
}

export function harness(options: HarnessOptions): Harness {
  const calls: HarnessCall[] = [];
  const written = new Map<string, string>();
  const committed: string[] = [];
  const agents: { pid: number; name: string; steps: number; status: JsonObject }[] = [];
  const state = { evicted: 0, highest: 0, nextPid: 2 };
  const children = new Map<number, Promise<JsonObject>>();

  const files = (name: string, args: JsonObject): Result<Json, SysError> => {
    const path = String(args["path"] ?? "");
    if (name === "fs.list") return list(options, path);
    if (name === "fs.read") return read(options, written, path, args);
    if (name === "fs.write") {
      written.set(path, String(args["text"]));
      return ok({ path, digest: sha256(String(args["text"])) });
    }
    if (name !== "fs.commit") return fail("ENOSYS", `there is no call ${name}`);
    const paths = (args["paths"] as readonly string[]).slice();
    const same = paths.find((one) => !written.has(one) || written.get(one) === options.files?.get(one));
    if (same !== undefined) return fail("ENOENT", `${same} is not changed in this session`);
    committed.push(...paths);
    return ok({ committed: paths });
  };

  const agent = async (pid: number, manifest: Manifest, goal: Json): Promise<JsonObject> => {
    const ran = await runAgent({ pid, manifest, goal, options, calls, state, files });
    agents.push({ pid, name: manifest.name, steps: ran.steps, status: ran.status });
    return ran.status;
  };

  const sys: Sys = {
    pid: 1,
    goal: options.goal,
    async call(name, args) {
      const given = isObject(args) ? args : {};
      const result = await answer(name, given);
      calls.push({ pid: 1, name, args, ok: result.ok });
      return result;
    },
  };
  async function answer(name: string, args: JsonObject): Promise<Result<Json, SysError>> {
    const denied = options.deny?.(name, args) ?? null;
    if (denied !== null) return fail("EPERM", denied);
    if (name === "proc.spawn") {
      const pid = state.nextPid++;
      const manifest = manifestOf(args, options);
      children.set(pid, agent(pid, manifest, parseJson(canonical(args["goal"])) ?? null));
      return ok({ pid });
    }
    if (name === "proc.measure") return ok(measured(manifestOf(args, options), args["goal"] ?? null));
    if (name === "proc.wait") return ok((await children.get(Number(args["pid"]))) ?? null);
    return files(name, args);
  }
  return {
    sys,
    calls,
    written,
    committed,
    agents,
    get evicted() {
      return state.evicted;
    },
    get windowTokensHighest() {
      return state.highest;
    },
  };
}

function manifestOf(args: JsonObject, options: HarnessOptions): Manifest {
  /** The journal keeps values, not the order of their keys. */
  const asked = parseJson(canonical(args["manifest"])) as unknown as Manifest;
  const windows = [asked.windowTokens, options.windowTokens].filter((tokens) => typeof tokens === "number");
  return { ...asked, windowTokens: windows.length === 0 ? null : Math.min(...windows) };
}

function measured(manifest: Manifest, goal: Json): JsonObject {
  return {
    windowTokens: manifest.windowTokens ?? 32_000,
    headTokens: estimateTokens(manifest.instructions) + estimateTokens(JSON.stringify(goal)),
  };
}

interface Run {
  readonly pid: number;
  readonly manifest: Manifest;
  readonly goal: Json;
  readonly options: HarnessOptions;
  readonly calls: HarnessCall[];
  readonly state: { evicted: number; highest: number };
  readonly files: (name: string, args: JsonObject) => Result<Json, SysError>;
}

async function runAgent(run: Run): Promise<{ steps: number; status: JsonObject }> {
  const { manifest, options, state } = run;
  const text = typeof run.goal === "string" ? run.goal : JSON.stringify(run.goal);
  let messages: Message[] = [{ role: "user", parts: [{ type: "text", text }], tokens: estimateTokens(text) }];
  const tools = toolsOf(manifest);
  const born = new Map<string, number>();
  const texts = new Map<string, string>();
  for (let step = 0; step < manifest.stepsMax; step += 1) {
    messages = evict(messages, manifest, born, step, state);
    const used = windowOf(messages, manifest);
    state.highest = Math.max(state.highest, used);
    if (used > (manifest.windowTokens ?? Number.POSITIVE_INFINITY))
      return { steps: step, status: failed("ENOMEM", `the window needs ${used} tokens`) };
    const reply = await options.driver.think(
      {
        model: "",
        system: manifest.instructions,
        messages,
        tools,
        outputTokensMax: 4096,
        output: null,
        idempotencyKey: `${run.pid}.${step}`,
      },
      { signal: null, onDelta: null },
    );
    if (!reply.ok) return { steps: step, status: { ok: false, error: { ...reply.error } } };
    messages.push({ role: "assistant", parts: reply.value.parts, tokens: tokensOf(reply.value.parts) });
    const asked = reply.value.parts.filter((part) => part.type === "call");
    if (asked.length === 0) {
      const said = reply.value.parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");
      if (manifest.output === null) return { steps: step + 1, status: { ok: true, value: said } };
      return {
        steps: step + 1,
        status: failed("EINVAL", `${manifest.name} ended without a result: it said ${JSON.stringify(said.slice(0, 200))}`),
      };
    }
    const parts: ResultPart[] = [];
    for (const [n, call] of asked.entries()) {
      const page = `${run.pid}.${step}.${n}`;
      const result = perform(run, call, texts);
      run.calls.push({ pid: run.pid, name: call.name, args: call.args, ok: result.ok });
      if (call.name === "task.done" && result.ok) {
        return {
          steps: step + 1,
          status: { ok: true, value: options.tamper === undefined ? result.value : options.tamper(manifest.name, result.value) },
        };
      }
      const shown = result.ok ? render(result.value) : `${result.error.errno}: ${result.error.message}`;
      texts.set(page, shown);
      born.set(page, step);
      parts.push({ type: "result", id: call.id, name: call.name, ok: result.ok, text: cut(shown, page), page });
    }
    messages.push({ role: "tool", parts, tokens: tokensOf(parts) });
  }
  return { steps: manifest.stepsMax, status: failed("EDEADLK", "too many steps") };
}

function failed(errno: SysError["errno"], message: string): JsonObject {
  return { ok: false, error: { ...sysError(errno, message) } };
}

function perform(run: Run, call: CallPart, texts: ReadonlyMap<string, string>): Result<Json, SysError> {
  const args = isObject(call.args) ? call.args : {};
  const held = run.manifest.calls.some((item) => item === call.name || item === `${call.name}(${String(args["path"])})`);
  if (!held) return fail("EACCES", `${call.name} is not among the calls this process holds`);
  const denied = run.options.deny?.(call.name, args) ?? null;
  if (denied !== null) return fail("EPERM", denied);
  if (call.name === "mem.note") return ok(`noted ${String(args["key"])}`);
  if (call.name === "mem.read") return ok(texts.get(String(args["page"])) ?? "");
  if (call.name !== "task.done") return run.files(call.name, args);
  if (run.manifest.output === null) return ok(args["value"] ?? null);
  const check = schemaCompiler()(run.manifest.output);
  if (!check.ok) return fail("ENOEXEC", check.error);
  const misfit = check.value(args["value"] ?? null);
  return misfit === null ? ok(args["value"] ?? null) : fail("EINVAL", `the result does not fit the contract: ${misfit}`);
}

function toolsOf(manifest: Manifest): ToolDefinition[] {
  return manifest.calls.map((item) => {
    const name = item.replace(/\(.*$/, "");
    const input =
      name === "task.done" && manifest.output !== null
        ? { type: "object", properties: { value: manifest.output } }
        : { type: "object" };
    return { name, description: name, input };
  });
}

function tokensOf(parts: readonly Part[]): number {
  let tokens = 0;
  for (const part of parts)
    tokens += estimateTokens(part.type === "text" || part.type === "result" ? part.text : JSON.stringify(part));
  return tokens;
}

function windowOf(messages: readonly Message[], manifest: Manifest): number {
  return messages.reduce((sum, message) => sum + message.tokens, estimateTokens(manifest.instructions));
}

function evict(
  messages: readonly Message[],
  manifest: Manifest,
  born: ReadonlyMap<string, number>,
  step: number,
  state: { evicted: number },
): Message[] {
  const max = manifest.windowTokens ?? Number.POSITIVE_INFINITY;
  let tokens = windowOf(messages, manifest);
  if (tokens <= max * limits.windowHighShare) return [...messages];
  return messages.map((message) => {
    if (message.role !== "tool" || tokens <= max * limits.windowLowShare) return message;
    const parts = message.parts.map((part) => {
      const size = part.type === "result" ? estimateTokens(part.text) : 0;
      if (part.type !== "result" || part.name === "mem.note" || size < 40 || (born.get(part.page) ?? 0) >= step - 1) return part;
      state.evicted += 1;
      tokens -= size - 30;
      return {
        ...part,
        text: `[page ${part.page} evicted: ${size} tokens of ${part.name}; mem.read {"page":"${part.page}"} brings it back]`,
      };
    });
    return { ...message, parts, tokens: tokensOf(parts) };
  });
}

function render(value: Json): string {
  if (typeof value === "string") return value;
  if (!isObject(value) || typeof value["text"] !== "string") return JSON.stringify(value);
  const head = Object.entries(value).filter(([key]) => key !== "text");
  return `${head.map(([key, field]) => `${key}: ${typeof field === "string" ? field : JSON.stringify(field)}`).join(" · ")}\n${value["text"]}`;
}

function cut(text: string, page: string): string {
  const tokens = estimateTokens(text);
  if (tokens <= limits.resultTokensMax) return text;
  const end = Math.floor((text.length * limits.resultTokensMax) / tokens);
  return `${text.slice(0, end)}\n[cut: ${text.length - end} more characters; mem.read {"page":"${page}","from":${end}} reads on]`;
}

function list(options: HarnessOptions, path: string): Result<Json, SysError> {
  try {
    const names = readdirSync(join(options.root, path)).toSorted();
    const entries = names.map((name) => {
      const found = statSync(join(options.root, path, name));
      return { path: path === "." ? name : `${path}/${name}`, type: found.isDirectory() ? "folder" : "file", bytes: found.size };
    });
    return ok({ entries });
  } catch {
    return fail("ENOENT", `${path} is not a folder`);
  }
}

function read(
  options: HarnessOptions,
  written: ReadonlyMap<string, string>,
  path: string,
  args: JsonObject,
): Result<Json, SysError> {
  let text = written.get(path) ?? options.files?.get(path) ?? null;
  if (text === null) {
    try {
      const bytes = readFileSync(join(options.root, path));
      if (bytes.includes(0)) return fail("EINVAL", `${path} is binary, not text; read another file`);
      text = bytes.toString("utf8");
    } catch {
      return fail("ENOENT", `there is no file ${path}; fs.list shows those that are`);
    }
  }
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const from = typeof args["from"] === "number" ? args["from"] : 1;
  const to = Math.min(lines.length, typeof args["to"] === "number" ? args["to"] : lines.length);
  const shown = lines.slice(from - 1, to).map((line, index) => `${from + index}│ ${line}`);
  return ok({ path, lines: `${from}-${to} of ${lines.length}`, digest: sha256(text).slice(0, 16), text: shown.join("\n") });
}
