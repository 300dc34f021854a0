/** Specs of the kernel's own calls: names, schemas, effect classes, recovery. The reference page is generated from them. */
import type { CallSpec } from "../../abi/call.ts";
import type { JsonSchema } from "../../lib/json.ts";

const any: JsonSchema = {};

function object(properties: Record<string, JsonSchema>, required: readonly string[]): JsonSchema {
  return { type: "object", properties, required: [...required], additionalProperties: false };
}

const limitsSchema = object(
  {
    costUsd: { type: ["number", "null"], minimum: 0 },
    tokens: { type: ["integer", "null"], minimum: 0 },
    calls: { type: ["integer", "null"], minimum: 0 },
    timeMs: { type: ["integer", "null"], minimum: 0 },
  },
  [],
);

const manifestSchema = object(
  {
    /** People read it beside the kernel's own words, so it can be nothing but a name. */
    name: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]*$", maxLength: 64, description: "Letters, digits and . _ / -" },
    version: { type: "string" },
    kind: { enum: ["agent", "body"] },
    instructions: { type: "string" },
    cpu: { type: ["string", "null"] },
    calls: { type: "array", items: { type: "string" }, description: "Capabilities; none that you do not hold." },
    output: { type: ["object", "null"], description: "JSON Schema of the result." },
    limits: limitsSchema,
    windowTokens: { type: ["integer", "null"], minimum: 256 },
    stepsMax: { type: "integer", minimum: 1 },
    outputs: { type: "array", items: { type: "string" } },
  },
  ["name", "instructions"],
);

export const specs = {
  spawn: {
    name: "proc.spawn",
    summary: "Start a child process with its own window, calls and budget; returns { pid }.",
    input: object({ manifest: manifestSchema, goal: any, weight: { type: "integer", minimum: 1, maximum: 10_000 } }, [
      "manifest",
      "goal",
    ]),
    output: object({ pid: { type: "integer" } }, ["pid"]),
    effect: "write",
    reversible: true,
    recovery: "idempotent",
    roles: {},
  },
  measure: {
    name: "proc.measure",
    summary:
      "What window a child would get, and how much of it its instructions, calls, contract and goal would take; starts nothing.",
    input: object({ manifest: manifestSchema, goal: any }, ["manifest", "goal"]),
    output: object({ windowTokens: { type: "integer" }, headTokens: { type: "integer" } }, ["windowTokens", "headTokens"]),
    effect: "pure",
    reversible: true,
    recovery: "pure",
    roles: {},
  },
  exec: {
    name: "proc.exec",
    summary: "Go on as another program: new instructions, goal and window, the same pid, session and budget. Does not return.",
    input: object({ manifest: manifestSchema, goal: any }, ["manifest", "goal"]),
    output: { type: "string" },
    effect: "write",
    reversible: false,
    recovery: "idempotent",
    roles: {},
  },
  wait: {
    name: "proc.wait",
    summary: "Wait until a child process ends; returns { ok, value } or { ok, error }.",
    input: object({ pid: { type: "integer" } }, ["pid"]),
    output: object({ ok: { type: "boolean" }, value: any, error: any }, ["ok"]),
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: {},
  },
  kill: {
    name: "proc.kill",
    summary: "End a child process and everything below it.",
    input: object({ pid: { type: "integer" } }, ["pid"]),
    output: { type: "string" },
    effect: "write",
    reversible: false,
    recovery: "idempotent",
    roles: {},
  },
  memRead: {
    name: "mem.read",
    summary: "Bring back the text of an evicted or cut page, from a character on.",
    input: object({ page: { type: "string" }, from: { type: "integer", minimum: 0 } }, ["page"]),
    output: { type: "string" },
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { page: "option" },
  },
  memNote: {
    name: "mem.note",
    summary: "Keep a fact in the window for good, verbatim, whatever is evicted.",
    input: object(
      {
        key: { type: "string", minLength: 1, maxLength: 128 },
        text: { type: "string", maxLength: 8_192 },
        source: { type: "string", maxLength: 512 },
      },
      ["key", "text"],
    ),
    output: { type: "string" },
    effect: "pure",
    reversible: true,
    recovery: "pure",
    roles: { text: "content" },
  },
  memPin: {
    name: "mem.pin",
    summary: "Keep a page in the window: it will not be evicted.",
    input: object({ page: { type: "string" } }, ["page"]),
    output: { type: "string" },
    effect: "pure",
    reversible: true,
    recovery: "pure",
    roles: { page: "option" },
  },
  taskDone: {
    name: "task.done",
    summary: "Finish with this value as the result. It must fit the contract.",
    input: object({ value: any }, ["value"]),
    output: any,
    effect: "pure",
    reversible: false,
    recovery: "pure",
    roles: { value: "content" },
  },
  ask: {
    name: "ask",
    summary: "Ask the person a question and wait for the answer.",
    input: object({ question: { type: "string", minLength: 1, maxLength: 4_096 } }, ["question"]),
    output: { type: "string" },
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: { question: "content" },
  },
  guestTool: {
    name: "guest.tool",
    summary: "What a guest's own tool is to policy that stands for no other call. Nobody can make it.",
    input: object({ tool: { type: "string" } }, ["tool"]),
    output: { type: "string" },
    effect: "write",
    reversible: true,
    recovery: "once",
    roles: { tool: "object" },
    offered: false,
  },
} as const satisfies Record<string, CallSpec>;
