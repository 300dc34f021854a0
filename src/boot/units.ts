/**
 * Units: the quantities people write in a configuration file or after an option, as exact numbers.
 *   BOO-8.1  A duration is milliseconds: `500ms`, `90s`, `10m`, `1h30m`, `2d`; a bare number is refused, its unit being unknown.
 *   BOO-8.2  A size is bytes: `4096`, `512 KiB`, `1 GiB`; `kB`, `MB`, `GB` are powers of 1,000.
 *   BOO-8.3  A count may use `_` and `,` between groups of three digits, and `k` or `M`; an amount is `2`, `2 USD`, `$2` or `50 cents`.
 *   BOO-8.4  What is negative, not finite, or beyond exact integers is refused, never clamped.
 */

/** Milliseconds, or null where the text is no duration. */
export function parseDuration(text: string): number | null {
  const compact = text.trim().replaceAll(/\s+/g, "");
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|min|m|h|d))+$/.test(compact)) return null;
  let total = 0;
  let last = Infinity;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/g)) {
    const size = durations[unit ?? ""] ?? NaN;
    // Units fall from left to right, each once, so that `5m1h` and `1s1s` are caught as slips.
    if (!(size < last)) return null;
    last = size;
    total += Number(amount) * size;
  }
  return exact(Math.round(total));
}

/** Bytes, or null where the text is no size. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B|)$/.exec(ungrouped(text));
  if (match === null) return null;
  const [, amount, unit] = match;
  const size = sizes[unit?.toLowerCase() ?? ""];
  return size === undefined ? null : exact(Math.round(Number(amount) * size));
}

/** A whole number, or null. */
export function parseCount(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(k|M|)$/.exec(ungrouped(text));
  if (match === null) return null;
  const factor = match[2] === "k" ? 1e3 : match[2] === "M" ? 1e6 : 1;
  const value = Number(match[1]) * factor;
  return Number.isInteger(value) ? exact(value) : null;
}

/** Dollars, or null. */
export function parseUsd(text: string): number | null {
  const compact = ungrouped(text);
  const cents = /^(\d+(?:\.\d+)?)\s*(?:cents?|¢)$/.exec(compact);
  if (cents !== null) return bounded(Number(cents[1]) / 100);
  const match = /^(?:\$\s*(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\s*(?:USD|usd|\$|))$/.exec(compact);
  return match === null ? null : bounded(Number(match[1] ?? match[2]));
}

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, min: 6e4, h: 36e5, d: 864e5 };
const sizes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `1,000,000` and `1_000_000` without their marks; marks anywhere else stay and make the number invalid. */
function ungrouped(text: string): string {
  return text.trim().replace(/\d{1,3}(?:[_,]\d{3})+(?!\d)/, (digits) => digits.replaceAll(/[_,]/g, ""));
}

function exact(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null;
}

function bounded(value: number): number | null {
  return Number.isFinite(value) && value <= Number.MAX_SAFE_INTEGER ? value : null;
}
