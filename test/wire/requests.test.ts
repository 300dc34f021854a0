import { describe, expect, test } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import type { ModelRequest } from "../../src/abi/model.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { chatDialect } from "../../src/wire/chat.ts";
import { guestFormats } from "../../src/wire/guest-formats.ts";
import { messagesDialect } from "../../src/wire/messages.ts";
import { responsesDialect } from "../../src/wire/responses.ts";

type Name = keyof typeof guestFormats;

const dialects = {
  messages: messagesDialect({}),
  responses: responsesDialect({}),
  chat: chatDialect({ effort: null, local: false }),
};

const schema = { type: "object", properties: { a: { type: "string" } } };

/** One conversation as each format says it. */
const bodies: Readonly<Record<Name, Json>> = {
  messages: {
    model: "m",
    max_tokens: 300,
    temperature: 0.2,
    metadata: { user_id: "u" },
    thinking: { type: "adaptive" },
    system: [
      { type: "text", text: "Be good." },
      { type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } },
    ],
    messages: [
      { role: "user", content: "go" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "text", text: "I look." },
          { type: "tool_use", id: "t1", name: "Read", input: { path: "a" } },
        ],
      },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "found" }] }] },
      { role: "system", content: "Now be quick." },
    ],
    tools: [
      { name: "Read", description: "reads", input_schema: schema },
      { type: "web_search_20250305", name: "web_search" },
    ],
    output_config: { format: { type: "json_schema", schema } },
  },
  chat: {
    model: "m",
    max_completion_tokens: 300,
    temperature: 0.2,
    messages: [
      { role: "system", content: "Be good." },
      { role: "developer", content: [{ type: "text", text: "Be brief." }] },
      { role: "user", content: [{ type: "text", text: "go" }] },
      {
        role: "assistant",
        content: "I look.",
        tool_calls: [{ id: "t1", type: "function", function: { name: "Read", arguments: `{"path":"a"}` } }],
      },
      { role: "tool", tool_call_id: "t1", content: "found" },
      { role: "system", content: "Now be quick." },
    ],
    tools: [{ type: "function", function: { name: "Read", description: "reads", parameters: schema } }],
    response_format: { type: "json_schema", json_schema: { name: "x", schema } },
  },
  responses: {
    model: "m",
    max_output_tokens: 300,
    store: false,
    include: ["reasoning.encrypted_content"],
    instructions: "Be good.",
    input: [
      { type: "message", role: "developer", content: [{ type: "input_text", text: "Be brief." }] },
      { role: "user", content: "go" },
      { type: "reasoning", summary: [], encrypted_content: "x" },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "I look." }] },
      { type: "function_call", call_id: "t1", name: "Read", arguments: `{"path":"a"}` },
      { type: "function_call_output", call_id: "t1", output: [{ type: "input_text", text: "found" }] },
      { role: "system", content: "Now be quick." },
    ],
    tools: [{ type: "function", name: "Read", description: "reads", parameters: schema }, { type: "web_search" }],
    text: { format: { type: "json_schema", name: "x", schema } },
  },
  gemini: {
    systemInstruction: { parts: [{ text: "Be good." }, { text: "Be brief." }] },
    contents: [
      { role: "user", parts: [{ text: "go" }] },
      {
        role: "model",
        parts: [
          { text: "hm", thought: true },
          { text: "I look." },
          { functionCall: { id: "t1", name: "Read", args: { path: "a" } }, thoughtSignature: "x" },
        ],
      },
      { role: "user", parts: [{ functionResponse: { id: "t1", name: "Read", response: { output: "found" } } }] },
      { role: "user", parts: [{ text: "Now be quick." }] },
    ],
    tools: [
      {
        functionDeclarations: [
          { name: "Read", description: "reads", parameters: { type: "OBJECT", properties: { a: { type: "STRING" } } } },
        ],
      },
      { googleSearch: {} },
    ],
    generationConfig: { maxOutputTokens: 300, temperature: 1, responseMimeType: "application/json", responseJsonSchema: schema },
  },
};

function read(name: Name, body: Json): ModelRequest {
  const request = guestFormats[name].request(body);
  if (!request.ok) throw new Error(request.error);
  return request.value;
}

for (const [key, body] of Object.entries(bodies)) {
  const name = key as Name;
  describe(name, () => {
    test("REQ-1.1 a conversation is the same in the internal form", () => {
      const request = read(name, body);
      const parts = request.messages.map(({ parts }) => parts.filter((part) => part.type !== "opaque"));
      expect(request).toMatchObject({
        system: "Be good.\n\nBe brief.",
        outputTokensMax: 300,
        output: schema,
        idempotencyKey: "",
      });
      expect(request.tools).toEqual([{ name: "Read", description: "reads", input: schema }]);
      expect(parts.flat()).toEqual([
        { type: "text", text: "go" },
        { type: "text", text: "I look." },
        { type: "call", id: "t1", name: "Read", args: { path: "a" } },
        { type: "result", id: "t1", name: "Read", ok: true, text: "found", page: "" },
        { type: "text", text: "Now be quick." },
      ]);
      expect(request.messages.map(({ role }) => role).filter((role, n, all) => role !== all[n - 1])).toEqual([
        "user",
        "assistant",
        "tool",
        "user",
      ]);
      for (const { tokens } of request.messages) expect(tokens).toBeGreaterThan(0);
    });

    test("REQ-1.6 a driver of any format sends it on, without what it does not understand", () => {
      const request = read(name, body);
      for (const [own, dialect] of Object.entries(dialects)) {
        const sent = JSON.parse(Buffer.from(dialect.body(request, true)).toString()) as JsonObject;
        const text = JSON.stringify(sent);
        for (const word of ["Be good.", "Be brief.", "I look.", "Read", "found", "Now be quick.", "t1"])
          expect(text).toContain(word);
        if (own !== name) expect(text).not.toMatch(/"thinking":"hm"|"encrypted_content":"x"|"thought":true/);
      }
    });

    test("REQ-1.5 what the guest leaves out is bounded all the same", () => {
      const empty = { messages: [], input: [], contents: [] };
      expect(read(name, empty)).toMatchObject({
        messages: [],
        tools: [],
        output: null,
        outputTokensMax: limits.remoteOutputTokensMax,
      });
      expect(guestFormats[name].request({})).toMatchObject({ ok: false });
      expect(guestFormats[name].request([])).toMatchObject({ ok: false });
    });
  });
}

test("REQ-1.3 a word of the system behind the first turn stays where it stands, as text", () => {
  const turn = { role: "system", content: "Mind the gap." };
  const messages = [{ role: "user", content: "a" }, turn, { role: "user", content: "b" }];
  for (const name of ["messages", "chat"] as const) {
    const request = read(name, { messages });
    expect(request.system).toBe("");
    expect(request.messages.map(({ role, parts }) => [role, parts])).toEqual(
      ["a", "Mind the gap.", "b"].map((text) => ["user", [{ type: "text", text }]]),
    );
  }
});

test("REQ-1.4 a tool that only its own provider can describe is left out", () => {
  const own: readonly (readonly [Name, Json])[] = [
    ["messages", { messages: [], tools: [{ type: "bash_20250124", name: "bash" }] }],
    ["chat", { messages: [], tools: [{ type: "web_search" }] }],
  ];
  for (const [name, body] of own) expect(read(name, body).tools).toEqual([]);
});

test("REQ-1.2 what has no internal form fails the request by its name", () => {
  const cases: readonly (readonly [Name, Json, string])[] = [
    ["messages", { messages: [{ role: "user", content: [{ type: "image", source: {} }] }] }, "image"],
    [
      "messages",
      { messages: [{ role: "user", content: [{ type: "tool_result", content: [{ type: "document" }] }] }] },
      "document",
    ],
    ["chat", { messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }] }, "image_url"],
    ["chat", { messages: [{ role: "tool", tool_call_id: "t", content: [{ type: "file" }] }] }, "file"],
    ["responses", { input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] }, "input_image"],
    ["responses", { input: [{ type: "item_reference", id: "x" }] }, "item_reference"],
    ["gemini", { contents: [{ role: "user", parts: [{ inlineData: { data: "", mimeType: "image/png" } }] }] }, "inlineData"],
    [
      "gemini",
      { contents: [{ role: "user", parts: [{ functionResponse: { name: "x", parts: [{ inlineData: {} }] } }] }] },
      "functionResponse.parts",
    ],
    [
      "responses",
      { input: [{ type: "computer_call_output", call_id: "x", output: { type: "computer_screenshot" } }] },
      "computer_call_output",
    ],
  ];
  for (const [name, body, word] of cases) {
    const request = guestFormats[name].request(body);
    expect(request.ok ? "" : request.error).toContain(JSON.stringify(word));
  }
});

test("REQ-1.1 what one provider alone understands stays opaque, and a failed result failed", () => {
  const opaque = read("messages", bodies.messages).messages[1]?.parts[0];
  expect(opaque).toEqual({ type: "opaque", dialect: "anthropic", value: { type: "thinking", thinking: "hm", signature: "s" } });
  const failed = {
    messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "x", content: "no", is_error: true }] }],
  };
  expect(read("messages", failed).messages[0]?.parts[0]).toMatchObject({ ok: false, text: "no", name: "" });
});

test("REQ-1.1 calls of free text and of the older form are calls", () => {
  const messages = [
    {
      role: "assistant",
      tool_calls: [{ id: "c", type: "custom", custom: { name: "sh", input: "ls" } }],
      reasoning_content: "hm",
    },
    { role: "assistant", content: null, function_call: { name: "run", arguments: "{}" } },
    { role: "function", name: "run", content: "done" },
  ];
  const tools = [{ type: "custom", custom: { name: "sh", description: "shell" } }];
  const request = read("chat", { messages, tools });
  expect(request.messages.map(({ parts }) => parts)).toEqual([
    [
      { type: "opaque", dialect: "openai-chat", value: { reasoning_content: "hm" } },
      { type: "call", id: "c", name: "sh", args: { input: "ls" } },
    ],
    [{ type: "call", id: "run", name: "run", args: {} }],
    [{ type: "result", id: "run", name: "run", ok: true, text: "done", page: "" }],
  ]);
  expect(request.tools[0]).toMatchObject({ name: "sh", input: { required: ["input"] } });
});

test("REQ-1.2 a Responses request that leans on what only its provider has fails", () => {
  for (const field of ["previous_response_id", "conversation"])
    expect(guestFormats.responses.request({ input: "go", [field]: "x" })).toMatchObject({ ok: false });
  expect(read("responses", { input: "go" }).messages[0]?.parts).toEqual([{ type: "text", text: "go" }]);
});

test("REQ-1.1 the calls and outputs of every kind of tool are calls and results", () => {
  const input = [
    { type: "custom_tool_call", call_id: "a", name: "apply_patch", input: "***" },
    { type: "custom_tool_call_output", call_id: "a", output: "done" },
    { type: "shell_call", call_id: "b", action: { commands: ["ls"] }, status: "completed" },
    { type: "shell_call_output", call_id: "b", output: [{ stdout: "x", stderr: "", outcome: { type: "exit", exit_code: 0 } }] },
    { type: "function_call", call_id: "c", namespace: "git", name: "log", arguments: "{}" },
    { type: "apply_patch_call_output", call_id: "d", status: "failed", output: "no" },
  ];
  const space = { type: "namespace", name: "git", tools: [{ type: "function", name: "log", parameters: schema }] };
  const request = read("responses", { input, tools: [space, { type: "custom", name: "apply_patch" }] });
  expect(request.messages.flatMap(({ parts }) => parts)).toMatchObject([
    { type: "call", id: "a", name: "apply_patch", args: { input: "***" } },
    { type: "result", id: "a", name: "apply_patch", text: "done" },
    { type: "call", id: "b", name: "shell", args: { action: { commands: ["ls"] } } },
    { type: "result", id: "b", name: "shell", text: "x" },
    { type: "call", id: "c", name: "git.log" },
    { type: "result", id: "d", ok: false },
  ]);
  expect(request.tools.map(({ name }) => name)).toEqual(["git.log", "apply_patch"]);
});

test("REQ-1.1 Gemini's calls without ids belong to their results by name, and its errors failed", () => {
  const contents = [
    { role: "model", parts: [{ functionCall: { name: "run", args: {} } }] },
    { role: "user", parts: [{ functionResponse: { name: "run", response: { error: "no" } } }] },
  ];
  expect(read("gemini", { contents }).messages.flatMap(({ parts }) => parts)).toEqual([
    { type: "call", id: "run", name: "run", args: {} },
    { type: "result", id: "run", name: "run", ok: false, text: "no", page: "" },
  ]);
});

test("REQ-1.7 whether, what and how often the model is to call is the guest's own word, and is said in every format", () => {
  const chatTools = [{ type: "function", function: { name: "Read", parameters: schema } }];
  const responsesTools = [{ type: "function", name: "Read", parameters: schema }];
  const said: readonly (readonly [Name, JsonObject, ModelRequest["calls"]])[] = [
    ["messages", { messages: [], tool_choice: { type: "none" } }, { choice: "none", several: true }],
    [
      "messages",
      { messages: [], tool_choice: { type: "any", disable_parallel_tool_use: true } },
      { choice: "any", several: false },
    ],
    ["messages", { messages: [], tool_choice: { type: "tool", name: "Read" } }, { choice: { tool: "Read" }, several: true }],
    ["messages", { messages: [], tool_choice: { type: "auto" } }, undefined],
    ["chat", { messages: [], tools: chatTools, tool_choice: "none" }, { choice: "none", several: true }],
    ["chat", { messages: [], tool_choice: "required", parallel_tool_calls: false }, { choice: "any", several: false }],
    [
      "chat",
      { messages: [], tool_choice: { type: "function", function: { name: "Read" } } },
      { choice: { tool: "Read" }, several: true },
    ],
    ["chat", { messages: [], function_call: { name: "Read" } }, { choice: { tool: "Read" }, several: true }],
    ["chat", { messages: [], tool_choice: "auto", parallel_tool_calls: true }, undefined],
    ["responses", { input: "go", tools: responsesTools, tool_choice: "none" }, { choice: "none", several: true }],
    ["responses", { input: "go", tool_choice: { type: "function", name: "Read" } }, { choice: { tool: "Read" }, several: true }],
    ["responses", { input: "go", tool_choice: "required" }, { choice: "any", several: true }],
    ["gemini", { contents: [], toolConfig: { functionCallingConfig: { mode: "NONE" } } }, { choice: "none", several: true }],
    [
      "gemini",
      { contents: [], toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["Read"] } } },
      { choice: { tool: "Read" }, several: true },
    ],
  ];
  for (const [name, body, calls] of said) expect(read(name, body).calls, `${name} ${JSON.stringify(body)}`).toEqual(calls);

  const tools = [{ name: "Read", description: "", input: schema }];
  const sent = (name: keyof typeof dialects, calls: ModelRequest["calls"]): JsonObject => {
    const plain = { ...read("chat", { messages: [{ role: "user", content: "go" }] }), tools };
    const request = calls === undefined ? plain : { ...plain, calls };
    return JSON.parse(Buffer.from(dialects[name].body(request, false)).toString()) as JsonObject;
  };
  const one = { choice: { tool: "Read" }, several: false } as const;
  expect(sent("messages", one).tool_choice).toEqual({ type: "tool", name: "Read", disable_parallel_tool_use: true });
  expect(sent("chat", one)).toMatchObject({
    tool_choice: { type: "function", function: { name: "Read" } },
    parallel_tool_calls: false,
  });
  expect(sent("responses", one)).toMatchObject({ tool_choice: { type: "function", name: "Read" }, parallel_tool_calls: false });
  for (const name of ["chat", "responses"] as const) {
    expect(sent(name, { choice: "any", several: true }).tool_choice).toBe("required");
    expect(sent(name, { choice: "none", several: true }).tool_choice).toBe("none");
  }
  expect(sent("messages", { choice: "none", several: false }).tool_choice).toEqual({ type: "none" });
  for (const name of ["messages", "chat", "responses"] as const) expect(sent(name, undefined)).not.toHaveProperty("tool_choice");
});

test("REQ-1.8 what would be answered with less than was asked for fails the request by its name", () => {
  const cases: readonly (readonly [Name, JsonObject, string])[] = [
    ["chat", { messages: [], n: 2 }, "several choices"],
    ["chat", { messages: [], logprobs: true }, "odds"],
    ["gemini", { contents: [], generationConfig: { candidateCount: 3 } }, "several choices"],
  ];
  for (const [name, body, word] of cases) {
    const request = guestFormats[name].request(body);
    expect(request.ok ? "" : request.error).toContain(word);
  }
  expect(guestFormats.chat.request({ messages: [], n: 1, logprobs: false }).ok).toBe(true);
});

test("REQ-1.9 an image is the same in every format, beside its words or behind the result that it came with", () => {
  const png = { type: "image", source: { mediaType: "image/png", data: "aGk=" } };
  const far = { type: "image", source: { url: "https://example.org/a.png" } };
  const look = { type: "text", text: "look" };
  const address = "data:image/png;base64,aGk=";
  const cases: readonly (readonly [Name, JsonObject, Json])[] = [
    [
      "messages",
      {
        messages: [
          {
            role: "user",
            content: [
              { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } },
              { type: "image", source: { type: "url", url: "https://example.org/a.png" } },
              look,
            ],
          },
        ],
      },
      [png, far, look],
    ],
    [
      "messages",
      {
        messages: [
          {
            role: "user",
            content: [
              {
                type: "tool_result",
                tool_use_id: "t",
                content: [look, { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } }],
              },
            ],
          },
        ],
      },
      [{ type: "result", id: "t", name: "", ok: true, text: "look", page: "" }, png],
    ],
    ["chat", { messages: [{ role: "user", content: [look, { type: "image_url", image_url: { url: address } }] }] }, [look, png]],
    [
      "responses",
      {
        input: [
          {
            role: "user",
            content: [
              { type: "input_text", text: "look" },
              { type: "input_image", image_url: address },
            ],
          },
        ],
      },
      [look, png],
    ],
    ["gemini", { contents: [{ role: "user", parts: [{ inlineData: { mimeType: "image/png", data: "aGk=" } }] }] }, [png]],
  ];
  for (const [name, body, parts] of cases) {
    const request = read(name, body);
    expect(
      request.messages.flatMap((message) => message.parts),
      JSON.stringify(body),
    ).toEqual(parts);
    for (const dialect of Object.values(dialects)) expect(Buffer.from(dialect.body(request, false)).toString()).toMatch(/aGk=/);
  }
  const shown = read("messages", cases[0]?.[1] ?? {});
  const sent = (name: keyof typeof dialects): JsonObject =>
    JSON.parse(Buffer.from(dialects[name].body(shown, false)).toString()) as JsonObject;
  expect(sent("responses").input).toEqual([
    {
      role: "user",
      content: [
        { type: "input_image", detail: "auto", image_url: address },
        { type: "input_image", detail: "auto", image_url: "https://example.org/a.png" },
        { type: "input_text", text: "look" },
      ],
    },
  ]);
  for (const url of ["file:///etc/passwd", "javascript:1", "data:text/html;base64,aGk=", "data:image/png,hi"])
    expect(
      guestFormats.chat.request({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] }).ok,
    ).toBe(false);
});
