/** Anthropic: the provider itself, and gateways that speak its API. Rules of the format: wire/messages.ts. */
import type { SysError } from "../../abi/errno.ts";
import type { ModelDriver } from "../../abi/model.ts";
import { ok, type Result } from "../../lib/result.ts";
import { messagesDialect, type MessagesOptions } from "../../wire/messages.ts";
import { windowOf } from "./prices.ts";
import { readBaseUrl, remoteDriver, type RemoteDeps } from "./remote.ts";

export interface AnthropicOptions extends MessagesOptions {
  /** Sent as `x-api-key`. */
  readonly apiKey: string | null;
  /** Sent as a bearer token, for gateways. */
  readonly authToken?: string | null;
  readonly baseUrl?: string;
  readonly version?: "2023-06-01" | "2026-10-21";
}

const officialUrl = "https://api.anthropic.com";

export function anthropicDriver(options: AnthropicOptions, deps: RemoteDeps): Result<ModelDriver, SysError> {
  const baseUrl = options.baseUrl ?? officialUrl;
  const url = readBaseUrl(baseUrl.replace(/\/v1\/?$/, ""), "/v1/messages");
  if (!url.ok) return url;
  const key = options.apiKey ?? "";
  const token = options.authToken ?? "";
  const auth = key !== "" ? ["x-api-key", key] : token !== "" ? ["authorization", `Bearer ${token}`] : [];
  return ok(
    remoteDriver(
      {
        name: "anthropic",
        url: url.value,
        headers: [...auth, "anthropic-version", options.version ?? "2026-10-21"],
        secrets: [key, token].filter((secret) => secret !== ""),
        keyName: "ANTHROPIC_API_KEY",
        keyMissing: auth.length === 0 && baseUrl === officialUrl,
      },
      messagesDialect(options),
      deps,
      (model) => windowOf("anthropic", model),
    ),
  );
}
