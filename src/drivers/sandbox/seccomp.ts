/**
 * Seccomp: the system call filter of a sandboxed command, as classic BPF in the form bubblewrap loads.
 * It denies what reaches kernel surface no build or script needs, and what a namespace does not contain (VSOCK sockets, kernel keys).
 * Source: Linux seccomp_filter(2), struct sock_filter; system call tables of x86-64 and of asm-generic (aarch64).
 *   SBX-2.1  Mounts, new namespaces, kernel keys, bpf, perf, userfaultfd, io_uring, modules, ptrace and handles are refused with EPERM.
 *   SBX-2.2  Sockets are local, IP or netlink; every other family is refused, because VSOCK and the like cross network namespaces.
 *   SBX-2.4  A guest may nest sandboxes of its own, so for it namespaces and mounts are open; all else is refused as for a command.
 *   SBX-2.3  A foreign architecture is killed, the x32 table refused, and pushing input into a terminal (TIOCSTI, TIOCLINUX) refused.
 */

type Table = Readonly<Record<string, number>>;

/** The numbers both tables share since Linux 5.1. */
const common: Table = {
  io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431,
  fsmount: 432, fspick: 433, pidfd_getfd: 438, process_madvise: 440, mount_setattr: 442, quotactl_fd: 443,
}; // prettier-ignore

const x64: Table = {
  ptrace: 101, syslog: 103, uselib: 134, vhangup: 153, modify_ldt: 154, pivot_root: 155, _sysctl: 156, adjtimex: 159, chroot: 161,
  acct: 163, settimeofday: 164, mount: 165, umount2: 166, swapon: 167, swapoff: 168, reboot: 169, sethostname: 170,
  setdomainname: 171, iopl: 172, ioperm: 173, create_module: 174, init_module: 175, delete_module: 176, quotactl: 179,
  nfsservctl: 180, lookup_dcookie: 212, clock_settime: 227, kexec_load: 246, add_key: 248, request_key: 249, keyctl: 250,
  unshare: 272, move_pages: 279, perf_event_open: 298, fanotify_init: 300, name_to_handle_at: 303, open_by_handle_at: 304,
  clock_adjtime: 305, setns: 308, process_vm_readv: 310, process_vm_writev: 311, kcmp: 312, finit_module: 313,
  kexec_file_load: 320, bpf: 321, userfaultfd: 323, ...common,
}; // prettier-ignore

const arm64: Table = {
  lookup_dcookie: 18, umount2: 39, mount: 40, pivot_root: 41, nfsservctl: 42, chroot: 51, vhangup: 58, quotactl: 60, acct: 89,
  unshare: 97, kexec_load: 104, init_module: 105, delete_module: 106, clock_settime: 112, syslog: 116, ptrace: 117, reboot: 142,
  sethostname: 161, setdomainname: 162, settimeofday: 170, adjtimex: 171, add_key: 217, request_key: 218, keyctl: 219,
  swapon: 224, swapoff: 225, move_pages: 239, perf_event_open: 241, fanotify_init: 262, name_to_handle_at: 264,
  open_by_handle_at: 265, clock_adjtime: 266, setns: 268, process_vm_readv: 270, process_vm_writev: 271, kcmp: 272,
  finit_module: 273, bpf: 280, userfaultfd: 282, kexec_file_load: 294, ...common,
}; // prettier-ignore

/** What a sandbox is made of: a guest may bring its own. */
const nesting: readonly string[] = [
  "mount", "umount2", "pivot_root", "chroot", "sethostname", "setdomainname", "unshare", "setns", "open_tree", "move_mount", "fsopen",
  "fsconfig", "fsmount", "fspick", "mount_setattr",
]; // prettier-ignore

/** command: one command of a process · guest: a program that runs for long and may sandbox what it starts. */
export type FilterFor = "command" | "guest";

interface Machine {
  readonly audit: number;
  readonly denied: Table;
  readonly clone: number;
  readonly socket: number;
  readonly ioctl: number;
  readonly x32: boolean;
}

const machines: Readonly<Record<string, Machine>> = {
  x64: { audit: 0xc000003e, denied: x64, clone: 56, socket: 41, ioctl: 16, x32: true },
  arm64: { audit: 0xc00000b7, denied: arm64, clone: 220, socket: 198, ioctl: 29, x32: false },
};

const clone3 = 435;
const load = 0x20;
const jumpEqual = 0x15;
const jumpAtLeast = 0x35;
const jumpBits = 0x45;
const give = 0x06;
const allow = 0x7fff0000;
const kill = 0x80000000;
const refuse = (errno: number): number => 0x00050000 | errno;
const eperm = 1;
const enosys = 38;
const eafnosupport = 97;
/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const namespaceFlags = 0x7e020000;
/** UNIX, INET, INET6, NETLINK. */
const families = [1, 2, 10, 16];
/** TIOCSTI, TIOCLINUX. */
const terminalInput = [0x5412, 0x541c];
const numberAt = 0;
const archAt = 4;
const argument = (index: number): number => 16 + 8 * index;

/** The filter for a machine as Node names it; null where we have no table, and then nested namespaces are disabled by bubblewrap itself. */
export function seccompFilter(arch: string, who: FilterFor = "command"): Buffer | null {
  const machine = machines[arch];
  if (machine === undefined) return null;
  const code: number[][] = [];
  const add = (op: number, k: number, yes = 0, no = 0): void => void code.push([op, yes, no, k]);
  add(load, archAt);
  add(jumpEqual, machine.audit, 1, 0);
  add(give, kill);
  add(load, numberAt);
  if (machine.x32) {
    add(jumpAtLeast, 0x40000000, 0, 1);
    add(give, refuse(enosys));
  }
  for (const [name, number] of Object.entries(machine.denied)) {
    if (who === "guest" && nesting.includes(name)) continue;
    add(jumpEqual, number, 0, 1);
    add(give, refuse(eperm));
  }
  if (who === "command") {
    // The C library falls back to clone(), whose flags a filter can see; those of clone3() lie behind a pointer.
    add(jumpEqual, clone3, 0, 1);
    add(give, refuse(enosys));
    add(jumpEqual, machine.clone, 0, 4);
    add(load, argument(0));
    add(jumpBits, namespaceFlags, 0, 1);
    add(give, refuse(eperm));
    add(give, allow);
  }
  add(jumpEqual, machine.socket, 0, 3 + families.length);
  add(load, argument(0));
  families.forEach((family, index) => add(jumpEqual, family, families.length - index, 0));
  add(give, refuse(eafnosupport));
  add(give, allow);
  add(jumpEqual, machine.ioctl, 0, 1 + terminalInput.length);
  add(load, argument(1));
  terminalInput.forEach((request, index) => add(jumpEqual, request, terminalInput.length - index, 0));
  add(give, allow);
  add(give, refuse(eperm));
  return assemble(code);
}

function assemble(code: readonly (readonly number[])[]): Buffer {
  const out = Buffer.alloc(code.length * 8);
  code.forEach(([op = 0, yes = 0, no = 0, k = 0], index) => {
    out.writeUInt16LE(op, index * 8);
    out.writeUInt8(yes, index * 8 + 2);
    out.writeUInt8(no, index * 8 + 3);
    out.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return out;
}
