import type { Finding } from './finding.ts';

/** What the checks look at; a value, so that the verdict is a pure function. */
export interface HostFacts {
  readonly isRoot: boolean;
  readonly kernelRelease: string;
  readonly filesystems: string; // /proc/filesystems
  readonly cgroupControllers: readonly string[] | undefined; // undefined: cgroup v2 is not mounted
  readonly namespaces: readonly string[]; // entries of /proc/self/ns
  readonly programs: Readonly<Record<string, boolean>>;
  readonly hasNftables: boolean | undefined; // undefined: cannot be told without root
  readonly seccomp: boolean;
  /** Why devices of containers cannot be filtered; undefined: they can, or only root can tell. */
  readonly deviceRefusal: string | undefined;
  /** Why connections that the kernel tracks cannot be listed; undefined: they can, or only root can tell. */
  readonly flowRefusal: string | undefined;
  /** Why sockets cannot be led to Services; undefined: they can, or only root can tell. */
  readonly socketRefusal: string | undefined;
  /** The same of connected sockets of UDP alone. */
  readonly connectedRefusal: string | undefined;
  /** The same of packets between pods. */
  readonly redirectRefusal: string | undefined;
}

const wantedControllers = ['cpu', 'memory', 'pids'];
export const wantedNamespaces: readonly string[] = ['net', 'mnt', 'pid', 'ipc', 'uts', 'cgroup', 'user'];

const ok = (what: string, detail: string): Finding => ({ what, state: 'ok', detail, remedy: '' });

/** Pure: one finding per thing that a node needs. */
export function examine(facts: HostFacts): readonly Finding[] {
  return [
    facts.isRoot
      ? ok('root', 'yes')
      : { what: 'root', state: 'missing', detail: 'not root', remedy: 'run with sudo' },
    examineKernel(facts.kernelRelease),
    ...examineCgroups(facts),
    ...examineNamespaces(facts),
    facts.filesystems.includes('overlay')
      ? ok('overlayfs', 'in this kernel')
      : {
          what: 'overlayfs',
          state: 'missing',
          detail: 'not in /proc/filesystems',
          remedy: 'modprobe overlay',
        },
    examineNft(facts),
    examinePolicies(facts),
    facts.seccomp
      ? ok('seccomp', 'in this kernel')
      : {
          what: 'seccomp',
          state: 'limited',
          detail: 'no CONFIG_SECCOMP_FILTER',
          remedy: 'RuntimeDefault profiles cannot be applied; use a kernel that has it',
        },
    examineDevices(facts),
    examineFastPath(facts),
    ...Object.entries(facts.programs).map(([program, isThere]) => examineProgram(program, isThere)),
  ];
}

function examineDevices({ deviceRefusal, isRoot, cgroupControllers }: HostFacts): Finding {
  const what = 'devices';
  if (!isRoot) return { what, state: 'limited', detail: 'can be told by root only', remedy: 'run with sudo' };
  const refusal = cgroupControllers === undefined ? 'cgroup v2 is not mounted' : deviceRefusal;
  if (refusal === undefined) return ok(what, 'filtered by cgroup');
  const remedy =
    'pods run, but without CAP_MKNOD, and with no devices on their file systems; a kernel with CONFIG_CGROUP_BPF and bpf(2) for root has both';
  return { what, state: 'limited', detail: refusal, remedy };
}

/** Nothing is lost without it: rules and the network stack are always there. */
function examineFastPath(facts: HostFacts): Finding {
  const { isRoot, cgroupControllers, socketRefusal, redirectRefusal } = facts;
  const what = 'fast path';
  if (!isRoot) return { what, state: 'limited', detail: 'can be told by root only', remedy: 'run with sudo' };
  const ofSockets = cgroupControllers === undefined ? 'cgroup v2 is not mounted' : socketRefusal;
  const lacks = Object.entries({ services: ofSockets, pods: redirectRefusal }).flatMap(([path, refusal]) =>
    refusal === undefined ? [] : [{ path, refusal }],
  );
  if (lacks.length === 0 && facts.connectedRefusal !== undefined)
    return {
      ...{ what, state: 'limited', detail: `services: ${facts.connectedRefusal}` },
      remedy:
        'connected sockets of UDP go by rules with --fast-path services; CAP_SYS_PTRACE and kernel.yama.ptrace_scope below 3 let it lead them, too',
    };
  if (lacks.length === 0)
    return ok(what, '--fast-path can lead connections to Services, and packets between pods');
  return {
    ...{ what, state: 'limited', detail: lacks.map(({ path, refusal }) => `${path}: ${refusal}`).join('; ') },
    remedy: `all works by rules, and --fast-path ${lacks.map(({ path }) => path).join(', ')} does nothing; Linux 6.6 with CONFIG_CGROUP_BPF and CONFIG_NET_XGRESS has both`,
  };
}

function examineProgram(program: string, isThere: boolean): Finding {
  if (isThere) return ok(program, 'found');
  const remedy = `apt-get install ${packages[program] ?? program}`;
  if (program !== 'busybox') return { what: program, state: 'missing', detail: 'not found', remedy };
  return {
    what: program,
    state: 'limited',
    detail: 'no static one found',
    remedy: `pods run, but there is no demo image; podwright setup brings one, or ${remedy}`,
  };
}

function examineKernel(release: string): Finding {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  // clone3 with CLONE_INTO_CGROUP came in 5.7, cgroup.kill in 5.14, mount_setattr in 5.12.
  if (major > 5 || (major === 5 && minor >= 14)) return ok('kernel', release);
  return { what: 'kernel', state: 'missing', detail: release, remedy: 'podwright needs Linux 5.14 or newer' };
}

function examineCgroups(facts: HostFacts): readonly Finding[] {
  if (facts.cgroupControllers === undefined) {
    return [
      {
        what: 'cgroup v2',
        state: 'missing',
        detail: 'not mounted',
        remedy: 'mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified',
      },
    ];
  }
  const controllers = facts.cgroupControllers;
  const absent = wantedControllers.filter((name) => !controllers.includes(name));
  const detail = `controllers: ${controllers.join(' ') || 'none'}`;
  if (absent.length === 0) return [ok('cgroup v2', detail)];
  const remedy = `pods run, but without ${absent.join(', ')} limits; boot with systemd.unified_cgroup_hierarchy=1 to have them`;
  return [{ what: 'cgroup v2', state: 'limited', detail, remedy }];
}

function examineNamespaces(facts: HostFacts): readonly Finding[] {
  const absent = wantedNamespaces.filter((name) => !facts.namespaces.includes(name));
  if (absent.length === 0) return [ok('namespaces', wantedNamespaces.join(' '))];
  return [
    {
      what: 'namespaces',
      state: 'missing',
      detail: `without ${absent.join(' ')}`,
      remedy: 'use a kernel with all CONFIG_*_NS',
    },
  ];
}

function examineNft(facts: HostFacts): Finding {
  if (facts.hasNftables === true) return ok('nftables', 'in this kernel');
  if (facts.hasNftables === undefined)
    return {
      what: 'nftables',
      state: 'limited',
      detail: 'can be told by root only',
      remedy: 'run with sudo',
    };
  return {
    what: 'nftables',
    state: 'missing',
    detail: 'the kernel refuses NETLINK_NETFILTER',
    remedy: 'modprobe nf_tables',
  };
}

/** Rules and counters are nftables'; what NetworkPolicy needs besides is the kernel's list of connections. */
function examinePolicies({ isRoot, hasNftables, flowRefusal }: HostFacts): Finding {
  const what = 'policies';
  if (!isRoot) return { what, state: 'limited', detail: 'can be told by root only', remedy: 'run with sudo' };
  if (hasNftables === false)
    return { what, state: 'missing', detail: 'no nftables', remedy: 'modprobe nf_tables' };
  if (flowRefusal === undefined) return ok(what, 'NetworkPolicies hold, and cut what they come to forbid');
  const remedy =
    'NetworkPolicies hold for new connections, but those that a change forbids go on; modprobe nf_conntrack_netlink';
  return { what, state: 'limited', detail: flowRefusal, remedy };
}

const packages: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  busybox: 'busybox-static',
};
