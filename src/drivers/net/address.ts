/**
 * Address: which IP addresses a model's request may reach (IANA special-purpose registries, RFC 6890).
 *   NET-2.1  Only global unicast addresses are public; loopback, private, link-local, shared, documentation, benchmark, multicast,
 *            reserved and cloud metadata addresses are not, in IPv4 and IPv6.
 *   NET-2.2  An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) is not public.
 */
import { isIP } from "node:net";

/** Why the address must not be reached, or null when it is public. */
export function closedAddress(address: string): string | null {
  const bare = address.replace(/^\[|\]$/g, "");
  switch (isIP(bare)) {
    case 4:
      return closedV4(bare.split(".").map(Number));
    case 6:
      return closedV6(bare);
    default:
      return "not an IP address";
  }
}

/** A host that is this machine: nothing sent there leaves it. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/** First octets, prefix length, why. */
const closedV4Ranges: readonly (readonly [readonly number[], number, string])[] = [
  [[0, 0, 0, 0], 8, "this network"],
  [[10, 0, 0, 0], 8, "private"],
  [[100, 64, 0, 0], 10, "shared by a carrier"],
  [[127, 0, 0, 0], 8, "loopback"],
  [[168, 63, 129, 16], 32, "cloud metadata"],
  [[169, 254, 0, 0], 16, "link-local"],
  [[172, 16, 0, 0], 12, "private"],
  [[192, 0, 0, 0], 24, "reserved"],
  [[192, 0, 2, 0], 24, "documentation"],
  [[192, 88, 99, 0], 24, "a 6to4 relay"],
  [[192, 168, 0, 0], 16, "private"],
  [[198, 18, 0, 0], 15, "benchmarking"],
  [[198, 51, 100, 0], 24, "documentation"],
  [[203, 0, 113, 0], 24, "documentation"],
  [[224, 0, 0, 0], 4, "multicast"],
  [[240, 0, 0, 0], 4, "reserved"],
];

function closedV4(octets: readonly number[]): string | null {
  const value = toNumber(octets);
  for (const [start, bits, why] of closedV4Ranges) {
    const size = 2 ** (32 - bits);
    const from = toNumber(start);
    if (value >= from && value < from + size) return why;
  }
  return null;
}

function toNumber(octets: readonly number[]): number {
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

/** Everything outside 2000::/3 is closed, so a range the registry adds later is closed too. */
function closedV6(text: string): string | null {
  const groups = expandV6(text);
  const [a = 0, b = 0] = groups;
  const zeros = (count: number): boolean => groups.slice(0, count).every((group) => group === 0);
  if (zeros(5) && groups[5] === 0xffff) return "an IPv4 address inside IPv6";
  if (zeros(7)) return groups[7] === 1 ? "loopback" : "unspecified";
  if (zeros(6)) return "an IPv4 address inside IPv6";
  if (a === 0x64 && b === 0xff9b) return "an IPv4 address behind NAT64";
  if ((a & 0xfe00) === 0xfc00) return "private";
  if ((a & 0xffc0) === 0xfe80) return "link-local";
  if ((a & 0xff00) === 0xff00) return "multicast";
  if ((a & 0xe000) !== 0x2000) return "not global unicast";
  if (a === 0x2001 && b < 0x200) return "special-purpose";
  if (a === 0x2001 && b === 0xdb8) return "documentation";
  if (a === 0x2002) return "an IPv4 address inside IPv6";
  if (a === 0x3fff && b < 0x1000) return "documentation";
  return null;
}

/** Eight groups of an address that isIP() has accepted. */
function expandV6(text: string): number[] {
  const bare = text.replace(/%.*$/, "");
  const tail = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(bare);
  const hex = (high: string | undefined, low: string | undefined): string => (Number(high) * 256 + Number(low)).toString(16);
  const plain = tail === null ? bare : `${bare.slice(0, tail.index)}${hex(tail[1], tail[2])}:${hex(tail[3], tail[4])}`;
  const [head = "", rest] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = rest === undefined || rest === "" ? [] : rest.split(":");
  const gap = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...(rest === undefined ? [] : gap), ...right].map((group) => Number.parseInt(group, 16));
}
