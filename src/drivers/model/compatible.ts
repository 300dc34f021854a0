/**
 * Compatible: any server that speaks Chat Completions (Ollama, llama.cpp, LM Studio, vLLM, a gateway), and finding the local ones.
 *   MOD-9.1  Detection asks the known ports of this machine at the same time and is over within its bound, whatever listens there.
 *   MOD-9.2  What answers but is not the server expected at its port is not reported.
 *   MOD-9.3  The window is the one the server runs with where it says so, else a conservative one.
 */
import type { Clock } from "../../abi/clock.ts";
import type { SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { ModelDriver } from "../../abi/model.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { httpClient, type HttpClient } from "./http.ts";
import { chatDialect } from "../../wire/chat.ts";
import { localWindowTokens } from "./prices.ts";
import { readBaseUrl, remoteDriver, type RemoteDeps } from "./remote.ts";
import { count } from "../../wire/parts.ts";

export interface CompatibleOptions {
  /** Up to and with `/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string | null;
  /** The variable that holds the key, for errors. */
  readonly keyName?: string;
  /** Known windows by model, as detection gave them. */
  readonly windows?: Readonly<Record<string, number>>;
}

export function compatibleDriver(options: CompatibleOptions, deps: RemoteDeps): Result<ModelDriver, SysError> {
  const url = readBaseUrl(options.baseUrl, "/chat/completions");
  if (!url.ok) return url;
  const key = options.apiKey ?? "";
  const windows = new Map(Object.entries(options.windows ?? {}));
  return ok(
    remoteDriver(
      {
        name: "openai-compatible",
        url: url.value,
        headers: key === "" ? [] : ["authorization", `Bearer ${key}`],
        secrets: key === "" ? [] : [key],
        keyName: options.keyName ?? "OPENAI_COMPATIBLE_API_KEY",
        keyMissing: false,
      },
      chatDialect({ effort: null, local: true }),
      deps,
      (model) => windows.get(model) ?? localWindowTokens,
    ),
  );
}

export type LocalServer = "ollama" | "llama.cpp" | "lm-studio" | "vllm";

export interface Found {
  readonly server: LocalServer;
  /** For `compatibleDriver`. */
  readonly baseUrl: string;
  readonly models: readonly { readonly id: string; readonly contextTokens: number | null }[];
}

export interface DetectOptions {
  readonly clock: Clock;
  readonly timeoutMs?: number;
  /** Other ports than the servers' own. */
  readonly ports?: Partial<Readonly<Record<LocalServer, number>>>;
}

const defaultPorts: Readonly<Record<LocalServer, number>> = { ollama: 11434, "llama.cpp": 8080, "lm-studio": 1234, vllm: 8000 };

/** Which local model servers run here, in a fixed order. */
export async function detectLocal(options: DetectOptions): Promise<Found[]> {
  const http = httpClient(options.clock);
  const timeoutMs = options.timeoutMs ?? limits.detectTimeoutMs;
  const over = new AbortController();
  const cancel = options.clock.after(timeoutMs, () => over.abort());
  const servers = Object.keys(defaultPorts) as LocalServer[];
  const found = await Promise.all(
    servers.map(async (server): Promise<Found | null> => {
      const origin = `http://127.0.0.1:${options.ports?.[server] ?? defaultPorts[server]}`;
      const get: Get = (path) => getJson(http, new URL(path, origin), timeoutMs, over.signal);
      const models = await probes[server](get);
      return models === null ? null : { server, baseUrl: `${origin}/v1`, models };
    }),
  );
  cancel();
  await http.close();
  return found.filter((entry) => entry !== null);
}

type Get = (path: string) => Promise<Json | undefined>;
type Models = Found["models"];

const probes: Readonly<Record<LocalServer, (get: Get) => Promise<Models | null>>> = {
  /** A model's own maximum says nothing about the window Ollama runs it with; the list of loaded models does. */
  async ollama(get) {
    const [tags, loaded] = await Promise.all([get("/api/tags"), get("/api/ps")]);
    if (!isObject(tags) || !Array.isArray(tags.models)) return null;
    const windows = new Map(listOf(loaded, "models").map((model) => [nameOf(model), count(model.context_length)]));
    return listOf(tags, "models").map((model) => ({ id: nameOf(model), contextTokens: windows.get(nameOf(model)) ?? null }));
  },
  async "llama.cpp"(get) {
    const [props, list] = await Promise.all([get("/props"), get("/v1/models")]);
    const settings = isObject(props) ? props.default_generation_settings : undefined;
    if (!isObject(settings)) return null;
    const contextTokens = count(settings.n_ctx);
    return listOf(list, "data").map((model) => ({ id: nameOf(model), contextTokens }));
  },
  async "lm-studio"(get) {
    const list = await get("/api/v0/models");
    if (!isObject(list) || !Array.isArray(list.data)) return null;
    return listOf(list, "data")
      .filter((model) => model.type === "llm" || model.type === "vlm")
      .map((model) => ({ id: nameOf(model), contextTokens: count(model.loaded_context_length) }));
  },
  async vllm(get) {
    const list = listOf(await get("/v1/models"), "data");
    const own = list.filter((model) => model.owned_by === "vllm" || count(model.max_model_len) !== null);
    return own.length === 0 ? null : own.map((model) => ({ id: nameOf(model), contextTokens: count(model.max_model_len) }));
  },
};

function listOf(body: Json | undefined, field: string): JsonObject[] {
  const list = isObject(body) ? body[field] : undefined;
  return Array.isArray(list) ? (list as readonly Json[]).filter(isObject).filter((model) => nameOf(model) !== "") : [];
}

function nameOf(model: JsonObject): string {
  const name = model.id ?? model.name ?? model.model;
  return typeof name === "string" ? name : "";
}

async function getJson(http: HttpClient, url: URL, timeoutMs: number, signal: AbortSignal): Promise<Json | undefined> {
  const answer = await http.send({
    url,
    method: "GET",
    headers: [],
    body: null,
    signal,
    sink: null,
    timeoutMs,
    bytesMax: limits.detectBytesMax,
  });
  return answer.ok && answer.value.status === 200 ? parseJson(answer.value.body.toString("utf8")) : undefined;
}
