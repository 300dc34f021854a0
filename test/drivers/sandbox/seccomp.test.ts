import { describe, expect, test } from "vitest";
import { seccompFilter } from "../../../src/drivers/sandbox/seccomp.ts";

const allow = 0x7fff0000;
const kill = 0x80000000;
const refused = (errno: number): number => 0x00050000 + errno;
const arches = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;

/** Runs the filter as the kernel does, on the fields of struct seccomp_data that it reads. */
function decide(filter: Buffer, audit: number, number: number, args: readonly number[] = []): number {
  const data = new Map([[0, number], [4, audit], ...args.map((arg, index): [number, number] => [16 + 8 * index, arg])]);
  let value = 0;
  for (let at = 0; at < filter.length / 8; at += 1) {
    const [code, yes, no, k] = [
      filter.readUInt16LE(at * 8),
      filter.readUInt8(at * 8 + 2),
      filter.readUInt8(at * 8 + 3),
      filter.readUInt32LE(at * 8 + 4),
    ];
    if (code === 0x06) return k;
    if (code === 0x20) value = data.get(k) ?? 0;
    else if (code === 0x15) at += value === k ? yes : no;
    else if (code === 0x35) at += value >= k ? yes : no;
    else if (code === 0x45) at += (value & k) !== 0 ? yes : no;
    else throw new Error(`code ${code}`);
  }
  throw new Error("fell off the end");
}

describe.each([
  {
    arch: "x64",
    numbers: {
      read: 0,
      mount: 165,
      keyctl: 250,
      unshare: 272,
      ptrace: 101,
      bpf: 321,
      clone: 56,
      socket: 41,
      ioctl: 16,
      openat: 257,
    },
  },
  {
    arch: "arm64",
    numbers: {
      read: 63,
      mount: 40,
      keyctl: 219,
      unshare: 97,
      ptrace: 117,
      bpf: 280,
      clone: 220,
      socket: 198,
      ioctl: 29,
      openat: 56,
    },
  },
] as const)("seccomp on $arch", ({ arch, numbers }) => {
  const audit = arches[arch];
  const filter = seccompFilter(arch) ?? Buffer.alloc(0);
  const of = (number: number, ...args: number[]): number => decide(filter, audit, number, args);

  test("SBX-2.1 ordinary calls pass and the listed ones are refused", () => {
    expect(of(numbers.read)).toBe(allow);
    expect(of(numbers.openat)).toBe(allow);
    for (const name of ["mount", "keyctl", "unshare", "ptrace", "bpf"] as const) expect(of(numbers[name])).toBe(refused(1));
    for (const number of [425, 428, 438, 442]) expect(of(number)).toBe(refused(1));
    expect(of(435)).toBe(refused(38));
    expect(of(numbers.clone, 0x01200011)).toBe(allow);
    for (const flag of [0x10000000, 0x20000, 0x40000000]) expect(of(numbers.clone, 0x11 | flag)).toBe(refused(1));
  });

  test("SBX-2.4 for a guest namespaces and mounts are open, and nothing else", () => {
    const open = seccompFilter(arch, "guest") ?? Buffer.alloc(0);
    const guest = (number: number, ...args: number[]): number => decide(open, audit, number, args);
    for (const name of ["mount", "unshare"] as const) expect(guest(numbers[name])).toBe(allow);
    for (const flag of [0x10000000, 0x20000, 0x40000000]) expect(guest(numbers.clone, 0x11 | flag)).toBe(allow);
    expect(guest(435)).toBe(allow);
    for (const name of ["keyctl", "ptrace", "bpf"] as const) expect(guest(numbers[name])).toBe(refused(1));
    expect(guest(425)).toBe(refused(1));
    expect(guest(numbers.socket, 40)).toBe(refused(97));
    for (const request of [0x5412, 0x541c]) expect(guest(numbers.ioctl, 0, request)).toBe(refused(1));
    expect(decide(open, 0x40000003, numbers.read)).toBe(kill);
  });

  test("SBX-2.2 only local, IP and netlink sockets", () => {
    for (const family of [1, 2, 10, 16]) expect(of(numbers.socket, family)).toBe(allow);
    for (const family of [0, 3, 17, 38, 40, 44]) expect(of(numbers.socket, family)).toBe(refused(97));
  });

  test("SBX-2.3 foreign architectures, the x32 table and terminal input", () => {
    expect(decide(filter, 0x40000003, numbers.read)).toBe(kill);
    if (arch === "x64") expect(of(0x40000000 + numbers.read)).toBe(refused(38));
    expect(of(numbers.ioctl, 0, 0x5401)).toBe(allow);
    for (const request of [0x5412, 0x541c]) expect(of(numbers.ioctl, 0, request)).toBe(refused(1));
  });
});

test("SBX-2.1 there is no filter where there is no table", () => {
  expect(seccompFilter("mips")).toBeNull();
});
