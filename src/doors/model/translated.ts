/**
 * Translated: a conversation with a model that speaks another format than the guest: through the one internal form and the model's own driver.
 *   DOR-9.1  What the guest asked arrives at the model in its own format: system, turns, calls with their results, tools, the bound of the output.
 *   DOR-9.2  What cannot be said in the internal form is an error to the guest that names it, and nothing is asked.
 *   DOR-9.4  A reply ends where the guest's first stop sequence begins in its text, whatever the model's own provider can be told of them; the guest reads
 *            which one it was where its format says it.
 *   DOR-9.3  Refused calls are answered and the model asked again, as where bytes pass.
 */
import { fail, type SysError } from "../../abi/errno.ts";
import type { Message, Part } from "../../abi/message.ts";
import type { ModelDriver, ModelReply, ModelRequest } from "../../abi/model.ts";
import type { GuestProcess } from "../../kernel/guest.ts";
import { limits } from "../../abi/limits.ts";
import { parseJson, tooDeep, type Json } from "../../lib/json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { GuestFormat } from "../../wire/guest-format.ts";
import { tokensOf } from "../../wire/parts.ts";
import type { KeptBody } from "./body.ts";
import type { Conversation } from "./conversation.ts";

export interface TranslatedOptions {
  readonly guest: GuestProcess;
  readonly format: GuestFormat;
  readonly driver: ModelDriver;
  /** As its driver knows it; the guest asked for another. */
  readonly model: string;
  readonly outputTokensMax: number;
  readonly body: Pick<KeptBody, "text">;
  /** For the provider's idempotency, where it has one. */
  readonly id: string;
}

export function translated(options: TranslatedOptions): Result<Conversation, SysError> {
  const { guest, format, driver, model, outputTokensMax } = options;
  const body = parseJson(options.body.text());
  const asked = readable(body) ? format.request(body) : err("it is not JSON, or lies deeper than anything may");
  if (!asked.ok)
    return fail("EINVAL", `${driver.name} speaks another format, and the request cannot be said there: ${asked.error}`);
  if (driver.textOnly === true && asked.value.messages.some(({ parts }) => parts.some(({ type }) => type === "image")))
    return fail("EINVAL", `the request shows an image, and ${driver.name} reads text alone; ask another model`);
  const { stopSequences, ...said } = asked.value;
  let request: ModelRequest = { ...said, model, outputTokensMax };
  let round = 0;
  const gone = new AbortController();
  return ok({
    async ask(ticket) {
      round += 1;
      request = { ...request, idempotencyKey: `${options.id}-${round}` };
      const thought = await think(driver, request, gone.signal);
      if (!thought.ok) {
        guest.lost(ticket, thought.error, false, 0);
        return { trouble: thought.error, answer: null, told: false };
      }
      const reply = endedAt(thought.value, stopSequences);
      return { reply, parts: reply.parts, held: null };
    },
    answer({ reply }, answers) {
      const results = answers.map(({ id, name, text }): Part => ({ type: "result", id, name, ok: false, text, page: "" }));
      request = { ...request, messages: [...request.messages, message("assistant", reply.parts), message("tool", results)] };
      return true;
    },
    abort: () => gone.abort("the guest is gone"),
  });
}

/** What is deeper cannot be written again. */
function readable(body: Json | undefined): body is Json {
  return body !== undefined && !tooDeep(body, limits.jsonDepthMax);
}

/** A driver that throws has failed. */
async function think(driver: ModelDriver, request: ModelRequest, signal: AbortSignal): Promise<Result<ModelReply, SysError>> {
  try {
    return await driver.think(request, { signal, onDelta: null });
  } catch (error) {
    return fail("EIO", `the driver ${driver.name} failed`, error instanceof Error ? error.message : "");
  }
}

/** What stands behind the first of the sequences was never said: no call of it is made. */
function endedAt(reply: ModelReply, sequences: readonly string[]): ModelReply {
  for (const [n, part] of reply.parts.entries()) {
    if (part.type !== "text") continue;
    const found = sequences
      .map((sequence) => ({ sequence, at: part.text.indexOf(sequence) }))
      .filter(({ at }) => at >= 0)
      .toSorted((a, b) => a.at - b.at)[0];
    if (found === undefined) continue;
    const parts = [...reply.parts.slice(0, n), { ...part, text: part.text.slice(0, found.at) }];
    return { ...reply, parts, stop: "end", stopSequence: found.sequence };
  }
  return reply;
}

function message(role: Message["role"], parts: readonly Part[]): Message {
  return { role, parts, tokens: tokensOf(parts) };
}
