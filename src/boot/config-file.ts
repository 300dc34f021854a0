/**
 * Configuration file: the text of one scope as values, each with the line it stands on.
 * Values are read from the YAML tree itself, so every complaint knows its line and nothing is built that the table of keys does not name.
 *   BOO-3.1  An unknown key is an error with file, line and the nearest known key.
 *   BOO-3.2  A value of the wrong type or unit is an error that names what is expected, with an example.
 *   BOO-3.3  Syntax errors, duplicate keys, unknown tags, several documents, files too large and too many aliases are errors with a line.
 *   BOO-3.4  What looks like a credential is an error that does not repeat it and tells to name a variable with `keyEnv`.
 *   BOO-3.21  A host under `egress` is a name, with the header and the variable that holds what the header is to carry; a header of the connection is none.
 *   BOO-3.5  All problems of a file are told at once, ten at most, in the order of their lines.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type YAMLMap } from "yaml";
import { limits } from "../abi/limits.ts";
import { didYouMean } from "./suggest.ts";
import { looksSecret } from "./secret.ts";
import { parseBytes, parseCount, parseDuration, parseUsd } from "./units.ts";

/** A value and its line, counted from 1. */
export interface Placed<T> {
  readonly value: T;
  readonly line: number;
}

export interface ModelEntry {
  readonly baseUrl: Placed<string> | null;
  readonly keyEnv: Placed<string> | null;
}

/** What requests of guests to one host get from the kernel. */
export interface EgressEntry {
  readonly header: string;
  readonly keyEnv: string;
}

export interface McpEntry {
  readonly command: string | null;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly url: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** One file, every key optional. The names follow the file; units are in the comment. */
export interface ConfigFile {
  readonly cpu: Placed<string> | null;
  readonly models: ReadonlyMap<string, Placed<ModelEntry>>;
  readonly policy: Readonly<Record<PolicyKey, readonly Placed<string>[]>>;
  /** Dollars, tokens, calls and milliseconds by the names of Limits; so for the sandbox. */
  readonly numbers: ReadonlyMap<NumberKey, Placed<number>>;
  readonly mcp: ReadonlyMap<string, Placed<McpEntry>>;
  readonly egress: ReadonlyMap<string, Placed<EgressEntry>>;
  readonly instructions: readonly Placed<string>[];
}

export const policyKeys = ["files", "allow", "ask", "deny"] as const;
export type PolicyKey = (typeof policyKeys)[number];

interface NumberSpec {
  readonly section: "budget" | "sandbox" | null;
  readonly key: string;
  readonly parse: (text: string) => number | null;
  readonly min: number;
  readonly example: string;
}

/** The one table of numeric settings: the key in the merged configuration, its place in the file, its unit. */
export const numberKeys = {
  "budget.costUsd": { section: "budget", key: "costUsd", parse: parseUsd, min: 0, example: "an amount like `2 USD`" },
  "budget.tokens": { section: "budget", key: "tokens", parse: parseCount, min: 0, example: "a count like `1_000_000` or `2M`" },
  "budget.calls": { section: "budget", key: "calls", parse: parseCount, min: 0, example: "a count like `200`" },
  "budget.timeMs": { section: "budget", key: "time", parse: parseDuration, min: 1, example: "a duration like `10m` or `1h30m`" },
  windowTokens: {
    section: null,
    key: "window",
    parse: parseCount,
    min: limits.windowTokensMin,
    example: `a count of tokens from ${limits.windowTokensMin} on, like \`32_000\``,
  },
  "sandbox.timeoutMs": { section: "sandbox", key: "timeout", parse: parseDuration, min: 1, example: "a duration like `2m`" },
  "sandbox.memoryBytesMax": {
    section: "sandbox",
    key: "memory",
    parse: parseBytes,
    min: 1 << 20,
    example: "a size from 1 MiB on, like `1 GiB`",
  },
  "sandbox.processesMax": { section: "sandbox", key: "processes", parse: parseCount, min: 1, example: "a count like `256`" },
  "sandbox.outputBytesMax": { section: "sandbox", key: "output", parse: parseBytes, min: 1, example: "a size like `1 MiB`" },
} as const satisfies Record<string, NumberSpec>;
export type NumberKey = keyof typeof numberKeys;

const topKeys = ["cpu", "models", "policy", "budget", "window", "sandbox", "mcp", "egress", "instructions"];
const problemsMax = 10;

/** `name` is how problems call the file. An empty file is an empty configuration. */
export function parseConfigFile(name: string, text: string): { readonly file: ConfigFile; readonly problems: readonly string[] } {
  const reader = new Reader(name);
  const file = reader.read(text);
  return { file, problems: reader.problems() };
}

/** Walks one document; live only while one file is read. */
class Reader {
  readonly #name: string;
  readonly #lines = new LineCounter();
  readonly #problems: { readonly line: number; readonly text: string }[] = [];
  #document: Document | null = null;
  #aliases = 0;

  constructor(name: string) {
    this.#name = name;
  }

  read(text: string): ConfigFile {
    const root = this.#parse(text);
    const top = root === null ? new Map<string, Node>() : this.#map(root, "the file", topKeys);
    const sections = {
      budget: this.#section(top, "budget"),
      sandbox: this.#section(top, "sandbox"),
    };
    const numbers = new Map<NumberKey, Placed<number>>();
    for (const key of Object.keys(numberKeys) as NumberKey[]) {
      const spec: NumberSpec = numberKeys[key];
      const place = spec.section === null ? `\`${spec.key}\`` : `\`${spec.section}.${spec.key}\``;
      const node = (spec.section === null ? top : sections[spec.section]).get(spec.key);
      const value = node === undefined ? null : this.#number(node, place, spec);
      if (value !== null) numbers.set(key, value);
    }
    const cpu = top.get("cpu");
    return {
      cpu: cpu === undefined ? null : this.#cpu(cpu),
      models: this.#models(top.get("models")),
      policy: this.#policy(top.get("policy")),
      numbers,
      mcp: this.#mcp(top.get("mcp")),
      egress: this.#egress(top.get("egress")),
      instructions: this.#strings(top.get("instructions"), "`instructions`"),
    };
  }

  problems(): readonly string[] {
    const sorted = this.#problems.toSorted((a, b) => a.line - b.line).map(({ line, text }) => `${this.#name}:${line}: ${text}`);
    if (sorted.length <= problemsMax) return sorted;
    return [...sorted.slice(0, problemsMax), `${this.#name}: and ${sorted.length - problemsMax} more`];
  }

  #parse(text: string): Node | null {
    if (Buffer.byteLength(text) > limits.configBytesMax) {
      this.#problems.push({ line: 1, text: `the file is larger than ${limits.configBytesMax} bytes; a configuration is short` });
      return null;
    }
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true, version: "1.2" });
    for (const issue of [...document.errors, ...document.warnings]) {
      this.#problems.push({ line: this.#lines.linePos(issue.pos[0]).line, text: explain(issue.code, issue.message) });
    }
    if (this.#problems.length > 0) return null;
    this.#document = document;
    const root = document.contents;
    return root === null || (isScalar(root) && root.value === null) ? null : root;
  }

  #cpu(node: Node): Placed<string> | null {
    const text = this.#text(node, "`cpu`", "`DRIVER` or `DRIVER/MODEL`, like `ollama/qwen3`");
    if (text === null || /^[a-z0-9][a-z0-9_.-]*(?:\/\S+)?$/i.test(text.value)) return text;
    return this.#complain(node, "`cpu` is `DRIVER` or `DRIVER/MODEL`, like `reflex` or `ollama/qwen3`");
  }

  #models(node: Node | undefined): ReadonlyMap<string, Placed<ModelEntry>> {
    const models = new Map<string, Placed<ModelEntry>>();
    if (node === undefined) return models;
    for (const [provider, entry] of this.#map(node, "`models`", null)) {
      const keys = this.#map(entry, `\`models.${provider}\``, ["baseUrl", "keyEnv"]);
      const url = keys.get("baseUrl");
      const env = keys.get("keyEnv");
      const baseUrl = url === undefined ? null : this.#url(url, `\`models.${provider}.baseUrl\``);
      const keyEnv = env === undefined ? null : this.#variable(env, `\`models.${provider}.keyEnv\``);
      models.set(provider, { line: this.#line(entry), value: { baseUrl, keyEnv } });
    }
    return models;
  }

  #policy(node: Node | undefined): ConfigFile["policy"] {
    const keys = node === undefined ? new Map<string, Node>() : this.#map(node, "`policy`", policyKeys);
    const list = (key: PolicyKey): readonly Placed<string>[] => this.#strings(keys.get(key), `\`policy.${key}\``);
    return { files: list("files"), allow: list("allow"), ask: list("ask"), deny: list("deny") };
  }

  #mcp(node: Node | undefined): ReadonlyMap<string, Placed<McpEntry>> {
    const servers = new Map<string, Placed<McpEntry>>();
    const keys = node === undefined ? new Map<string, Node>() : this.#map(node, "`mcp`", ["servers"]);
    const list = keys.get("servers");
    if (list === undefined) return servers;
    for (const [name, entry] of this.#map(list, "`mcp.servers`", null)) {
      const place = `mcp.servers.${name}`;
      const fields = this.#map(entry, `\`${place}\``, ["command", "args", "env", "url", "headers"]);
      const [command, url] = [fields.get("command"), fields.get("url")];
      if ((command === undefined) === (url === undefined)) {
        this.#complain(entry, `\`${place}\` needs a \`command\` to start or a \`url\` to reach, and not both`);
        continue;
      }
      const value: McpEntry = {
        command: command === undefined ? null : (this.#text(command, `\`${place}.command\``, "a program's name")?.value ?? null),
        args: this.#strings(fields.get("args"), `\`${place}.args\``).map((arg) => arg.value),
        env: this.#texts(fields.get("env"), `\`${place}.env\``),
        url: url === undefined ? null : (this.#url(url, `\`${place}.url\``)?.value ?? null),
        headers: this.#texts(fields.get("headers"), `\`${place}.headers\``),
      };
      servers.set(name, { line: this.#line(entry), value });
    }
    return servers;
  }

  #egress(node: Node | undefined): ReadonlyMap<string, Placed<EgressEntry>> {
    const hosts = new Map<string, Placed<EgressEntry>>();
    if (node === undefined) return hosts;
    for (const [host, entry] of this.#map(node, "`egress`", null)) {
      const place = `egress.${host}`;
      const keys = this.#map(entry, `\`${place}\``, ["header", "keyEnv"]);
      const [header, env] = [keys.get("header"), keys.get("keyEnv")];
      if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(host))
        this.#complain(entry, `\`${place}\` is not the name of a host in small letters`);
      else if (header === undefined || env === undefined)
        this.#complain(entry, `\`${place}\` needs a \`header\` and a \`keyEnv\``);
      else {
        const name = this.#text(header, `\`${place}.header\``, "a header like `Authorization`");
        const keyEnv = this.#variable(env, `\`${place}.keyEnv\``);
        if (name !== null && (!/^[A-Za-z0-9-]+$/.test(name.value) || ofTheConnection.test(name.value)))
          this.#complain(header, `\`${place}.header\` is not a header that a credential stands in`);
        else if (name !== null && keyEnv !== null)
          hosts.set(host, { line: this.#line(entry), value: { header: name.value, keyEnv: keyEnv.value } });
      }
    }
    return hosts;
  }

  #section(top: ReadonlyMap<string, Node>, section: "budget" | "sandbox"): ReadonlyMap<string, Node> {
    const node = top.get(section);
    if (node === undefined) return new Map();
    const specs: readonly NumberSpec[] = Object.values(numberKeys);
    return this.#map(
      node,
      `\`${section}\``,
      specs.filter((spec) => spec.section === section).map((spec) => spec.key),
    );
  }

  #number(node: Node, place: string, spec: NumberSpec): Placed<number> | null {
    const text = this.#scalar(node);
    const value = text === null ? null : spec.parse(text);
    if (value === null || value < spec.min) return this.#complain(node, `${place} is ${spec.example}`);
    return { value, line: this.#line(node) };
  }

  #variable(node: Node, place: string): Placed<string> | null {
    const text = this.#text(node, place, "the name of an environment variable, like `ANTHROPIC_API_KEY`");
    if (text === null || /^[A-Za-z_][A-Za-z0-9_]*$/.test(text.value)) return text;
    return this.#complain(node, `${place} is the name of an environment variable, like \`ANTHROPIC_API_KEY\``);
  }

  #url(node: Node, place: string): Placed<string> | null {
    const text = this.#text(node, place, "an address like `http://localhost:11434/v1`");
    if (text === null) return null;
    const url = URL.parse(text.value);
    if (url === null || !["http:", "https:"].includes(url.protocol))
      return this.#complain(node, `${place} is an address that begins with http:// or https://`);
    if (url.username !== "" || url.password !== "")
      return this.#complain(node, `${place} holds a password; name the variable that holds it with \`keyEnv\``);
    return text;
  }

  #strings(node: Node | undefined, place: string): readonly Placed<string>[] {
    const list = node === undefined ? undefined : this.#resolve(node);
    if (list === undefined) return [];
    if (!isSeq(list)) {
      this.#complain(list, `${place} is a list, one item a line, each after a \`-\``);
      return [];
    }
    return list.items.flatMap((item) => this.#text(item as Node, `an item of ${place}`, "a text") ?? []);
  }

  #texts(node: Node | undefined, place: string): Readonly<Record<string, string>> {
    if (node === undefined) return {};
    const fields = [...this.#map(node, place, null)].flatMap(([key, value]) => {
      const text = this.#text(value, `\`${key}\` of ${place}`, "a text");
      return text === null ? [] : [[key, text.value] as const];
    });
    return Object.fromEntries(fields);
  }

  #text(node: Node, place: string, expected: string): Placed<string> | null {
    const text = this.#scalar(node);
    if (text === null || text === "") return this.#complain(node, `${place} is ${expected}`);
    if (looksSecret(text)) {
      return this.#complain(
        node,
        `${place} looks like a credential; keep it in an environment variable, name that with \`keyEnv\` or \`\${NAME}\`, and renew the credential if this file was shared`,
      );
    }
    return { value: text, line: this.#line(node) };
  }

  /** A scalar as it was written: `1_000` and `2 USD` stay text whatever YAML makes of them. */
  #scalar(node: Node): string | null {
    const resolved = this.#resolve(node);
    if (!isScalar(resolved) || resolved.value === null || typeof resolved.value === "boolean") return null;
    return typeof resolved.value === "string" ? resolved.value.trim() : (resolved.source ?? null);
  }

  /** `known` null takes any key. A key that is null or wrong is told and left out. */
  #map(node: Node, place: string, known: readonly string[] | null): ReadonlyMap<string, Node> {
    const resolved = this.#resolve(node);
    const fields = new Map<string, Node>();
    if (!isMap(resolved)) {
      if (!(isScalar(resolved) && resolved.value === null)) this.#complain(resolved, `${place} is a map of \`key: value\` lines`);
      return fields;
    }
    for (const { key, value } of (resolved as YAMLMap<Node, Node | null>).items) {
      const name = isScalar(key) && typeof key.value === "string" ? key.value : null;
      if (name === null || name === "__proto__" || name === "") this.#complain(key, `${place} has a key that is no name`);
      else if (known !== null && !known.includes(name)) {
        const list = known.length > 0 ? ` It knows ${known.map((word) => `\`${word}\``).join(", ")}.` : "";
        this.#complain(key, `${place} has no key \`${name.slice(0, 64)}\`${didYouMean(name, known) || "."}${list}`);
      } else if (looksSecret(name))
        this.#complain(key, `${place} has a key that looks like a credential; keep it in an environment variable`);
      else if (value !== null) fields.set(name, value);
    }
    return fields;
  }

  #resolve(node: Node): Node {
    if (!isAlias(node)) return node;
    this.#aliases += 1;
    if (this.#aliases > limits.configAliasesMax) {
      if (this.#aliases === limits.configAliasesMax + 1)
        this.#complain(node, `more than ${limits.configAliasesMax} aliases; write the values out`);
      return this.#document?.createNode(null) ?? node;
    }
    return (this.#document === null ? undefined : node.resolve(this.#document)) ?? node;
  }

  #complain(node: Node, text: string): null {
    this.#problems.push({ line: this.#line(node), text });
    return null;
  }

  #line(node: Node): number {
    return node.range ? this.#lines.linePos(node.range[0]).line : 1;
  }
}

/** Headers that say how a message is sent, and to whom. */
const ofTheConnection =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|keep-alive|expect|forwarded|via|proxy-.*)$/i;

function explain(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "the key stands twice; keep one";
  if (code === "MULTIPLE_DOCS") return "the file holds several documents; remove the `---` line";
  if (code === "TAG_RESOLVE_FAILED") return "tags (`!…`) are not read here; write the plain value";
  if (code === "TAB_AS_INDENT") return "a tab indents the line; use spaces";
  return `not valid YAML: ${message.split("\n", 1)[0]?.slice(0, 160) ?? code}`;
}
