import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

import { describeError, errnoOf } from '#base/errors.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { findBusybox } from '#native/launch/busybox.ts';
import { compileDeviceProgram } from '#native/bpf/device-program.ts';
import { allDeviceRules, normaliseDeviceRules } from '#native/bpf/device-rules.ts';
import { BPF_PROG_TYPE_CGROUP_DEVICE, loadProgram } from '#native/bpf/load.linux.ts';
import { packetRedirectorRefusal } from '#native/bpf/redirect/packet-redirector.linux.ts';
import { connectedRefusal, socketBalancerRefusal } from '#native/bpf/sockets/socket-balancer.linux.ts';
import { wantedNamespaces, type HostFacts } from './host-findings.ts';

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
export async function gatherHostFacts(): Promise<HostFacts> {
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
