/**
 * What bench/peers.ts starts in the folder where the peers are installed: 100 agents × 20 steps with an in-process model, one typed call a
 * step, nothing durable. Prints the CPU of a step in microseconds for each round. `peers.mjs NAME ROUNDS`.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [name = "", rounds = "3"] = process.argv.slice(2);
const { resolve } = createRequire(`${process.cwd()}/`);
const load = (/** @type {string} */ specifier) => import(pathToFileURL(resolve(specifier)).href);
const steps = 20;
const agents = 100;
const argument = "a line of a document that is being copied from here to there ".repeat(2);
const answer = "stored under its digest; the line before it and the line after it are unchanged ".repeat(2);

const run = await (name === "ai" ? ai() : langgraph());
const samples = [];
for (let round = -2; round < Number(rounds); round += 1) {
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: agents }, run));
  const { user, system } = process.cpuUsage(before);
  if (round >= 0) samples.push((user + system) / (agents * steps));
}
process.stdout.write(JSON.stringify(samples));

async function ai() {
  const { generateText, tool, jsonSchema, stepCountIs, isStepCount } = await load("ai");
  const { MockLanguageModelV4 } = await load("ai/test");
  const schema = jsonSchema({
    type: "object",
    properties: { path: { type: "string" }, text: { type: "string" } },
    required: ["path", "text"],
  });
  const tools = { put: tool({ description: "Store a line.", inputSchema: schema, execute: async () => ({ text: answer }) }) };
  const usage = {
    inputTokens: { total: 500, noCache: 100, cacheRead: 400, cacheWrite: 0 },
    outputTokens: { total: 60, text: 60, reasoning: 0 },
  };
  const stop = (stepCountIs ?? isStepCount)(steps + 1);
  return async () => {
    let step = 0;
    const model = new MockLanguageModelV4({
      doGenerate: async () => {
        step += 1;
        const done = step >= steps;
        const input = JSON.stringify({ path: `out/${step}.txt`, text: argument });
        const content = done
          ? [{ type: "text", text: "copied" }]
          : [{ type: "tool-call", toolCallId: `c${step}`, toolName: "put", input }];
        const unified = done ? "stop" : "tool-calls";
        return { content, finishReason: { unified, raw: unified }, usage, warnings: [] };
      },
    });
    const result = await generateText({ model, tools, stopWhen: stop, prompt: "copy the lines" });
    if (result.steps.length !== steps) throw new Error(`${result.steps.length} steps`);
  };
}

async function langgraph() {
  const { createReactAgent } = await load("@langchain/langgraph/prebuilt");
  const { tool } = await load("@langchain/core/tools");
  const { AIMessage } = await load("@langchain/core/messages");
  const { BaseChatModel } = await load("@langchain/core/language_models/chat_models");
  const { z } = await load("zod");
  const put = tool(async () => answer, {
    name: "put",
    description: "Store a line.",
    schema: z.object({ path: z.string(), text: z.string() }),
  });
  class Scripted extends BaseChatModel {
    step = 0;
    _llmType() {
      return "scripted";
    }
    bindTools() {
      return this;
    }
    async _generate() {
      this.step += 1;
      const call = {
        name: "put",
        args: { path: `out/${this.step}.txt`, text: argument },
        id: `c${this.step}`,
        type: "tool_call",
      };
      const message = new AIMessage({
        content: this.step >= steps ? "copied" : "",
        tool_calls: this.step >= steps ? [] : [call],
      });
      return { generations: [{ text: "", message }] };
    }
  }
  return async () => {
    const agent = createReactAgent({ llm: Reflect.construct(Scripted, [{}]), tools: [put] });
    const result = await agent.invoke({ messages: [{ role: "user", content: "copy the lines" }] }, { recursionLimit: 100 });
    if (result.messages.length !== 2 * steps) throw new Error(`${result.messages.length} messages`);
  };
}
