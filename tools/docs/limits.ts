/**
 * Limits: docs/reference/limits.md, from the one file that holds every bound.
 *   TOOL-6.4  Every limit is listed with its value, its unit and the comment above it.
 */
import { limits } from "../../src/abi/limits.ts";
import { code, generated, tableOf } from "./markdown.ts";

/** Endings of names, the longest that fits decides. */
const units: readonly (readonly [string, string])[] = [
  ["TokensMax", "tokens"],
  ["Tokens", "tokens"],
  ["BytesMax", "bytes"],
  ["Bytes", "bytes"],
  ["Ms", "ms"],
  ["Share", "share"],
  ["Usd", "USD"],
  ["Seconds", "s"],
];

export function limitsPage(source: string): string {
  const rows = Object.entries(limits).map(([name, value]) => [code(name), amount(name, value), commentAbove(source, name)]);
  return `# Limits

${generated}

Every bound of the system. Units are the last word of a name. The table is [src/abi/limits.ts](../../src/abi/limits.ts).

${tableOf(["Limit", "Value", "What it bounds"], rows)}
`;
}

function amount(name: string, value: unknown): string {
  if (typeof value !== "number") return code(JSON.stringify(value));
  const unit = units.find(([ending]) => name.endsWith(ending) || name.toLowerCase() === ending.toLowerCase())?.[1] ?? "";
  if (unit === "bytes") return bytes(value);
  if (unit === "ms" && value >= 1_000) return `${(value / 1_000).toLocaleString("en")} s`;
  if (unit === "share") return `${value * 100} %`;
  return `${value.toLocaleString("en", { maximumFractionDigits: 9 })}${unit === "" ? "" : ` ${unit}`}`;
}

function bytes(value: number): string {
  const steps = [
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"],
  ] as const;
  const step = steps.find(([size]) => value >= size && value % size === 0);
  return step === undefined ? `${value.toLocaleString("en")} bytes` : `${value / step[0]} ${step[1]}`;
}

/** The comment right above `name:`, as one line. */
function commentAbove(source: string, name: string): string {
  const comment = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*${name}:`).exec(source)?.[1] ?? "";
  return comment
    .split("\n")
    .map((line) => line.replace(/^\s*\*\s?/, "").trim())
    .join(" ")
    .trim();
}
