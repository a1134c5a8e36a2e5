/** Services and endpoints of one shape, for the tests of this folder. */
import type {
  Endpoint,
  EndpointSlice,
  LoadBalancerIngress,
  Service,
  ServiceSpec,
} from '#api/generated/objects.ts';
import { renderContribution, type Contribution } from './contribution.ts';
import { computeProxyPorts, type ProxyNode, type ProxyPort } from './service-map.ts';
import { familyFacts, type TableOptions } from './table-layout.ts';

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

/** The ports of a Service `d/NAME` with these endpoints, as `node` serves them. */
export function ports(
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  name = 'web',
  labels: Readonly<Record<string, string>> = {},
): readonly ProxyPort[] {
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
  return computeProxyPorts(service, [slice], node, 'ip');
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
