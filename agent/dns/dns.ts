import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ConfigMap, EndpointSlice, Namespace, Service } from '#api/generated/objects.ts';
import { bitsOf, familyOfIp } from '#base/ip.ts';
import { servedCidrsOf, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import type { ServiceNetworks } from '#agent/network/service-networks.ts';
import type { Informer } from '#client/client.ts';
import { ownNetns, type Netlink, type NetOp } from '#native/netlink/netlink.ts';
import { createDnsView } from './dns-view.ts';
import { followDnsConfig } from './follow-dns-config.ts';
import type { DnsCounts } from './dns-counts.ts';
import { createForwarder } from './outside/forwarder.ts';
import { listenForDns } from './listen.ts';
import { createResolver } from './resolver.ts';

export interface DnsServerOptions {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly namespaces?: Informer<Namespace>;
  readonly netlink: Netlink;
  readonly clock: Clock;
  readonly log: Logger;
  /** The kube-dns Service's addresses: made addresses of `lo`, so that every node answers its own pods. */
  readonly addresses: readonly string[];
  readonly port?: number; // 53
  readonly zone: string;
  readonly ttlSeconds?: number;
  readonly networks: readonly ClusterNetwork[];
  /** Those with what is added while the agent runs. */
  readonly serviceNetworks?: ServiceNetworks;
  /** Resolvers for names outside the cluster, as they are now; none: such names are refused at once. */
  readonly upstreams: () => readonly string[];
  /** The ConfigMap dnsConfigKey, wherever else others of the cache are from. */
  readonly configMaps: Informer<ConfigMap>;
  /** The search list of the pod of this node that has an address; empty for anybody else. */
  readonly searchesOf: (ip: string) => readonly string[];
  readonly counts: DnsCounts;
}

/** TTL of answers: the CoreDNS plugin's default. Short, because Services change. */
const ttlDefaultSeconds = 5;

/**
 * The cluster's DNS for this node's pods (Kubernetes DNS specification 1.1.0), by UDP and TCP. The Service that has the
 * address must get no rules from the proxy (`ownServices`). Resolves when it listens.
 */
export async function startDns(options: DnsServerOptions): Promise<AsyncDisposable> {
  const { addresses, port = 53, netlink, clock, log, upstreams, counts } = options;
  await using stack = new AsyncDisposableStack();

  const view = stack.use(createDnsView(options));
  // Asking ourselves for what we do not know would go round in circles.
  const others = (): readonly string[] => upstreams().filter((server) => !addresses.includes(server));
  const settings = stack.use(
    followDnsConfig({
      configMaps: options.configMaps,
      nodeServers: others,
      clock,
      log,
      onAsked: counts.asked,
    }),
  );
  const forwarder = createForwarder({ upstreamOf: settings.upstreamOf, clock, onFound: counts.found });
  const resolve = createResolver({
    view,
    zone: options.zone,
    serverIps: addresses,
    ttlSeconds: options.ttlSeconds ?? ttlDefaultSeconds,
    get ownCidrs() {
      const networks = options.serviceNetworks?.current() ?? options.networks;
      return networks.flatMap((network) => [network.clusterCidr, ...servedCidrsOf(network)]);
    },
    hosts: () => settings.current().hosts,
    searchesOf: options.searchesOf,
    forwarder,
  });
  await Promise.all([options.services.synced, options.endpointSlices.synced]);
  await netlink.apply(ownNetns, [
    { op: 'setLink', name: 'lo', up: true },
    ...addresses.map((address): NetOp => ({
      op: 'ensureAddress',
      name: 'lo',
      address: `${address}/${bitsOf(familyOfIp(address) ?? 4)}`,
    })),
  ]);
  const counted = counts.counted(resolve, () => clock.monotonic());
  for (const address of addresses)
    stack.use(await listenForDns({ at: { address, port }, resolve: counted, log }));
  return stack.move();
}
