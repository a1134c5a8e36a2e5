import assert from 'node:assert/strict';
import { join } from 'node:path';

import type { FastPath } from '#agent/network/fast-path/choice.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { PodwrightError } from '#base/errors.ts';
import {
  cidrsOverlap,
  familyOfIp,
  formatCidr,
  formatIp,
  knownCidr,
  nthIp,
  parseCidr,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';
import type { NetOp, NetnsRef } from '#native/netlink/netlink.ts';
import { clusterCgroupName, clusterId, clusterRunDir } from '#bin/paths.ts';
import { subordinateIdsOf } from '#bin/options/subordinate-ids.ts';
import { networkProblems } from '#bin/options/network-problems.ts';
import { checkSocketPath } from '#bin/program/socket-path.ts';
import { plainFabricText } from '#agent/network/fabric/settings.ts';

export const nodesMax = 64;
/** Of a node. */
export const podsMax = 65_536;
/** Of what families nodes, pods and Services have addresses, the first being the one of who takes but one. */
export const ipFamilies: Readonly<Record<UpIpFamily, readonly IpFamily[]>> = {
  ipv4: [4],
  ipv6: [6],
  dual: [4, 6],
};

export type UpIpFamily = 'ipv4' | 'ipv6' | 'dual';

interface UpNetwork {
  readonly services: string;
  readonly pods: string;
  /** Of a cluster with fake nodes, which are many; the other is a part of it. */
  readonly widePods: string;
  readonly dns: string;
  /** Of the hosts; lives in the cluster's own namespaces only. */
  readonly fabric: Cidr;
}

const networks: Readonly<Record<IpFamily, UpNetwork>> = {
  4: {
    services: '10.96.0.0/16',
    pods: '10.244.0.0/16',
    widePods: '10.128.0.0/9',
    dns: '10.96.0.10',
    fabric: knownCidr('172.31.255.0/24'),
  },
  6: {
    services: 'fd00:10:96::/112',
    pods: 'fd00:10:244::/56', // A /64 for each node.
    widePods: 'fd00:10:244::/48',
    dns: 'fd00:10:96::a',
    fabric: knownCidr('fd00:172:31:255::/64'),
  },
};
/** What is the cluster's own, of all that pods may name. */
export function ownCidrs(plan: Pick<UpPlan, 'fakeNodes'>): readonly string[] {
  return [networks[4], networks[6]].flatMap((network) => [
    network.services,
    podsOf(network, plan),
    formatCidr(network.fabric),
  ]);
}

function podsOf({ pods, widePods }: UpNetwork, { fakeNodes }: Pick<UpPlan, 'fakeNodes'>): string {
  return fakeNodes > 0 ? widePods : pods;
}

const bridge = 'podwright0';

/** `relay`: through the launcher, which changes nothing of the machine; `nat`: by a cable and a rule of the machine's own. */
export const egresses = ['none', 'relay', 'nat'] as const;

export type Egress = (typeof egresses)[number];

/** What a command line says of it: `--egress` alone is the relay, `--no-egress` none. */
export function egressOf(given: Egress | boolean): Egress {
  if (typeof given !== 'boolean') return given;
  return given ? 'relay' : 'none';
}

/** What a cluster is told once, and keeps: a file of its data. */
export interface KeptOptions {
  readonly nodes: number;
  readonly port: number;
  readonly ipFamily: UpIpFamily;
  /** The prefix of each node's range of pod addresses. */
  readonly nodeCidrMaskSize: number;
  /** Of each node. */
  readonly maxPods: number;
  /** How packets go from node to node, in the words of agent/network/fabric/settings.ts. */
  readonly fabric: string;
  /** More for the server: `enable-admission-plugins=AlwaysPullImages`. */
  readonly serverOption: readonly string[];
  /** How pods reach what the machine reaches. */
  readonly egress: Egress;
  /** Ports of nodes that are at 127.0.0.1: `8080:30080`, `services`. */
  readonly expose: readonly string[];
  readonly proxyMode: ProxyMode;
  readonly fastPath: FastPath;
  /** Networks of the addresses that LoadBalancers get; none: they get none. */
  readonly loadBalancerCidr: readonly string[];
  /** Nodes without machines, beside the others. */
  readonly fakeNodes: number;
  /** Programs that make containers of RuntimeClasses: `crun=/usr/bin/crun`. */
  readonly runtimeHandler: readonly string[];
}

export interface UpOptions extends KeptOptions {
  readonly dataDir: string; // absolute
}

/** One "host" of the cluster on this machine: a process that holds its namespaces, and where its files are. */
export interface HostPlan {
  readonly name: string;
  /** One of each family of the cluster. */
  readonly ips: readonly string[];
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
  readonly ipFamily: UpIpFamily;
  readonly nodeCidrMaskSize: number;
  readonly maxPods: number;
  readonly fabric: string;
  readonly serverOption: readonly string[];
  readonly expose: readonly string[];
  readonly proxyMode: ProxyMode;
  readonly fastPath: FastPath;
  readonly loadBalancerCidr: readonly string[];
  readonly fakeNodes: number;
  readonly runtimeHandler: readonly string[];
  /** The way out, if there is one. */
  readonly egress:
    | {
        readonly how: Exclude<Egress, 'none'>;
        readonly gateways: readonly string[];
        readonly link: string;
        readonly resolvConf: string;
      }
    | undefined;
  readonly server: HostPlan;
  readonly nodes: readonly HostPlan[];
}

/** Pure: every name, address and path of a cluster on this machine. @throws E_USAGE */
export function planUp(options: UpOptions, cgroupRoot: string): UpPlan {
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > nodesMax) {
    throw new PodwrightError('E_USAGE', `start ${options.nodes} nodes: --nodes takes 1 to ${nodesMax}`);
  }
  checkRanges(options);
  checkPool(options);
  const egressSocket = join(options.dataDir, 'egress.sock');
  for (const path of [egressSocket, join(options.dataDir, `node-${options.nodes}`, 'agent.sock')])
    checkSocketPath(path);
  const runDir = clusterRunDir(options.dataDir);
  const cgroup = join(cgroupRoot, clusterCgroupName(options.dataDir));
  const host = (name: string, index: number): HostPlan => ({
    name,
    ips: ipFamilies[options.ipFamily].map((family) => fabricAddress(family, index)),
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
    ipFamily: options.ipFamily,
    nodeCidrMaskSize: options.nodeCidrMaskSize,
    maxPods: options.maxPods,
    fabric: options.fabric,
    serverOption: options.serverOption,
    expose: options.expose,
    proxyMode: options.proxyMode,
    fastPath: options.fastPath,
    runtimeHandler: options.runtimeHandler,
    loadBalancerCidr: options.loadBalancerCidr,
    fakeNodes: options.fakeNodes,
    egress: planEgress(options),
    server: host('server', 1),
    nodes: Array.from({ length: options.nodes }, (_, index) => host(`node-${index + 1}`, index + 11)),
  };
}

function planEgress({ dataDir, ipFamily, egress: how }: UpOptions): UpPlan['egress'] {
  if (how === 'none') return undefined;
  const gateways = ipFamilies[ipFamily].map((family) => fabricAddress(family, 1));
  return { how, gateways, link: bridge, resolvConf: join(dataDir, 'resolv.conf') };
}

/** Each node has a range, and in it an address for each of its pods. @throws E_USAGE */
function checkRanges(options: UpOptions): void {
  const { nodes, fakeNodes, nodeCidrMaskSize, maxPods, ipFamily } = options;
  if (ipFamily === 'ipv6') return; // 256 ranges, of which each has more addresses than a node takes pods.
  const pods = podsOf(networks[4], options);
  const { prefix } = knownCidr(pods);
  if (nodeCidrMaskSize < prefix || 2 ** (nodeCidrMaskSize - prefix) < nodes + fakeNodes)
    throw new PodwrightError(
      'E_USAGE',
      `start ${nodes + fakeNodes} nodes: --node-cidr-mask-size ${nodeCidrMaskSize} divides ${pods} into too few ranges; take a larger one`,
    );
  // Of the network, its gateway and its broadcast.
  const addresses = 2 ** (32 - nodeCidrMaskSize) - 3;
  if (maxPods > addresses)
    throw new PodwrightError(
      'E_USAGE',
      `start nodes of ${maxPods} pods: a range of --node-cidr-mask-size ${nodeCidrMaskSize} has addresses for ${addresses}; take a smaller one`,
    );
}

/** What server and agents would refuse, each by itself. @throws E_USAGE */
function checkPool({ loadBalancerCidr, ipFamily, fakeNodes }: UpOptions): void {
  const families = ipFamilies[ipFamily].map((family) => networks[family]);
  const [problem] = networkProblems({
    serviceCidr: families.map(({ services }) => services),
    clusterCidr: families.map((network) => podsOf(network, { fakeNodes })),
    clusterDns: [],
    loadBalancerCidr,
  });
  const own = families.map(({ fabric }) => fabric);
  const pools = loadBalancerCidr.flatMap((text) => parseCidr(text) ?? []);
  const shared = pools.find((pool) => own.some((fabric) => cidrsOverlap(pool, fabric)));
  const taken =
    shared === undefined
      ? undefined
      : `--load-balancer-cidr ${formatCidr(shared)}: overlaps the link of the nodes`;
  const said = problem ?? taken;
  if (said !== undefined) throw new PodwrightError('E_USAGE', `start a cluster: ${said}`);
}

function fabricAddress(family: IpFamily, index: number): string {
  const ip = nthIp(networks[family].fabric, index);
  assert(ip !== undefined);
  return formatIp(ip);
}

/** A host's addresses on its link. */
function planAddresses(host: HostPlan, link: string): readonly NetOp[] {
  return host.ips.map((ip): NetOp => {
    const { fabric } = networks[familyOfIp(ip) ?? 4];
    return { op: 'ensureAddress', name: link, address: `${ip}/${fabric.prefix}` };
  });
}

/** No link waits until it knows that nobody else has its addresses: `up` gives each out once. The machine may have no IPv6. */
function withoutWaiting(link: string): NetOp {
  return { op: 'setSysctl', key: `net/ipv6/conf/${link}/accept_dad`, value: '0', isOptional: true };
}

/** The bridge, in the server's namespace. */
export function planBridge(plan: UpPlan): readonly NetOp[] {
  return [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'ensureLink', name: bridge, link: { kind: 'bridge' } },
    withoutWaiting(bridge),
    { op: 'setLink', name: bridge, up: true },
    ...planAddresses(plan.server, bridge),
  ];
}

/** RTPROT_STATIC (linux/rtnetlink.h): no route of the agent's, whose others it removes. */
const staticRoute = 4;

/** A node's cable: the end on the bridge, made in the server's namespace together with its peer in the node's. */
export function planCable(
  { egress }: Pick<UpPlan, 'egress'>,
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
      withoutWaiting('eth0'),
      { op: 'setLink', name: 'eth0', up: true },
      ...planAddresses(node, 'eth0'),
      ...(egress?.gateways ?? []).map((gateway): NetOp => ({
        op: 'ensureRoute',
        destination: familyOfIp(gateway) === 6 ? '::/0' : '0.0.0.0/0',
        gateway,
        protocol: staticRoute,
      })),
    ],
  };
}

function ofPlan(plan: UpPlan, fact: (network: UpNetwork) => string): string {
  return ipFamilies[plan.ipFamily].map((family) => fact(networks[family])).join(',');
}

/** What server and agents must agree on. */
function networkArguments(plan: UpPlan): readonly string[] {
  return [
    '--service-cidr',
    ofPlan(plan, ({ services }) => services),
    '--cluster-cidr',
    ofPlan(plan, (network) => podsOf(network, plan)),
    '--cluster-dns',
    ofPlan(plan, ({ dns }) => dns),
    ...(plan.loadBalancerCidr.length === 0 ? [] : ['--load-balancer-cidr', plan.loadBalancerCidr.join(',')]),
  ];
}

/** What follows the role on the command line of a program of ours inside a host. */
export function serverArguments(plan: UpPlan): readonly string[] {
  const isSaid = (name: string): boolean => plan.serverOption.some((option) => option.split('=')[0] === name);
  return [
    '--data',
    plan.server.dataDir,
    '--listen-fd',
    '3',
    ...plan.server.ips.flatMap((ip) => ['--listen', `${familyOfIp(ip) === 6 ? `[${ip}]` : ip}:6443`]),
    '--advertise-address',
    plan.server.ips[0] ?? '',
    '--admin-kubeconfig',
    plan.kubeconfig,
    '--admin-server',
    `https://127.0.0.1:${plan.port}`,
    ...networkArguments(plan),
    '--node-cidr-mask-size-ipv4',
    String(plan.nodeCidrMaskSize),
    '--pod-routes',
    ...plan.nodes.flatMap((node) => ['--node', `${node.name}=${node.ips.join(',')}`]),
    ...(plan.fakeNodes === 0 ? [] : ['--node', `${fakeName}=${plan.server.ips.join(',')}`]),
    ...(isSaid('controller-manager-port') ? [] : ['--controller-manager-port', String(managerPort)]),
    ...(isSaid('scheduler-port') || isSaid('disable-scheduler')
      ? []
      : ['--scheduler-port', String(schedulerPort)]),
    ...plan.serverOption.map((option) => `--${option}`),
  ];
}

/** Where kube-prometheus looks for a kube-controller-manager, and for a kube-scheduler. */
const managerPort = 10_257;
const schedulerPort = 10_259;

export function agentArguments(plan: UpPlan, node: HostPlan): readonly string[] {
  return [
    '--data',
    node.dataDir,
    '--run',
    node.runDir,
    '--node-name',
    node.name,
    '--node-ip',
    node.ips.join(','),
    '--credentials',
    join(plan.server.dataDir, 'nodes', node.name),
    '--cgroup',
    node.cgroup,
    ...networkArguments(plan),
    '--link-cidr',
    ofPlan(plan, ({ fabric }) => formatCidr(fabric)),
    ...(plan.egress === undefined
      ? ['--pod-egress', 'none']
      : ['--pod-egress', 'masquerade', '--resolv-conf', plan.egress.resolvConf]),
    '--egress-socket',
    plan.egressSocket,
    '--max-pods',
    String(plan.maxPods),
    '--proxy-mode',
    plan.proxyMode,
    '--pod-manifest-path',
    join(node.dataDir, 'static-pods'),
    '--subordinate-ids',
    subordinateIdsOf(plan.id, plan.nodes.indexOf(node)),
    ...(plan.fabric === plainFabricText ? [] : ['--fabric', plan.fabric]),
    ...(plan.fastPath === 'off' ? [] : ['--fast-path', plan.fastPath]),
    ...plan.runtimeHandler.flatMap((handler) => ['--runtime-handler', handler]),
    // Its nodes are the server's: both are told.
    ...(plan.serverOption.includes('cloud-provider=external') ? ['--cloud-provider', 'external'] : []),
  ];
}

/** Whose credentials the one port of all fake nodes shows. */
const fakeName = 'fake-nodes';
const fakePort = 10_260;

/** They live where the server does, which so reaches their port. */
export function fakeNodesArguments({ server, kubeconfig, fakeNodes, maxPods }: UpPlan): readonly string[] {
  const [ip = ''] = server.ips;
  return [
    '--nodes',
    String(fakeNodes),
    '--max-pods',
    String(maxPods),
    '--kubeconfig',
    kubeconfig,
    '--server',
    `https://${familyOfIp(ip) === 6 ? `[${ip}]` : ip}:6443`,
    '--address',
    ip,
    '--port',
    String(fakePort),
    '--credentials',
    join(server.dataDir, 'nodes', fakeName),
    '--keep',
  ];
}
