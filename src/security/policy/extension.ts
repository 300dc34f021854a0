/**
 * Extension: Cedar's extension types ipaddr, decimal, datetime and duration, and their functions.
 * Source: the Cedar language reference, "Operators and functions"; held to Cedar by the differential test.
 *   POL-4.1  A malformed literal, a result outside 64 bits and an argument of another type err; nothing is rounded or wrapped.
 */
import type { AmountValue, IpValue, Long, Value } from "./value.ts";

/** What a function gives; undefined means that it erred. */
export type ExtensionFunction = (args: readonly Value[]) => Value | undefined;

const longMin = -(2n ** 63n);
const longMax = 2n ** 63n - 1n;
const dayMs = 86_400_000n;
const unitsMs = [dayMs, 3_600_000n, 60_000n, 1_000n, 1n] as const;

/** A long in its one form; undefined outside 64 bits. */
export function long(value: bigint): Long | undefined {
  if (value < longMin || value > longMax) return undefined;
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** Makes the value `fn("text")`. */
export function construct(fn: string, text: string): Value | undefined {
  switch (fn) {
    case "ip":
      return parseIp(text);
    case "decimal":
      return parseDecimal(text);
    case "datetime":
      return parseDatetime(text);
    case "duration":
      return parseDuration(text);
    default:
      return undefined;
  }
}

/** Name, number of arguments (a method's receiver is its first) and behaviour. A name that is not here is refused at load. */
export const extensionFunctions: Readonly<Record<string, { readonly arity: number; readonly run: ExtensionFunction }>> = {
  ip: constructor("ip"),
  decimal: constructor("decimal"),
  datetime: constructor("datetime"),
  duration: constructor("duration"),
  isIpv4: onIp((ip) => ip.version === 4),
  isIpv6: onIp((ip) => ip.version === 6),
  isLoopback: onIp((ip) =>
    ip.version === 4 ? ip.prefix >= 8 && ip.address >> 24n === 127n : ip.prefix === 128 && ip.address === 1n,
  ),
  isMulticast: onIp((ip) =>
    ip.version === 4 ? ip.prefix >= 4 && ip.address >> 28n === 14n : ip.prefix >= 8 && ip.address >> 120n === 255n,
  ),
  isInRange: { arity: 2, run: isInRange },
  lessThan: onDecimals((left, right) => left < right),
  lessThanOrEqual: onDecimals((left, right) => left <= right),
  greaterThan: onDecimals((left, right) => left > right),
  greaterThanOrEqual: onDecimals((left, right) => left >= right),
  offset: onAmounts("datetime", "duration", (at, by) => amount("datetime", at + by)),
  durationSince: onAmounts("datetime", "datetime", (to, from) => amount("duration", to - from)),
  toDate: onAmount("datetime", (at) => amount("datetime", at - timeOfDay(at))),
  toTime: onAmount("datetime", (at) => amount("duration", timeOfDay(at))),
  toMilliseconds: onAmount("duration", (span) => long(span)),
  toSeconds: onAmount("duration", (span) => long(span / 1_000n)),
  toMinutes: onAmount("duration", (span) => long(span / 60_000n)),
  toHours: onAmount("duration", (span) => long(span / 3_600_000n)),
  toDays: onAmount("duration", (span) => long(span / dayMs)),
};

function constructor(fn: string): { arity: number; run: ExtensionFunction } {
  return { arity: 1, run: ([text]) => (typeof text === "string" ? construct(fn, text) : undefined) };
}

function onIp(test: (ip: IpValue) => boolean): { arity: number; run: ExtensionFunction } {
  return { arity: 1, run: ([ip]) => (isIp(ip) ? test(ip) : undefined) };
}

function onDecimals(test: (left: bigint, right: bigint) => boolean): { arity: number; run: ExtensionFunction } {
  return onAmounts("decimal", "decimal", test);
}

function onAmount(
  kind: AmountValue["kind"],
  run: (value: bigint) => Value | undefined,
): { arity: number; run: ExtensionFunction } {
  return { arity: 1, run: ([value]) => (isAmount(value, kind) ? run(value.amount) : undefined) };
}

function onAmounts(
  left: AmountValue["kind"],
  right: AmountValue["kind"],
  run: (left: bigint, right: bigint) => Value | undefined,
): { arity: number; run: ExtensionFunction } {
  return { arity: 2, run: ([a, b]) => (isAmount(a, left) && isAmount(b, right) ? run(a.amount, b.amount) : undefined) };
}

function isIp(value: Value | undefined): value is IpValue {
  return typeof value === "object" && value.kind === "ip";
}

export function isAmount(value: Value | undefined, kind: AmountValue["kind"]): value is AmountValue {
  return typeof value === "object" && value.kind === kind;
}

function amount(kind: AmountValue["kind"], value: bigint): AmountValue | undefined {
  return value < longMin || value > longMax ? undefined : { kind, amount: value };
}

function timeOfDay(at: bigint): bigint {
  return ((at % dayMs) + dayMs) % dayMs;
}

function parseDecimal(text: string): AmountValue | undefined {
  const match = /^(-?)([0-9]+)\.([0-9]{1,4})$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  const scaled = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, "0"));
  return amount("decimal", sign === "-" ? -scaled : scaled);
}

function parseDuration(text: string): AmountValue | undefined {
  const match = /^(-?)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(2);
  if (parts.every((part) => part === undefined)) return undefined;
  const total = unitsMs.reduce((sum, unit, at) => sum + unit * BigInt(parts[at] ?? "0"), 0n);
  return amount("duration", match[1] === "-" ? -total : total);
}

function parseDatetime(text: string): AmountValue | undefined {
  const match =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?(?:Z|([+-])([0-9]{2})([0-9]{2})))?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const number = (at: number): number => Number(match[at] ?? "0");
  const [year, month, day, hour, minute, second, ms] = [1, 2, 3, 4, 5, 6, 7].map(number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [offsetHour, offsetMinute] = [number(9), number(10)];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const offset = (offsetHour * 60 + offsetMinute) * 60_000 * (match[8] === "-" ? -1 : 1);
  return amount("datetime", BigInt(date.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + ms - offset));
}

function isInRange([inner, outer]: readonly Value[]): boolean | undefined {
  if (!isIp(inner) || !isIp(outer)) return undefined;
  if (inner.version !== outer.version || inner.prefix < outer.prefix) return false;
  const shift = BigInt((outer.version === 4 ? 32 : 128) - outer.prefix);
  return inner.address >> shift === outer.address >> shift;
}

/** A CIDR prefix is optional. As in Cedar, an IPv6 text with an embedded IPv4 address is malformed. */
function parseIp(text: string): IpValue | undefined {
  const slash = text.indexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const version = host.includes(":") ? 6 : 4;
  const bits = version === 4 ? 32 : 128;
  const prefix = slash < 0 ? bits : parsePrefix(text.slice(slash + 1));
  const address = version === 4 ? parseIpv4(host) : parseIpv6(host);
  if (prefix === undefined || prefix > bits || address === undefined) return undefined;
  return { kind: "ip", version, address, prefix };
}

function parsePrefix(text: string): number | undefined {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) ? Number(text) : undefined;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((address, part) => (address << 8n) | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const groups = head.length + tail.length;
  if (halves.length === 1 ? groups !== 8 : groups > 7) return undefined;
  const all = [...head, ...Array<string>(8 - groups).fill("0"), ...tail];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.reduce((address, group) => (address << 16n) | BigInt(`0x${group}`), 0n);
}
