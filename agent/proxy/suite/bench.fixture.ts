import { systemClock, type Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Endpoint, EndpointSlice, Node, Service, ServiceSpec } from '#api/generated/objects.ts';
import {
  networks,
  nodeIps,
  startPacketNet,
  type PacketNet,
  type Peer,
  type TestFamily,
} from '#agent/proxy/packet-net.fixture.ts';
import { startProxy, type Proxy, type ProxyOptions } from '#agent/proxy/proxy.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { inFamily } from '#agent/proxy/services.fixture.ts';
import { createInformerCache } from '#client/informer.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import type { Nft } from '#native/nft/nft.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** Of the endpoints that are said without more. */
export interface Given {
  readonly protocol?: Protocol;
  readonly port?: number;
}

/** Of an EndpointSlice: what is not the same in all. */
export type Slice = Pick<EndpointSlice, 'ports'> & { readonly endpoints: readonly (Peer | Endpoint)[] };

/** Of the node's object. */
export interface NodeFacts {
  readonly zone?: string;
  readonly taints?: readonly string[];
}

/** Services and endpoints of one mode and family, said in addresses of IPv4, and those who meet them. */
export interface Bench extends AsyncDisposable {
  readonly mode: ProxyMode;
  readonly family: TestFamily;
  readonly nft: Nft;
  readonly a: Peer;
  readonly b: Peer;
  readonly c: Peer;
  /** Pods of another node. */
  readonly far: Peer;
  /** A host on the nodes' link that is none of them. */
  readonly outside: Peer;
  readonly node: Peer;
  /** The value in the family. */
  at<T>(value: T): T;
  /** Whom a backend sees of a client that keeps its address: what the agent forwards itself has the node's. */
  seen(client: string): string;
  /** A Service `d/NAME-FAMILY` with endpoints on this node, at 8080; its first port is 80 where the spec says no other. */
  put(
    name: string,
    spec: ServiceSpec,
    backends: readonly (Peer | Endpoint)[],
    given?: Protocol | (Given & { readonly labels?: Readonly<Record<string, string>> }),
  ): Promise<void>;
  putEndpoints(name: string, backends: readonly (Peer | Endpoint)[], given?: Given): Promise<void>;
  /** In place of all that there are. */
  putSlices(name: string, slices: readonly Slice[]): Promise<void>;
  /** One Service of both families, with an endpoint of its own in each. */
  putDual(name: string, clusterIP: string, backends: Readonly<Record<TestFamily, Peer>>): Promise<void>;
  remove(name: string): Promise<void>;
  tellNode(facts: NodeFacts): void;
  /** Another proxy takes over, with other settings. */
  restart(more: Partial<ProxyOptions>): Promise<void>;
}

/** An endpoint of a pod: on this node and ready, where nothing else is said. */
export function endpointAt(peer: Peer, changes: Partial<Endpoint> = {}): Endpoint {
  return { addresses: [peer.ip], conditions: { ready: true }, nodeName: 'node', ...changes };
}

/** The node with its peers, and the proxy that runs on it. */
export interface Stage extends AsyncDisposable {
  readonly nft: Nft;
  readonly xtables: ReturnType<typeof createXtables>;
  net(family: TestFamily): PacketNet;
  start(mode: ProxyMode, more?: Partial<ProxyOptions>): Promise<void>;
  stop(): Promise<void>;
  /** Disposing takes away what was said by it, and has the proxy be as it was. */
  bench(mode: ProxyMode, family: TestFamily): Bench;
}

export async function openStage(name: string): Promise<Stage> {
  const nft = createSyncNft();
  const netlink = createSyncNetlink();
  const xtables = createXtables(process.env, nft);
  const net = await startPacketNet(name);
  const objects = createObjects();
  // What is looked at now and then is looked at soon.
  const clock: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 20, callback) };
  let proxy: Proxy | undefined;
  const stop = async (): Promise<void> => {
    await proxy?.[Symbol.asyncDispose]();
    proxy = undefined;
  };
  const start = async (mode: ProxyMode, more: Partial<ProxyOptions> = {}): Promise<void> => {
    await stop();
    proxy = await startProxy({
      ...{ services: objects.services, endpointSlices: objects.slices, nodes: objects.nodes },
      ...{ nodeName: 'node', nodeIps, networks, mode, nft, xtables, netlink, clock, log: silentLogger },
      health: { host: '', port: 10_256 },
      ...more,
    });
  };
  const idle = (): Promise<void> => proxy?.idle() ?? Promise.resolve();
  return {
    ...{ nft, xtables, net, start, stop },
    bench: (mode, family) => {
      const { pods, far, outside, node } = net(family);
      const [a, b, c] = pods;
      let isOther = false;
      return {
        ...{ mode, family, nft, a, b, c, far, outside, node },
        ...objects.speakerOf(family, idle),
        at: (value) => inFamily(family, value),
        seen: (client) => inFamily(family, mode === 'userspace' ? '10.244.0.1' : client),
        restart: async (more) => {
          isOther = true;
          await start(mode, more);
        },
        [Symbol.asyncDispose]: async () => {
          objects.clear();
          if (isOther) await start(mode);
          await idle();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await net('ip')[Symbol.asyncDispose]();
    },
  };
}

type Speaker = Pick<Bench, 'put' | 'putEndpoints' | 'putSlices' | 'putDual' | 'remove' | 'tellNode'>;

/** What an API server would tell the node. */
function createObjects() {
  const throwIt = (error: unknown): void => {
    throw error;
  };
  const services = createInformerCache<Service>(throwIt);
  const slices = createInformerCache<EndpointSlice>(throwIt);
  const nodes = createInformerCache<Node>(throwIt);
  let version = 10;
  const next = (): string => String(++version);
  services.replace([], '1');
  slices.replace([], '1');
  nodes.replace([{ metadata: { name: 'node', resourceVersion: '1' } }], '1');

  const tellNode = ({ zone, taints = [] }: NodeFacts): void => {
    const labels: Record<string, string> = zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone };
    const spec = { taints: taints.map((key) => ({ key, effect: 'NoSchedule' as const })) };
    nodes.apply({
      type: 'MODIFIED',
      object: { metadata: { name: 'node', labels, resourceVersion: next() }, spec },
    });
  };
  const drop = (service: Service | undefined, own: readonly EndpointSlice[]): void => {
    const gone = <T extends Service | EndpointSlice>(object: T): T => ({
      ...object,
      metadata: { ...object.metadata, resourceVersion: next() },
    });
    if (service !== undefined) services.apply({ type: 'DELETED', object: gone(service) });
    for (const slice of own) slices.apply({ type: 'DELETED', object: gone(slice) });
  };
  const slicesOf = (service: string): readonly EndpointSlice[] =>
    slices.list().filter(({ metadata }) => metadata?.labels?.['kubernetes.io/service-name'] === service);

  const speakerOf = (family: TestFamily, idle: () => Promise<void>): Speaker => {
    const fullName = (name: string): string => `${name}-${family}`;
    const metadataOf = (name: string, labels: Readonly<Record<string, string>>) => ({
      ...{ namespace: 'd', name, uid: name, labels, resourceVersion: next() },
    });
    const sliceOf = (name: string, index: number, { ports = [], endpoints }: Slice): EndpointSlice => ({
      addressType: 'IPv4',
      metadata: metadataOf(`${fullName(name)}-${index}`, { 'kubernetes.io/service-name': fullName(name) }),
      ports,
      endpoints: endpoints.map((one) => ('connect' in one ? endpointAt(one) : one)),
    });
    const putSlices: Speaker['putSlices'] = (name, given) => {
      const own = slicesOf(fullName(name));
      for (const [index, slice] of given.entries())
        slices.apply({ type: 'MODIFIED', object: inFamily(family, sliceOf(name, index, slice)) });
      drop(
        undefined,
        own.filter(({ metadata }) => given.every((_, i) => metadata?.name !== `${fullName(name)}-${i}`)),
      );
      return idle();
    };
    const putEndpoints: Speaker['putEndpoints'] = (name, endpoints, { protocol = 'TCP', port = 8080 } = {}) =>
      putSlices(name, [{ ports: [{ port, protocol }], endpoints }]);
    const put: Speaker['put'] = (name, spec, backends, given = {}) => {
      const { labels = {}, ...rest } = typeof given === 'string' ? { protocol: given } : given;
      const [first, ...others] = spec.ports ?? [];
      const ports = [{ port: 80, protocol: rest.protocol ?? 'TCP', ...first }, ...others];
      const ingress = [{ ip: '203.0.113.80' }, { ip: '203.0.113.81', ipMode: 'Proxy' }];
      const object: Service = {
        metadata: metadataOf(fullName(name), labels),
        spec: { clusterIPs: [spec.clusterIP ?? ''], ...spec, ports },
        ...(spec.type === 'LoadBalancer' ? { status: { loadBalancer: { ingress } } } : {}),
      };
      services.apply({ type: 'MODIFIED', object: inFamily(family, object) });
      return putEndpoints(name, backends, rest);
    };
    const putDual: Speaker['putDual'] = (name, clusterIP, backends) => {
      const both = (['ip', 'ip6'] as const).map((each) => inFamily(each, clusterIP));
      // The first of them is that of the family.
      const clusterIPs = family === 'ip' ? both : both.toReversed();
      const spec = { clusterIP: clusterIPs[0] ?? '', clusterIPs, ports: [{ port: 80 }] };
      services.apply({ type: 'MODIFIED', object: { metadata: metadataOf(fullName(name), {}), spec } });
      for (const [index, each] of (['ip', 'ip6'] as const).entries()) {
        const object = sliceOf(name, index, { ports: [{ port: 8080 }], endpoints: [backends[each]] });
        slices.apply({ type: 'MODIFIED', object: inFamily(each, object) });
      }
      return idle();
    };
    const remove: Speaker['remove'] = (name) => {
      drop(services.get(`d/${fullName(name)}`), slicesOf(fullName(name)));
      return idle();
    };
    return { put, putEndpoints, putSlices, putDual, remove, tellNode };
  };
  const clear = (): void => {
    for (const service of services.list()) drop(service, []);
    drop(undefined, slices.list());
    tellNode({});
  };
  return { services, slices, nodes, speakerOf, clear };
}
