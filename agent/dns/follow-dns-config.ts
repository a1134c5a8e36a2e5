import type { ConfigMap } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Informer } from '#client/client.ts';
import { emptyDnsConfig, parseDnsConfig, stubDomainOf, type DnsConfig } from './dns-config.ts';
import { createUpstream, type Upstream } from './outside/upstream.ts';

/** The ConfigMap by which a cluster's DNS is set, as that of Kubernetes is: `namespace/name`. */
export const dnsConfigKey = 'kube-system/kube-dns';

/** Of all ConfigMaps, the one that the role system:podwright:dns lets the node's proxy read. */
export const dnsConfigSelection = { namespace: 'kube-system', fieldSelector: 'metadata.name=kube-dns' };

export interface FollowedDnsConfig extends Disposable {
  current(): DnsConfig;
  /** Who is asked for a name. */
  upstreamOf(name: string): Upstream;
}

export interface FollowDnsConfigOptions {
  readonly configMaps: Informer<ConfigMap>;
  /** The node's own resolvers, unless the cluster names others. */
  readonly nodeServers: () => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly onAsked: (server: string, hasAnswered: boolean) => void;
}

/** In force as soon as it is written; without it, or where it is wrong, as if it did not say so. */
export function followDnsConfig({
  configMaps,
  nodeServers,
  clock,
  log,
  onAsked,
}: FollowDnsConfigOptions): FollowedDnsConfig {
  let config = emptyDnsConfig;
  let stubs = new Map<string, Upstream>();
  const always = createUpstream({
    servers: () => config.upstreamNameservers ?? nodeServers(),
    clock,
    onAsked,
  });

  const watch = configMaps.onChange(({ key, current }) => {
    if (key !== dnsConfigKey) return;
    const { config: next, problems } = parseDnsConfig(current?.data ?? {});
    config = next;
    stubs = new Map(
      [...next.stubDomains].map(([domain, servers]) => [
        domain,
        createUpstream({ servers: () => servers, clock, onAsked }),
      ]),
    );
    for (const problem of problems)
      log.warn({ configMap: dnsConfigKey, problem }, 'a setting of DNS has no effect');
  });
  return {
    current: () => config,
    upstreamOf: (name) => stubs.get(stubDomainOf(config, name) ?? '') ?? always,
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}
