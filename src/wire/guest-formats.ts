/**
 * Guest formats: what each format that guests speak is to the doors.
 *   WRT-4.1  What is written in a format is heard in it again, streamed and in one piece.
 *   WRT-4.2  What is written behind a heard beginning goes on with it, wherever it stopped.
 *   WRT-4.3  What a provider said of the same format can be written on behind a beginning or a note, block by block as it was.
 *   WRT-4.4  A reply without parts is whole.
 *   WRT-4.5  Parts that a format has no block for are passed over.
 *   WRT-4.6  A beginning that broke off can be written to an end.
 *   WRT-4.7  To ask again adds the reply and the answers to its calls, and keeps every other field.
 */
import type { Format } from "../abi/upstream.ts";
import { chatGuest } from "./chat-guest.ts";
import { geminiGuest } from "./gemini-guest.ts";
import type { GuestFormat } from "./guest-format.ts";
import { messagesGuest } from "./messages-guest.ts";
import { responsesGuest } from "./responses-guest.ts";

export const guestFormats: Readonly<Record<Format, GuestFormat>> = {
  messages: messagesGuest,
  responses: responsesGuest,
  chat: chatGuest,
  gemini: geminiGuest,
};
