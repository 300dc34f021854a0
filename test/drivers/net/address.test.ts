import fc from "fast-check";
import { expect, test } from "vitest";
import { closedAddress, isLoopback } from "../../../src/drivers/net/address.ts";

const open = [
  "1.1.1.1",
  "8.8.8.8",
  "93.184.216.34",
  "100.63.255.255",
  "100.128.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.0",
  "198.20.0.0",
  "223.255.255.255",
  "168.63.129.15",
  "2606:4700::1111",
  "2a00:1450:4001::",
  "2001:4860:4860::8888",
  "2003::1",
];
const closed = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.0",
  "100.100.100.200",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.0.2.1",
  "192.88.99.1",
  "192.168.1.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.7",
  "203.0.113.9",
  "224.0.0.1",
  "239.1.1.1",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::7f00:1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:8.8.8.8",
  "::127.0.0.1",
  "64:ff9b::7f00:1",
  "64:ff9b::8.8.8.8",
  "64:ff9b:1::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "febf::1",
  "fec0::1",
  "ff02::1",
  "100::1",
  "2001::1",
  "2001:0:53aa:64c::1",
  "2001:10::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "2002:808:808::1",
  "3fff::1",
  "4000::1",
  "5f00::1",
  "[::1]",
  "not an address",
  "",
  "1.2.3",
  "01.2.3.4",
  "1.2.3.4.5",
  "2130706433",
  "0x7f000001",
];

test("NET-2.1 NET-2.2 only public addresses are open", () => {
  expect(open.filter((address) => closedAddress(address) !== null)).toEqual([]);
  expect(closed.filter((address) => closedAddress(address) === null)).toEqual([]);
});

test("NET-2.1 every address of a closed range is closed, at both ends and inside", () => {
  const octet = fc.nat(255);
  const ranges = [
    fc.tuple(fc.constant(10), octet, octet, octet),
    fc.tuple(fc.constant(127), octet, octet, octet),
    fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), octet, octet),
    fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
    fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
    fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), octet, octet),
    fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet),
  ];
  fc.assert(
    fc.property(fc.oneof(...ranges), (octets) => {
      expect(closedAddress(octets.join("."))).not.toBeNull();
    }),
  );
});

test("NET-2.2 no IPv4 address becomes reachable by being written inside IPv6", () => {
  fc.assert(
    fc.property(fc.ipV4(), (v4) => {
      const [a = 0, b = 0, c = 0, d = 0] = v4.split(".").map(Number);
      const hex = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
      for (const v6 of [
        `::ffff:${v4}`,
        `::ffff:${hex}`,
        `::${v4}`,
        `64:ff9b::${v4}`,
        `64:ff9b::${hex}`,
        `2002:${hex}::1`,
        `0:0:0:0:0:ffff:${hex}`,
      ])
        expect(closedAddress(v6)).not.toBeNull();
    }),
  );
});

test("NET-2.1 every IPv6 address outside 2000::/3 is closed", () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const first = address.startsWith("::") ? 0 : Number.parseInt(address.split(":")[0] ?? "0", 16);
      if (first < 0x2000 || first > 0x3fff) expect(closedAddress(address)).not.toBeNull();
    }),
  );
});

test("NET-2.1 this machine is known by its names", () => {
  expect(["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"].every(isLoopback)).toBe(true);
  expect(["127.0.0.1.example.com", "10.0.0.1", "localhost.example.com", "models.example"].some(isLoopback)).toBe(false);
});
