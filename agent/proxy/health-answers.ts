import type { Node } from '#api/generated/objects.ts';
import { nftFamilies } from '#agent/network/cluster-network.ts';
import { describeError } from '#base/errors.ts';
import { cidrContains, formatIp, parseCidr, parseIp, type IpFamily } from '#base/ip.ts';
import type { ProxyHealthState } from './proxy-health.ts';
import { nodePortCidrsOf } from './table-layout.ts';

/** What a load balancer may ask this node about a Service with spec.healthCheckNodePort. */
export interface ServiceCheck {
  readonly namespace: string;
  readonly name: string;
  /** spec.healthCheckNodePort */
  readonly port: number;
  /** Ready endpoints on this node. */
  readonly localEndpoints: number;
}

export interface HealthAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const jsonHeaders = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' };

/** Taint of nodes that the cluster autoscaler is about to remove. */
const toBeDeletedTaint = 'ToBeDeletedByClusterAutoscaler';

/** The answer to any request to a Service's health check port, in kube-proxy's words. Pure. */
export function answerServiceCheck(check: ServiceCheck, isHealthy: boolean): HealthAnswer {
  const { namespace, name, localEndpoints } = check;
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: isHealthy };
  return {
    status: localEndpoints > 0 && isHealthy ? 200 : 503,
    headers: { ...jsonHeaders, 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    body: JSON.stringify(body, undefined, '\t'),
  };
}

/**
 * The answer of the proxy's own port (10256): `/healthz` for load balancers of externalTrafficPolicy Cluster, which shall not
 * start connections to a node that is about to go; `/livez` without that (KEP-3836). Pure.
 */
export function answerNodeCheck(
  path: string,
  state: ProxyHealthState,
  { isEligible, nowMs }: { readonly isEligible: boolean; readonly nowMs: number },
): HealthAnswer {
  if (path !== '/healthz' && path !== '/livez')
    return { status: 404, headers: {}, body: '404 page not found\n' };
  const isHealthy = state.isHealthy && (isEligible || path === '/livez');
  const text = (ms: number): string => new Date(ms).toISOString();
  const body = {
    lastUpdated: text(isHealthy ? nowMs : state.lastUpdatedMs),
    currentTime: text(nowMs),
    ...(path === '/healthz' ? { nodeEligible: isEligible } : {}),
  };
  return { status: isHealthy ? 200 : 503, headers: jsonHeaders, body: JSON.stringify(body) };
}

/** Whether load balancers may start new connections to a node. One that is not known yet counts. Pure. */
export function isNodeEligible(node: Node | undefined): boolean {
  if (node?.metadata?.deletionTimestamp !== undefined) return false;
  return !(node?.spec?.taints ?? []).some(({ key }) => key === toBeDeletedTaint);
}

/** What a node says of a Service whose health check port it cannot open, in the words of kube-proxy. Pure. */
export function failureOfCheck(check: ServiceCheck, nodeName: string, error: unknown): string {
  const { namespace, name, port } = check;
  const { 1: why, 2: at } = /^listen E[A-Z]+: (.+) (\S+)$/.exec(describeError(error)) ?? [];
  const text = why === undefined ? describeError(error) : `listen tcp ${at}: bind: ${why}`;
  return `node ${nodeName} failed to start healthcheck "${namespace}/${name}" on port ${port}: ${text}`;
}

export interface ListenAt {
  readonly host: string;
  /** Of `::`: not IPv4 as well. */
  readonly ipv6Only?: boolean;
}

/**
 * Where the ports of Services' health checks are: at those of the node's addresses at which node ports are served
 * (nodePortAddresses); without a network of a family at all of that family. Pure.
 */
export function planCheckHosts(
  families: readonly IpFamily[],
  nodePortCidrs: readonly string[],
  addresses: readonly string[],
): readonly ListenAt[] {
  const all = families.map((family) => ({
    family,
    cidrs: nodePortCidrsOf({ family: nftFamilies[family], nodePortCidrs }).flatMap((text) =>
      text === undefined ? [] : (parseCidr(text) ?? []),
    ),
  }));
  // The latter is both.
  if (all.every(({ cidrs }) => cidrs.length === 0))
    return [{ host: families.includes(6) ? '::' : '0.0.0.0' }];
  const ips = addresses.flatMap((text) => parseIp(text) ?? []);
  return all.flatMap(({ family, cidrs }): readonly ListenAt[] => {
    if (cidrs.length === 0) return [family === 4 ? { host: '0.0.0.0' } : { host: '::', ipv6Only: true }];
    return ips
      .filter((ip) => cidrs.some((cidr) => cidrContains(cidr, ip)))
      .map((ip) => ({ host: formatIp(ip) }));
  });
}
