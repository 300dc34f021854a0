/** OpenAI: the provider itself, over Responses or Chat Completions. Rules of the formats: wire/responses.ts, wire/chat.ts. */
import type { SysError } from "../../abi/errno.ts";
import type { ModelDriver } from "../../abi/model.ts";
import { ok, type Result } from "../../lib/result.ts";
import { chatDialect } from "../../wire/chat.ts";
import { responsesDialect, type ResponsesOptions } from "../../wire/responses.ts";
import { windowOf } from "./prices.ts";
import { readBaseUrl, remoteDriver, type RemoteDeps } from "./remote.ts";

export interface OpenAiOptions extends ResponsesOptions {
  readonly apiKey: string | null;
  readonly baseUrl?: string;
  readonly dialect?: "responses" | "chat";
}

const officialUrl = "https://api.openai.com/v1";
export function openAiDriver(options: OpenAiOptions, deps: RemoteDeps): Result<ModelDriver, SysError> {
  const chat = options.dialect === "chat";
  const baseUrl = options.baseUrl ?? officialUrl;
  const url = readBaseUrl(baseUrl, chat ? "/chat/completions" : "/responses");
  if (!url.ok) return url;
  const key = options.apiKey ?? "";
  return ok(
    remoteDriver(
      {
        name: "openai",
        url: url.value,
        headers: key === "" ? [] : ["authorization", `Bearer ${key}`],
        secrets: key === "" ? [] : [key],
        keyName: "OPENAI_API_KEY",
        keyMissing: key === "" && baseUrl === officialUrl,
      },
      chat ? chatDialect({ effort: options.effort ?? null, local: false }) : responsesDialect({ effort: options.effort ?? null }),
      deps,
      (model) => windowOf("openai", model),
    ),
  );
}
