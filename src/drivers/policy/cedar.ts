/**
 * Cedar: parse and check policies with Cedar itself (cedar-wasm), and decide with it as the reference engine.
 * Importing this file loads the WebAssembly module (about 40 ms); with a cached PolicySet nothing needs it.
 *   POL-9.2  A broken policy names file, line, column, the offending text and what to do; every error of a load is told at once.
 *   POL-9.3  A rule's id is its @id annotation, else `FILE#N`; two rules with one id are refused.
 *   POL-9.4  Every policy is checked strictly against the schema, so a misspelt action or attribute is refused at load.
 *   POL-9.5  Equal sources, schema and Cedar version give an equal key.
 */
import {
  checkParsePolicySet,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  validate,
  type AuthorizationAnswer,
  type DetailedError,
  type PolicyJson,
  type Schema,
} from "@cedar-policy/cedar-wasm/nodejs";
import { sysError, type SysError } from "../../abi/errno.ts";
import type { Finding } from "../../abi/finding.ts";
import { defaultDeny, verdictOf } from "../../abi/policy.ts";
import type {
  Explanation,
  PolicyEngine,
  PolicyEntity,
  PolicyRequest,
  PolicyRule,
  PolicySet,
  PolicyText,
  RuleId,
} from "../../abi/policy.ts";
import { sha256 } from "../../lib/hash.ts";
import { canonical, type JsonObject } from "../../lib/json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { policyKey } from "./key.ts";
import { lineFinder, splitPolicies, unitsOfBytes, type Part } from "./split.ts";

/** `message` tells every finding; `findings` are the same for a program. */
export interface PolicyFault extends SysError {
  readonly findings: readonly Finding[];
}

export function parsePolicies(texts: readonly PolicyText[], schema: JsonObject): Result<PolicySet, PolicyFault> {
  const placed = place(texts);
  if (!placed.ok) return placed;
  const { errors, warnings } = validateRules(placed.value, schema);
  if (errors.length > 0) return faultOf(errors);
  return ok(setOf(texts, placed.value, policyKey(texts, schema), warnings));
}

/** Parsed, but checked against no schema: for analyses of foreign policies. A kernel takes parsePolicies(). */
export function parseUnchecked(texts: readonly PolicyText[]): Result<PolicySet, PolicyFault> {
  const placed = place(texts);
  return placed.ok ? ok(setOf(texts, placed.value, policyKey(texts, {}), [])) : placed;
}

function place(texts: readonly PolicyText[]): Result<readonly Placed[], PolicyFault> {
  const broken: Finding[] = [];
  const placed: Placed[] = [];
  for (const source of texts) {
    const errors = syntaxErrors(source);
    broken.push(...errors);
    if (errors.length > 0) continue;
    for (const [at, part] of splitPolicies(source.text).entries()) placed.push(readRule(source, part, at));
  }
  broken.push(...twins(placed));
  return broken.length > 0 ? faultOf(broken) : ok(placed);
}

function setOf(texts: readonly PolicyText[], placed: readonly Placed[], key: string, warnings: readonly Finding[]): PolicySet {
  const digest = sha256(canonical(texts.map(({ scope, file, text }) => [scope, file, text])));
  return { key, digest, rules: placed.map(({ rule }) => rule), warnings };
}

interface Placed {
  readonly rule: PolicyRule;
  readonly source: PolicyText;
  readonly part: Part;
}

function syntaxErrors(source: PolicyText): readonly Finding[] {
  if (!source.text.isWellFormed()) return [finding(source, null, "the file is not valid Unicode", "save it as UTF-8")];
  const answer = checkParsePolicySet({ staticPolicies: source.text });
  if (answer.type === "success") return [];
  return flatten(answer.errors).map((error) => {
    const template = /template/.test(error.message);
    const where = template ? slotOf(source.text) : spanOf(source.text, error);
    const message = template
      ? "a template (a policy with a ?slot) has no place here"
      : error.message.replace(/^failed to parse [^:]*: /, "");
    return finding(
      source,
      where,
      message,
      template ? "replace the slot by an entity" : (error.help ?? "see https://docs.cedarpolicy.com"),
    );
  });
}

function readRule(source: PolicyText, part: Part, at: number): Placed {
  const answer = policyToJson(part.text);
  if (answer.type === "failure") throw new Error(`a policy of a text that parsed does not parse: ${answer.errors[0]?.message}`);
  const policy: PolicyJson = answer.json;
  const note = (name: string): string | null => {
    const value =
      policy.annotations !== undefined && Object.hasOwn(policy.annotations, name) ? policy.annotations[name] : undefined;
    return typeof value === "string" && value !== "" ? value : null;
  };
  const asks = policy.annotations !== undefined && Object.hasOwn(policy.annotations, "ask");
  const rule: PolicyRule = {
    id: note("id") ?? `${source.file}#${at + 1}`,
    scope: source.scope,
    file: source.file,
    line: source.lines?.[at] ?? part.line,
    text: part.text,
    effect: policy.effect,
    ask: asks ? (note("ask") ?? "May this happen?") : null,
    reason: note("reason"),
    policy: policy as unknown as JsonObject,
  };
  return { rule, source, part };
}

function twins(placed: readonly Placed[]): readonly Finding[] {
  const seen = new Map<RuleId, Placed>();
  const findings: Finding[] = [];
  for (const each of placed) {
    const first = seen.get(each.rule.id);
    if (first === undefined) seen.set(each.rule.id, each);
    else {
      const message = `the rule id "${each.rule.id}" is taken by ${first.rule.file}:${first.rule.line}`;
      findings.push(
        finding(each.source, { start: each.part.offset, end: each.part.offset + 1 }, message, "give one of them another @id"),
      );
    }
  }
  return findings;
}

function validateRules(
  placed: readonly Placed[],
  schema: JsonObject,
): { errors: readonly Finding[]; warnings: readonly Finding[] } {
  const byId = new Map(placed.map((each) => [each.rule.id, each]));
  const staticPolicies = Object.fromEntries(placed.map(({ rule }) => [rule.id, rule.text]));
  const answer = validate({
    validationSettings: { mode: "strict" },
    schema: schema as unknown as Schema,
    policies: { staticPolicies },
  });
  if (answer.type === "failure") throw new Error(`the policy schema is broken: ${answer.errors[0]?.message}`);
  const findingOf = ({ policyId, error }: { policyId: string; error: DetailedError }): Finding => {
    const each = byId.get(policyId);
    const message = error.message.replace(`for policy \`${policyId}\`, `, "");
    if (each === undefined) return { rule: "policy", severity: "error", where: policyId, message };
    const span = spanOf(each.part.text, error);
    const where = span === null ? null : { start: span.start + each.part.offset, end: span.end + each.part.offset };
    return finding(
      each.source,
      where,
      message,
      error.help ?? "correct the rule or remove it",
      each.rule.line,
      error.severity === "warning",
    );
  };
  return { errors: answer.validationErrors.map(findingOf), warnings: answer.validationWarnings.map(findingOf) };
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function spanOf(text: string, error: DetailedError): Span | null {
  const label = error.sourceLocations?.[0];
  return label === undefined ? null : { start: unitsOfBytes(text, label.start), end: unitsOfBytes(text, label.end) };
}

function slotOf(text: string): Span | null {
  const start = text.search(/\?(principal|resource)/);
  return start < 0 ? null : { start, end: start + 10 };
}

function flatten(errors: readonly DetailedError[]): readonly DetailedError[] {
  return errors.flatMap((error) => [error, ...flatten(error.related ?? [])]);
}

const excerptMax = 80;

/** For generated text the line is that of the entry it came from, and a column would mislead. */
function finding(source: PolicyText, span: Span | null, message: string, fix: string, line?: number, warning = false): Finding {
  const { text, file } = source;
  const place = span === null ? null : lineFinder(text)(span.start);
  const generated = source.lines !== undefined;
  const where = generated ? `${file}:${line ?? 1}` : place === null ? file : `${file}:${place.line}:${place.column}`;
  const excerpt = span === null ? "" : (text.slice(span.start, span.end).split("\n")[0] ?? "").slice(0, excerptMax);
  const quoted = excerpt === "" ? "" : ` in ${JSON.stringify(excerpt)}`;
  return { rule: "policy", severity: warning ? "warning" : "error", where, message: `${message}${quoted}`, fix };
}

const findingsToldMax = 20;

function faultOf(findings: readonly Finding[]): Result<never, PolicyFault> {
  const told = findings
    .slice(0, findingsToldMax)
    .map(({ where, message, fix }) => `${where}: ${message}; ${fix ?? "correct it"}`);
  const rest = findings.length - told.length;
  const message = [...told, ...(rest > 0 ? [`and ${rest} more`] : [])].join("\n");
  return err({ ...sysError("ENOEXEC", message), findings });
}

/**
 * The reference engine: every decision crosses into Cedar and looks at every rule (73 µs at 10 rules, 19 ms at 10,000).
 * Cedar keeps the parsed set for the life of the thread under the set's key.
 */
export function cedarEngine(set: PolicySet): Result<PolicyEngine, SysError> {
  const rules = new Map(set.rules.map((rule) => [rule.id, rule]));
  const id = `${set.key} ${set.digest}`;
  const answer = preparsePolicySet(id, { staticPolicies: Object.fromEntries(set.rules.map((rule) => [rule.id, rule.text])) });
  if (answer.type === "failure")
    return err(sysError("ENOEXEC", `Cedar refuses the policies: ${answer.errors[0]?.message}; load them again`));
  const explain = (request: PolicyRequest): Explanation => {
    const answered = ask(id, request);
    if (answered === null || answered.type === "failure") return { decision: defaultDeny, erred: [] };
    const { reason, errors } = answered.response.diagnostics;
    const determining = reason.map((each) => rules.get(each)).filter((rule) => rule !== undefined);
    const permits = determining.filter((rule) => rule.effect === "permit");
    const forbids = determining.filter((rule) => rule.effect === "forbid");
    return { decision: verdictOf(permits, forbids), erred: errors.map(({ policyId }) => policyId).sort() };
  };
  return ok({
    name: "cedar",
    digest: set.digest,
    decide: (request) => explain(request).decision,
    explain,
    rule: (ruleId) => rules.get(ruleId),
  });
}

/** null where the request holds what Cedar cannot read; it throws on some of these. */
function ask(preparsedPolicySetId: string, request: PolicyRequest): AuthorizationAnswer | null {
  const { principal, action, resource, context } = request;
  if (!isExact(request)) return null;
  try {
    return statefulIsAuthorized({
      principal: uidOf(principal),
      action: uidOf(action),
      resource: uidOf(resource),
      context: context as never,
      preparsedPolicySetId,
      entities: distinct([principal, action, resource]) as never,
    });
  } catch {
    return null;
  }
}

/** Numbers must be exact and text well-formed before they cross: beyond that the crossing rounds or throws. */
function isExact(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isExact(item));
}

function uidOf({ type, id }: PolicyEntity): { type: string; id: string } {
  return { type, id };
}

/** Cedar refuses an entity that comes twice, so the principal of a call upon itself is told once. */
function distinct(entities: readonly PolicyEntity[]): readonly object[] {
  const told = entities.filter((entity, at) => !entities.slice(0, at).some((other) => isTwin(entity, other)));
  return told.map(({ type, id, attrs, parents, tags }) => ({
    uid: { type, id },
    attrs,
    parents,
    ...(tags === undefined ? {} : { tags }),
  }));
}

function isTwin(a: PolicyEntity, b: PolicyEntity): boolean {
  return a.id === b.id && a.type === b.type && (a === b || canonical(a) === canonical(b));
}
