/**
 * Names: what a client of the tool door sees calls, prompts and resources under, and back.
 *   DRT-2.1  A tool of a server is `SERVER__tool`, a call of daimon's own `fs__read`; where a server's name would be read as daimon's or another's, it
 *            is `mcp__SERVER__tool`. No two calls have one name, and each name leads back to its call.
 *   DRT-2.2  With one server behind and `identity`, its names are kept and nothing else is shown.
 */
import type { CallSpec } from "../../abi/call.ts";
import { wireName } from "../../wire/parts.ts";

/** `identity`: the client sees the one server as it is, as if daimon were not between them. */
export type NameMode = { readonly type: "namespaced" } | { readonly type: "identity"; readonly server: string };

export interface Names {
  /** Tools by the name that the client sees, in a stable order. */
  readonly tools: ReadonlyMap<string, CallSpec>;
  /** The call of a server's method; undefined where it has none. */
  method(server: string, method: string): CallSpec | undefined;
  /** The servers that have this method, in order. */
  servers(method: string): readonly string[];
  /** A prompt as the client sees it, and back: null where no server of ours has such a name. */
  prompt(server: string, name: string): string;
  promptOf(name: string): Placed | null;
  uri(server: string, uri: string): string;
  uriOf(uri: string): Placed | null;
}

interface Placed {
  readonly server: string;
  readonly name: string;
}

export function namesOf(specs: readonly CallSpec[], mode: NameMode): Names {
  const shown = mode.type === "identity" ? specs.filter((spec) => spec.mcp?.server === mode.server) : specs;
  const methods = shown.filter((spec) => spec.mcp !== undefined && spec.mcp.method !== "tools/call");
  const servers = [...new Set(shown.flatMap((spec) => (spec.mcp === undefined ? [] : [spec.mcp.server])))];
  /** The longest first: one server's name may be the beginning of another's. */
  const prefixes = servers.toSorted((a, b) => b.length - a.length);
  const split = (name: string, prefixOf: (server: string) => string): Placed | null => {
    const server = prefixes.find((each) => name.startsWith(prefixOf(each)));
    return server === undefined ? null : { server, name: name.slice(prefixOf(server).length) };
  };
  const find = (server: string, method: string): CallSpec | undefined =>
    methods.find((spec) => spec.mcp?.server === server && spec.mcp.method === method);
  const base = {
    tools: toolsOf(shown, mode),
    method: find,
    servers: (method: string) => servers.filter((server) => find(server, method) !== undefined),
  };
  if (mode.type === "identity") {
    const same = (name: string): Placed => ({ server: mode.server, name });
    return { ...base, prompt: (_server, name) => name, promptOf: same, uri: (_server, uri) => uri, uriOf: same };
  }
  return {
    ...base,
    prompt: (server, name) => `${promptPrefix(server)}${name}`,
    promptOf: (name) => split(name, promptPrefix),
    uri: (server, uri) => `${uriPrefix(server)}${uri}`,
    uriOf: (uri) => split(uri, uriPrefix),
  };
}

function promptPrefix(server: string): string {
  return `${server}__`;
}

function uriPrefix(server: string): string {
  return `daimon:${server}/`;
}

function toolsOf(specs: readonly CallSpec[], mode: NameMode): ReadonlyMap<string, CallSpec> {
  const isTool = ({ mcp }: CallSpec): boolean => mcp === undefined || mcp.method === "tools/call";
  const tools = new Map<string, CallSpec>();
  const own = specs.filter((spec) => spec.mcp === undefined);
  // A server that is called `mcp` would read as the long form of another's name.
  const families = new Set(["mcp", ...own.map(({ name }) => name.split(".")[0])]);
  // Daimon's own come first, so that no server can take their names.
  for (const spec of [...own, ...specs.filter((each) => each.mcp !== undefined)].filter(isTool)) {
    const short = shortName(spec, mode);
    const shadows = tools.has(short) || (spec.mcp !== undefined && mode.type === "namespaced" && families.has(spec.mcp.server));
    tools.set(shadows ? wireName(spec.name) : short, spec);
  }
  return tools;
}

function shortName({ name, mcp }: CallSpec, mode: NameMode): string {
  if (mode.type === "identity") return mcp === undefined ? name : name.slice(`mcp.${mcp.server}.`.length);
  return wireName(mcp === undefined ? name : name.slice("mcp.".length));
}
