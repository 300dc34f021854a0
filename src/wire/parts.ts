/**
 * Wire: what the wire formats share: tool names, contracts of the reply, arguments and usage.
 *   MOD-4.1  A call's name becomes a name every provider accepts ([A-Za-z0-9_-], at most 64), and comes back as it was.
 *   MOD-4.2  Arguments that are not JSON are kept as text, so the trap refuses them in words the model understands; a call cut off
 *            at the output limit never runs with empty arguments.
 *   MOD-4.3  A reported zero is not believed where there is text: the usage is estimated and marked as not reported.
 *   MOD-4.4  A contract whose root is not an object travels inside one, and is unwrapped in the reply.
 *   MOD-4.5  A conversation that grows is put together from what it was and what is new; one that was changed, from the start.
 */
import { limits } from "../abi/limits.ts";
import type { CallPart, ImagePart, Message, Part, ToolDefinition } from "../abi/message.ts";
import type { ModelReply, ModelRequest, StopReason, Usage } from "../abi/model.ts";
import { sha256 } from "../lib/hash.ts";
import { isObject, parseJson, tooDeep, type Json, type JsonObject, type JsonSchema } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";

const plain = /^[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*(?:\.[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*)*$/;
const nameCharsMax = 64;

/** `fs.read` travels as `fs__read`; a name that could be mistaken for another carries a digest. */
export function wireName(name: string): string {
  if (plain.test(name)) {
    const wire = name.replaceAll(".", "__");
    if (wire.length <= nameCharsMax) return wire;
  }
  const digest = sha256(name).slice(0, 10);
  return `${name.replace(/[^A-Za-z0-9-]+/g, "_").slice(0, nameCharsMax - 12)}__${digest}`;
}

/** The names of a request's tools, back from the wire. A name nobody offered is given back as a guess, for the trap to refuse. */
export function callNames(tools: readonly ToolDefinition[]): (wire: string) => string {
  const table = new Map(tools.map((tool) => [wireName(tool.name), tool.name]));
  return (wire) => table.get(wire) ?? wire.replaceAll("__", ".");
}

/** Arguments as the model wrote them. `cut`: the reply ended at its limit, so no text means no arguments yet. */
export function readArgs(text: string, cut: boolean): Json {
  if (text.trim() === "") return cut ? "" : {};
  const args = parseJson(text) ?? text;
  return tooDeep(args, limits.jsonDepthMax) ? text : args;
}

/** Arguments for a provider that insists on an object, also where the model once wrote something else. */
export function objectOf(args: Json): JsonObject {
  return isObject(args) ? args : { invalid_json: args };
}

/** The same as JSON text. */
export function objectArgs(args: Json): string {
  return JSON.stringify(objectOf(args));
}

export function jsonBytes(value: Json): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

export function callPart(id: string, name: string, args: Json): CallPart {
  return { type: "call", id, name, args };
}

export function mapStop(stop: StopReason, parts: readonly Part[]): StopReason {
  return stop === "end" && parts.some((part) => part.type === "call") ? "calls" : stop;
}

export interface Counted {
  readonly input: number | null;
  readonly output: number | null;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** A field that should be text; anything else is none. */
export function str(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** Whether something stands in the place of a list that is none: some readers take `{"0": …}` for one. */
export function isNoList(value: Json | undefined): boolean {
  return value != null && !Array.isArray(value);
}

/** The objects of a field that should be a list of them. */
export function listOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter(isObject) : [];
}

/** Whole, non-negative, or null. */
export function count(value: Json | undefined): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.round(value) : null;
}

export function usageOf({ input, output, cacheRead, cacheWrite }: Counted, request: ModelRequest, parts: readonly Part[]): Usage {
  /** Our own count takes longer than all the rest of a reply, so it is made only where it is needed. */
  const wrote = (output ?? 0) > 0 && (input ?? 0) > 0 ? 0 : tokensOf(parts);
  const reported = (input ?? 0) > 0 && ((output ?? 0) > 0 || wrote === 0);
  const inputTokens = reported ? (input ?? 0) : Math.max(input ?? 0, inputEstimate(request));
  const cacheReadTokens = Math.min(cacheRead, inputTokens);
  return {
    inputTokens,
    outputTokens: Math.max(output ?? 0, wrote),
    cacheReadTokens,
    cacheWriteTokens: Math.min(cacheWrite, inputTokens - cacheReadTokens),
    reported,
  };
}

function inputEstimate(request: ModelRequest): number {
  let tokens = estimateTokens(request.system);
  for (const message of request.messages) tokens += message.tokens;
  for (const tool of request.tools) tokens += estimateTokens(tool.description) + estimateTokens(JSON.stringify(tool.input));
  return tokens;
}

/** What providers charge for a picture of the size that they scale it to, at most about this. */
const imageTokens = 1_600;

/** The tokens of what was written, by our own count. */
export function tokensOf(parts: readonly Part[]): number {
  let tokens = 0;
  for (const part of parts) {
    if (part.type === "text" || part.type === "result") tokens += estimateTokens(part.text);
    else if (part.type === "call") tokens += estimateTokens(part.name) + estimateTokens(JSON.stringify(part.args));
    else if (part.type === "image") tokens += imageTokens;
    else tokens += estimateTokens(JSON.stringify(part.value));
  }
  return tokens;
}

/** As one address: OpenAI's formats have no other place for the bytes. */
export function imageUrl({ source }: ImagePart): string {
  return "url" in source ? source.url : `data:${source.mediaType};base64,${source.data}`;
}

/** Both of OpenAI's formats say it alike, but for the one tool that is to be called. */
export function openaiCalls({ calls }: ModelRequest, named: (wire: string) => string): readonly string[] {
  if (calls === undefined) return [];
  const fields: string[] = [];
  if (typeof calls.choice === "object") fields.push(`"tool_choice":${named(wireName(calls.choice.tool))}`);
  else if (calls.choice !== "auto") fields.push(`"tool_choice":"${calls.choice === "any" ? "required" : "none"}"`);
  if (!calls.several) fields.push(`"parallel_tool_calls":false`);
  return fields;
}

/** The contract of a reply as it travels. */
export interface Contract {
  readonly schema: JsonSchema;
  readonly wrapped: boolean;
}

export function contractOf(output: JsonSchema): Contract {
  if (output.type === "object") return { schema: output, wrapped: false };
  const { $defs, ...value } = output;
  const schema = { type: "object", properties: { value }, required: ["value"], additionalProperties: false };
  return { schema: $defs === undefined ? schema : { ...schema, $defs }, wrapped: true };
}

/** Takes the wrapping off; text that is not what was asked for stays as it is, for the contract's check to name. */
export function unwrap(text: string): string {
  const body = parseJson(text);
  return isObject(body) && body.value !== undefined ? JSON.stringify(body.value) : text;
}

/** The last step of every dialect: unwrap, count, name. `text` parts of a wrapped reply are unwrapped. */
export function finishReply(
  request: ModelRequest,
  parts: readonly Part[],
  stop: StopReason,
  counted: Counted,
  model: string,
): ModelReply {
  const wrapped = request.output !== null && contractOf(request.output).wrapped;
  const final = wrapped ? parts.map((part) => (part.type === "text" ? { ...part, text: unwrap(part.text) } : part)) : parts;
  return {
    parts: final,
    stop: mapStop(stop, final),
    usage: usageOf(counted, request, final),
    model: model === "" ? request.model : model,
  };
}

/** Whether OpenAI's strict mode takes the schema: every object closed, every property required. */
export function isStrict(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.every((item) => isStrict(item as Json));
  if (!isObject(schema)) return true;
  if ("allOf" in schema || "oneOf" in schema || "not" in schema || "if" in schema || "patternProperties" in schema) return false;
  if (schema.type === "object" || schema.properties !== undefined) {
    const properties = isObject(schema.properties) ? schema.properties : {};
    const required = Array.isArray(schema.required) ? schema.required : [];
    if (schema.additionalProperties !== false || Object.keys(properties).some((name) => !required.includes(name))) return false;
    if (!Object.values(properties).every((property) => isStrict(property))) return false;
  }
  const defs = isObject(schema.$defs) ? Object.values(schema.$defs) : [];
  return isStrict(schema.items ?? null) && isStrict(schema.anyOf ?? null) && defs.every((item) => isStrict(item));
}

/** Caches text under the object it was made from, so a message is serialised once however often it is sent. */
export function onceFor<T extends object>(make: (key: T) => string): (key: T) => string {
  const cache = new WeakMap<T, string>();
  return (key) => {
    let text = cache.get(key);
    if (text === undefined) cache.set(key, (text = make(key)));
    return text;
  };
}

/** Bytes that grow at their end; each append costs what is appended. */
export class Bytes {
  #buffer = Buffer.allocUnsafe(4_096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(text: string): void {
    // UTF-8 takes at most three bytes for a code unit.
    const most = this.#length + 3 * text.length;
    if (most > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(most, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#length += this.#buffer.write(text, this.#length, "utf8");
  }

  /** Valid until the next append. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
}

/**
 * Folds a list of messages, and begins where it left off when the list begins as it did the last time: a conversation that grows
 * costs what is new in it. Every message of the prefix is compared by identity, since any of them may have been replaced.
 */
export function foldCache<S>(
  start: () => S,
  step: (state: S, message: Message) => void,
): (messages: readonly Message[], count: number) => S {
  const cache = new WeakMap<Message, { readonly seen: Message[]; readonly state: S }>();
  return (messages, count) => {
    const [first] = messages;
    if (first === undefined || count === 0) return start();
    let known = cache.get(first);
    if (known === undefined || !startsWith(messages, count, known.seen)) {
      known = { seen: [], state: start() };
      cache.set(first, known);
    }
    for (let n = known.seen.length; n < count; n += 1) {
      const message = messages[n];
      if (message === undefined) break;
      step(known.state, message);
      known.seen.push(message);
    }
    return known.state;
  };
}

function startsWith(messages: readonly Message[], count: number, seen: readonly Message[]): boolean {
  if (seen.length > count) return false;
  for (let n = 0; n < seen.length; n += 1) if (seen[n] !== messages[n]) return false;
  return true;
}

/** Joins the texts of a conversation's messages by commas; messages without text are passed over. */
export function joinCache(textOf: (message: Message) => string): (messages: readonly Message[]) => Uint8Array {
  const join = foldCache(
    () => new Bytes(),
    (bytes, message) => {
      const text = textOf(message);
      if (text !== "") bytes.add(bytes.length === 0 ? text : `,${text}`);
    },
  );
  return (messages) => join(messages, messages.length).view();
}

/** A request's body: text before the conversation, the conversation, text after it. */
export function bodyOf(before: string, conversation: Uint8Array, after: string): Uint8Array {
  return Buffer.concat([Buffer.from(before), conversation, Buffer.from(after)]);
}

/** The head of every request of a process, kept with its tools: built again only when the system prompt changes. */
export function headCache<T>(make: (system: string, tools: readonly ToolDefinition[]) => T): (request: ModelRequest) => T {
  const cache = new WeakMap<readonly ToolDefinition[], { readonly system: string; readonly head: T }>();
  return ({ system, tools }) => {
    const known = cache.get(tools);
    if (known !== undefined && known.system === system) return known.head;
    const head = make(system, tools);
    cache.set(tools, { system, head });
    return head;
  };
}

export function hasText(text: string): boolean {
  return /\S/.test(text);
}
