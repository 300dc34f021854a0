/**
 * What bench/door-trial.ts starts in the folder where the client libraries are installed: each does with one what a program would do with it, and checks what it
 * got. Prints a JSON list of `{ name, why }`; `why` is null where it went well. `door-clients.mjs CLIENT BASE_URL KEY UPSTREAM_URL FORMAT`, with
 * the one format that the upstream speaks, or `all`.
 */
// @ts-nocheck: the libraries are installed for the trial alone, and so their types are not here.
import { client } from "./door-client.mjs";
import { anthropic } from "./door-client-anthropic.mjs";
import { genai } from "./door-client-genai.mjs";
import { openai } from "./door-client-openai.mjs";

const clients = {
  openai,
  "anthropic-1": () => anthropic("@anthropic-ai/sdk"),
  "anthropic-0": () => anthropic("anthropic-sdk-0"),
  genai,
};
const results = [];
for (const [name, act] of Object.entries(await clients[client]())) {
  try {
    await act();
    results.push({ name, why: null });
  } catch (error) {
    results.push({
      name,
      why: String(error?.message ?? error)
        .split("\n")
        .slice(0, 3)
        .join(" ")
        .slice(0, 300),
    });
  }
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
