import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { validateService } from './service.ts';

const fields = (spec: JsonObject): readonly string[] => validateService({ spec }).map(({ field }) => field);

describe('validateService()', () => {
  it.each<[string, JsonObject]>([
    [
      'a port of nodes, of what has no address',
      { type: 'ExternalName', externalName: 'a.b', ports: [{ nodePort: 30_000 }] },
    ],
    ["the kubelet's port, for the world", { type: 'LoadBalancer', ports: [{ port: 10_250 }] }],
  ])('takes %s', (_name, { ports, ...spec }) => {
    const port = { port: 80, protocol: 'TCP', targetPort: 80, ...Object(ports)[0] };
    expect(fields({ ...spec, ports: [port] })).toEqual([]);
  });

  it('complains in the order of upstream', () => {
    const ports = [
      { name: 'A', port: 0, protocol: 'X', targetPort: 'x y', appProtocol: '/', nodePort: 30_000 },
      { port: 80, protocol: 'TCP', targetPort: 80 },
      { name: 'b', port: 80, protocol: 'TCP', targetPort: 80 },
    ];
    const spec = {
      ...{ type: 'ClusterIP', ports, selector: { '/': '' }, sessionAffinity: 'X', ipFamilyPolicy: 'X' },
      ...{ clusterIP: 'x', clusterIPs: ['x'], loadBalancerSourceRanges: ['x'], loadBalancerClass: 'a' },
      ...{ allocateLoadBalancerNodePorts: true, externalTrafficPolicy: 'Local', healthCheckNodePort: 1 },
      ...{ internalTrafficPolicy: 'X', trafficDistribution: 'X' },
    };
    expect([...new Set(fields(spec))]).toEqual([
      ...['name', 'port', 'protocol', 'targetPort', 'appProtocol'].map((name) => `spec.ports[0].${name}`),
      ...['spec.ports[1].name', 'spec.selector', 'spec.sessionAffinity', 'spec.ipFamilyPolicy'],
      ...['spec.clusterIPs[0]', 'spec.ports[0].nodePort', 'spec.ports[2]'],
      ...['spec.LoadBalancerSourceRanges', 'spec.LoadBalancerSourceRanges[0]'],
      ...['spec.allocateLoadBalancerNodePorts', 'spec.loadBalancerClass'],
      ...['spec.externalTrafficPolicy', 'spec.healthCheckNodePort'],
      ...['spec.internalTrafficPolicy', 'spec.trafficDistribution'],
    ]);
  });
});
