/**
 * Passage: one request of a guest to a model, and its answer. What the guest sends goes on as it is, what the model says comes back as it is, and
 * between them stand the budget, the journal, and the decision on each call before the guest hears of it.
 *   DOR-4.1  Where nothing has to be changed the request and the answer are the same bytes on both sides, errors included.
 *   DOR-4.2  Nothing is asked of a model before the budget has room for it and the journal has the intent; no call of an answer is told before the
 *            journal durably has both.
 *   DOR-4.3  A call reaches the guest when it is allowed. When one is refused none of its reply does: the model is told why, may go on within a bound,
 *            and the guest reads in the same answer what was refused.
 *   DOR-4.4  A guest that was ended gets a last answer without a call, so that it can end by itself; after that it gets errors.
 *   DOR-4.5  A provider that fails before it answered is asked again within bounds; then its own error goes to the guest, and the process shows it.
 *   DOR-4.6  A guest that goes away ends what it asked for; what was generated until then is paid for.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../abi/clock.ts";
import { errnos, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Priced } from "../../kernel/admission.ts";
import type { GuestProcess, Verdict } from "../../kernel/guest.ts";
import type { CallAnswer, GuestFormat, Question } from "../../wire/guest-format.ts";
import type { Conversation, Said, Unsaid } from "./conversation.ts";
import { Telling } from "./telling.ts";

export interface Passage {
  readonly guest: GuestProcess;
  readonly format: GuestFormat;
  readonly question: Question;
  readonly model: Priced;
  readonly conversation: Conversation;
  readonly outputTokensMax: number;
  readonly clock: Clock;
  /** For ids of what daimon writes itself. */
  readonly id: string;
  /** Whether the guest had its last answer already; says so from then on. */
  lastAnswer(): boolean;
}

export async function pass(passage: Passage, response: ServerResponse): Promise<void> {
  const { guest, format, question, conversation, outputTokensMax } = passage;
  const telling = new Telling(response, format, question, passage.id, passage.clock);
  response.once("close", () => conversation.abort());
  const asking = { model: passage.model, windowTokens: question.windowTokens, outputTokensMax };
  for (let round = 0; ; round += 1) {
    const ticket = await guest.admit(asking);
    if (!ticket.ok) return stopped(passage, telling, ticket.error);
    const said = await conversation.ask(ticket.value, telling, round === 0);
    if ("trouble" in said) return failed(telling, said);
    const { reply, parts, held } = said;
    telling.spent(reply.usage);
    const verdicts = await guest.settle(ticket.value, reply);
    if (!verdicts.ok) return stopped(passage, telling, verdicts.error);
    const refused = verdicts.value.flatMap((verdict) => (verdict.refused === null ? [] : [verdict.refused.message]));
    if (refused.length === 0) {
      if (round === 0 && held !== null) return telling.deliver(held);
      for (const part of parts) telling.say(part);
      return telling.end(reply.stop, reply.stopSequence);
    }
    /** A stream that came as it was has told already what stood before the first call. */
    const told = round === 0 && held !== null && question.stream;
    if (!told) for (const part of reply.parts) if (part.type !== "call") telling.say(part);
    for (const message of refused) telling.say({ type: "text", text: `\n[daimon refused: ${message}]\n` });
    if (round >= limits.guestReasksMax || !conversation.answer(said, answersOf(guest, said, verdicts.value)))
      return telling.end("end");
  }
}

/** The model learns what was refused and why; the calls beside it were not made either, and it may make them again. */
function answersOf(guest: GuestProcess, { reply }: Said, verdicts: readonly Verdict[]): readonly CallAnswer[] {
  const names = reply.parts.flatMap((part) => (part.type === "call" ? [part.name] : []));
  return verdicts.map(({ modelId, refused }, n) => {
    if (refused === null) guest.unmade(modelId);
    return { id: modelId, name: names[n] ?? "", text: refused?.message ?? notMade };
  });
}

const notMade = "not made, because another call of the same reply was refused; make it again if it is still needed";

/** The guest is told that it is over in a way that ends it by itself; where only this kernel leaves it may try again. */
function stopped(passage: Passage, telling: Telling, error: SysError): void {
  if (error.errno !== "ECANCELED" || passage.lastAnswer()) return telling.fail(error, error.errno === "EAGAIN");
  telling.say({ type: "text", text: `[daimon: ${error.message}]` });
  telling.end("end");
}

function failed(telling: Telling, { trouble, answer, told }: Unsaid): void {
  if (told) return telling.close();
  if (answer !== null) return telling.deliverError(answer.status, answer.headers, answer.body);
  telling.fail(trouble, errnos[trouble.errno].retry === "later");
}
