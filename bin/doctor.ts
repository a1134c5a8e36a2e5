import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

import { systemClock } from '#base/clock.ts';
import { describeError, errnoOf } from '#base/errors.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { compileDeviceProgram } from '#native/bpf/device-program.ts';
import { allDeviceRules, normaliseDeviceRules } from '#native/bpf/device-rules.ts';
import { BPF_PROG_TYPE_CGROUP_DEVICE, loadProgram } from '#native/bpf/load.linux.ts';
import { packetRedirectorRefusal } from '#native/bpf/redirect/packet-redirector.linux.ts';
import { connectedRefusal, socketBalancerRefusal } from '#native/bpf/sockets/socket-balancer.linux.ts';
import { print } from './terminal/print.ts';
import type { OutputFormat } from './terminal/progress.ts';
import { version } from './version.ts';

export interface Finding {
  readonly what: string;
  readonly state: 'ok' | 'missing' | 'limited';
  readonly detail: string;
  /** What to do about it; empty when all is well. */
  readonly remedy: string;
}

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
const wantedNamespaces = ['net', 'mnt', 'pid', 'ipc', 'uts', 'cgroup', 'user'];

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

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return otherwise;
  }
}

function isInPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(`${directory}/${program}`));
}

/** Looks at this machine; changes nothing. */
export async function gatherFacts(): Promise<HostFacts> {
  const mountinfo = readOr('/proc/self/mountinfo', '');
  const cgroup2 = mountinfo
    .split('\n')
    .find((line) => / - cgroup2 /.test(line))
    ?.split(' ')[4];
  const programs = ['unshare', 'nsenter'];
  return {
    isRoot: process.getuid?.() === 0,
    kernelRelease: readOr('/proc/sys/kernel/osrelease', '0.0').trim(),
    filesystems: readOr('/proc/filesystems', ''),
    cgroupControllers:
      cgroup2 === undefined
        ? undefined
        : readOr(`${cgroup2}/cgroup.controllers`, '')
            .split(/\s+/)
            .filter((name) => name !== ''),
    namespaces: wantedNamespaces.filter((name) => existsSync(`/proc/self/ns/${name}`)),
    programs: {
      ...Object.fromEntries(programs.map((program) => [program, isInPath(program)])),
      busybox: findBusybox() !== undefined,
    },
    hasNftables: probeNftables(),
    seccomp:
      readOr('/proc/self/status', '').includes('Seccomp_filters:') ||
      readOr('/proc/self/status', '').includes('Seccomp:'),
    deviceRefusal: probeDevices(),
    flowRefusal: await probeFlows(),
    socketRefusal: process.getuid?.() === 0 ? socketBalancerRefusal() : undefined,
    connectedRefusal: process.getuid?.() === 0 ? connectedRefusal() : undefined,
    redirectRefusal: process.getuid?.() === 0 ? packetRedirectorRefusal() : undefined,
  };
}

function probeDevices(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const program = compileDeviceProgram(normaliseDeviceRules(allDeviceRules));
    loadProgram(BPF_PROG_TYPE_CGROUP_DEVICE, program)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** Of an address that nobody has: the list is empty, if there is one. */
async function probeFlows(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  try {
    await createSyncNft().flows(ownNetns, ['0.0.0.0']);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** In a namespace that lives as long as the probe; loads the module where the kernel has it as one. */
function probeNftables(): boolean | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    execFileSync('unshare', ['--net', process.execPath, '--eval', ''], { stdio: 'ignore' });
    return existsSync('/proc/net/netfilter') || existsSync('/proc/sys/net/netfilter');
  } catch (error) {
    console.error(`podwright: probe nftables: ${describeError(error)}`);
    return false;
  }
}

const marks: Readonly<Record<Finding['state'], string>> = { ok: 'ok', limited: '--', missing: '!!' };

export async function runDoctor(options: {
  readonly output: OutputFormat;
  readonly kubeconfig?: string | undefined;
}): Promise<void> {
  const ofCluster = options.kubeconfig === undefined ? [] : await examineCluster(options.kubeconfig);
  const findings = [...examine(await gatherFacts()), ...ofCluster];
  for (const finding of findings) {
    if (options.output === 'json') {
      print(JSON.stringify(finding));
      continue;
    }
    const remedy = finding.remedy === '' ? '' : `\n      ${finding.remedy}`;
    print(`${marks[finding.state]}  ${finding.what.padEnd(12)} ${finding.detail}${remedy}`);
  }
  if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1;
}

async function examineCluster(kubeconfig: string): Promise<readonly Finding[]> {
  const { examineWebhooks, gatherClusterFacts } = await import('./doctor/cluster-findings.ts');
  const { createApiClient } = await import('#client/api-client.ts');
  const { createHttpTransport } = await import('#client/http-transport.ts');
  const { loadKubeconfig } = await import('#client/kubeconfig.ts');
  await using transport = createHttpTransport(loadKubeconfig(kubeconfig, systemClock));

  const client = createApiClient({ transport, userAgent: `podwright-doctor/${version()}` });
  return examineWebhooks(await gatherClusterFacts(client));
}
