/** What a program does with the `@google/genai` library. */
// @ts-nocheck: the libraries are installed for the trial alone, and so their types are not here.
import assert from "node:assert/strict";
import {
  allClosed,
  baseUrl,
  collected,
  endless,
  key,
  leave,
  load,
  long,
  model,
  person,
  png,
  throws,
  unicode,
  weather,
} from "./door-client.mjs";

export async function genai() {
  const { GoogleGenAI, ApiError } = await load("@google/genai");
  const api = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl } });
  const tools = [{ functionDeclarations: [{ name: "get_weather", description: "Weather.", parametersJsonSchema: weather }] }];
  const cases = {
    "gemini: whole": async () => {
      const said = await api.models.generateContent({ model, contents: `Reply with exactly: ${unicode}` });
      assert.equal(said.text, unicode);
      assert.ok(said.usageMetadata.totalTokenCount > 0);
    },
    "gemini: stream": async () => {
      const chunks = await collected(
        await api.models.generateContentStream({ model, contents: `Reply with exactly: ${unicode}` }),
      );
      assert.equal(chunks.map(({ text }) => text ?? "").join(""), unicode);
      assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
    },
    "gemini: system": async () => {
      const config = { systemInstruction: "Answer in upper case." };
      assert.equal((await api.models.generateContent({ model, contents: "Reply with exactly: loud", config })).text, "LOUD");
    },
    "gemini: bound and stop": async () => {
      const cut = await api.models.generateContent({
        model,
        contents: `Reply with exactly: ${long}`,
        config: { maxOutputTokens: 3 },
      });
      assert.equal(cut.candidates[0].finishReason, "MAX_TOKENS");
      const stopped = await api.models.generateContent({
        model,
        contents: "Reply with exactly: one two three",
        config: { stopSequences: ["two"] },
      });
      assert.equal(stopped.text, "one ");
    },
    "gemini: image": async () => {
      const contents = [{ role: "user", parts: [{ inlineData: { mimeType: "image/png", data: png } }, { text: "What is it?" }] }];
      assert.equal((await api.models.generateContent({ model, contents })).text, "I see 1 image(s).");
    },
    "gemini: JSON schema": async () => {
      const config = { responseMimeType: "application/json", responseJsonSchema: person };
      const said = await api.models.generateContent({ model, contents: "Somebody of 42", config });
      assert.deepEqual(JSON.parse(said.text), { name: "Somebody of 42", age: 42 });
    },
    "gemini: tool, its result, the end": async () => {
      const contents = [{ role: "user", parts: [{ text: "What is the weather in Paris?" }] }];
      const first = await api.models.generateContent({ model, contents, config: { tools } });
      const [call] = first.functionCalls;
      assert.deepEqual([call.name, call.args], ["get_weather", { city: "Paris" }]);
      const result = { functionResponse: { id: call.id, name: call.name, response: { output: "rain" } } };
      const turns = [...contents, first.candidates[0].content, { role: "user", parts: [result] }];
      assert.equal((await api.models.generateContent({ model, contents: turns, config: { tools } })).text, "The tool said: rain");
    },
    "gemini: count": async () => assert.ok((await api.models.countTokens({ model, contents: "hello" })).totalTokens > 0),
    "gemini: models": async () => assert.ok((await collected(await api.models.list())).length > 0),
    "gemini: abort in mid-stream": async () => {
      const gone = new AbortController();
      const stream = await api.models.generateContentStream({
        model,
        contents: endless,
        config: { abortSignal: gone.signal },
      });
      await leave(Object.assign(stream, { controller: gone }), () => true);
      await allClosed();
    },
  };
  for (const status of [400, 401, 403, 404, 500])
    cases[`gemini: ${status}`] = () =>
      throws(
        api.models.generateContent({ model, contents: `status-${status}` }),
        "gemini",
        { APIError: ApiError },
        ApiError,
        status,
      );
  return cases;
}
