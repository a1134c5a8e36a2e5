/**
 * The `runtime-default` seccomp filter: every system call that the kernel has (up to the table's end) but those that need a capability
 * which the container lacks, or that no container is given. What is unknown gets ENOSYS, so that libraries fall back; what is refused
 * gets EPERM. In effect containerd's default profile of 2.x. Classic BPF over struct seccomp_data (linux/seccomp.h, linux/filter.h).
 */
import { constants } from 'node:os';
import { PodwrightError } from '#base/errors.ts';
import { syscallsOf } from './syscall-numbers.ts';
import type { Architecture } from './syscall-numbers.ts';

/** Refused unless the container has the capability; `never` is no capability. */
const restricted: Readonly<Record<string, string>> = {
  never:
    '_sysctl add_key afs_syscall create_module get_kernel_syms getpmsg io_uring_enter io_uring_register io_uring_setup ' +
    'kexec_file_load kexec_load keyctl migrate_pages move_pages nfsservctl pivot_root putpmsg query_module request_key ' +
    'security swapoff swapon sysfs tuxcall uselib userfaultfd ustat vserver',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
  CAP_SYS_ADMIN:
    'bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree ' +
    'open_by_handle_at perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare',
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime settimeofday',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYSLOG: 'syslog',
};

export type Verdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'errno'; readonly errno: number }
  /** Allowed where argument 0 (its low 32 bits) is, or is not, one of the values. */
  | { readonly kind: 'values'; readonly values: readonly number[]; readonly isAllowed: boolean }
  /** Allowed where argument 0 has none of the bits. */
  | { readonly kind: 'without-bits'; readonly bits: number };

const allow: Verdict = { kind: 'allow' };
const refuse: Verdict = { kind: 'errno', errno: constants.errno.EPERM };
const unknown: Verdict = { kind: 'errno', errno: constants.errno.ENOSYS };

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (linux/sched.h). */
const namespaceBits = 0x7e02_0000;
const AF_VSOCK = 40;
/** personality(2): PER_LINUX, PER_LINUX32, UNAME26 with both, and the question for the current one. */
const personalities = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const AUDIT_ARCH: Readonly<Record<Architecture, number>> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };
const SECCOMP_RET_ALLOW = 0x7fff_0000;
const SECCOMP_RET_ERRNO = 0x0005_0000;
const BPF_LD_W_ABS = 0x20;
const BPF_JEQ_K = 0x15;
const BPF_JGE_K = 0x35;
const BPF_JSET_K = 0x45;
const BPF_RET_K = 0x06;
const numberOffset = 0;
const architectureOffset = 4;
const argument0Offset = 16;

const cloneWithoutNamespaces: Verdict = { kind: 'without-bits', bits: namespaceBits };
const knownPersonality: Verdict = { kind: 'values', values: personalities, isAllowed: true };
const socketButVsock: Verdict = { kind: 'values', values: [AF_VSOCK], isAllowed: false };

/** The capabilities of which one is needed, by system call. */
const needs: ReadonlyMap<string, readonly string[]> = invert(restricted);

function invert(table: Readonly<Record<string, string>>): ReadonlyMap<string, readonly string[]> {
  const inverted = new Map<string, string[]>();
  for (const [capability, names] of Object.entries(table)) {
    for (const name of names.split(' ')) inverted.set(name, [...(inverted.get(name) ?? []), capability]);
  }
  return inverted;
}

/** What the filter says of a system call, by name. Pure; the reference that the compiled filter is tested against. */
export function verdictOf(name: string, capabilities: ReadonlySet<string>): Verdict {
  const isAdmin = capabilities.has('CAP_SYS_ADMIN');
  // clone3 passes its flags in memory, where a filter cannot look: glibc falls back to clone on ENOSYS.
  if (name === 'clone3') return isAdmin ? allow : unknown;
  if (name === 'clone') return isAdmin ? allow : cloneWithoutNamespaces;
  if (name === 'personality') return knownPersonality;
  if (name === 'socket') return socketButVsock;
  const needed = needs.get(name);
  return needed === undefined || needed.some((capability) => capabilities.has(capability)) ? allow : refuse;
}

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** The filter as an array of struct sock_filter. Another architecture's calls (32-bit programs) get ENOSYS. */
export function compileSeccompFilter(capabilities: readonly string[], architecture: Architecture): Buffer {
  const key = `${architecture} ${capabilities.toSorted().join(' ')}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const filter = compileFilter(capabilities, architecture);
  if (compiled.size >= compiledMax) compiled.clear();
  compiled.set(key, filter);
  return filter;
}

/** Most containers of a node have one of a few capability sets. */
const compiledMax = 64;
const compiled = new Map<string, Buffer>();

function compileFilter(capabilities: readonly string[], architecture: Architecture): Buffer {
  const segments = segmentsOf(new Set(capabilities), architecture);
  const code: Instruction[] = [
    { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: architectureOffset },
    { code: BPF_JEQ_K, jt: 1, jf: 0, k: AUDIT_ARCH[architecture] },
    ...blockOf(unknown),
    { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: numberOffset },
    ...searchTree(segments),
  ];
  return encode(code);
}

/** open_by_handle_at(2) by the AUDIT_ARCH of whoever calls: with the bit of x32, and in the tables of 32-bit programs. */
const handleCalls: Readonly<
  Record<Architecture, readonly (readonly [arch: number, calls: readonly number[]])[]>
> = {
  x86_64: [
    [AUDIT_ARCH.x86_64, [304, 0x4000_0000 | 304]],
    [0x4000_0003, [342]],
  ],
  aarch64: [
    [AUDIT_ARCH.aarch64, [265]],
    [0x4000_0028, [371]],
  ],
};

/**
 * Whether its capabilities open files by their inodes: below no directory, so that any file bound into a container (/etc/hosts, a volume)
 * gives the whole file system that it lies on. Who has CAP_SYS_ADMIN has more than that.
 */
export function opensByHandle(capabilities: readonly string[]): boolean {
  return capabilities.includes('CAP_DAC_READ_SEARCH') && !capabilities.includes('CAP_SYS_ADMIN');
}

/** For who is otherwise unconfined: everything but opening by handle (EPERM). */
export function compileHandleFilter(architecture: Architecture): Buffer {
  const perArchitecture = handleCalls[architecture].map(([arch, calls]): readonly Instruction[] => {
    const tests = calls.map((k, index) => ({ code: BPF_JEQ_K, jt: calls.length - index, jf: 0, k }));
    const body = [
      { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: numberOffset },
      ...tests,
      ...blockOf(allow),
      ...blockOf(refuse),
    ];
    return [{ code: BPF_JEQ_K, jt: 0, jf: body.length, k: arch }, ...body];
  });
  return encode([
    { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: architectureOffset },
    ...perArchitecture.flat(),
    ...blockOf(allow),
  ]);
}

function encode(code: readonly Instruction[]): Buffer {
  const result = Buffer.alloc(code.length * 8);
  code.forEach(({ code, jt, jf, k }, index) => {
    result.writeUInt16LE(code, index * 8);
    result.writeUInt8(jt, index * 8 + 2);
    result.writeUInt8(jf, index * 8 + 3);
    result.writeUInt32LE(k, index * 8 + 4);
  });
  return result;
}

interface Segment {
  readonly start: number;
  readonly verdict: Verdict;
}

/** Runs of numbers with one verdict, from 0 on; the last has no end. */
function segmentsOf(capabilities: ReadonlySet<string>, architecture: Architecture): readonly Segment[] {
  const names = new Map([...syscallsOf(architecture)].map(([name, nr]) => [nr, name]));
  const last = Math.max(...names.keys());
  const segments: Segment[] = [];
  for (let nr = 0; nr <= last + 1; nr++) {
    const name = names.get(nr);
    const verdict = name === undefined ? unknown : verdictOf(name, capabilities);
    const previous = segments.at(-1);
    if (previous?.verdict !== verdict) segments.push({ start: nr, verdict });
  }
  return segments;
}

/** A binary search by the number in the accumulator. Jumps reach 255 instructions on. */
function searchTree(segments: readonly Segment[]): readonly Instruction[] {
  const [first] = segments;
  if (first === undefined) return [];
  if (segments.length === 1) return blockOf(first.verdict);
  const middle = segments.length >> 1;
  const lower = searchTree(segments.slice(0, middle));
  const upper = searchTree(segments.slice(middle));
  if (lower.length > 255) throw new PodwrightError('E_INTERNAL', 'compile seccomp filter: a jump is too far');
  return [{ code: BPF_JGE_K, jt: lower.length, jf: 0, k: segments[middle]?.start ?? 0 }, ...lower, ...upper];
}

function blockOf(verdict: Verdict): readonly Instruction[] {
  const yes: Instruction = { code: BPF_RET_K, jt: 0, jf: 0, k: SECCOMP_RET_ALLOW };
  const no: Instruction = { code: BPF_RET_K, jt: 0, jf: 0, k: SECCOMP_RET_ERRNO | constants.errno.EPERM };
  const load: Instruction = { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: argument0Offset };
  switch (verdict.kind) {
    case 'allow':
      return [yes];
    case 'errno':
      return [{ code: BPF_RET_K, jt: 0, jf: 0, k: SECCOMP_RET_ERRNO | verdict.errno }];
    case 'values': {
      const tests = verdict.values.map((k, index) => ({
        code: BPF_JEQ_K,
        jt: verdict.values.length - index,
        jf: 0,
        k,
      }));
      return verdict.isAllowed ? [load, ...tests, no, yes] : [load, ...tests, yes, no];
    }
    case 'without-bits':
      return [load, { code: BPF_JSET_K, jt: 1, jf: 0, k: verdict.bits }, yes, no];
  }
}
