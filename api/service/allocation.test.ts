import { describe, expect, it } from 'vitest';
import { serviceClaims, serviceNeeds, withServiceAllocation } from './allocation.ts';

const ports = [{ port: 80 }, { port: 81, nodePort: 30_081 }];
const ipFamilies = ['IPv4'];

describe('serviceNeeds()', () => {
  it.each([
    [
      'LoadBalancer with externalTrafficPolicy Local',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports },
      { clusterIps: ['IPv4'], nodePorts: [0], healthCheckPort: true },
    ],
    [
      'one that has a health check port',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30_999, ports: [] },
      { clusterIps: ['IPv4'], nodePorts: [] },
    ],
    [
      'NodePort with externalTrafficPolicy Local',
      { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [] },
      { clusterIps: ['IPv4'], nodePorts: [] },
    ],
    ['ClusterIP', { type: 'ClusterIP', ports }, { clusterIps: ['IPv4'], nodePorts: [] }],
    ['NodePort', { type: 'NodePort', ports }, { clusterIps: ['IPv4'], nodePorts: [0] }],
    ['LoadBalancer', { type: 'LoadBalancer', ports }, { clusterIps: ['IPv4'], nodePorts: [0] }],
    [
      'LoadBalancer without node ports',
      { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports },
      { clusterIps: ['IPv4'], nodePorts: [] },
    ],
    ['headless', { type: 'ClusterIP', clusterIP: 'None', ports }, { clusterIps: [], nodePorts: [] }],
    [
      'two families and one address',
      { clusterIPs: ['fd00::9'], ipFamilies: ['IPv6', 'IPv4'], ports },
      { clusterIps: ['IPv4'], nodePorts: [] },
    ],
    ['ExternalName', { type: 'ExternalName' }, { clusterIps: [], nodePorts: [] }],
  ])('%s', (_name, spec, want) => {
    expect(serviceNeeds({ spec: { ipFamilies, ...spec } })).toEqual({ healthCheckPort: false, ...want });
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

describe('withServiceAllocation()', () => {
  it('fills in what was given and what follows from it', () => {
    const service = { spec: { type: 'NodePort', ports, ipFamilies: ['IPv4', 'IPv6'] } };
    expect(
      withServiceAllocation(service, {
        clusterIps: ['10.96.0.9', 'fd00::9'],
        nodePorts: new Map([[0, 30_080]]),
      })['spec'],
    ).toEqual({
      type: 'NodePort',
      ports: [
        { port: 80, nodePort: 30_080 },
        { port: 81, nodePort: 30_081 },
      ],
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9', 'fd00::9'],
      ipFamilies: ['IPv4', 'IPv6'],
    });
  });

  it('fills in the health check port', () => {
    const given = withServiceAllocation({ spec: { type: 'LoadBalancer' } }, { healthCheckPort: 30_999 });
    expect(given['spec']).toMatchObject({ healthCheckNodePort: 30_999 });
  });

  it('keeps the address that the Service chose', () => {
    const given = { spec: { type: 'ClusterIP', clusterIPs: ['fd00::9'] } };
    expect(withServiceAllocation(given, { clusterIps: ['10.96.0.9'] })['spec']).toMatchObject({
      clusterIP: 'fd00::9',
      clusterIPs: ['fd00::9', '10.96.0.9'],
    });
  });

  it('gives an ExternalName nothing', () => {
    const service = { spec: { type: 'ExternalName', externalName: 'a.b' } };
    expect(withServiceAllocation(service, { clusterIps: ['10.96.0.9'] })).toBe(service);
  });
});
