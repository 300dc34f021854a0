/** The suites of the door's trial: what each needs, how it is run against an address, and what it found. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseJson, type JsonObject } from "../src/lib/json.ts";
import type { Speaks } from "./door-stand.ts";
import { list, object, text } from "./door-shape.ts";

/** Where a suite is pointed. `url` without a path. */
export interface Target {
  readonly url: string;
  readonly key: string;
  readonly upstream: string;
  readonly speaks: Speaks;
}

/** `refused`: it was told by name that this cannot be had there. */
export type Outcome = "passed" | "failed" | "refused";

export interface Suite {
  readonly name: string;
  run(target: Target): Promise<ReadonlyMap<string, Outcome>>;
}

export const packages = [
  "openai@7.57.0",
  "@anthropic-ai/sdk@1.12.0",
  "anthropic-sdk-0@npm:@anthropic-ai/sdk@0.137.0",
  "@google/genai@3.1.0",
  "llmprobe@0.6.12",
];

const model = "oracle-1";

/** `cache`: where the packages are installed. `responses`: the file of the Open Responses suite, where it is at hand. */
export function suites(cache: string, responses: string | null): readonly Suite[] {
  const client = (name: string, title: string): Suite => ({
    name: title,
    async run({ url, key, upstream, speaks }) {
      const script = join(import.meta.dirname, "door-clients.mjs");
      const found = parseJson(await output(cache, [script, name, url, key, upstream, speaks]));
      return new Map(list(found).map((one) => [text(one["name"]), one["why"] === null ? "passed" : refusal(text(one["why"]))]));
    },
  });
  const probe: Suite = {
    name: "llmprobe 0.6.12",
    async run({ url, key }) {
      const script = join(cache, "node_modules/llmprobe/bin/dist/llmprobe.mjs");
      const flags = ["-m", model, "--no-bench", "--no-save", "--no-color", "--full", "--json"];
      const report = parseJson(await output(cache, [script, `${url}/v1`, "-k", key, ...flags]));
      return new Map(list(object(object(report)["conformance"])["results"]).flatMap(probed));
    },
  };
  const all = [
    client("openai", "openai 7.57.0"),
    client("anthropic-1", "@anthropic-ai/sdk 1.12.0"),
    client("anthropic-0", "@anthropic-ai/sdk 0.137.0"),
    client("genai", "@google/genai 3.1.0"),
    probe,
  ];
  return responses === null || !existsSync(responses) ? all : [...all, openResponses(cache, responses)];
}

function openResponses(cache: string, file: string): Suite {
  return {
    name: "Open Responses compliance",
    async run({ url, key }) {
      const flags = ["--base-url", `${url}/v1`, "--api-key", key, "--model", model, "--json"];
      const report = object(parseJson(await output(cache, [file, ...flags])));
      return new Map(
        list(report["results"]).map((one): [string, Outcome] => {
          const why = JSON.stringify([one["errors"] ?? "", one["response"] ?? ""]);
          return [text(one["id"]), one["status"] === "passed" ? "passed" : refusal(why)];
        }),
      );
    },
  };
}

/** What was not exercised says nothing of the door. */
function probed(result: JsonObject): readonly (readonly [string, Outcome])[] {
  const outcomes: Readonly<Record<string, Outcome>> = { pass: "passed", fail: "failed", unsupported: "refused" };
  const outcome = outcomes[text(result["outcome"])];
  return outcome === undefined ? [] : [[text(result["id"]), outcome]];
}

/** The door's own words for what a model of another format cannot be given. */
function refusal(why: string): Outcome {
  return /model of another format/.test(why) ? "refused" : "failed";
}

/** What the script prints; its exit code says only whether all was well. */
async function output(cwd: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, ["--no-warnings", ...args], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => child.once("close", resolve));
  return Buffer.concat(chunks).toString();
}
