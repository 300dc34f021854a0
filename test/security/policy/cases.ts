/** Cases: generated Cedar policies and requests over a small vocabulary, so that rules hit, miss and err in every mixture. */
import type { EntityRef, PolicyEntity, PolicyRequest, PolicyScope } from "../../../src/abi/policy.ts";
import { scopes } from "../../../src/abi/policy.ts";
import type { Json, JsonObject } from "../../../src/lib/json.ts";
import type { Prng } from "../../../src/lib/prng.ts";

type Kind = "bool" | "long" | "string" | "entity" | "set" | "record" | "ip" | "decimal" | "datetime" | "duration";
const kinds: readonly Kind[] = ["bool", "long", "string", "entity", "set", "record", "ip", "decimal", "datetime", "duration"];

const strings = [
  "",
  "a",
  "b",
  "ab",
  "src/a.ts",
  "src/a/b.ts",
  "src/é/😀",
  "*",
  "a*b",
  "\\",
  '"',
  "\u0000x",
  "\u0000sx",
  '\u0000e["Process","a"]',
  "\u0000s\u0000x",
  "\n",
  "é",
  "constructor",
  "docs/x",
  "Docs/X",
];
const longs = ["0", "1", "2", "-1", "7", "4294967296", "3037000500", "9007199254740991", "-9007199254740991", "94906267"];
const ips = [
  "1.2.3.4",
  "1.2.3.4/32",
  "1.2.3.0/24",
  "127.0.0.1",
  "127.0.0.0/7",
  "224.0.0.1",
  "::1",
  "::",
  "ff02::1",
  "2001:db8::/32",
  "2001:db8::1",
  "1:2:3:4:5:6:7:8",
  "0.0.0.0/0",
  "::/0",
];
const badIps = [
  "1.2.3",
  "1.2.3.4/33",
  "01.2.3.4",
  "1.2.3.4/08",
  "::1::",
  "::1.2.3.4",
  "1:2:3:4:5:6:7::8:9",
  "",
  "fe80::1%1",
  "12345::",
  "1.2.3.4/",
  "1:2:3:4:5:6:7:8::",
  "1::2:3:4:5:6:7:8",
];
const decimals = ["0.0", "1.5", "1.5000", "-0.5", "-1.23", "922337203685477.5807", "-922337203685477.5808"];
const badDecimals = ["1", "1.", ".5", "1.23456", "922337203685477.5808", "a.b", "1e3", "+1.0", "-.5"];
const datetimes = [
  "2024-02-29",
  "1970-01-01",
  "1969-12-31T23:59:59.999Z",
  "2024-01-01T10:00:00Z",
  "2024-01-01T12:00:00.000+0200",
  "2024-01-01T00:00:00-2359",
  "0000-01-01",
  "9999-12-31T23:59:59Z",
];
const badDatetimes = [
  "2023-02-29",
  "2024-13-01",
  "2024-01-01T24:00:00Z",
  "2024-01-01T00:60:00Z",
  "2024-01-01T00:00:60Z",
  "2024-01-01T00:00:00",
  "2024-1-1",
  "2024-01-01T00:00:00+2400",
  "2024-01-01T00:00:00+0060",
  "24-01-01",
  "2024-01-01T00:00:00.1Z",
  "2024-00-10",
  "2024-04-31",
];
const durations = [
  "1d",
  "-1d",
  "0ms",
  "1h30m",
  "90m",
  "1d2h3m4s5ms",
  "-1ms",
  "9223372036854775807ms",
  "-9223372036854775808ms",
  "86400s",
  "106751991167d",
];
const badDurations = ["", "-", "1", "1m1h", "1.5h", "9223372036854775808ms", "106751991168d", "1 d", "--1d", "1w", "+1d"];

const entityTypes = ["Process", "Group", "Path"];
const ids = ["a", "b", "c", "constructor", "é"];
const actionIds = ["read", "write", "fs.read", "fs.write", "net.fetch"];
const contextNames: readonly (readonly [string, Kind])[] = [
  ["path", "string"],
  ["name", "string"],
  ["n", "long"],
  ["m", "long"],
  ["flag", "bool"],
  ["on", "bool"],
  ["tags", "set"],
  ["nums", "set"],
  ["rec", "record"],
  ["who", "entity"],
  ["ip", "ip"],
  ["at", "datetime"],
  ["span", "duration"],
  ["cost", "decimal"],
  ["odd name", "string"],
  ["constructor", "string"],
  ["toString", "long"],
  ["ghost", "string"],
];
const attrNames: readonly (readonly [string, Kind])[] = [
  ["program", "string"],
  ["level", "long"],
  ["owner", "entity"],
  ["ok", "bool"],
  ["rec", "record"],
  ["labels", "set"],
];
const fieldNames = ["x", "y", "z", "constructor", "odd name"];
const tagNames = ["t", "u", "constructor"];

export function quote(text: string): string {
  const escaped = [...text].map((char) => {
    if (char === '"' || char === "\\") return `\\${char}`;
    if (char === "\n") return "\\n";
    return char < " " ? `\\u{${char.charCodeAt(0).toString(16)}}` : char;
  });
  return `"${escaped.join("")}"`;
}

/** A policy set as one text; `ask` and `id` annotations come and go. */
export function policiesText(random: Prng, count: number): string {
  return Array.from({ length: count }, (_, at) => policy(random, at)).join("\n");
}

function policy(random: Prng, at: number): string {
  if (random.chance(0.4)) {
    return `${random.chance(0.9) ? "permit" : "forbid"}(principal, action, resource) when { ${edge(random)} };`;
  }
  const effect = random.chance(0.65) ? "permit" : "forbid";
  const notes = [random.chance(0.3) ? `@id("r${at}") ` : "", random.chance(0.2) ? '@ask("Sure?") ' : ""].join("");
  const head = `${notes}${effect}(${scope(random, "principal")}, ${actionScope(random)}, ${scope(random, "resource")})`;
  const clauses = Array.from({ length: random.pick([0, 1, 1, 1, 1, 2]) }, () => {
    return ` ${random.chance(0.8) ? "when" : "unless"} { ${condition(random)} }`;
  });
  return `${head}${clauses.join("")};`;
}

function scope(random: Prng, variable: string): string {
  switch (random.below(9)) {
    case 0:
      return `${variable} == ${entityText(random)}`;
    case 1:
      return `${variable} in ${entityText(random)}`;
    case 2:
      return `${variable} is ${random.pick(entityTypes)}`;
    case 3:
      return `${variable} is ${random.pick(entityTypes)} in ${entityText(random)}`;
    default:
      return variable;
  }
}

function actionScope(random: Prng): string {
  const action = (): string => `Action::${quote(random.pick(actionIds))}`;
  switch (random.below(5)) {
    case 0:
      return `action == ${action()}`;
    case 1:
      return `action in ${action()}`;
    case 2:
      return `action in [${Array.from({ length: random.below(3) + 1 }, action).join(", ")}]`;
    default:
      return "action";
  }
}

/** Chains of conjuncts in the form that the index reads, mixed with anything. */
function condition(random: Prng): string {
  const conjuncts = Array.from({ length: random.below(3) + 1 }, () =>
    random.chance(0.6) ? indexable(random) : expression(random, "bool", 3),
  );
  return conjuncts.join(" && ");
}

function indexable(random: Prng): string {
  const text = (): string => expression(random, "string", 0);
  switch (random.below(9)) {
    case 0:
      return `${attribute(random, "string")} == ${quote(random.pick(strings))}`;
    case 1:
      return `${attribute(random, "string")} like ${pattern(random)}`;
    case 2:
      return `${attribute(random, "set")}.contains(${random.chance(0.5) ? quote(random.pick(strings)) : random.pick(longs)})`;
    case 3:
      return `[${text()}, ${quote(random.pick(strings))}].contains(${attribute(random, "string")})`;
    case 4:
      return `${random.pick(["principal", "resource"])} in [${entityText(random)}, ${entityText(random)}]`;
    case 5:
      return `(${indexable(random)} || ${indexable(random)})`;
    case 6:
      return `${random.chance(0.5) ? "!" : ""}${attribute(random, "bool")}`;
    case 7:
      return `${random.pick(["principal", "resource"])} ${random.pick(["==", "in"])} ${entityText(random)}`;
    default: {
      const name = access(random.pick(contextNames)[0]);
      return `context has ${name.bare} && context${name.dot} ${random.pick(["==", "!="])} ${literal(random, "string")}`;
    }
  }
}

/** Where implementations differ: one comparison of literals at an edge, alone in its rule so that its answer is seen. */
function edge(random: Prng): string {
  const of = (kind: Kind): string => literal(random, kind);
  const pair = [of(random.pick(["long", "string", "bool", "entity"] as const)), of(random.pick(["long", "string"] as const))];
  const reversed = pair.toReversed().join(", ");
  const big = (): string => `(${of("long")} ${random.pick(["+", "-", "*"])} ${of("long")})`;
  const order = random.pick(["<", "<=", ">", ">=", "==", "!="]);
  const letters = (pool: readonly string[], count: number): string =>
    Array.from({ length: random.below(count) + 1 }, () => random.pick(pool)).join("");
  return random.pick([
    () => `[${pair.join(", ")}] == [${reversed}]`,
    () => `[[${pair.join(", ")}], ${of("long")}].contains([${reversed}])`,
    () => `{a: [${pair.join(", ")}]} ${random.pick(["==", "!="])} {a: [${reversed}, ${pair[0]}]}`,
    () => `[${of("entity")}, ${of("string")}].contains(${random.chance(0.5) ? of("string") : of("entity")})`,
    () => `[${of("set")}].containsAll([${of("set")}])`,
    () => `${big()} ${order} ${big()}`,
    () => `-(${big()} - 1) ${order} ${big()}`,
    () =>
      `-9007199254740991 * 1024 - ${random.pick(["1023", "1024", "1025"])} ${order} -(9007199254740991 * 1024 + ${random.pick(["1023", "1024", "1025"])})`,
    () => `${of("ip")}.${random.pick(["isIpv4", "isIpv6", "isLoopback", "isMulticast"])}()`,
    () => `${of("ip")}.isInRange(${of("ip")})`,
    () => `${of("ip")} == ${of("ip")}`,
    () => `${of("decimal")}.${random.pick(["lessThan", "greaterThanOrEqual"])}(${of("decimal")})`,
    () => `${of("datetime")}.offset(${of("duration")}) ${order} ${of("datetime")}`,
    () =>
      `${of("datetime")}.${random.pick(["toDate", "toTime"])}() ${random.pick(["==", "!="])} ${random.pick([of("datetime"), of("duration")])}`,
    () => `${of("datetime")}.durationSince(${of("datetime")}) ${order} ${of("duration")}`,
    () =>
      `${of("duration")}.${random.pick(["toSeconds", "toMinutes", "toHours", "toDays", "toMilliseconds"])}() ${order} ${random.pick(["0", "1", "-1", "86400"])}`,
    () => `"${letters(["a", "b"], 5)}" like "${letters(["a", "b", "*", "ab"], 5)}"`,
    () => `context.path like "${letters(["a", "src/", "*", ".ts"], 4)}"`,
    () => `context has ${random.pick(contextNames.map(([name]) => access(name).bare))}`,
    () => `principal has ${random.pick(attrNames)[0]} && resource.hasTag(${quote(random.pick(tagNames))})`,
    () => `${of("entity")} in [${of("entity")}, ${random.chance(0.3) ? of("long") : of("entity")}]`,
  ])();
}

function access(name: string): { readonly bare: string; readonly dot: string } {
  return /^[a-zA-Z_]\w*$/.test(name) ? { bare: name, dot: `.${name}` } : { bare: quote(name), dot: `[${quote(name)}]` };
}

function attribute(random: Prng, kind: Kind): string {
  const fit = contextNames.filter(([, of]) => of === kind || random.chance(0.05));
  if (fit.length > 0 && random.chance(0.75)) return `context${access(random.pick(fit)[0]).dot}`;
  const own = attrNames.filter(([, of]) => of === kind);
  return `${random.pick(["principal", "resource", "action"])}${access(random.pick(own.length > 0 ? own : attrNames)[0]).dot}`;
}

function entityText(random: Prng): string {
  if (random.chance(0.1)) return `Action::${quote(random.pick(actionIds))}`;
  return `${random.pick(entityTypes)}::${quote(random.pick(ids))}`;
}

function pattern(random: Prng): string {
  const pieces = Array.from({ length: random.below(4) + 1 }, () => {
    return random.pick(["*", "*", "a", "src/", "src", ".ts", "\\*", "é", "😀", "b", "**", "doc", "/"]);
  });
  return `"${pieces.join("")}"`;
}

function literal(random: Prng, kind: Kind): string {
  switch (kind) {
    case "bool":
      return random.pick(["true", "false"]);
    case "long":
      return random.pick(longs);
    case "string":
      return quote(random.pick(strings));
    case "entity":
      return random.pick(["principal", "resource", "action", entityText(random)]);
    case "set":
      return `[${Array.from({ length: random.below(4) }, () => literal(random, random.pick(["string", "long", "long", "bool", "entity"] as const))).join(", ")}]`;
    case "record":
      return `{${fieldNames
        .filter(() => random.chance(0.4))
        .map((name) => `${quote(name)}: ${literal(random, random.pick(["long", "string", "bool"] as const))}`)
        .join(", ")}}`;
    case "ip":
      return `ip(${quote(random.pick(random.chance(0.9) ? ips : badIps))})`;
    case "decimal":
      return `decimal(${quote(random.pick(random.chance(0.9) ? decimals : badDecimals))})`;
    case "datetime":
      return `datetime(${quote(random.pick(random.chance(0.9) ? datetimes : badDatetimes))})`;
    case "duration":
      return `duration(${quote(random.pick(random.chance(0.9) ? durations : badDurations))})`;
  }
}

/** Mostly well typed; one time in twenty-five of another type, which errs. */
function expression(random: Prng, wanted: Kind, depth: number): string {
  const kind = random.chance(0.04) ? random.pick(kinds) : wanted;
  if (depth <= 0 || random.chance(0.15)) return random.chance(0.5) ? attribute(random, kind) : literal(random, kind);
  if (random.chance(0.08)) {
    return `(if ${expression(random, "bool", depth - 1)} then ${expression(random, kind, depth - 1)} else ${expression(random, kind, depth - 1)})`;
  }
  const of = (inner: Kind): string => expression(random, inner, depth - 1);
  switch (kind) {
    case "bool":
      return `(${truth(random, of, depth)})`;
    case "long":
      return random.pick([
        () => `(${of("long")} ${random.pick(["+", "-", "*"])} ${of("long")})`,
        () => `(${random.pick(["+", "-", "*"]) === "-" ? "-" : ""}(${of("long")}))`,
        () => `(${of("duration")}).${random.pick(["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"])}()`,
        () => `(${of("record")}).x`,
      ])();
    case "string":
      return random.pick([
        () => `(${of("record")})[${quote(random.pick(fieldNames))}]`,
        () => `(${of("entity")}).getTag(${quote(random.pick(tagNames))})`,
        () => `(${of("entity")}).program`,
      ])();
    case "entity":
      return random.chance(0.3) ? `(${of("entity")}).owner` : literal(random, "entity");
    case "set":
      return `[${Array.from({ length: random.below(3) }, () => of(random.pick(kinds))).join(", ")}]`;
    case "record":
      return `{${fieldNames
        .filter(() => random.chance(0.4))
        .map((name) => `${quote(name)}: ${of(random.pick(kinds))}`)
        .join(", ")}}`;
    case "datetime":
      return random.chance(0.5) ? `(${of("datetime")}).offset(${of("duration")})` : `(${of("datetime")}).toDate()`;
    case "duration":
      return random.chance(0.5) ? `(${of("datetime")}).durationSince(${of("datetime")})` : `(${of("datetime")}).toTime()`;
    case "ip":
    case "decimal":
      return literal(random, kind);
  }
}

function truth(random: Prng, of: (kind: Kind) => string, depth: number): string {
  const any = random.pick(kinds);
  const order = random.pick(["<", "<=", ">", ">="]);
  return random.pick([
    () => `(${of("bool")}) && (${of("bool")})`,
    () => `(${of("bool")}) || (${of("bool")})`,
    () => `!(${of("bool")})`,
    () => `(${of(any)}) ${random.pick(["==", "!="])} (${of(random.chance(0.9) ? any : random.pick(kinds))})`,
    () => `(${of("long")}) ${order} (${of("long")})`,
    () =>
      `(${of(random.pick(["datetime", "duration"] as const))}) ${order} (${of(random.pick(["datetime", "duration"] as const))})`,
    () => `(${of("string")}) like ${pattern(random)}`,
    () => `(${of("set")}).${random.pick(["containsAll", "containsAny"])}(${of("set")})`,
    () => `(${of("set")}).contains(${of(any)})`,
    () => `(${of("set")}).isEmpty()`,
    () => `(${of("entity")}) in (${of("entity")})`,
    () => `(${of("entity")}) in [${of("entity")}, ${of("entity")}]`,
    () => `(${of("entity")}) is ${random.pick(entityTypes)}${random.chance(0.4) ? ` in (${of("entity")})` : ""}`,
    () => `(${of("entity")}) has ${access(random.pick(attrNames)[0]).bare}`,
    () => `(${of("record")}) has ${access(random.pick(fieldNames)).bare}`,
    () => `context has ${random.pick(["rec.x", "rec.y.z", "rec.y", "who.program", "ghost.x", "path.x"])}`,
    () => `(${of("entity")}).hasTag(${depth > 1 ? of("string") : quote(random.pick(tagNames))})`,
    () => `(${of("ip")}).${random.pick(["isIpv4", "isIpv6", "isLoopback", "isMulticast"])}()`,
    () => `(${of("ip")}).isInRange(${of("ip")})`,
    () =>
      `(${of("decimal")}).${random.pick(["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"])}(${of("decimal")})`,
  ])();
}

export function request(random: Prng): PolicyRequest {
  const principal = entityOf(random, { type: random.pick(entityTypes), id: random.pick(ids) });
  const resource = entityOf(random, { type: random.pick(entityTypes), id: random.pick(ids) });
  const same = principal.type === resource.type && principal.id === resource.id;
  const action: PolicyEntity = {
    ...entityOf(random, { type: "Action", id: random.pick(actionIds.slice(2)) }),
    parents: ["read", "write"].filter(() => random.chance(0.4)).map((id) => ({ type: "Action", id })),
  };
  const context: Record<string, Json> = {};
  const presence = random.pick([0.2, 0.4, 0.8]);
  for (const [name, kind] of contextNames) {
    if (name !== "ghost" && random.chance(presence))
      context[name] = value(random, random.chance(0.03) ? random.pick(kinds) : kind, 2);
  }
  return { principal, action, resource: same ? principal : withAncestors(resource, principal), context };
}

/** Parents lie strictly above in the order of `ids`, so no cycle arises; ancestors are listed whole, as the interface asks. */
function entityOf(random: Prng, ref: EntityRef): PolicyEntity {
  const attrs: Record<string, Json> = {};
  for (const [name, kind] of attrNames) if (random.chance(0.5)) attrs[name] = value(random, kind, 1);
  const above = ids.slice(ids.indexOf(ref.id) + 1);
  const parents = above.filter(() => random.chance(0.4)).map((id) => ({ type: random.pick(entityTypes), id }));
  const tags = Object.fromEntries(tagNames.filter(() => random.chance(0.5)).map((name) => [name, value(random, "string", 1)]));
  return { ...ref, attrs, parents, ...(random.chance(0.5) ? { tags } : {}) };
}

function withAncestors(entity: PolicyEntity, other: PolicyEntity): PolicyEntity {
  const below = entity.parents.some((parent) => parent.type === other.type && parent.id === other.id);
  if (below) return { ...entity, parents: [...entity.parents, ...other.parents] };
  const above = other.parents.some((parent) => parent.type === entity.type && parent.id === entity.id);
  return above ? { ...entity, parents: [] } : entity;
}

function value(random: Prng, kind: Kind, depth: number): Json {
  const extension = (fn: string, texts: readonly string[]): JsonObject => ({ __extn: { fn, arg: random.pick(texts) } });
  switch (kind) {
    case "bool":
      return random.chance(0.5);
    case "long":
      return Number(random.pick(longs));
    case "string":
      return random.pick(strings);
    case "entity":
      return { __entity: { type: random.pick(entityTypes), id: random.pick(ids) } };
    case "set":
      return Array.from({ length: random.below(4) }, () =>
        value(
          random,
          random.pick(depth > 0 ? (["string", "long", "string", "set", "entity"] as const) : (["string", "long"] as const)),
          depth - 1,
        ),
      );
    case "record":
      return Object.fromEntries(
        fieldNames
          .filter(() => random.chance(0.6))
          .map((name) => [
            name,
            value(random, depth > 0 ? random.pick(["long", "record", "string", "ip"] as const) : "string", depth - 1),
          ]),
      );
    case "ip":
      return extension("ip", ips);
    case "decimal":
      return extension("decimal", decimals);
    case "datetime":
      return extension("datetime", datetimes);
    case "duration":
      return extension("duration", durations);
  }
}

export function scopeOf(random: Prng): PolicyScope {
  return random.pick(scopes);
}
