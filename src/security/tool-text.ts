/**
 * Tool text: what the declarations of an MCP server say that tools have no need to say. Everything in a declaration is read by a model: names, descriptions,
 * defaults, enums. It changes nothing; what is hidden is removed where the text is shown, and the person is told.
 *   TTX-1.1  Hidden characters anywhere in a declaration are a finding that names their kinds and the tool.
 *   TTX-1.2  Text that overrides instructions, wants something kept from the person, dresses up as a system's words, points at secrets or is pushed out of
 *            sight is a finding.
 *   TTX-1.3  A tool that has the name of another server's tool or of a call of daimon's, and text that names one, are findings.
 *   TTX-1.4  A finding quotes nothing of the declaration but the tool's name, bounded and without what is hidden; their number is bounded.
 *   TTX-1.5  The time is linear in the text.
 * Source: the attack classes of MCPTox and of the CVEs on tool poisoning; a sign is no proof, and its absence neither.
 */
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import { isObject, type Json } from "../lib/json.ts";
import { hiddenIn, visible } from "../lib/visible.ts";

/** `others`: the names under which a model knows what is not this server's, `send_mail`, `fs.read`, `docs__search`. */
export function inspectTools(server: string, tools: readonly Json[], others: ReadonlySet<string>): readonly Finding[] {
  const findings: Finding[] = [];
  for (const tool of tools) {
    const name = isObject(tool) && typeof tool.name === "string" ? tool.name : "";
    const where = `mcp.${server}.${visible(name).slice(0, limits.mcpFindingNameMax)}`;
    for (const [rule, message] of faultsOf(name, tool, others)) {
      if (findings.length === limits.mcpFindingsMax) return findings;
      findings.push({ rule, severity: "warning", where, message });
    }
  }
  return findings;
}

type Fault = readonly [rule: string, message: string];

function faultsOf(name: string, tool: Json, others: ReadonlySet<string>): readonly Fault[] {
  const texts = [...textsIn(tool, limits.jsonDepthMax)];
  const kinds = [...new Set(texts.flatMap(hiddenIn))].sort();
  const plain = texts.map((text) => visible(text).slice(0, limits.mcpSchemaBytesMax));
  const signed = signs.filter(([, pattern]) => plain.some((text) => pattern.test(text)));
  const foreign = plain.some((text) =>
    (text.match(words) ?? []).some((word) => word !== name && isName(word) && others.has(word)),
  );
  return [
    ...(kinds.length === 0 ? [] : [["TTX-1.1", `what it says of itself hides ${kinds.join(", ")} characters`] as const]),
    ...signed.map(([message]) => ["TTX-1.2", `what it says of itself ${message}`] as const),
    ...(others.has(name) ? [["TTX-1.3", "it has the name of another tool"] as const] : []),
    ...(foreign ? [["TTX-1.3", "what it says of itself names a tool that is not this server's"] as const] : []),
  ];
}

/** Every text of a value, names of fields included. Deeper than the bound nothing is declared: such a tool is left out. */
function* textsIn(value: Json, levels: number): Generator<string> {
  if (typeof value === "string") yield value;
  if (typeof value !== "object" || value === null || levels === 0) return;
  if (!Array.isArray(value)) yield* Object.keys(value);
  for (const item of Object.values(value)) yield* textsIn(item as Json, levels - 1);
}

/** Each with bounded gaps, so that no text makes a match slow. */
const signs: readonly (readonly [string, RegExp])[] = [
  [
    "tells a model to set instructions aside",
    /\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,60}\b(?:instruction|rule|prompt|polic|guideline|restriction)/i,
  ],
  [
    "wants something kept from the person",
    /\b(?:do not|don't|never|without|avoid)\b[^.\n]{0,40}\b(?:tell|mention|inform|notif|reveal|alert)[^.\n]{0,40}\b(?:user|person|human|anyone)/i,
  ],
  [
    "dresses up as words of the system",
    /<\s{0,8}\/?\s{0,8}(?:important|system|instructions?|secret|hidden|admin|assistant|critical)\b/i,
  ],
  [
    "points at files that hold secrets",
    /(?:^|[^A-Za-z])(?:\.ssh|\.aws|\.gnupg|\.netrc|id_rsa|id_ed25519|\.mcp\.json|\.env)(?![A-Za-z])/i,
  ],
  ["is pushed out of sight", /[ \t]{80}|(?:\n[ \t]{0,8}){12}/],
];

const words = /[A-Za-z0-9][A-Za-z0-9_.-]{2,126}[A-Za-z0-9]/g;

/** A name, and no word of a language: it has parts. */
function isName(word: string): boolean {
  return /[A-Za-z0-9][_.][A-Za-z0-9]|[a-z][A-Z]/.test(word);
}
