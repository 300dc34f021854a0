/**
 * Hook: what a guest's own hook says at the model door of a call that it is about to make. The hook is a script of ours in the guest's sandbox, which
 * refuses the call on any answer but 204: of a guest that runs it, no call is made that no model proposed here. It is never the only barrier.
 *   DOR-12.1  A call that is open, allowed and of the same meaning is 204. Any other is 403 with the reason in one line, and stands in the journal.
 *   DOR-12.2  A report that is too large, breaks off or is none is refused, and nothing of it is kept.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { limits } from "../../abi/limits.ts";
import type { GuestProcess } from "../../kernel/guest.ts";
import { isObject, parseJson, tooDeep, type Json } from "../../lib/json.ts";
import { visible } from "../../lib/visible.ts";

/** Claude Code, Codex and Gemini CLI write these fields alike. */
interface Report {
  readonly name: string;
  readonly args: Json;
  /** The model's own id of the call, where the agent gives it. */
  readonly id: string | null;
}

export async function hook(guest: GuestProcess, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await textOf(request);
  const report = text === null ? null : reportOf(text);
  if (report === null) return say(response, 400, "the hook's report cannot be read, or is too large");
  const refused = guest.reported(report.name, report.args, report.id);
  if (refused !== null) return say(response, 403, refused.message);
  response.writeHead(204, { connection: "close" });
  response.end();
}

function reportOf(text: string): Report | null {
  const body = parseJson(text);
  if (!isObject(body) || tooDeep(body, limits.jsonDepthMax)) return null;
  const { tool_name: name, tool_input: args, tool_use_id: id } = body;
  if (typeof name !== "string" || name === "" || name.length > limits.hookNameCharsMax) return null;
  return { name, args: args ?? {}, id: typeof id === "string" ? id : null };
}

/** null: it is too large, or broke off. */
async function textOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) return null;
      bytes += chunk.length;
      if (bytes > limits.hookBytesMax) return null;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** In one line, which is all that the script reads. */
function say(response: ServerResponse, status: number, message: string): void {
  const line = visible(message).replaceAll(/\s+/g, " ");
  const length = Buffer.byteLength(line) + 1;
  response.writeHead(status, { connection: "close", "content-type": "text/plain; charset=utf-8", "content-length": length });
  response.end(`${line}\n`);
}
