/** The model door's answer to a guest's hook. */
import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { door, message, type Provider, type Told } from "./door.ts";

const proposes: Provider = (_asked, response) => {
  const call = { type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "ls" } };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(message([call], "tool_use")));
};

const request = { model: "m", max_tokens: 10, messages: [{ role: "user", content: "go" }] };
const report = (command: string, more: object = {}) => ({ tool_name: "Bash", tool_input: { command }, ...more });

test("DOR-12.1 a call that was proposed and allowed is 204, any other 403 with the reason in one line, and it stands in the journal", async () => {
  await door(proposes, {}, async ({ post, proc }) => {
    const ask = (command: string, more: object = {}): Promise<Told> => post("/daimon/hook", report(command, more));
    expect((await ask("ls")).status).toBe(403);
    await post("/v1/messages", request);
    const known = await ask("ls", { tool_use_id: "toolu_1", session_id: "s" });
    expect([known.status, known.text]).toEqual([204, ""]);
    const other = await ask("rm -rf x\nls", { tool_use_id: "toolu_1" });
    expect(other.status).toBe(403);
    expect(other.text).toMatch(/^[^\n]*no model proposed this call[^\n]*\n$/);
    expect(proc.refused).toBe(2);
  });
});

test("DOR-12.2 what is no report is refused and not kept, and nobody is heard without the credential of a living guest", async () => {
  await door(proposes, {}, async ({ post, proc }) => {
    const deep = `${"[".repeat(200)}${"]".repeat(200)}`;
    const large = JSON.stringify(report("x".repeat(limits.hookBytesMax)));
    const wrong = ["", "{", "[]", "{}", '{"tool_name":7}', `{"tool_name":"Bash","tool_input":${deep}}`, large];
    for (const body of wrong) expect((await post("/daimon/hook", body)).status, body.slice(0, 40)).toBe(400);
    expect((await post("/daimon/hook", { tool_name: "x".repeat(limits.hookNameCharsMax + 1) })).status).toBe(400);
    expect((await post("/daimon/hook", report("ls"), { "x-api-key": "other" })).status).toBe(403);
    expect((await post("/daimon/hook", report("ls"), { origin: "http://a.example" })).status).toBe(403);
    expect([proc.refused, proc.spend.calls]).toEqual([0, 0]);
  });
});
