import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NetworkPolicy, Node, Pod } from '#api/generated/objects.ts';
import { fortyPolicies } from '#agent/network/policy/forty-policies.fixture.ts';
import type { PolicyView } from '#agent/network/policy/means.ts';
import { parsePolicy } from '#agent/network/policy/parse-policy.ts';
import { nine, passes, tableOf } from '#agent/network/policy/policy.fixture.ts';
import type { Attempt } from '#agent/network/policy/policy-model.fixture.ts';
import { policyPodOf } from '#agent/network/policy/policy-pod.ts';
import { isAllowed, isAllowedToNode } from '#agent/network/policy/verdict.ts';
import { renderTable } from '#native/nft/render.ts';
import { parseTierPolicy } from './parse-tier-policy.ts';
import { inOrder, type PolicyNode } from './tier-policy.ts';
import {
  modelAllowsAll,
  type ClusterNetworkPolicy,
  type ClusterRule,
  type ClusterWorld,
  type Peer,
} from './tier-model.fixture.ts';

const numbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

const nodeOf = (name: string, role: string, ips: readonly string[]): Node => ({
  metadata: { name, labels: { role } },
  status: {
    addresses: [
      ...ips.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: name },
    ],
  },
});

const [ownIps, otherIps] = [
  ['192.0.2.11', '2001:db8::11'],
  ['192.0.2.12', '2001:db8::12'],
] as const;

const world: ClusterWorld = {
  ...nine,
  nodes: [nodeOf('n1', 'worker', ownIps), nodeOf('n2', 'control', otherIps)],
  own: ownIps,
};
const policyNodes: readonly PolicyNode[] = [
  { labels: { role: 'worker' }, ips: ownIps },
  { labels: { role: 'control' }, ips: otherIps },
];
const dns = ['10.96.0.10', 'fd00:96::a'];

const ipOf = (pod: Pod, family: 4 | 6): string => pod.status?.podIPs?.[family === 4 ? 0 : 1]?.ip ?? '';

/** Pods to each other, and to and from nodes and the outside. */
function* attempts(family: 4 | 6): Generator<Attempt> {
  const others =
    family === 4 ? [ownIps[0], otherIps[0], '192.0.2.77'] : [ownIps[1], otherIps[1], '2001:db8::77'];
  const ends = [
    ...nine.pods.map((pod) => ({ pod, ip: ipOf(pod, family) })),
    ...others.map((ip) => ({ pod: undefined, ip })),
  ];
  for (const from of ends)
    for (const to of ends) {
      // The node's own packets pass no hook of these; see `what the node sends`.
      if ((from.pod === undefined && to.pod === undefined) || ownIps.some((ip) => ip === from.ip)) continue;
      for (const protocol of ['TCP', 'UDP', 'SCTP'] as const)
        for (const port of [80, 81])
          yield {
            ...(from.pod !== undefined && { from: from.pod }),
            ...(to.pod !== undefined && { to: to.pod }),
            ...{ source: from.ip, target: to.ip, protocol, port },
          };
    }
}

const viewOf = (
  cluster: readonly ClusterNetworkPolicy[],
  namespaced: readonly NetworkPolicy[],
): PolicyView => {
  const pods = new Map(nine.pods.map(policyPodOf).flatMap((pod) => pod.ips.map((ip) => [ip, pod] as const)));
  return {
    policies: (namespace) => namespaced.map(parsePolicy).filter((each) => each.namespace === namespace),
    subject: (ip) => pods.get(ip),
    pod: (ip) => pods.get(ip),
    namespaceLabels: (namespace) => nine.namespaces[namespace],
    tiers: readAll(cluster),
    nodes: policyNodes,
    dns,
  };
};

const readAll = (cluster: readonly ClusterNetworkPolicy[]) =>
  inOrder(cluster.map((policy) => parseTierPolicy(policy.kind, policy)));

const tableFor = (
  cluster: readonly ClusterNetworkPolicy[],
  namespaced: readonly NetworkPolicy[] = [],
  family: 'ip' | 'ip6' = 'ip',
) => tableOf(nine, namespaced, family, { policies: readAll(cluster), nodes: policyNodes, dns });

/** What rules, or verdicts on flows, say otherwise than the model. */
function differences(
  cluster: readonly ClusterNetworkPolicy[],
  namespaced: readonly NetworkPolicy[],
  family: 4 | 6,
): readonly string[] {
  const table = tableFor(cluster, namespaced, family === 4 ? 'ip' : 'ip6');
  const view = viewOf(cluster, namespaced);
  return [...attempts(family)].flatMap((attempt) => {
    const want = modelAllowsAll(world, { cluster, namespaced }, attempt);
    const { source, target, port } = attempt;
    const talk = { source, target, port, protocol: numbers[attempt.protocol] };
    const text = `${source} > ${target} ${attempt.protocol}/${port} wants ${want}`;
    const verdict = world.own.includes(target) ? isAllowedToNode(talk, view) : isAllowed(talk, view);
    return [
      ...(passes(table, talk, world.own) === want ? [] : [`rules: ${text}`]),
      ...(verdict === want ? [] : [`verdict: ${text}`]),
    ];
  });
}

type Spec = ClusterNetworkPolicy['spec'];

const policyOf = (name: string, spec: Partial<Spec>): ClusterNetworkPolicy => ({
  kind: 'ClusterNetworkPolicy',
  metadata: { name },
  spec: { tier: 'Admin', priority: 10, subject: { namespaces: {} }, ...spec },
});

const inX = { namespaces: { matchLabels: { ns: 'x' } } };
const everybody: readonly Peer[] = [{ namespaces: {} }];
const denyIn: ClusterRule = { action: 'Deny', from: everybody };
const named = (name: string): NetworkPolicy => {
  const found = fortyPolicies.find(({ metadata }) => metadata?.name === name);
  if (found === undefined) throw new Error(`no policy ${name}`);
  return found;
};

const rows: readonly {
  readonly name: string;
  readonly cluster: readonly ClusterNetworkPolicy[];
  readonly namespaced?: readonly NetworkPolicy[];
}[] = [
  { name: 'deny everybody in', cluster: [policyOf('a', { ingress: [denyIn] })] },
  {
    name: 'deny over a NetworkPolicy that allows',
    cluster: [policyOf('a', { ingress: [denyIn] })],
    namespaced: [named('allow-both')],
  },
  {
    name: 'accept over a NetworkPolicy that denies',
    cluster: [policyOf('a', { ingress: [{ action: 'Accept', from: [inX] }] })],
    namespaced: [named('deny-both')],
  },
  {
    name: 'pass goes by the rest of its tier',
    cluster: [
      policyOf('a', { priority: 1, ingress: [{ action: 'Pass', from: [inX] }] }),
      policyOf('b', { priority: 2, ingress: [denyIn] }),
    ],
    namespaced: [named('from-pod')],
  },
  {
    name: 'pass without a NetworkPolicy leads to the baseline',
    cluster: [
      policyOf('a', { priority: 1, ingress: [{ action: 'Pass', from: [inX] }] }),
      policyOf('b', { priority: 2, ingress: [denyIn] }),
      policyOf('c', { tier: 'Baseline', ingress: [{ ...denyIn, protocols: [{ udp: {} }] }] }),
    ],
  },
  {
    name: 'the baseline is not asked where a NetworkPolicy isolates',
    cluster: [
      policyOf('c', { tier: 'Baseline', ingress: [denyIn], egress: [{ action: 'Deny', to: everybody }] }),
    ],
    namespaced: [named('from-pod')],
  },
  {
    name: 'lower priorities first, and first rules first',
    cluster: [
      policyOf('late', { priority: 20, ingress: [denyIn] }),
      policyOf('early', {
        priority: 5,
        ingress: [
          { action: 'Accept', from: [inX], protocols: [{ tcp: { destinationPort: { number: 80 } } }] },
          { action: 'Deny', from: [inX] },
        ],
      }),
    ],
  },
  {
    name: 'nodes',
    cluster: [
      policyOf('a', {
        egress: [
          {
            action: 'Accept',
            to: [{ nodes: { matchLabels: { role: 'worker' } } }],
            protocols: [{ udp: {} }],
          },
          { action: 'Deny', to: [{ nodes: {} }] },
        ],
      }),
    ],
    namespaced: [named('deny-both')],
  },
  {
    name: 'networks, the pods among them',
    cluster: [policyOf('a', { egress: [{ action: 'Deny', to: [{ networks: ['0.0.0.0/0', '::/0'] }] }] })],
  },
  {
    name: 'named ports and ranges',
    cluster: [
      policyOf('a', {
        ingress: [{ ...denyIn, protocols: [{ destinationNamedPort: 'web' }] }],
        egress: [
          {
            action: 'Deny',
            to: [{ pods: { podSelector: { matchLabels: { pod: 'c' } } } }],
            protocols: [
              { destinationNamedPort: 'dns' },
              { sctp: { destinationPort: { range: { start: 1, end: 80 } } } },
            ],
          },
        ],
      }),
    ],
  },
];

describe('policies of the cluster', () => {
  it.each(rows)('$name: rules and verdicts are as the model has them', ({ cluster, namespaced = [] }) => {
    expect(differences(cluster, namespaced, 4)).toEqual([]);
    expect(differences(cluster, namespaced, 6)).toEqual([]);
  });

  it('have the golden text', async () => {
    const some = rows.find(({ name }) => name === 'nodes');
    const table = tableFor(
      [...(some?.cluster ?? []), policyOf('base', { tier: 'Baseline', ingress: [denyIn] })],
      [named('from-pod')],
    );
    await expect(`${renderTable(table)}\n`).toMatchFileSnapshot('../golden/tiers.nft');
  });

  it('leave the DNS of the node to its pods, and nothing else of it', () => {
    const table = tableFor([
      policyOf('a', { egress: [{ action: 'Deny', to: [{ networks: ['0.0.0.0/0'] }] }] }),
    ]);
    const to = (target: string): boolean =>
      passes(table, { source: '10.244.0.1', target, protocol: 17, port: 53 }, [...world.own, ...dns]);
    expect([to('10.96.0.10'), to('192.0.2.11')]).toEqual([true, false]);
  });

  it('come to nothing for pods that they do not select', () => {
    const table = tableFor([
      policyOf('a', { subject: { namespaces: { matchLabels: { ns: 'none' } } }, ingress: [denyIn] }),
    ]);
    expect([table.elements['pods-in'] ?? [], table.elements['isolated'] ?? []]).toEqual([[], []]);
  });

  it('deny what is beyond the rules that the kernel is given', () => {
    const from = Array.from({ length: 2_001 }, (_, i) => ({
      pods: { podSelector: { matchLabels: { i: `${i}` } } },
    }));
    const table = tableFor([policyOf('a', { subject: inX, ingress: [{ action: 'Accept', from }] })]);
    expect(passes(table, { source: '10.244.1.1', target: '10.244.0.1', protocol: 6, port: 80 })).toBe(false);
    expect(passes(table, { source: '10.244.0.1', target: '10.244.1.1', protocol: 6, port: 80 })).toBe(true);
  });
});

const selector = fc.oneof(
  fc.constant({}),
  fc.constantFrom('a', 'b', 'c').map((pod) => ({ matchLabels: { pod } })),
  fc.constantFrom('x', 'y', 'z').map((ns) => ({ matchLabels: { ns } })),
  fc.constantFrom('x', 'front').map((value) => ({
    matchExpressions: [{ key: value === 'x' ? 'ns' : 'tier', operator: 'NotIn', values: [value] }],
  })),
);
const podsSelector = fc.oneof(
  selector.map((namespaces) => ({ namespaces })),
  fc.record({ namespaceSelector: selector, podSelector: selector }).map((pods) => ({ pods })),
  selector.map((podSelector) => ({ pods: { podSelector } })),
);
const away: fc.Arbitrary<Peer> = fc.oneof(
  fc
    .constantFrom({}, { matchLabels: { role: 'control' } }, { matchLabels: { role: 'none' } })
    .map((nodes) => ({ nodes })),
  fc
    .subarray(
      [
        '0.0.0.0/0',
        '10.244.0.0/16',
        '10.244.1.0/31',
        '192.0.2.11/32',
        '192.0.2.64/26',
        'fd00:1::/32',
        '::/0',
      ],
      {
        minLength: 1,
        maxLength: 2,
      },
    )
    .map((networks) => ({ networks })),
);
const portMatch = fc.constantFrom<object>(
  {},
  { destinationPort: { number: 80 } },
  { destinationPort: { range: { start: 79, end: 81 } } },
);
const numbered = fc
  .record({ word: fc.constantFrom('tcp', 'udp', 'sctp'), port: portMatch })
  .map(({ word, port }) => ({
    [word]: port,
  }));
const byName = fc
  .constantFrom('web', 'dns', 'none')
  .map((destinationNamedPort) => ({ destinationNamedPort }));
const action = fc.constantFrom('Accept' as const, 'Deny' as const, 'Pass' as const);
const few = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 3 });
const optional = <T>(one: fc.Arbitrary<T>) => fc.option(few(one), { nil: undefined });
const ingress = fc.record({
  action,
  from: few(podsSelector),
  protocols: optional(fc.oneof(numbered, byName)),
});
const egress = fc.oneof(
  fc.record({ action, to: few(podsSelector), protocols: optional(fc.oneof(numbered, byName)) }),
  // Names of ports and what has none are not in one rule (validation of the definitions).
  fc.record({ action, to: few(fc.oneof(podsSelector, away)), protocols: optional(numbered) }),
);
const spec = fc.record({
  tier: fc.constantFrom('Admin' as const, 'Baseline' as const),
  subject: podsSelector,
  ingress: fc.array(ingress, { maxLength: 3 }),
  egress: fc.array(egress, { maxLength: 3 }),
});

const withoutUndefined = <T>(value: unknown): T => JSON.parse(JSON.stringify(value)) as T;

describe('random policies of the cluster', () => {
  it('mean in rules and verdicts what they mean in the model, with and without NetworkPolicies', () => {
    fc.assert(
      fc.property(
        fc.array(spec, { minLength: 1, maxLength: 5 }),
        fc.shuffledSubarray([0, 5, 7, 100, 1000], { minLength: 5 }),
        fc.subarray([...fortyPolicies], { maxLength: 2 }),
        fc.constantFrom<4 | 6>(4, 6),
        (specs, priorities, namespaced, family) => {
          const cluster = specs.map((one, i) =>
            policyOf(`p${i}`, {
              ...withoutUndefined<Omit<Spec, 'priority'>>(one),
              priority: priorities[i] ?? i,
            }),
          );
          expect(differences(cluster, namespaced, family)).toEqual([]);
        },
      ),
      {
        numRuns: Number(process.env['PODWRIGHT_POLICY_RUNS'] ?? 12),
        ...(process.env['PODWRIGHT_FUZZ_SEED'] !== undefined && {
          seed: Number(process.env['PODWRIGHT_FUZZ_SEED']),
        }),
      },
    );
  });
});
