/** Services and endpoints of one shape, for the tests of this folder. */
import type {
  Endpoint,
  EndpointSlice,
  LoadBalancerIngress,
  Service,
  ServiceSpec,
} from '#api/generated/objects.ts';
import { formatIp, parseIp } from '#base/ip.ts';
import type { NftTable } from '#native/nft/nft.ts';
import { renderContribution, type Contribution } from './contribution.ts';
import { createRuleset } from './ruleset.ts';
import { computeProxyPorts, type ProxyNode, type ProxyPort } from './service-map.ts';
import { familyFacts, type TableOptions } from './table-layout.ts';
import { planListeners, redirectPort, renderRedirects } from './userspace/redirect.ts';

/** What a load balancer gave to each Service of type LoadBalancer here. */
const ingress: readonly LoadBalancerIngress[] = [
  { ip: '203.0.113.80' },
  { ip: '203.0.113.81', ipMode: 'Proxy' },
  { hostname: 'lb.example' },
];

export const node: ProxyNode = { name: 'node-1', zone: 'zone-a', ips: ['192.0.2.1'] };
export const tableOptions: TableOptions = {
  family: 'ip',
  clusterCidr: '10.244.0.0/16',
  serviceCidr: '10.96.0.0/12',
};

/** An endpoint `10.244.0.x` of this node, or `10.244.1.x` of another. */
export function endpoint(ip: string, changes: Partial<Endpoint> = {}): Endpoint {
  return {
    addresses: [ip],
    nodeName: ip.startsWith('10.244.0.') ? 'node-1' : 'node-2',
    conditions: { ready: true },
    ...changes,
  };
}

export const local: Endpoint = endpoint('10.244.0.5');
export const remote: Endpoint = endpoint('10.244.1.5');
/** Conditions of an endpoint that is about to go and still answers. */
export const terminating: NonNullable<Endpoint['conditions']> = {
  ready: false,
  serving: true,
  terminating: true,
};

/** A Service `d/NAME` with these endpoints. */
function serviceOf(
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): { readonly service: Service; readonly slice: EndpointSlice } {
  const service: Service = {
    metadata: { namespace: 'd', name, labels },
    ...(spec.type === 'LoadBalancer' ? { status: { loadBalancer: { ingress } } } : {}),
    spec: {
      clusterIP: '10.96.0.80',
      clusterIPs: [spec.clusterIP ?? '10.96.0.80'],
      ports: [{ port: 80, protocol: 'TCP' }],
      ...spec,
    },
  };
  const slice: EndpointSlice = {
    addressType: 'IPv4',
    ports: [{ port: 8080, protocol: spec.ports?.[0]?.protocol ?? 'TCP' }],
    endpoints,
  };
  return { service, slice };
}

/** Its ports, as `node` serves them. */
export function ports(
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  name = 'web',
  labels: Readonly<Record<string, string>> = {},
): readonly ProxyPort[] {
  const { service, slice } = serviceOf(spec, endpoints, name, labels);
  return computeProxyPorts(service, [slice], node, 'ip');
}

/**
 * The same in a family: `10.244.0.5` is `fd00::a:f4:0:5` of IPv6, `10.96.0.0/12` the network of as many such octets, and what was of the
 * other family is of this one's other.
 */
export function inFamily<T>(family: 'ip' | 'ip6', value: T): T {
  if (family === 'ip') return value;
  const text = JSON.stringify(value)
    .replaceAll('"IPv4"', '"IPv6"')
    .replaceAll(/fd00::\/8|(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g, (found, octets?: string, prefix?: string) =>
      octets === undefined
        ? '10.0.0.0/8'
        : inIpv6(octets, prefix === undefined ? undefined : Number(prefix)) || found,
    );
  return JSON.parse(text) as T;
}

function inIpv6(octets: string, prefix: number | undefined): string {
  const groups = octets.split('.').map((octet) => Number(octet).toString(16));
  const ip = parseIp(`fd00:0:0:0:${groups.join(':')}`);
  const address = ip === undefined ? '' : formatIp(ip);
  if (prefix === undefined) return address;
  // Each octet is the low half of a group.
  const bits =
    prefix === 0 ? 0 : 64 + 16 * Math.floor(prefix / 8) + (prefix % 8 === 0 ? 0 : 8 + (prefix % 8));
  return `${address}/${bits}`;
}

/** What of a Service alone is in a family: its ports as the node serves them, and the cluster's networks. */
export interface ServedAlone {
  readonly ports: readonly ProxyPort[];
  readonly options: TableOptions;
}

export function servedAlone(
  family: 'ip' | 'ip6',
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  more: Partial<TableOptions> = {},
): ServedAlone {
  const options = { ...tableOptions, ...more };
  const given = inFamily(family, { ...serviceOf(spec, endpoints, 'web'), node, options });
  const served = computeProxyPorts(given.service, [given.slice], given.node, family);
  return { ports: served, options: { ...given.options, family } };
}

/** The table with that Service alone, in a family. */
export function tableIn(
  family: 'ip' | 'ip6',
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  more: Partial<TableOptions> = {},
): NftTable {
  const alone = servedAlone(family, spec, endpoints, more);
  const ruleset = createRuleset(alone.options);
  ruleset.set('d/web', renderContribution(alone.ports, familyFacts[family]));
  return ruleset.takeTable();
}

/** The place of a listener of the proxy itself, on the node: as many ports as ids. */
export const listenerPorts: Readonly<Record<string, number>> = {
  'd/web: 6 all': 40_001,
  'd/web: 6 local': 40_002,
  'd/web: 17 all': 40_003,
  'd/web: 17 local': 40_004,
};

/** The same of the mode whose backends are listeners of the proxy itself. */
export function listeningTableIn(
  family: 'ip' | 'ip6',
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  more: Partial<TableOptions> = {},
): NftTable {
  const alone = servedAlone(family, spec, endpoints, more);
  const wanted = new Set(planListeners(alone.ports).map(({ id }) => id));
  const [host = ''] = inFamily(family, node.ips);
  const ruleset = createRuleset({ ...alone.options, hasListeners: true });
  const redirected = alone.ports.map((port) =>
    redirectPort(port, host, (id) => (wanted.has(id) ? listenerPorts[id] : undefined)),
  );
  ruleset.set('d/web', renderRedirects(redirected, familyFacts[family]));
  return ruleset.takeTable();
}

export function contribution(spec: ServiceSpec, endpoints: readonly Endpoint[], name = 'web'): Contribution {
  return renderContribution(ports(spec, endpoints, name), familyFacts.ip);
}

type Ports = NonNullable<ServiceSpec['ports']>;

export const nodePort: { readonly type: 'NodePort'; readonly ports: Ports } = {
  type: 'NodePort',
  ports: [{ port: 80, nodePort: 30_080, protocol: 'TCP' }],
};
export const localPolicy: ServiceSpec = { ...nodePort, externalTrafficPolicy: 'Local' };
export const balanced: ServiceSpec = { type: 'LoadBalancer' };
export const limited: ServiceSpec = {
  ...balanced,
  loadBalancerSourceRanges: ['192.0.2.0/28', ' 10.244.0.0/24 '],
};
