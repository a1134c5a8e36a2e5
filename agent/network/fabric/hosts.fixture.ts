/**
 * Hosts for tests of the fabric: namespaces with a link each, joined as given, a pod on each, and the agent's fabric on all of them in this
 * process. What an API server would pass between them is passed by hand, so that it can be held back.
 *
 *   a 192.0.2.11 ─┐
 *   b 192.0.2.12 ─┴─ bridge ── 192.0.2.254 router 198.51.100.254 ── 198.51.100.13 c
 */
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Node } from '#api/generated/objects.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import type { Netlink, NetnsRef, NetOp } from '#native/netlink/netlink.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import type { Nft } from '#native/nft/nft.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import type { FabricChoice } from './choice.ts';
import { startFabric } from './fabric.ts';
import type { FabricState } from './fabric-options.ts';
import { macOfNode } from './node-fabric.ts';
import { parseFabric, type FabricSettings } from './settings.ts';
import type { Tunnel } from './tunnel.ts';
import { startSelfTest, type NodeFault, type SelfTest } from './self-test/self-test.ts';
import { createVxlan } from './vxlan.ts';

export const hostNames = ['a', 'b', 'c'] as const;
export type HostName = (typeof hostNames)[number];

interface HostFacts {
  readonly ips: Readonly<Record<IpFamily, string>>;
  readonly pod: Readonly<Record<IpFamily, string>>;
  readonly gateway: Readonly<Record<IpFamily, string>>;
  readonly router: Readonly<Record<IpFamily, string>>;
}

const factsOf = (index: number, link: 1 | 2): HostFacts => ({
  ips:
    link === 1
      ? { 4: `192.0.2.1${index}`, 6: `fd00:1::1${index}` }
      : { 4: `198.51.100.1${index}`, 6: `fd00:2::1${index}` },
  pod: { 4: `10.244.${index}.2`, 6: `fd00:244:0:${index}::2` },
  gateway: { 4: `10.244.${index}.1`, 6: `fd00:244:0:${index}::1` },
  router: link === 1 ? { 4: '192.0.2.254', 6: 'fd00:1::fe' } : { 4: '198.51.100.254', 6: 'fd00:2::fe' },
});

export const hosts: Readonly<Record<HostName, HostFacts>> = {
  a: factsOf(1, 1),
  b: factsOf(2, 1),
  c: factsOf(3, 2),
};

const families: readonly IpFamily[] = [4, 6];
const echoPort = 7;

export interface TestFabric extends AsyncDisposable {
  readonly netlink: Netlink;
  readonly nft: Nft;
  netns(host: HostName | 'wire'): NetnsRef & { readonly kind: 'path' };
  podNetns(host: HostName): NetnsRef & { readonly kind: 'path' };
  /** As the ConfigMap of the cluster says it, to one host or to all. */
  choose(text: string, only?: readonly HostName[]): void;
  /** What hosts say is passed on, or kept until it is. */
  hold(host: HostName, isHeld: boolean): void;
  looked(host: HostName): FabricState | undefined;
  /** Asks all others, as often as a fault must be seen, and gives what the host then says. */
  test(host: HostName): Promise<readonly NodeFault[]>;
  node(host: HostName): Node;
  /** The network of a host made anew, and its agent started: as after a reboot, with its pod as before. */
  reboot(host: HostName): Promise<void>;
  /** Whether a datagram of so many bytes, all headers of IP counted, comes back from the pod of `to` to that of `from`. */
  echoes(from: HostName, to: HostName, family: IpFamily, packetBytes?: number): Promise<boolean>;
}

/** The kernel, seen from a namespace. */
function within(netlink: Netlink, netns: NetnsRef): Netlink {
  const at = (ref: NetnsRef): NetnsRef => (ref.kind === 'own' ? netns : ref);
  return {
    ...netlink,
    apply: (ref, ops) => netlink.apply(at(ref), ops),
    state: (ref) => netlink.state(at(ref)),
    neighbours: (ref, link) => netlink.neighbours(at(ref), link),
    watch: (ref, onEvent) => netlink.watch(at(ref), onEvent),
  };
}

function nftWithin(nft: Nft, netns: NetnsRef): Nft {
  return {
    ...nft,
    commit: (_, ops) => nft.commit(netns, ops),
    ruleCount: (_, table) => nft.ruleCount(netns, table),
    generation: () => nft.generation(netns),
  };
}

interface RunningHost {
  readonly nodes: InformerCache<Node>;
  readonly stack: AsyncDisposableStack;
  readonly listeners: Set<() => void>;
  settings: FabricSettings;
  looked?: FabricState;
  selfTest?: SelfTest;
  faults: readonly NodeFault[];
  isHeld: boolean;
}

export type MakeTunnels = (netlink: Netlink, netns: string) => readonly (Tunnel & AsyncDisposable)[];

export async function startTestFabric(makeTunnels: MakeTunnels = () => []): Promise<TestFabric> {
  const undo = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'podwright-fabric-'));
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  const netlink = undo.use(createSyncNetlink());
  const nft = createSyncNft();
  const path = (name: string): NetnsRef & { readonly kind: 'path' } => ({
    kind: 'path',
    path: join(directory, name),
  });
  const make = async (name: string): Promise<void> => {
    await netlink.createNetns(path(name).path);
    undo.defer(() => netlink.removeNetns(path(name).path));
  };
  await make('wire');
  await netlink.apply(path('wire'), planWire());
  const published = new Map<HostName, Node>();
  const running = new Map<HostName, RunningHost>();
  let version = 1;
  const tell = (host: HostName, node: Node): void => {
    const { metadata } = node;
    published.set(host, { ...node, metadata: { ...metadata, resourceVersion: String(++version) } });
    for (const each of running.values()) if (!each.isHeld) pass(each);
  };
  const pass = (each: RunningHost): void => each.nodes.replace([...published.values()], String(version));
  for (const host of hostNames) published.set(host, nodeOf(host));

  const start = async (host: HostName, settings: FabricSettings): Promise<void> => {
    for (const name of [host, `pod-${host}`]) await make(name);
    await layCables(netlink, path, host);
    const nodes = createInformerCache<Node>((error) => {
      throw error;
    });
    const stack = new AsyncDisposableStack();
    const own: RunningHost = { nodes, stack, listeners: new Set(), settings, isHeld: false, faults: [] };
    running.set(host, own);
    pass(own);
    for (const family of families)
      stack.use(await startEcho(path(`pod-${host}`).path, hosts[host].pod[family], family));
    const seen = within(netlink, path(host));
    const tunnels = makeTunnels(seen, path(host).path);
    for (const tunnel of tunnels) stack.use(tunnel);
    const publish = async (key: string, text: string): Promise<void> => {
      const node = published.get(host) ?? nodeOf(host);
      tell(host, { ...node, metadata: { ...node.metadata, annotations: { [key]: text } } });
    };
    await startAgent(host, own, {
      netns: path(host).path,
      netlink: seen,
      nft: nftWithin(nft, path(host)),
      tunnels,
      publish,
    });
  };
  const plain = settingsOf('host-gw');
  for (const host of hostNames) await start(host, plain);
  undo.defer(async () => {
    for (const { stack } of running.values()) await stack.disposeAsync();
  });
  const hostOf = (host: HostName): RunningHost => {
    const found = running.get(host);
    if (found === undefined) throw new Error(`host ${host} does not run`);
    return found;
  };
  return {
    netlink,
    nft,
    netns: path,
    podNetns: (host) => path(`pod-${host}`),
    choose: (text, only = hostNames) => {
      for (const host of only) {
        const own = hostOf(host);
        own.settings = settingsOf(text);
        for (const changed of own.listeners) changed();
      }
    },
    hold: (host, isHeld) => {
      const own = hostOf(host);
      own.isHeld = isHeld;
      if (!isHeld) pass(own);
    },
    looked: (host) => hostOf(host).looked,
    test: async (host) => {
      for (let tests = 0; tests < 3; tests++) await hostOf(host).selfTest?.testAll();
      return hostOf(host).faults;
    },
    node: (host) => published.get(host) ?? nodeOf(host),
    reboot: async (host) => {
      const { stack, settings } = hostOf(host);
      await stack.disposeAsync();
      for (const name of [host, `pod-${host}`]) await netlink.removeNetns(path(name).path);
      await start(host, settings);
    },
    echoes: (from, to, family, packetBytes = 100) =>
      echo({
        netns: path(`pod-${from}`).path,
        from: hosts[from].pod[family],
        to: hosts[to].pod[family],
        family,
        packetBytes,
      }),
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

interface AgentInput {
  readonly netns: string;
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly tunnels: readonly Tunnel[];
  readonly publish: (key: string, text: string) => Promise<void>;
}

/** What bin/agent.ts starts of the fabric. */
async function startAgent(host: HostName, own: RunningHost, { netns, ...input }: AgentInput): Promise<void> {
  const { netlink, tunnels } = input;
  const nodeIps = [hosts[host].ips[4], hosts[host].ips[6]];
  const selfTest = own.stack.use(
    startSelfTest({
      ...{
        nodeName: host,
        nodeIps,
        nodes: own.nodes,
        netns,
        clock: systemClock,
        log: silentLogger,
        answerMs: 300,
      },
      onChange: (faults) => {
        own.faults = faults;
      },
    }),
  );
  own.selfTest = selfTest;
  const choice: FabricChoice = {
    current: () => ({ settings: own.settings, isOption: false }),
    onChange: (changed) => {
      own.listeners.add(changed);
      return { [Symbol.dispose]: () => void own.listeners.delete(changed) };
    },
  };
  own.stack.use(
    await startFabric({
      ...input,
      nodeName: host,
      nodes: own.nodes,
      clock: systemClock,
      log: silentLogger,
      networks: [
        { family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' },
        { family: 6, clusterCidr: 'fd00:244::/56', serviceCidr: 'fd00:96::/112' },
      ],
      nodeIps,
      hasEgress: true,
      choice,
      tunnels: [createVxlan({ netlink, mac: macOfNode(host), log: silentLogger }), ...tunnels],
      onLook: async (state) => {
        own.looked = state;
        selfTest.setState(state);
      },
    }),
  );
}

function settingsOf(text: string): FabricSettings {
  const parsed = parseFabric(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.settings;
}

function nodeOf(host: HostName): Node {
  const { ips } = hosts[host];
  const index = hostNames.indexOf(host) + 1;
  const podCIDRs = [`10.244.${index}.0/24`, `fd00:244:0:${index}::/64`];
  return {
    metadata: { name: host, uid: host, resourceVersion: '1' },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: { addresses: families.map((family) => ({ type: 'InternalIP', address: ips[family] })) },
  };
}

const noWaiting = (name: string): NetOp => ({
  op: 'setSysctl',
  key: `net/ipv6/conf/${name}/accept_dad`,
  value: '0',
});
const prefixes: Readonly<Record<IpFamily, number>> = { 4: 24, 6: 64 };

/** The two links are bridges of the router's. */
function planWire(): readonly NetOp[] {
  const legs = [hosts.a.router, hosts.c.router];
  return [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
    { op: 'setSysctl', key: 'net.ipv6.conf.all.forwarding', value: '1' },
    ...legs.flatMap((router, index): readonly NetOp[] => [
      { op: 'addLink', name: `link${index}`, link: { kind: 'bridge' } },
      noWaiting(`link${index}`),
      { op: 'setLink', name: `link${index}`, up: true },
      ...families.map((family): NetOp => ({
        op: 'ensureAddress',
        name: `link${index}`,
        address: `${router[family]}/${prefixes[family]}`,
      })),
    ]),
  ];
}

/** A host's cable, its bridge of pods, and its pod. */
async function layCables(netlink: Netlink, path: (name: string) => NetnsRef, host: HostName): Promise<void> {
  const { ips, pod, gateway, router } = hosts[host];
  const [netns, podNetns] = [path(host), path(`pod-${host}`)];
  const wire = path('wire');
  const addresses = (
    name: string,
    of: Readonly<Record<IpFamily, string>>,
    isHost = false,
  ): readonly NetOp[] =>
    families.map((family) => ({
      op: 'ensureAddress',
      name,
      address: `${of[family]}/${isHost ? (family === 4 ? 32 : 128) : prefixes[family]}`,
    }));
  const routes = (gateways: Readonly<Record<IpFamily, string>>, dev: string): readonly NetOp[] =>
    families.map((family) => ({
      op: 'ensureRoute',
      destination: family === 4 ? '0.0.0.0/0' : '::/0',
      gateway: gateways[family],
      dev,
      protocol: 4,
    }));
  await netlink.apply(wire, [
    { op: 'removeLink', name: host },
    { op: 'addLink', name: host, link: { kind: 'veth', peerName: 'eth0', peerNetns: netns } },
    { op: 'setLink', name: host, master: host === 'c' ? 'link1' : 'link0', up: true },
  ]);
  await netlink.apply(netns, [
    { op: 'setLink', name: 'lo', up: true },
    noWaiting('eth0'),
    { op: 'setLink', name: 'eth0', up: true },
    ...addresses('eth0', ips),
    ...routes(router, 'eth0'),
    { op: 'addLink', name: 'cni0', link: { kind: 'bridge' } },
    noWaiting('cni0'),
    { op: 'setLink', name: 'cni0', up: true },
    ...addresses('cni0', gateway),
    { op: 'addLink', name: 'veth0', link: { kind: 'veth', peerName: 'eth0', peerNetns: podNetns } },
    { op: 'setLink', name: 'veth0', master: 'cni0', up: true },
  ]);
  await netlink.apply(podNetns, [
    { op: 'setLink', name: 'lo', up: true },
    noWaiting('eth0'),
    { op: 'setLink', name: 'eth0', up: true },
    ...addresses('eth0', pod, true),
    ...families.map((family): NetOp => ({
      op: 'ensureRoute',
      destination: `${gateway[family]}/${family === 4 ? 32 : 128}`,
      dev: 'eth0',
    })),
    ...routes(gateway, 'eth0'),
  ]);
}

/** Node's own socket in a pod. */
async function socketIn(netns: string, family: IpFamily, ip: string, port: number): Promise<Socket> {
  const fd = inetSocket({ netns, kind: 'datagram', family, bind: { ip, port }, isWhole: true }).takeFd();
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('listening', resolve);
  socket.bind({ fd });
  await promise;
  return socket;
}

async function startEcho(netns: string, ip: string, family: IpFamily): Promise<Disposable> {
  const socket = await socketIn(netns, family, ip, echoPort);
  socket.on('error', () => undefined);
  socket.on('message', (data, from) => socket.send(data, from.port, from.address, () => undefined));
  return { [Symbol.dispose]: () => socket.close() };
}

interface EchoInput {
  readonly netns: string;
  readonly from: string;
  readonly to: string;
  readonly family: IpFamily;
  readonly packetBytes: number;
}

const headerBytes: Readonly<Record<IpFamily, number>> = { 4: 28, 6: 48 };
/** How long an echo is waited for: the machine may be busy, and one that is lost is what some tests look for. */
const echoMs = 400;

async function echo({ netns, from, to, family, packetBytes }: EchoInput): Promise<boolean> {
  const socket = await socketIn(netns, family, from, 0);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  using _late = systemClock.after(echoMs, () => resolve(false));
  socket.on('error', () => resolve(false));
  socket.on('message', (data) => resolve(data.length === packetBytes - headerBytes[family]));
  socket.send(Buffer.alloc(packetBytes - headerBytes[family], 0x5a), echoPort, to, (error) => {
    if (error !== null) resolve(false);
  });
  try {
    return await promise;
  } finally {
    socket.close();
  }
}
