/**
 * Format: quantities as people read them.
 *   TTY-4.1  A duration has at most two units: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
 *   TTY-4.2  Bytes use powers of 1,024 with three digits at most: `812 B`, `1.5 KiB`, `24 MiB`.
 *   TTY-4.3  A cost nobody knows is `?`, never `$0`; nothing is `$0`; small sums keep two digits that count.
 *   TTY-4.4  No unit ever shows its next unit's full amount: 59.99 s is `1 min`, 1,048,575 B is `1 MiB`.
 */

export function formatDuration(ms: number): string {
  if (!(ms >= 0) || !Number.isFinite(ms)) return "?";
  const tenths = Math.round(ms / 100);
  if (tenths < 100) return tenths === 0 && ms > 0 ? "<0.1 s" : `${tenths / 10} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1440) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(ms / 3_600_000);
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

export function formatBytes(bytes: number): string {
  if (!(bytes >= 0) || !Number.isFinite(bytes)) return "?";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  // Compared as it will be shown, so that rounding cannot reach the next unit.
  while (unit < units.length - 1 && rounded(value) >= 1024) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : rounded(value)} ${units[unit]}`;
}

export function formatUsd(usd: number | null): string {
  if (usd === null || !Number.isFinite(usd)) return "?";
  if (usd === 0) return "$0";
  if (Math.abs(usd) >= 0.1) return `$${usd.toFixed(2)}`;
  if (Math.abs(usd) < 0.0001) return "<$0.0001";
  return `$${Number(usd.toPrecision(2))}`;
}

/** `32.5k`, `1.2M`: for tokens and counts. */
export function formatCount(count: number): string {
  if (!Number.isFinite(count)) return "?";
  if (Math.abs(count) < 10_000) return String(Math.round(count));
  const millions = Math.round(count / 100) >= 10_000;
  return millions ? `${short(count / 1e6)}M` : `${short(count / 1e3)}k`;
}

/** How long ago; both in milliseconds since 1970. */
export function formatAge(at: number, now: number): string {
  return now - at < 1000
    ? "now"
    : `${formatDuration(now - at)
        .split(" ")
        .slice(0, 2)
        .join(" ")} ago`;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  if (large === 0) return `${small} ${smallUnit}`;
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function rounded(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}

function short(value: number): string {
  return value < 100 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}

/** `3 pages`, `1 page`. */
export function many(count: number, one: string, more = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : more}`;
}
