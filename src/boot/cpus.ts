/**
 * CPUs: the models a machine can run processes on, by name: `reflex`, `anthropic/MODEL`, `openai/MODEL`, `ollama/MODEL`, a configured provider.
 *   BOO-9.1  Without configuration the first of these that is there is the default: a provider whose key is set, a local server, `reflex`.
 *   BOO-9.2  A remote driver is loaded when a process needs it, so that a machine without one does not pay for it.
 *   BOO-9.3  An unknown name is refused with the names that are known.
 */
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { ModelDriver } from "../abi/model.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Cpu } from "../kernel/core.ts";
import { cost, priceOf } from "../drivers/model/prices.ts";
import type { Config } from "./config.ts";

export interface CpuOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly instance: string;
  /** The one the person named; null lets the configuration or the machine choose. */
  readonly chosen: string | null;
}

/** Where a CPU can come from, as `doctor` lists it. */
export interface CpuSource {
  readonly name: string;
  readonly model: string;
  readonly why: string;
}

export interface Cpus {
  readonly default: string;
  readonly sources: readonly CpuSource[];
  /** Makes a CPU ready; get() knows it from then on. */
  load(name: string): Promise<Result<Cpu, SysError>>;
  get(name: string): Cpu | null;
  close(): Promise<void>;
}

interface Local {
  readonly server: string;
  readonly baseUrl: string;
  readonly models: readonly { readonly id: string; readonly contextTokens: number | null }[];
}

const defaultModels = { anthropic: "claude-sonnet-4-5", openai: "gpt-5.1" } as const;

export async function openCpus(options: CpuOptions): Promise<Cpus> {
  const wanted = options.chosen ?? options.config.cpu;
  const needsLocal = wanted === null && keyed(options.env) === null;
  const locals = needsLocal || isLocalName(wanted) ? await detect(options.clock) : [];
  const sources = sourcesOf(options, locals);
  const drivers = new Map<string, ModelDriver>();
  const cpus = new Map<string, Cpu>();
  const load = async (name: string): Promise<Result<Cpu, SysError>> => {
    const known = cpus.get(name);
    if (known !== undefined) return ok(known);
    const [provider = "", ...rest] = name.split("/");
    const model = rest.length > 0 ? rest.join("/") : (sources.find((source) => source.name === provider)?.model ?? "");
    const driver = await loadDriver(provider, options, locals, drivers, sources);
    if (!driver.ok) return driver;
    if (model === "" && provider !== "reflex" && provider !== "gullible")
      return fail("EINVAL", `name a model of ${provider}, such as ${provider}/MODEL`);
    const price = priceOf(driver.value, model);
    const cpu: Cpu = { driver: driver.value, model: model === "" ? provider : model, cost: (usage) => cost(usage, price) };
    cpus.set(name, cpu);
    return ok(cpu);
  };
  return {
    default: wanted ?? sources.find((source) => source.model !== "")?.name ?? "reflex",
    sources,
    load,
    get: (name) => cpus.get(name) ?? null,
    close: async () => {
      for (const driver of drivers.values()) await driver.close();
    },
  };
}

function keyed(env: CpuOptions["env"]): "anthropic" | "openai" | null {
  if (env["ANTHROPIC_API_KEY"] !== undefined && env["ANTHROPIC_API_KEY"] !== "") return "anthropic";
  return env["OPENAI_API_KEY"] !== undefined && env["OPENAI_API_KEY"] !== "" ? "openai" : null;
}

const localNames = ["ollama", "llama.cpp", "lm-studio", "vllm"];

function isLocalName(name: string | null): boolean {
  return name !== null && localNames.includes(name.split("/")[0] ?? "");
}

async function detect(clock: Clock): Promise<readonly Local[]> {
  const { detectLocal } = await import("../drivers/model/compatible.ts");
  return await detectLocal({ clock });
}

/** In order of preference. */
function sourcesOf({ config, env }: CpuOptions, locals: readonly Local[]): readonly CpuSource[] {
  const sources: CpuSource[] = [];
  const first = keyed(env);
  if (first !== null)
    sources.push({
      name: first,
      model: defaultModels[first],
      why: `${first === "anthropic" ? "ANTHROPIC" : "OPENAI"}_API_KEY is set`,
    });
  for (const [name, setting] of Object.entries(config.models)) {
    if (name !== first)
      sources.push({ name, model: "", why: `configured${setting.baseUrl === null ? "" : `, at ${setting.baseUrl}`}` });
  }
  for (const local of locals) {
    const model = local.models[0]?.id;
    if (model !== undefined) sources.push({ name: local.server, model, why: `answers at ${local.baseUrl}` });
  }
  sources.push({ name: "reflex", model: "reflex", why: "embedded: extractive, deterministic, free" });
  return sources;
}

async function loadDriver(
  provider: string,
  options: CpuOptions,
  locals: readonly Local[],
  drivers: Map<string, ModelDriver>,
  sources: readonly CpuSource[],
): Promise<Result<ModelDriver, SysError>> {
  const known = drivers.get(provider);
  if (known !== undefined) return ok(known);
  const made = await makeDriver(provider, options, locals, sources);
  if (made.ok) drivers.set(provider, made.value);
  return made;
}

async function makeDriver(
  provider: string,
  options: CpuOptions,
  locals: readonly Local[],
  sources: readonly CpuSource[],
): Promise<Result<ModelDriver, SysError>> {
  if (provider === "reflex") return ok((await import("../drivers/model/reflex.ts")).reflexDriver());
  if (provider === "gullible") return ok((await import("../drivers/model/gullible.ts")).gullibleDriver());
  const setting = options.config.models[provider];
  const local = locals.find((found) => found.server === provider);
  const { httpClient } = await import("../drivers/model/http.ts");
  const deps = { http: httpClient(options.clock), clock: options.clock, random: options.random, instance: options.instance };
  const key = (name: string): string | null => options.env[setting?.keyEnv ?? name] ?? null;
  const baseUrl = setting?.baseUrl === null || setting === undefined ? {} : { baseUrl: setting.baseUrl };
  if (provider === "anthropic") {
    const { anthropicDriver } = await import("../drivers/model/anthropic.ts");
    return anthropicDriver({ apiKey: key("ANTHROPIC_API_KEY"), ...baseUrl }, deps);
  }
  if (provider === "openai") {
    const { openAiDriver } = await import("../drivers/model/openai.ts");
    return openAiDriver({ apiKey: key("OPENAI_API_KEY"), ...baseUrl }, deps);
  }
  const url = setting?.baseUrl ?? local?.baseUrl;
  if (url !== undefined && url !== null) {
    const { compatibleDriver } = await import("../drivers/model/compatible.ts");
    const windows = Object.fromEntries(
      local?.models.flatMap(({ id, contextTokens }) => (contextTokens === null ? [] : [[id, contextTokens]])) ?? [],
    );
    return compatibleDriver({ baseUrl: url, apiKey: setting?.keyEnv == null ? null : key(setting.keyEnv), windows }, deps);
  }
  const names = [...new Set(["reflex", "gullible", "anthropic", "openai", ...sources.map((source) => source.name)])];
  return fail(
    "ENOENT",
    `there is no CPU ${JSON.stringify(provider)}; known are ${names.join(", ")}, and what daimon.yaml lists under models`,
  );
}
