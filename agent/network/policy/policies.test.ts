import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, Pod } from '#api/generated/objects.ts';
import { describeWalk, walkPacket } from '#agent/proxy/packet-walk.ts';
import { formatCidr } from '#base/ip.ts';
import { renderTable } from '#native/nft/render.ts';
import { fortyPolicies } from './forty-policies.fixture.ts';
import { isOfNode, modelAllows, type Attempt } from './policy-model.fixture.ts';
import { nine, podOf, tableOf, type World } from './policy.fixture.ts';
import { parsePolicy } from './parse-policy.ts';
import { policyPodOf } from './policy-pod.ts';
import type { PolicyView } from './means.ts';
import { isAllowed } from './verdict.ts';

const numbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const outside = { 4: '192.0.2.7', 6: '2001:db8::7' } as const;

/** Two that have their node's network, this one's and another's, with labels that policies select. */
const ofNodes: readonly Pod[] = [
  ['near', 'here', ['192.0.2.10', '2001:db8::10']] as const,
  ['far', 'there', ['192.0.2.20', '2001:db8::20']] as const,
].map(([name, node, ips]) => {
  const pod = podOf('x', name, { labels: { pod: 'a', tier: 'front' }, ports: [['web', 80]], ips, node });
  return { ...pod, spec: { ...pod.spec, containers: pod.spec?.containers ?? [], hostNetwork: true } };
});
const world: World = { ...nine, pods: [...nine.pods, ...ofNodes] };

const ipOf = (pod: Pod | undefined, family: 4 | 6): string =>
  pod === undefined ? outside[family] : (pod.status?.podIPs?.[family === 4 ? 0 : 1]?.ip ?? '');

/** Everybody to everybody, the outside among them, at two ports of each protocol. */
function* attempts(family: 4 | 6): Generator<Attempt> {
  const ends = [undefined, ...world.pods];
  const pairs = ends.flatMap((from) => ends.map((to) => ({ from, to })));
  const ports = (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) =>
    [80, 81].map((port) => ({ protocol, port })),
  );
  for (const { from, to } of pairs) {
    // What no pod of this node begins or gets is not for its rules.
    if ([from, to].every((end) => end === undefined || isOfNode(end))) continue;
    const both = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
    const addresses = { source: ipOf(from, family), target: ipOf(to, family) };
    for (const each of ports) yield { ...both, ...addresses, ...each };
  }
}

const textOf = ({ source, target, protocol, port }: Attempt): string =>
  `${source} > ${target} ${protocol}/${port}`;

const viewOf = (policies: readonly NetworkPolicy[]): PolicyView => {
  const pods = new Map(world.pods.map(policyPodOf).flatMap((pod) => pod.ips.map((ip) => [ip, pod] as const)));
  return {
    policies: (namespace) => policies.map(parsePolicy).filter((each) => each.namespace === namespace),
    subject: (ip) => pods.get(ip),
    pod: (ip) => pods.get(ip),
    namespaceLabels: (namespace) => world.namespaces[namespace],
    tiers: [],
    nodes: [],
    dns: [],
  };
};

/** What rules, or verdicts on flows, say otherwise than the model. */
function differences(policies: readonly NetworkPolicy[], family: 4 | 6): readonly string[] {
  const table = tableOf(world, policies, family === 4 ? 'ip' : 'ip6');
  const view = viewOf(policies);
  const [near] = ofNodes;
  const nodeIps = [ipOf(near, family)];
  return [...attempts(family)].flatMap((attempt) => {
    const want = modelAllows(world, policies, attempt);
    const talk = { ...attempt, protocol: numbers[attempt.protocol] };
    const isForwarded = attempt.from !== near && attempt.to !== near;
    const from = attempt.from === near ? 'node' : 'interface';
    const isPassed = describeWalk(walkPacket(table, talk, { from, nodeIps })) !== 'drop';
    return [
      ...(isPassed === want ? [] : [`rules: ${textOf(attempt)} wants ${want}`]),
      ...(!isForwarded || isAllowed(talk, view) === want
        ? []
        : [`verdict: ${textOf(attempt)} wants ${want}`]),
    ];
  });
}

describe('policies as rules of the kernel', () => {
  it('are forty', () => {
    expect(fortyPolicies).toHaveLength(40);
    expect(new Set(fortyPolicies.map(({ metadata }) => metadata?.name)).size).toBe(40);
  });

  it.each(fortyPolicies.map((policy) => [policy.metadata?.name, policy] as const))(
    '%s: what it says is what the model says',
    (_name, policy) => {
      expect(differences([policy], 4)).toEqual([]);
      expect(differences([policy], 6)).toEqual([]);
    },
  );

  it('all of them together, too, and each with one that denies all', () => {
    const [, , denyBoth] = fortyPolicies;
    if (denyBoth === undefined) throw new Error('no policy');
    expect(differences(fortyPolicies, 4)).toEqual([]);
    for (const policy of fortyPolicies) expect(differences([denyBoth, policy], 4)).toEqual([]);
  });

  it('read blocks of older objects as these mean them, and allow nothing by one that they cannot read', () => {
    const blocksOf = (...blocks: readonly (readonly [string, ...string[]])[]): unknown => {
      const from = blocks.map(([cidr, ...except]) => ({ ipBlock: { cidr, except } }));
      const [rule] = parsePolicy({ spec: { podSelector: {}, ingress: [{ from }] } }).rules.in ?? [];
      return rule?.peers?.map((peer) =>
        peer.kind === 'block' ? [peer.cidr, ...peer.except].map(formatCidr) : [],
      );
    };
    expect(blocksOf(['010.1.0.0/016', '10.001.002.0/24'])).toEqual([['10.1.0.0/16', '10.1.2.0/24']]);
    expect(blocksOf(['10.1.0.0/16', '10.1.2'], ['10.1'], ['10.2.0.0/16'])).toEqual([['10.2.0.0/16']]);
  });

  it('have the golden text', async () => {
    const some = fortyPolicies.filter(({ metadata }) =>
      [
        'block-except',
        'two-ports',
        'range',
        'named-and-number',
        'to-named-port-of',
        'both-ways',
        'from-expressions',
      ].includes(metadata?.name ?? ''),
    );
    await expect(`${renderTable(tableOf(nine, some))}\n`).toMatchFileSnapshot('./golden/policies.nft');
    await expect(`${renderTable(tableOf(nine, some, 'ip6'))}\n`).toMatchFileSnapshot(
      './golden/policies-6.nft',
    );
  });

  it('come to nothing where they isolate no pod of the node', () => {
    const table = tableOf({ ...nine, pods: nine.pods.slice(3) }, fortyPolicies);
    expect(renderTable(table)).toBe(renderTable(tableOf({ ...nine, pods: [] }, [])));
  });
});

const selector = fc.oneof(
  fc.constant({}),
  fc.constantFrom('a', 'b', 'c', 'none').map((pod) => ({ matchLabels: { pod } })),
  fc.constantFrom('x', 'y', 'z').map((ns) => ({ matchLabels: { ns } })),
  fc
    .record({
      key: fc.constantFrom('pod', 'tier', 'ns'),
      operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
    })
    .map(({ key, operator }) => ({
      matchExpressions: [{ key, operator, ...(operator.endsWith('In') && { values: ['a', 'front', 'x'] }) }],
    })),
);

const block = fc
  .record({
    cidr: fc.constantFrom(
      '0.0.0.0/0',
      '10.244.0.0/16',
      '10.244.1.0/24',
      '10.244.0.2/32',
      '192.0.2.16/28',
      '::/0',
      'fd00:1::/32',
    ),
    except: fc.subarray(['10.244.0.0/30', '10.244.0.2/32', '10.244.1.0/31', '192.0.2.0/24', 'fd00:1::2/128']),
  })
  .map((ipBlock) => ({ ipBlock }));

const peer: fc.Arbitrary<NetworkPolicyPeer> = fc.oneof(
  block,
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
  fc.record({ podSelector: selector, namespaceSelector: selector }),
);

const port: fc.Arbitrary<NetworkPolicyPort> = fc
  .record({
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const, undefined),
    port: fc.constantFrom<number | string | undefined>(80, 81, 1, 'web', 'dns', 'none', undefined),
    span: fc.constantFrom(undefined, 0, 1, 79, 65_000),
  })
  .map(({ protocol, port: number, span }) => ({
    ...(protocol !== undefined && { protocol }),
    ...(number !== undefined && { port: number }),
    ...(typeof number === 'number' && span !== undefined && { endPort: Math.min(number + span, 65_535) }),
  }));

const peers = fc.array(peer, { maxLength: 4 });
const ports = fc.array(port, { maxLength: 3 });

const policy: fc.Arbitrary<NetworkPolicy> = fc
  .record({
    namespace: fc.constantFrom('x', 'y', 'z'),
    podSelector: selector,
    policyTypes: fc.constantFrom(undefined, ['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.option(fc.array(fc.record({ from: peers, ports }), { maxLength: 3 }), { nil: undefined }),
    egress: fc.option(fc.array(fc.record({ to: peers, ports }), { maxLength: 3 }), { nil: undefined }),
  })
  .map(({ namespace, ...spec }) => ({ metadata: { namespace, name: 'p' }, spec }));

describe('random policies', () => {
  it('mean in rules and verdicts what they mean in the model', () => {
    const runs = Number(process.env['PODWRIGHT_POLICY_RUNS'] ?? 25);
    fc.assert(
      fc.property(
        fc.array(policy, { minLength: 1, maxLength: 5 }),
        fc.constantFrom<4 | 6>(4, 6),
        (list, family) => {
          const named = list.map((one, index) => ({
            ...one,
            metadata: { ...one.metadata, name: `p${index}` },
          }));
          expect(differences(named, family)).toEqual([]);
        },
      ),
      {
        numRuns: runs,
        ...(process.env['PODWRIGHT_FUZZ_SEED'] !== undefined && {
          seed: Number(process.env['PODWRIGHT_FUZZ_SEED']),
        }),
      },
    );
  });
});
