import { describe, expect, it } from 'vitest';
import { familyErrors, serviceClaims, serviceNeeds, withServiceAllocation } from './allocation.ts';

const ports = [{ port: 80 }, { port: 81, nodePort: 30_081 }];

describe('serviceNeeds()', () => {
  it.each([
    [
      'LoadBalancer with externalTrafficPolicy Local',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports },
      { clusterIp: true, nodePorts: [0], healthCheckPort: true },
    ],
    [
      'one that has a health check port',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30_999, ports: [] },
      { clusterIp: true, nodePorts: [] },
    ],
    [
      'NodePort with externalTrafficPolicy Local',
      { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [] },
      { clusterIp: true, nodePorts: [] },
    ],
    ['ClusterIP', { type: 'ClusterIP', ports }, { clusterIp: true, nodePorts: [] }],
    ['NodePort', { type: 'NodePort', ports }, { clusterIp: true, nodePorts: [0] }],
    ['LoadBalancer', { type: 'LoadBalancer', ports }, { clusterIp: true, nodePorts: [0] }],
    [
      'LoadBalancer without node ports',
      { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports },
      { clusterIp: true, nodePorts: [] },
    ],
    ['headless', { type: 'ClusterIP', clusterIP: 'None', ports }, { clusterIp: false, nodePorts: [] }],
    ['ExternalName', { type: 'ExternalName' }, { clusterIp: false, nodePorts: [] }],
  ])('%s', (_name, spec, want) => {
    expect(serviceNeeds({ spec })).toEqual({ healthCheckPort: false, ...want });
  });
});

describe('serviceClaims()', () => {
  it('are the addresses and node ports that it names', () => {
    const spec = { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9', 'fd00::9'], ports };
    expect(serviceClaims({ spec })).toEqual({ clusterIps: ['10.96.0.9', 'fd00::9'], nodePorts: [30_081] });
    expect(serviceClaims({ spec: { ports, healthCheckNodePort: 30_999 } }).nodePorts).toEqual([
      30_081, 30_999,
    ]);
    expect(serviceClaims({ spec: { clusterIP: 'None', clusterIPs: ['None'] } })).toEqual({
      clusterIps: [],
      nodePorts: [],
    });
  });
});

describe('familyErrors()', () => {
  it.each([
    ['nothing said', {}, []],
    ['IPv4', { ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' }, []],
    ['both if there are both', { ipFamilyPolicy: 'PreferDualStack' }, []],
    ['IPv6', { ipFamilies: ['IPv6'] }, ['spec.ipFamilies[0]']],
    ['both', { ipFamilies: ['IPv4', 'IPv6'] }, ['spec.ipFamilies[1]']],
    ['both, whatever there is', { ipFamilyPolicy: 'RequireDualStack' }, ['spec.ipFamilyPolicy']],
    [
      'somebody else writes the endpoints',
      { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6', 'IPv4'] },
      [],
    ],
    [
      'headless with a selector',
      { clusterIP: 'None', selector: { a: 'b' }, ipFamilies: ['IPv6'] },
      ['spec.ipFamilies[0]'],
    ],
    ['ExternalName', { type: 'ExternalName', ipFamilies: ['IPv6'] }, []],
  ])('%s', (_name, spec, want) => {
    expect(familyErrors({ spec }).map(({ field }) => field)).toEqual(want);
  });
});

describe('withServiceAllocation()', () => {
  it('fills in what was given and what follows from it', () => {
    const service = { spec: { type: 'NodePort', ports } };
    expect(
      withServiceAllocation(service, { clusterIp: '10.96.0.9', nodePorts: new Map([[0, 30_080]]) })['spec'],
    ).toEqual({
      type: 'NodePort',
      ports: [
        { port: 80, nodePort: 30_080 },
        { port: 81, nodePort: 30_081 },
      ],
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
  });

  it('fills in the health check port', () => {
    const given = withServiceAllocation({ spec: { type: 'LoadBalancer' } }, { healthCheckPort: 30_999 });
    expect(given['spec']).toMatchObject({ healthCheckNodePort: 30_999 });
  });

  it('keeps the address that the Service chose', () => {
    const { spec } = withServiceAllocation({ spec: { type: 'ClusterIP', clusterIP: 'fd00::9' } }, {});
    expect(spec).toMatchObject({ clusterIP: 'fd00::9', clusterIPs: ['fd00::9'], ipFamilies: ['IPv6'] });
  });

  it('gives an ExternalName nothing', () => {
    const service = { spec: { type: 'ExternalName', externalName: 'a.b' } };
    expect(withServiceAllocation(service, { clusterIp: '10.96.0.9' })).toBe(service);
  });
});
