/** The tool door over a pair of streams. */
import { PassThrough } from "node:stream";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { serveStreams } from "../../../src/doors/tool/stdio.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../../../src/lib/json.ts";
import { openedDoor, type Opened } from "./opened.ts";

let opened: Opened;
beforeAll(async () => {
  opened = await openedDoor();
});
afterAll(() => opened.close());

function pipes() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const door = serveStreams(opened.door, input, output);
  const lines = createInterface({ input: output })[Symbol.asyncIterator]();
  /** Passes over what the server tells in between. */
  const ask = async (message: JsonObject): Promise<Json> => {
    input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    for (;;) {
      const { value } = await lines.next();
      const answer = parseJson(String(value));
      if (isObject(answer) && answer.id === message.id) return answer;
    }
  };
  return { door, input, output, ask };
}

test("DRT-6.1 the client's first message chooses the era", async () => {
  const old = pipes();
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  expect(await old.ask({ id: 1, method: "initialize", params })).toMatchObject({ result: { protocolVersion: "2025-06-18" } });
  old.input.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  expect(await old.ask({ id: 2, method: "tools/call", params: { name: "fs__read", arguments: {} } })).toMatchObject({
    result: { content: [{ type: "text", text: "path: a.txt\nown words" }] },
  });
  old.input.end();
  await old.door.ended;
  const fresh = pipes();
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
  };
  expect(await fresh.ask({ id: 1, method: "server/discover", params: { _meta } })).toMatchObject({
    result: { supportedVersions: ["2026-07-28"] },
  });
  expect(await fresh.ask({ id: 2, method: "tools/call", params: { name: "fs__read", arguments: {}, _meta } })).toMatchObject({
    result: { resultType: "complete" },
  });
  await fresh.door.close();
  await fresh.door.ended;
});

test("DRT-6.1 a message beyond the bound ends the connection", async () => {
  const { door, input } = pipes();
  input.write("x".repeat(limits.doorBodyBytesMax + 1));
  await door.ended;
});
