/**
 * The client that the conformance suite drives: `node bench/mcp-client.ts URL`. It is daimon's own driver, which lists what the server has, calls each tool
 * once, or those the suite names, and says yes to what it is asked. A part of mcp-trial.ts.
 */
import type { CallContext, CallHandler } from "../src/abi/call.ts";
import type { Exchange } from "../src/abi/gate.ts";
import { connectMcp } from "../src/drivers/tool/mcp.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../src/lib/json.ts";

const [url = ""] = process.argv.slice(2);
const stateless = process.env["MCP_CONFORMANCE_PROTOCOL_VERSION"] === "2026-07-28";
const server = await connectMcp({ name: "suite", transport: { type: "http", url, headers: {} } });
if (!server.ok) {
  process.stderr.write(`${server.error.message}\n`);
  process.exit(1);
}
const session = new AbortController();
const exchange: Exchange = {
  era: stateless ? "stateless" : "sessions",
  session: session.signal,
  signal: session.signal,
  capabilities: { elicitation: { form: { applyDefaults: true } } },
  resume: {},
  tell: () => undefined,
  ask: (_method, params) => Promise.resolve({ action: "accept", content: defaultsOf(params) }),
};
const context = parseJson(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}");
const wanted = isObject(context) && Array.isArray(context["toolCalls"]) ? (context["toolCalls"] as readonly Json[]) : null;
const named: JsonObject = {};
for (const call of server.value.calls) {
  const method = call.spec.mcp?.method;
  const tool = method === "tools/call" ? call.spec.name.slice("mcp.suite.".length) : null;
  const given = wanted?.flatMap((each) =>
    isObject(each) && each["name"] === tool && isObject(each["arguments"]) ? [each["arguments"]] : [],
  );
  if (tool !== null) for (const args of given ?? [argsOf(call.spec.input)]) await perform(call, args);
  // The lists stand before what is named in them.
  else if (method === "resources/list" || method === "prompts/list") Object.assign(named, firstOf(await perform(call, {})));
  else if (method === "resources/read") await perform(call, { uri: named["uri"] ?? "" });
  else if (method === "prompts/get") await perform(call, { name: named["name"] ?? "" });
}
session.abort();
await server.value.close();

/** What a form proposes; a client that is asked fills it in so. */
function defaultsOf(params: JsonObject): JsonObject {
  const schema = isObject(params["requestedSchema"]) ? params["requestedSchema"] : {};
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]) =>
      isObject(property) && property["default"] !== undefined ? [[name, property["default"]]] : [],
    ),
  );
}

function firstOf({ resources, prompts }: JsonObject): JsonObject {
  const [first = null] = (Array.isArray(resources) ? resources : Array.isArray(prompts) ? prompts : []) as readonly Json[];
  if (!isObject(first)) return {};
  return typeof first["uri"] === "string" ? { uri: first["uri"] } : { name: first["name"] ?? "" };
}

function argsOf(input: JsonObject): JsonObject {
  const properties = isObject(input["properties"]) ? input["properties"] : {};
  const value = (schema: Json): Json =>
    isObject(schema) && /number|integer/.test(JSON.stringify(schema["type"])) ? 1 : "us-west1";
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, value(schema)]));
}

/** A server that wants more says so in a result, and gets it with the same call again. */
async function perform(call: CallHandler, args: JsonObject, resume: Exchange["resume"] = {}, rounds = 0): Promise<JsonObject> {
  const { signal } = new AbortController();
  const made: CallContext = { pid: 1, id: "1.0.0", signal, now: 0, frozen: null, exchange: { ...exchange, resume } };
  const outcome = await call.perform(args as never, made);
  const value = outcome.ok && isObject(outcome.value.value) ? outcome.value.value : {};
  const result = isObject(value["result"]) ? value["result"] : {};
  if (result["resultType"] !== "input_required" || rounds > 4) return result;
  const asked = isObject(result["inputRequests"]) ? Object.entries(result["inputRequests"]) : [];
  const answers = asked.map(([name, request]) => {
    const params = isObject(request) && isObject(request["params"]) ? request["params"] : {};
    return [name, { action: "accept", content: defaultsOf(params) }];
  });
  const state = result["requestState"];
  const next = {
    inputResponses: Object.fromEntries(answers) as JsonObject,
    ...(typeof state === "string" && { requestState: state }),
  };
  return await perform(call, args, next, rounds + 1);
}
