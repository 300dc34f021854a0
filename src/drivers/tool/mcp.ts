/**
 * MCP: the tools of a Model Context Protocol server as calls of this system, `mcp.SERVER.TOOL`.
 *   MCP-1.1  A tool is external, not reversible and never repeated after a crash, whatever the server says of it; only configuration
 *            widens that, and only a hint that it is destructive narrows it.
 *   MCP-1.2  What a server says (results, failures, its own errors) is untrusted text in a value, bounded, and never part of an error.
 *   MCP-1.3  Names, descriptions and schemas are bounded and freed of invisible characters; a tool that does not fit is left out with a finding.
 *   MCP-1.4  A server that stops is EIO with its name; the next call starts it again, and refuses with ESTALE when its tools have changed.
 *   MCP-1.5  A server we start gets a search path, a home, a mark of its own and what its configuration gives it, and nothing else of the environment.
 *   MCP-1.7  Structured content has the form that its tool declares, or the call is EPROTO in our own words; a tool of which that cannot be checked
 *            is not called.
 *   MCP-1.6  A server cannot ask anything of an agent or of the person: no sampling, no elicitation, no roots. It reaches a client that declared
 *            it can be asked, and no other.
 */
import type { CallContext, CallHandler, CallSpec, CallValue } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Finding } from "../../abi/finding.ts";
import type { ChangeKind } from "../../abi/gate.ts";
import { limits } from "../../abi/limits.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical, tooDeep, type Json, type JsonObject } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { schemaCompiler, type Check, type Compile } from "../../lib/schema.ts";
import { visible, visibleJson } from "../../lib/visible.ts";
import type { Target } from "./mcp-connection.ts";
import { Line } from "./mcp-line.ts";
import { methodSpecs } from "./mcp-methods.ts";
import { readAnswer } from "./mcp-results.ts";
import { toolCalls, type Declared, type ToolRule } from "./mcp-tools.ts";

export interface McpConfig extends Target {
  /** `name`: letters, digits, `-` and `_`. */
  readonly tools?: Readonly<Record<string, ToolRule>>;
}

export interface McpServer {
  readonly name: string;
  readonly calls: readonly CallHandler[];
  readonly findings: readonly Finding[];
  /** The tools as the server declared them, hidden text and all. */
  readonly definitions: readonly Json[];
  /** Over them; a boot measures it. */
  readonly digest: Digest;
  watch(listener: (kind: ChangeKind) => void): () => void;
  close(): Promise<void>;
}

/** Starts or reaches the server, and lists its tools once. */
export async function connectMcp(config: McpConfig): Promise<Result<McpServer, SysError>> {
  const { name } = config;
  if (!/^[A-Za-z0-9_-]{1,40}$/.test(name)) {
    const shown = visible(name).slice(0, 60);
    return fail("EINVAL", `an MCP server's name has letters, digits, "-" and "_"; "${shown}" has others`);
  }
  const opened = await Line.open(config);
  if (!opened.ok) return opened;
  const [line, { tools, offers }] = opened.value;
  const { specs, findings } = toolCalls(name, tools, config.tools ?? {});
  const compile = schemaCompiler();
  const calls = [
    ...specs.map(({ tool, spec, declared }): CallHandler => ({
      spec,
      perform: (args: JsonObject, context: CallContext) =>
        callTool({ line, compile, server: name, tool, declared }, args, context),
    })),
    ...methodSpecs(name, offers).map((spec): CallHandler => ({
      spec,
      perform: (args: JsonObject, context: CallContext) => callMethod(line, spec, args, context),
    })),
  ];
  const watch = (listener: (kind: ChangeKind) => void): (() => void) => line.watch(listener);
  return ok({ name, calls, findings, definitions: tools, digest: digestOf(tools), watch, close: () => line.close() });
}

interface ToolCall {
  readonly line: Line;
  readonly compile: Compile;
  readonly server: string;
  readonly tool: string;
  readonly declared: Declared;
}

async function callTool(
  { line, compile, server, tool, declared: { definition, output } }: ToolCall,
  args: JsonObject,
  context: CallContext,
): Promise<Result<CallValue, SysError>> {
  const form = output === null ? null : compile(output);
  if (form?.ok === false) {
    const what = `the output that ${tool} of the MCP server "${server}" declares cannot be checked`;
    return fail("EPROTO", `${what}, so it was not called; go on without it`);
  }
  const asked = { method: "tools/call", params: { arguments: args }, tool: { name: tool, definition } };
  const answer = await line.request(asked, context);
  if (!answer.ok) return answer;
  if (form === null || answer.value.type === "error" || fits(answer.value.result, form.value))
    return ok(readAnswer(`mcp.${server}.${tool}`, answer.value));
  const what = `the MCP server "${server}" gave a result for ${tool} that is not what the tool declares`;
  return fail("EPROTO", `${what}; look whether it happened before calling again`);
}

async function callMethod(
  line: Line,
  spec: CallSpec,
  params: JsonObject,
  context: CallContext,
): Promise<Result<CallValue, SysError>> {
  const answer = await line.request({ method: spec.mcp?.method ?? "", params, tool: null }, context);
  if (!answer.ok || answer.value.type === "error" || !namesThings(spec))
    return answer.ok ? ok(readAnswer(spec.name, answer.value)) : answer;
  return ok(readAnswer(spec.name, { type: "result", result: visibleJson(answer.value.result) as JsonObject }));
}

/** What is read is somebody's data, and stays as it is; what is listed or prompts is words for a model. */
function namesThings(spec: CallSpec): boolean {
  return spec.mcp?.method !== "resources/read";
}

/** A failure is words, whatever form the tool declares, and so is a question. */
function fits(result: JsonObject, form: Check): boolean {
  const { isError, resultType, structuredContent } = result;
  if (isError === true || resultType === "input_required") return true;
  return structuredContent !== undefined && !tooDeep(structuredContent, limits.jsonDepthMax) && form(structuredContent) === null;
}

/** The order in which a server lists its tools says nothing. */
function digestOf(tools: readonly Json[]): Digest {
  return sha256(tools.map(canonical).sort().join("\n"));
}
