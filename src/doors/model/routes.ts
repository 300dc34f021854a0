/**
 * Routes: what a request at the model door asks for, by its method and address.
 *   DOR-3.1  The addresses of the four formats are known as their clients write them; what is none of them is null.
 *   DOR-3.3  A model's name in an address is a name: none that leads to another place of the provider, which would be asked with the provider's key.
 *   DOR-3.2  A credential in an address goes no further.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Format } from "../../abi/upstream.ts";

export type Route =
  /** A model is to generate. `model` and `stream` where the address says them. */
  | {
      readonly kind: "generate";
      readonly format: Format;
      readonly path: string;
      readonly model: string | null;
      readonly stream: boolean | null;
    }
  /** It costs nothing and does nothing: counting tokens, listing models. */
  | { readonly kind: "aside"; readonly format: Format; readonly path: string }
  /** A guest's hook tells of a call. */
  | { readonly kind: "hook" }
  | { readonly kind: "ping" };

/** The address without what only the door may read. */
export interface Target {
  readonly pathname: string;
  /** With its question mark, or empty. */
  readonly search: string;
  /** A credential that stood in it. */
  readonly key: string | null;
}

/** null: it is no address of a server's own. */
export function targetOf(address: string): Target | null {
  if (!address.startsWith("/")) return null;
  const mark = address.indexOf("?");
  if (mark < 0) return { pathname: address, search: "", key: null };
  const query = new URLSearchParams(address.slice(mark + 1));
  const key = query.get("key");
  query.delete("key");
  return { pathname: address.slice(0, mark), search: query.size === 0 ? "" : `?${query.toString()}`, key };
}

const hookPath = "/daimon/hook";

/** `lister`: whose client it is by its headers, since three formats list their models at one address. */
export function routeOf(method: string, { pathname, search }: Target, lister: Format): Route | null {
  if ((method === "HEAD" || method === "GET") && (pathname === "/" || pathname === "/api/hello")) return { kind: "ping" };
  if (method === "POST" && pathname === hookPath) return { kind: "hook" };
  if (method === "POST") return generating(pathname, search) ?? counting(pathname, search);
  return method === "GET" ? listing(pathname, search, lister) : null;
}

/** Anthropic's client names a version of its API; Google's has a header of its own for its key, or puts it into the address. */
export function listerOf(headers: IncomingHttpHeaders, { key }: Target): Format {
  if (headers["anthropic-version"] !== undefined) return "messages";
  return headers["x-goog-api-key"] === undefined && key === null ? "chat" : "gemini";
}

function generating(pathname: string, search: string): Route | null {
  const known = generate[pathname];
  if (known !== undefined)
    return {
      kind: "generate",
      format: known,
      path: pathname.slice("/v1".length) + search,
      model: null,
      stream: pathname.endsWith("/compact") ? false : null,
    };
  const gemini = /^\/v1(?:beta|alpha)?\/models\/([^/:]+):(generateContent|streamGenerateContent)$/.exec(pathname);
  if (gemini === null) return null;
  const [, model = "", verb = ""] = gemini;
  if (!isName(model)) return null;
  return {
    kind: "generate",
    format: "gemini",
    path: pathname + search,
    model: decoded(model),
    stream: verb === "streamGenerateContent",
  };
}

const generate: Readonly<Record<string, Format>> = Object.assign(Object.create(null) as Record<string, Format>, {
  "/v1/messages": "messages",
  "/v1/responses": "responses",
  "/v1/responses/compact": "responses",
  "/v1/chat/completions": "chat",
});

function counting(pathname: string, search: string): Route | null {
  if (pathname === "/v1/messages/count_tokens")
    return { kind: "aside", format: "messages", path: pathname.slice("/v1".length) + search };
  if (pathname === "/v1/responses/input_tokens")
    return { kind: "aside", format: "responses", path: pathname.slice("/v1".length) + search };
  const [, model] = /^\/v1(?:beta|alpha)?\/models\/([^/:]+):countTokens$/.exec(pathname) ?? [];
  if (model !== undefined && isName(model)) return { kind: "aside", format: "gemini", path: pathname + search };
  return null;
}

function listing(pathname: string, search: string, lister: Format): Route | null {
  const [, version, model] = /^\/(v1|v1beta|v1alpha)\/models(?:\/([^/]+))?$/.exec(pathname) ?? [];
  if (version === undefined || (model !== undefined && !isName(model))) return null;
  if (version === "v1")
    return { kind: "aside", format: lister, path: (lister === "gemini" ? pathname : pathname.slice("/v1".length)) + search };
  return { kind: "aside", format: "gemini", path: pathname + search };
}

/** Some have a slash in them; a server may read one that is encoded as if it were none. */
function isName(model: string): boolean {
  const name = decoded(decoded(model));
  return /^[^\\\p{Cc}?#]+$/u.test(name) && name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
