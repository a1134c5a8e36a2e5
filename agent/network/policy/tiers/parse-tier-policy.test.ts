import { describe, expect, it } from 'vitest';
import { renderPolicyCounts } from '#agent/network/policy/policy-counts.ts';
import { parseTierPolicy } from './parse-tier-policy.ts';
import { inOrder, type TierPolicy } from './tier-policy.ts';

const everybody = [{ namespaces: {} }];

const read = (kind: string, spec: object, name = 'p'): TierPolicy =>
  parseTierPolicy(kind, { metadata: { name }, ...{ spec: { subject: { namespaces: {} }, ...spec } } });

const shown = ({ rules }: TierPolicy): readonly string[] =>
  [...rules.in, ...rules.out].map(
    ({ action, peers, ports }) => `${action} ${JSON.stringify(peers)} ${JSON.stringify(ports)}`,
  );

describe('parseTierPolicy()', () => {
  it('reads tier and priority of all three kinds', () => {
    const kinds = [
      read('BaselineAdminNetworkPolicy', {}, 'default'),
      read('ClusterNetworkPolicy', { tier: 'Baseline', priority: 1000 }, 'b'),
      read('ClusterNetworkPolicy', { tier: 'Admin', priority: 5 }, 'a'),
      read('AdminNetworkPolicy', { priority: 5 }, 'a'),
    ];
    expect(inOrder(kinds).map(({ kind, name, tier, priority }) => [kind, name, tier, priority])).toEqual([
      ['AdminNetworkPolicy', 'a', 'admin', 5],
      ['ClusterNetworkPolicy', 'a', 'admin', 5],
      ['ClusterNetworkPolicy', 'b', 'baseline', 1000],
      ['BaselineAdminNetworkPolicy', 'default', 'baseline', 1001],
    ]);
  });

  it('reads ports as v1alpha1 has them, and as they are since', () => {
    const old = read('AdminNetworkPolicy', {
      ingress: [
        {
          action: 'Allow',
          from: everybody,
          ports: [
            { portNumber: { protocol: 'UDP', port: 53 } },
            { portRange: { start: 80, end: 90 } },
            { namedPort: 'web' },
          ],
        },
      ],
    });
    const now = read('ClusterNetworkPolicy', {
      ingress: [
        {
          action: 'Accept',
          from: everybody,
          protocols: [
            { udp: { destinationPort: { number: 53 } } },
            { tcp: { destinationPort: { range: { start: 80, end: 90 } } } },
            { destinationNamedPort: 'web' },
          ],
        },
      ],
    });
    expect(old.rules.in).toEqual(now.rules.in);
    expect(now.rules.in[0]?.ports).toEqual([
      { kind: 'numbers', protocol: 'udp', from: 53, to: 53 },
      { kind: 'numbers', protocol: 'tcp', from: 80, to: 90 },
      ...['tcp', 'udp', 'sctp'].map((protocol) => ({ kind: 'name', protocol, name: 'web' })),
    ]);
    expect([...old.problems, ...now.problems]).toEqual([]);
  });

  const unread: readonly [reason: string, rule: object][] = [
    ['domainNames are not supported', { to: [{ domainNames: ['a.example'] }] }],
    ['a peer is not understood', { to: [{}] }],
    ['a peer is not understood', { to: [{ services: {} }] }],
    ['a peer is not understood', { to: [{ namespaces: {}, pods: { podSelector: {} } }] }],
    ['a peer is not understood', { to: [{ networks: ['10.0.0.0'] }] }],
    // As versions before had it: read as a selector, it would be one of everybody.
    ['a peer is not understood', { to: [{ namespaces: { namespaceSelector: {} } }] }],
    [
      'a peer is not understood',
      { to: [{ namespaces: { matchExpressions: [{ key: 'a', operator: 'Near' }] } }] },
    ],
    ['a port is not understood', { to: everybody, protocols: [{}] }],
    ['a port is not understood', { to: everybody, protocols: [{ icmp: {} }] }],
    ['a port is not understood', { to: everybody, protocols: [{ tcp: { sourcePort: { number: 1 } } }] }],
    ['a port is not understood', { to: everybody, ports: [{ portNumber: { protocol: 'ICMP', port: 1 } }] }],
    ['times is not understood', { to: everybody, times: [] }],
    ['it has no to', {}],
  ];

  it.each(unread)('closes where %s: %j', (reason, rule) => {
    const policy = read('ClusterNetworkPolicy', {
      tier: 'Admin',
      egress: [
        { action: 'Accept', name: 'one', ...rule },
        { action: 'Pass', ...rule },
      ],
    });
    expect(shown(policy)).toEqual(['accept [] undefined', 'deny undefined undefined']);
    expect(policy.problems).toEqual([
      `egress rule 1 (one): ${reason}: it accepts nothing`,
      `egress rule 2: ${reason}: it denies everything`,
    ]);
  });

  it('selects nobody by a subject that it does not understand, and says so', () => {
    const policy = read('AdminNetworkPolicy', {
      subject: { nodes: {} },
      ingress: [{ action: 'Deny', from: everybody }],
    });
    expect([policy.subject, policy.problems]).toEqual([
      undefined,
      ['its subject is not understood: it selects no pods'],
    ]);
  });
});

describe('renderPolicyCounts()', () => {
  it('tells of policies of the cluster by their kinds', () => {
    const counters = [
      'accepted-in/ClusterNetworkPolicy/a',
      'denied-out/AdminNetworkPolicy/b',
      'dropped-in/ns/c',
    ].map((name) => ({ name, packets: 2, bytes: 100 }));
    const lines = renderPolicyCounts(counters)
      .split('\n')
      .filter((line) => line.endsWith(' 2'));
    expect(lines).toEqual([
      'podwright_network_policy_dropped_packets_total{namespace="ns",policy="c",direction="ingress"} 2',
      'podwright_cluster_network_policy_accepted_connections_total{kind="ClusterNetworkPolicy",policy="a",direction="ingress"} 2',
      'podwright_cluster_network_policy_denied_packets_total{kind="AdminNetworkPolicy",policy="b",direction="egress"} 2',
    ]);
  });
});
