/**
 * Upstreams: the providers to whom guests' requests go as they are, by format. Their keys stay here.
 *   BOO-30.1  A provider is there when its key is set, or when the configuration gives its address; the one the CPU names comes first.
 *   BOO-30.2  Where no provider speaks a format, the error says which variable or setting would make one.
 *   BOO-30.3  A CPU that a person chose answers every guest, also one of another format, by translation; a provider that is merely there answers
 *            those of its own format before that.
 */
import type { Pool } from "undici";
import { fail, type SysError } from "../abi/errno.ts";
import type { Format, Upstream } from "../abi/upstream.ts";
import type { Destination } from "../doors/model/gateway.ts";
import { ok, type Result } from "../lib/result.ts";
import { isLoopback } from "../drivers/net/address.ts";
import { cost, priceOf } from "../drivers/model/prices.ts";
import { readBaseUrl } from "../drivers/model/remote.ts";
import type { Config } from "./config.ts";
import type { Cpus } from "./cpus.ts";

export interface UpstreamOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The CPU a person chose: `anthropic/claude-…`; null: none. */
  readonly chosen: string | null;
  readonly cpus: Pick<Cpus, "default" | "load">;
}

export interface Upstreams {
  of(format: Format): Promise<Upstream | null>;
  destination(format: Format, model: string): Promise<Result<Destination, SysError>>;
  close(): Promise<void>;
}

interface Provider {
  readonly name: string;
  readonly formats: readonly Format[];
  readonly baseUrl: URL;
  readonly headers: readonly string[];
}

interface Known {
  readonly formats: readonly Format[];
  readonly url: string;
  /** What stands between its address and what a format's path begins with. */
  readonly version: string;
  readonly keyEnv: string;
  key(key: string): readonly string[];
}

const bearer = (key: string): readonly string[] => ["authorization", `Bearer ${key}`];

const known: Readonly<Record<string, Known>> = {
  anthropic: {
    formats: ["messages"],
    url: "https://api.anthropic.com",
    version: "/v1",
    keyEnv: "ANTHROPIC_API_KEY",
    key: (key) => ["x-api-key", key],
  },
  openai: {
    formats: ["responses", "chat"],
    url: "https://api.openai.com/v1",
    version: "",
    keyEnv: "OPENAI_API_KEY",
    key: bearer,
  },
  gemini: {
    formats: ["gemini"],
    url: "https://generativelanguage.googleapis.com",
    version: "",
    keyEnv: "GEMINI_API_KEY",
    key: (key) => ["x-goog-api-key", key],
  },
};

export function openUpstreams(options: UpstreamOptions): Result<Upstreams, SysError> {
  const providers = providersOf(options);
  if (!providers.ok) return providers;
  const opened = new Map<string, Promise<Upstream>>();
  const pools: Pool[] = [];
  const open = async ({ name, baseUrl, headers }: Provider): Promise<Upstream> => {
    const [{ openPool }, { httpUpstream }] = await Promise.all([
      import("../drivers/model/http.ts"),
      import("../drivers/model/upstream.ts"),
    ]);
    const pool = await openPool(baseUrl.origin);
    pools.push(pool);
    return httpUpstream({ name, baseUrl, headers, pool });
  };
  const upstreamOf = (provider: Provider): Promise<Upstream> => {
    const upstream = opened.get(provider.name) ?? open(provider);
    opened.set(provider.name, upstream);
    return upstream;
  };
  const speaker = (format: Format): Provider | undefined => providers.value.find(({ formats }) => formats.includes(format));
  return ok({
    of: async (format) => {
      const provider = speaker(format);
      return provider === undefined ? null : await upstreamOf(provider);
    },
    async destination(format, model) {
      const provider = speaker(format);
      const other = otherThan(provider, options);
      if (other !== null) return await translation(other, options.cpus);
      if (provider === undefined) return fail("ENOENT", missing(format));
      const price = priceOf({ name: provider.name, remote: !isLoopback(provider.baseUrl.hostname) }, model);
      return ok({ model: { model, cost: (usage) => cost(usage, price) }, upstream: await upstreamOf(provider) });
    },
    close: async () => {
      await Promise.all(pools.map((pool) => pool.destroy()));
    },
  });
}

/** The CPU that answers instead of a provider of the format. The embedded one only where it was chosen: it is no model that a guest expects. */
function otherThan(provider: Provider | undefined, { chosen, cpus }: UpstreamOptions): string | null {
  if (chosen !== null) return provider?.name === chosen.split("/")[0] ? null : chosen;
  return provider === undefined && cpus.default !== "reflex" ? cpus.default : null;
}

async function translation(name: string, cpus: UpstreamOptions["cpus"]): Promise<Result<Destination, SysError>> {
  const cpu = await cpus.load(name);
  return cpu.ok ? ok({ model: cpu.value, driver: cpu.value.driver }) : cpu;
}

/** In order of preference: the one the CPU names, then as they are configured, then those whose key is set. */
function providersOf({ config, env, chosen }: UpstreamOptions): Result<readonly Provider[], SysError> {
  const names = new Set([chosen?.split("/")[0] ?? "", ...Object.keys(config.models), ...Object.keys(known)]);
  const providers: Provider[] = [];
  for (const name of names) {
    const setting = config.models[name];
    const spec = Object.hasOwn(known, name) ? known[name] : undefined;
    const address = setting?.baseUrl ?? spec?.url;
    const key = env[setting?.keyEnv ?? spec?.keyEnv ?? ""] ?? "";
    if (address === undefined || (key === "" && (setting?.baseUrl ?? null) === null)) continue;
    const version = spec?.version ?? "";
    const baseUrl = readBaseUrl(version === "" ? address : address.replace(/\/v1\/?$/, ""), version);
    if (!baseUrl.ok) return baseUrl;
    const headers = key === "" ? [] : spec === undefined ? bearer(key) : spec.key(key);
    providers.push({ name, formats: spec?.formats ?? ["chat"], baseUrl: baseUrl.value, headers });
  }
  return ok(providers);
}

function missing(format: Format): string {
  const [name, spec] = Object.entries(known).find(([, { formats }]) => formats.includes(format)) ?? ["", undefined];
  return `no provider of this format is here: set ${spec?.keyEnv ?? "a key"}, or give models.${name}.baseUrl in daimon.yaml`;
}
