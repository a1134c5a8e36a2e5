import { describe, expect, test } from 'vitest';
import type { Endpoint, ServiceSpec } from '#api/generated/objects.ts';
import { local, ports, remote } from './services.fixture.ts';
import { computeStaleFlows } from './stale-flows.ts';

describe('computeStaleFlows()', () => {
  const udp = { ports: [{ port: 53, protocol: 'UDP' }] } as const;
  const flows = (before: readonly Endpoint[], after: readonly Endpoint[], spec: ServiceSpec = udp): unknown =>
    computeStaleFlows(ports(spec, before), ports(spec, after), ['192.0.2.1']);
  const flow = { protocol: 17, originalDestination: '10.96.0.80', port: 53 };
  test.each([
    ['a backend goes', [local, remote], [remote], [{ ...flow, replySource: '10.244.0.5' }]],
    ['the last backend goes', [local], [], [{ ...flow, replySource: '10.244.0.5' }]],
    ['the first backend comes', [], [local], [flow]],
    ['a further backend comes', [local], [local, remote], []],
    ['nothing changes', [local], [local], []],
  ])('%s', (_name, before, after, want) => expect(flows(before, after)).toEqual(want));

  test('what was an address or a node port of the Service no longer leads to its backends', () => {
    const open = {
      ...udp,
      type: 'NodePort',
      ports: [{ port: 53, nodePort: 30_053, protocol: 'UDP' }],
      externalIPs: ['203.0.113.5'],
    } as const;
    expect(computeStaleFlows(ports(open, [local]), ports(udp, [local]), ['192.0.2.1'])).toEqual([
      { protocol: 17, originalDestination: '203.0.113.5', port: 53, replySource: '10.244.0.5' },
      { protocol: 17, originalDestination: '192.0.2.1', port: 30_053, replySource: '10.244.0.5' },
    ]);
  });

  test('TCP ends by itself', () => expect(flows([local], [], {})).toEqual([]));
});
