import { familyFacts } from '#agent/proxy/table-layout.ts';
import { describeWalk, walkPacket, type Packet } from '#agent/proxy/packet-walk.ts';
import type { NetworkPolicy, Pod } from '#api/generated/objects.ts';
import type { NftTable } from '#native/nft/nft.ts';
import { compilePolicies, noTiers, type TierInput } from './compile.ts';
import { parsePolicy } from './parse-policy.ts';
import { policyPodOf } from './policy-pod.ts';
import { createPolicyRuleset } from './policy-ruleset.ts';

/** A cluster for tests of policies: namespaces with their labels, pods with their addresses. */
export interface World {
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly Pod[];
}

export function podOf(
  namespace: string,
  name: string,
  more: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly ips?: readonly string[];
    readonly ports?: readonly (readonly [name: string, port: number, protocol?: 'TCP' | 'UDP' | 'SCTP'])[];
    readonly node?: string;
  } = {},
): Pod {
  const { labels = {}, ips = [], ports = [], node = 'here' } = more;
  return {
    metadata: {
      namespace,
      name,
      uid: `${namespace}-${name}`,
      labels,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      nodeName: node,
      containers: [
        {
          name: 'c',
          ports: ports.map(([portName, containerPort, protocol = 'TCP']) => ({
            name: portName,
            containerPort,
            protocol,
          })),
        },
      ],
    },
    status: {
      phase: 'Running',
      podIPs: ips.map((ip) => ({ ip })),
      ...(ips[0] !== undefined && { podIP: ips[0] }),
    },
  };
}

/** The three namespaces by three pods of upstream's suite, each with the ports 80 and 81, all on this node. */
export const nine: World = {
  namespaces: Object.fromEntries(
    ['x', 'y', 'z'].map((ns) => [ns, { ns, 'kubernetes.io/metadata.name': ns }]),
  ),
  pods: ['x', 'y', 'z'].flatMap((ns, i) =>
    ['a', 'b', 'c'].map((name, j) =>
      podOf(ns, name, {
        labels: { pod: name, ...(j < 2 && { tier: 'front' }) },
        ips: [`10.244.${i}.${j + 1}`, i === 0 ? `fd00::${j + 1}` : `fd00:${i}::${j + 1}`],
        // Called alike, but the number is another in pods c.
        ports: [
          ['web', j === 2 ? 81 : 80],
          ['dns', 80, 'UDP'],
        ],
      }),
    ),
  ),
};

/** The whole table that a node of the world has, all pods being its own. */
export function tableOf(
  world: World,
  policies: readonly NetworkPolicy[],
  family: 'ip' | 'ip6' = 'ip',
  tiers: Partial<TierInput> = {},
): NftTable {
  const namespaceLabels: TierInput['namespaceLabels'] = (namespace) => world.namespaces[namespace];
  const ruleset = createPolicyRuleset(family, namespaceLabels);
  const pods = world.pods.map(policyPodOf);
  const input = { ...noTiers, namespaceLabels, ...tiers };
  ruleset.setRules(compilePolicies(policies.map(parsePolicy), pods, familyFacts[family], input));
  pods.forEach((pod, index) => ruleset.peers.setPod(`${pod.namespace}/${index}`, pod));
  return ruleset.takeTable(new Map());
}

/** `nodeIps`: addresses of the node itself. */
export const passes = (table: NftTable, packet: Packet, nodeIps: readonly string[] = []): boolean =>
  !describeWalk(walkPacket(table, packet, { from: 'interface', nodeIps })).startsWith('drop');
