import { expect, test } from 'vitest';
import type { LoadBalancerIngress, Node, Service, ServiceSpec } from '#api/generated/objects.ts';
import { computeGroups, localGroupsMax, type AnnouncedGroup } from './announced-groups.ts';

const networks = [
  {
    family: 4,
    clusterCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/16',
    loadBalancerCidr: '203.0.113.0/24',
  },
  { family: 6, clusterCidr: 'fd00:1::/56', serviceCidr: 'fd00:2::/112', loadBalancerCidr: 'fd00:9::/112' },
] as const;
const node: Node = { metadata: { name: 'n1' } };
const local: Partial<ServiceSpec> = { externalTrafficPolicy: 'Local' };

function service(
  name: string,
  ips: readonly (string | LoadBalancerIngress)[],
  spec: Partial<ServiceSpec> = {},
  labels: Readonly<Record<string, string>> = {},
): Service {
  const ingress = ips.map((ip) => (typeof ip === 'string' ? { ip } : ip));
  return {
    metadata: { namespace: 'd', name, labels },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress } },
  };
}

const describeGroup = ({ lease, addresses, services, isCandidate }: AnnouncedGroup): string =>
  `${lease.replace('podwright-load-balancers', '*')}: ${addresses.join(' ')} (${services.join(' ')})${isCandidate ? '' : ', not here'}`;

const labelled = (name: string): Node => ({ metadata: { name: 'n1', labels: { [name]: '' } } });

test.each<[string, readonly Service[], readonly string[], Partial<Parameters<typeof computeGroups>[0]>?]>([
  ['none', [], []],
  ['one of both families', [service('a', ['203.0.113.1', 'fd00:9::1'])], ['*: 203.0.113.1 fd00:9::1 (d/a)']],
  [
    'all that any node serves have one holder',
    [service('b', ['203.0.113.2']), service('a', ['203.0.113.1'])],
    ['*: 203.0.113.1 203.0.113.2 (d/a d/b)'],
  ],
  ['of a strange network', [service('a', ['192.0.2.1'])], []],
  ['of mode Proxy', [service('a', [{ ip: '203.0.113.1', ipMode: 'Proxy' }])], []],
  ['of mode VIP', [service('a', [{ ip: '203.0.113.1', ipMode: 'VIP' }])], ['*: 203.0.113.1 (d/a)']],
  ['a name', [service('a', [{ hostname: 'x.example' }])], []],
  ['another type', [service('a', ['203.0.113.1'], { type: 'ClusterIP' })], []],
  ['another class', [service('a', ['203.0.113.1'], { loadBalancerClass: 'x/y' })], []],
  [
    'our class',
    [service('a', ['203.0.113.1'], { loadBalancerClass: 'podwright/link' })],
    ['*: 203.0.113.1 (d/a)'],
  ],
  [
    "another's Service proxy",
    [service('a', ['203.0.113.1'], {}, { 'service.kubernetes.io/service-proxy-name': 'x' })],
    [],
  ],
  [
    'Local with an endpoint here',
    [service('here', ['203.0.113.1', 'fd00:9::1'], local)],
    ['*-203-0-113-1: 203.0.113.1 (d/here)', '*-fd000009000000000000000000000001: fd00:9::1 (d/here)'],
  ],
  ['Local without', [service('a', ['203.0.113.1'], local)], ['*-203-0-113-1: 203.0.113.1 (d/a), not here']],
  [
    'shared by two Local',
    [service('a', ['203.0.113.1'], local), service('here', ['203.0.113.1'], local)],
    ['*-203-0-113-1: 203.0.113.1 (d/a d/here)'],
  ],
  [
    'a node that load balancers leave out',
    [service('a', ['203.0.113.1'])],
    ['*: 203.0.113.1 (d/a), not here'],
    { node: labelled('node.kubernetes.io/exclude-from-external-load-balancers') },
  ],
  [
    'a node that goes',
    [service('a', ['203.0.113.1'])],
    ['*: 203.0.113.1 (d/a), not here'],
    { node: { metadata: { name: 'n1', deletionTimestamp: '2026-01-01T00:00:00Z' } } },
  ],
])('%s', (_name, services, want, more = {}) => {
  const input = { services, hasLocalEndpoint: (key: string) => key === 'd/here', node, networks };
  expect(computeGroups({ ...input, ...more }).map(describeGroup)).toEqual(want);
});

test('of Leases of single addresses there are so many at most', () => {
  const services = Array.from({ length: 250 }, (_, i) =>
    service(`s${i}`, [`203.0.113.${i + 1}`, `fd00:9::${i + 1}`], local),
  );
  const groups = computeGroups({ services, hasLocalEndpoint: () => true, node, networks });
  expect(groups).toHaveLength(localGroupsMax);
});
