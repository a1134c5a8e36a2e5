import { describe, expect, it } from 'vitest';
import { knownCidr } from '#base/ip.ts';
import { providedNodeIpAnnotation, shutdownTaint, uninitializedTaint } from '#api/meta/cloud-node.ts';
import type { Node, Service, ServiceSpec } from '#api/generated/objects.ts';
import { toyInstance } from './cloud.fixture.ts';
import type { CloudInstance, CloudRoute } from './cloud.ts';
import { planByInstance, planNode } from './node-lifecycle/plan.ts';
import { planAddresses, planInitialized, planLabels, planOtherNames } from './node/plan.ts';
import { planCondition, planRoutes } from './route/plan.ts';
import { balancedNodes, cleanupFinalizer, describeChange, nodeKeyOf, planBalancer } from './service/plan.ts';

const node: Node = {
  metadata: { name: 'n', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', labels: { own: 'x' } },
  spec: { taints: [uninitializedTaint, { key: 'other', effect: 'NoSchedule' }], podCIDRs: ['10.244.1.0/24'] },
  status: {
    addresses: [
      { type: 'InternalIP', address: '10.9.0.9' },
      { type: 'Hostname', address: 'n' },
    ],
  },
};
const told = (ips: string): Node => ({
  ...node,
  metadata: { ...node.metadata, annotations: { [providedNodeIpAnnotation]: ips } },
});
const instance = (more: Partial<CloudInstance> = {}): CloudInstance => toyInstance('n', more);
const ip = (address: string, type = 'InternalIP') => ({ type, address });

describe('planAddresses()', () => {
  const two = [ip('10.9.0.1'), ip('10.9.0.2'), ip('203.0.113.1', 'ExternalIP')];
  const host = ip('n', 'Hostname');
  it.each<[string, Node, readonly { type: string; address: string }[], unknown]>([
    ["the cloud's, and the node's Hostname", node, [ip('10.9.0.1')], [ip('10.9.0.1'), host]],
    ["the cloud's Hostname", node, [ip('m', 'Hostname')], [ip('m', 'Hostname')]],
    ['none of the cloud', node, [], undefined],
    ['the same', node, [ip('10.9.0.9')], undefined],
    ['one that the kubelet was told', told('10.9.0.2'), two, [ip('10.9.0.2'), two[2], host]],
    [
      'of both families',
      told('10.9.0.2,fd00::2'),
      [...two, ip('fd00:0::2')],
      [ip('10.9.0.2'), ip('fd00:0::2'), two[2], host],
    ],
    [
      'one that the cloud does not know',
      told('10.9.0.7'),
      two,
      'failed to get node address from cloud provider that matches ip: 10.9.0.7',
    ],
    ['none that is one', told('x'), two, 'failed to parse node IP "x"'],
  ])('%s', (_, given, addresses, want) => {
    const plan = planAddresses(given, instance({ addresses }));
    expect('problem' in plan ? plan.problem : plan.addresses).toEqual(want);
  });
});

describe('planInitialized()', () => {
  it('has providerID, both names of labels, the labels of the cloud, and not the taint', () => {
    const labels = { 'toy.example/rack': '7', own: 'y', 'node.kubernetes.io/bad': 'z', 'k8s.io/bad': 'z' };
    const plan = planInitialized(node, instance({ labels }));
    expect(plan).toMatchObject({
      node: {
        metadata: {
          labels: {
            own: 'x',
            'toy.example/rack': '7',
            'beta.kubernetes.io/instance-type': 'toy.small',
            'node.kubernetes.io/instance-type': 'toy.small',
            'failure-domain.beta.kubernetes.io/zone': 'toy-1a',
            'topology.kubernetes.io/zone': 'toy-1a',
            'failure-domain.beta.kubernetes.io/region': 'toy-1',
            'topology.kubernetes.io/region': 'toy-1',
          },
        },
        spec: { providerID: 'toy://n', taints: [{ key: 'other', effect: 'NoSchedule' }] },
      },
    });
    expect(JSON.stringify(plan)).not.toContain('bad');
  });
  it('keeps the providerID that there is, and needs one', () => {
    const kept = planInitialized({ ...node, spec: { providerID: 'toy://0' } }, instance({ providerId: '' }));
    expect(kept).toMatchObject({ node: { spec: { providerID: 'toy://0' } } });
    const problem = 'cloud provider does not set node provider ID for node n';
    expect(planInitialized(node, instance({ providerId: '' }))).toEqual({ problem });
  });
  it('later follows the labels of the cloud, and the other name of each', () => {
    expect(planLabels(node, instance({ labels: { own: 'y', 'a.k8s.io/x': 'z' } }))).toEqual({ own: 'y' });
    const labels = { 'failure-domain.beta.kubernetes.io/zone': 'a', 'topology.kubernetes.io/zone': 'b' };
    expect(planOtherNames({ metadata: { labels } })).toEqual({ 'topology.kubernetes.io/zone': 'a' });
  });
});

describe('planNode(), planByInstance()', () => {
  const is = (status: string | undefined, spec: Node['spec'] = {}): Node => ({
    ...{ metadata: node.metadata, spec },
    status: { conditions: status === undefined ? [] : [{ type: 'Ready', status }] },
  });
  const startMs = Date.UTC(2026, 0, 1);
  const stopped = { taints: [shutdownTaint] };
  const fresh = { taints: [uninitializedTaint] };
  it.each<[string, Node, number, string]>([
    ['ready', is('True'), 0, 'leave'],
    ['ready again', is('True', stopped), 0, 'untaint'],
    ['not ready', is('False'), 0, 'ask'],
    ['of no condition', is(undefined), 0, 'ask'],
    ['new to the cloud', is('False', fresh), 59_999, 'leave'],
    ['new to the cloud for long', is('False', fresh), 60_000, 'ask'],
    ['new, of a known instance', is('False', { ...fresh, providerID: 'toy://n' }), 0, 'ask'],
  ])('%s: %s', (_, given, afterMs, want) => {
    expect(planNode(given, startMs + afterMs).kind).toBe(want);
  });
  it.each<[string, Node, CloudInstance | undefined, string]>([
    ['gone', is('Unknown'), undefined, 'delete'],
    ['there', is('Unknown'), instance(), 'leave'],
    ['stopped', is('Unknown'), instance({ isShutDown: true }), 'taint'],
    ['stopped, and told', is('Unknown', stopped), instance({ isShutDown: true }), 'leave'],
  ])('an instance that is %s', (_, given, found, want) => {
    expect(planByInstance(given, found).kind).toBe(want);
  });
});

describe('planRoutes()', () => {
  const cidrs = [knownCidr('10.244.0.0/16')];
  const addresses = node.status?.addresses;
  const route = (more: Partial<CloudRoute> = {}): CloudRoute => ({
    ...{ name: 'r', node: 'n', destination: '10.244.1.0/24', nodeAddresses: addresses },
    ...more,
  });
  it.each<[string, readonly Node[], readonly CloudRoute[], number, number]>([
    ['makes one', [node], [], 0, 1],
    ['keeps one', [node], [route()], 0, 0],
    ['keeps one that does not say where it leads', [node], [route({ nodeAddresses: undefined })], 0, 0],
    ['makes one anew that leads elsewhere', [node], [route({ nodeAddresses: [ip('10.9.0.8')] })], 1, 1],
    ['removes a black hole', [node], [route({ isBlackhole: true })], 1, 1],
    ['removes one of a node that went', [], [route()], 1, 0],
    ['removes one of another network', [node], [route(), route({ destination: '10.244.7.0/24' })], 1, 0],
    ["leaves others' alone", [node], [route(), route({ destination: '192.0.2.0/24', node: 'm' })], 0, 0],
    ['leaves what is no network alone', [], [route({ destination: 'x' })], 0, 0],
    ['makes none without a network', [{ ...node, spec: {} }], [], 0, 0],
  ])('%s', (_, nodes, routes, removed, made) => {
    const plan = planRoutes(nodes, routes, cidrs);
    expect([plan.remove.length, plan.create.length]).toEqual([removed, made]);
  });
  it.each<[string, boolean, { status: string; reason: string } | undefined, string | undefined]>([
    ['says that there is one', true, undefined, 'False RouteCreated'],
    ['says that there is none', false, undefined, 'True NoRouteCreated'],
    ['has said so', true, { status: 'False', reason: 'RouteCreated' }, undefined],
    ['says so in its own words', true, { status: 'False', reason: 'CalicoIsUp' }, 'False RouteCreated'],
  ])('the condition %s', (_, areThere, there, want) => {
    const conditions = there === undefined ? [] : [{ type: 'NetworkUnavailable', ...there }];
    const plan = planCondition({ ...node, status: { conditions } }, areThere);
    expect(plan && `${plan.status} ${plan.reason}`).toBe(want);
  });
});

describe('planBalancer()', () => {
  const service = (spec: Partial<ServiceSpec> = {}, metadata: Service['metadata'] = {}): Service => ({
    metadata: { name: 's', uid: 's', finalizers: [cleanupFinalizer], ...metadata },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
  });
  const ensured = { service: service(), nodes: 'a' };
  const going = { deletionTimestamp: 'now' };
  it.each<[string, Service, string, typeof ensured | undefined, string]>([
    ['new', service(), 'a', undefined, 'ensure'],
    ['as it was', service(), 'a', ensured, 'leave'],
    ['other nodes', service(), 'b', ensured, 'update'],
    ['other ports', service({ ports: [{ port: 81 }] }), 'a', ensured, 'ensure'],
    ['other annotations', service({}, { annotations: { a: 'b' } }), 'a', ensured, 'ensure'],
    ['other labels', service({}, { labels: { a: 'b' } }), 'a', ensured, 'leave'],
    ['another of its name', service({}, { uid: 't' }), 'a', ensured, 'ensure'],
    ['without the finalizer', service({}, { finalizers: [] }), 'a', ensured, 'ensure'],
    ['going', service({}, going), 'a', ensured, 'delete'],
    ['gone but for others', service({}, { ...going, finalizers: ['x/y'] }), 'a', ensured, 'leave'],
    ['of another type', service({ type: 'ClusterIP' }), 'a', ensured, 'delete'],
    ['never one', service({ type: 'ClusterIP' }, { finalizers: [] }), 'a', undefined, 'leave'],
    ['of a class', service({ loadBalancerClass: 'a/b' }), 'a', undefined, 'leave'],
  ])('%s: %s', (_, given, nodes, known, want) => {
    expect(planBalancer(given, nodes, known)).toBe(want);
  });

  it.each<[Partial<ServiceSpec>, Partial<ServiceSpec>, string | undefined]>([
    [{ type: 'ClusterIP' }, {}, 'Type: ClusterIP -> LoadBalancer'],
    [{ loadBalancerSourceRanges: ['10.0.0.0/8'] }, {}, 'LoadBalancerSourceRanges: [10.0.0.0/8] -> []'],
    [
      { loadBalancerIP: '192.0.2.1' },
      { loadBalancerIP: '192.0.2.2' },
      'LoadbalancerIP: 192.0.2.1 -> 192.0.2.2',
    ],
    [{}, { externalIPs: ['192.0.2.1'] }, 'ExternalIP: Count: 0 -> 1'],
    [{ externalIPs: ['192.0.2.1'] }, { externalIPs: ['192.0.2.2'] }, 'ExternalIP: Added: 192.0.2.2'],
    [
      { externalTrafficPolicy: 'Cluster' },
      { externalTrafficPolicy: 'Local' },
      'ExternalTrafficPolicy: Cluster -> Local',
    ],
    [{}, { healthCheckNodePort: 30_000 }, 'HealthCheckNodePort: 0 -> 30000'],
    [{}, { ports: [{ port: 81 }] }, undefined],
    [{}, {}, undefined],
  ])('tells of %j that becomes %j', (old, current, want) => {
    const change = describeChange(service(old), service(current));
    expect(change && `${change.reason}: ${change.message}`).toBe(want);
  });

  it('has balancers follow nodes, whether ready or not', () => {
    const of = (name: string, more: Partial<Node> = {}): Node => ({
      ...more,
      metadata: { name, ...more.metadata },
    });
    const tainted = of('c', {
      spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] },
    });
    const excluded = of('d', {
      metadata: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } },
    });
    const unready = of('b', { status: { conditions: [{ type: 'Ready', status: 'False' }] } });
    const all = [unready, of('a'), tainted, excluded, of('e', { metadata: going })];
    expect(balancedNodes(all).map(({ metadata }) => metadata?.name)).toEqual(['b', 'a']);
    expect(nodeKeyOf(all).split('\n')).toEqual(['a ', 'b ', 'c ']);
  });
});
