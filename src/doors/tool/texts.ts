/** Texts: what was too long for one result, kept for the client to read on. It was given to the client's process already, so no call is needed. Rules: answers.ts. */
import { limits } from "../../abi/limits.ts";

/** The tool that reads on; it has no call behind it. */
export const readOn = {
  name: "daimon__read_on",
  description: "Reads on in a result that was cut: the note at its end names the text and where to go on.",
  inputSchema: {
    type: "object",
    properties: { text: { type: "string" }, from: { type: "integer", minimum: 0 } },
    required: ["text", "from"],
  },
  annotations: { readOnlyHint: true },
} as const;

export class Texts {
  readonly #texts = new Map<string, string>();
  #made = 0;

  /** The text where it is short; else its beginning, with a note. */
  shorten(text: string): string {
    if (text.length <= limits.doorTextCharsMax) return text;
    this.#made += 1;
    const name = String(this.#made);
    this.#texts.set(name, text);
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > limits.doorTextsMax && oldest !== undefined) this.#texts.delete(oldest);
    return this.#from(name, text, 0);
  }

  /** null where there is no such text any more. */
  read(name: string, from: number): string | null {
    const text = this.#texts.get(name);
    return text === undefined || from > text.length ? null : this.#from(name, text, from);
  }

  #from(name: string, text: string, from: number): string {
    let end = Math.min(text.length, from + limits.doorTextCharsMax);
    // Not between the halves of one character.
    if (end < text.length && isHighHalf(text.charCodeAt(end - 1))) end -= 1;
    if (end === text.length) return text.slice(from);
    const note = `${readOn.name} {"text":"${name}","from":${end}} reads on`;
    return `${text.slice(from, end)}\n[cut: ${text.length - end} more characters; ${note}]`;
  }
}

function isHighHalf(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
