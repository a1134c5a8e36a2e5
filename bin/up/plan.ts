import assert from 'node:assert/strict';
import { join } from 'node:path';

import { PodwrightError } from '#base/errors.ts';
import { formatCidr, formatIp, knownCidr, nthIp } from '#base/ip.ts';
import type { NetOp, NetnsRef } from '#native/netlink/netlink.ts';
import { clusterCgroupName, clusterId, clusterRunDir } from '#bin/paths.ts';
import { checkSocketPath } from '#bin/program/socket-path.ts';

export const nodesMax = 64;
/** Of a node. */
export const podsMax = 65_536;
export const serviceCidr = '10.96.0.0/16';
export const clusterCidr = '10.244.0.0/16';
export const clusterDnsIp = '10.96.0.10';
/** Lives in the cluster's own namespaces only. */
const fabric = knownCidr('172.31.255.0/24');
const bridge = 'podwright0';

export interface UpOptions {
  readonly nodes: number;
  readonly dataDir: string; // absolute
  readonly port: number; // on 127.0.0.1
  /** The prefix of each node's range of pod addresses. */
  readonly nodeCidrMaskSize: number;
  /** Of each node. */
  readonly maxPods: number;
}

/** One "host" of the cluster on this machine: a process that holds its namespaces, and where its files are. */
export interface HostPlan {
  readonly name: string;
  readonly ip: string;
  readonly dataDir: string;
  readonly runDir: string; // a tmpfs in the host's own mount namespace
  readonly cgroup: string; // absolute, cgroup v2
  /** A node; the server has none. */
  readonly hasPods: boolean;
}

export interface UpPlan {
  readonly id: string;
  readonly dataDir: string;
  readonly port: number;
  readonly cgroup: string;
  readonly runDir: string;
  readonly kubeconfig: string;
  readonly egressSocket: string;
  readonly nodeCidrMaskSize: number;
  readonly maxPods: number;
  readonly server: HostPlan;
  readonly nodes: readonly HostPlan[];
}

/** Pure: every name, address and path of a cluster on this machine. @throws E_USAGE */
export function planUp(options: UpOptions, cgroupRoot: string): UpPlan {
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > nodesMax) {
    throw new PodwrightError('E_USAGE', `start ${options.nodes} nodes: --nodes takes 1 to ${nodesMax}`);
  }
  checkRanges(options);
  const egressSocket = join(options.dataDir, 'egress.sock');
  for (const path of [egressSocket, join(options.dataDir, `node-${options.nodes}`, 'agent.sock')])
    checkSocketPath(path);
  const runDir = clusterRunDir(options.dataDir);
  const cgroup = join(cgroupRoot, clusterCgroupName(options.dataDir));
  const host = (name: string, ip: string): HostPlan => ({
    name,
    ip,
    dataDir: join(options.dataDir, name),
    runDir,
    cgroup: join(cgroup, name),
    hasPods: name !== 'server',
  });
  return {
    id: clusterId(options.dataDir),
    dataDir: options.dataDir,
    port: options.port,
    cgroup,
    runDir,
    kubeconfig: join(options.dataDir, 'kubeconfig'),
    egressSocket,
    nodeCidrMaskSize: options.nodeCidrMaskSize,
    maxPods: options.maxPods,
    server: host('server', fabricAddress(1)),
    nodes: Array.from({ length: options.nodes }, (_, index) =>
      host(`node-${index + 1}`, fabricAddress(index + 11)),
    ),
  };
}

/** Each node has a range, and in it an address for each of its pods. @throws E_USAGE */
function checkRanges({ nodes, nodeCidrMaskSize, maxPods }: UpOptions): void {
  const { prefix } = knownCidr(clusterCidr);
  if (nodeCidrMaskSize < prefix || 2 ** (nodeCidrMaskSize - prefix) < nodes)
    throw new PodwrightError(
      'E_USAGE',
      `start ${nodes} nodes: --node-cidr-mask-size ${nodeCidrMaskSize} divides ${clusterCidr} into too few ranges; take a larger one`,
    );
  // Of the network, its gateway and its broadcast.
  const addresses = 2 ** (32 - nodeCidrMaskSize) - 3;
  if (maxPods > addresses)
    throw new PodwrightError(
      'E_USAGE',
      `start nodes of ${maxPods} pods: a range of --node-cidr-mask-size ${nodeCidrMaskSize} has addresses for ${addresses}; take a smaller one`,
    );
}

function fabricAddress(index: number): string {
  const ip = nthIp(fabric, index);
  assert(ip !== undefined);
  return formatIp(ip);
}

/** The bridge, in the server's namespace. */
export function planBridge(plan: UpPlan): readonly NetOp[] {
  return [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'ensureLink', name: bridge, link: { kind: 'bridge' } },
    { op: 'setLink', name: bridge, up: true },
    { op: 'ensureAddress', name: bridge, address: `${plan.server.ip}/${fabric.prefix}` },
  ];
}

/** A node's cable: the end on the bridge, made in the server's namespace together with its peer in the node's. */
export function planCable(
  node: HostPlan,
  nodeNetns: NetnsRef,
): { readonly atBridge: readonly NetOp[]; readonly atNode: readonly NetOp[] } {
  return {
    atBridge: [
      { op: 'addLink', name: node.name, link: { kind: 'veth', peerName: 'eth0', peerNetns: nodeNetns } },
      { op: 'setLink', name: node.name, master: bridge, up: true },
    ],
    atNode: [
      { op: 'setLink', name: 'lo', up: true },
      { op: 'setLink', name: 'eth0', up: true },
      { op: 'ensureAddress', name: 'eth0', address: `${node.ip}/${fabric.prefix}` },
    ],
  };
}

/** What follows the role on the command line of a program of ours inside a host. */
export function serverArguments(plan: UpPlan): readonly string[] {
  return [
    '--data',
    plan.server.dataDir,
    '--listen-fd',
    '3',
    '--listen',
    `${plan.server.ip}:6443`,
    '--advertise-address',
    plan.server.ip,
    '--admin-kubeconfig',
    plan.kubeconfig,
    '--admin-server',
    `https://127.0.0.1:${plan.port}`,
    '--service-cidr',
    serviceCidr,
    '--cluster-cidr',
    clusterCidr,
    '--cluster-dns',
    clusterDnsIp,
    '--node-cidr-mask-size',
    String(plan.nodeCidrMaskSize),
    '--pod-routes',
    ...plan.nodes.flatMap((node) => ['--node', `${node.name}=${node.ip}`]),
  ];
}

export function agentArguments(plan: UpPlan, node: HostPlan): readonly string[] {
  return [
    '--data',
    node.dataDir,
    '--run',
    node.runDir,
    '--node-name',
    node.name,
    '--node-ip',
    node.ip,
    '--credentials',
    join(plan.server.dataDir, 'nodes', node.name),
    '--cgroup',
    node.cgroup,
    '--cluster-dns',
    clusterDnsIp,
    '--cluster-cidr',
    clusterCidr,
    '--service-cidr',
    serviceCidr,
    '--link-cidr',
    formatCidr(fabric),
    '--pod-egress',
    'none',
    '--egress-socket',
    plan.egressSocket,
    '--max-pods',
    String(plan.maxPods),
  ];
}
