import { family, labels, type Sample } from '#agent/kubelet/stats/exposition.ts';
import type { NftCounter } from '#native/nft/nft.ts';

/** The names that `counterOf` of compile.ts gives: `dropped-in/NAMESPACE/NAME`. */
const pattern = /^(allowed|dropped)-(in|out)\/([^/]+)\/(.+)$/;

/** Those of policies of the cluster: `denied-in/KIND/NAME`. */
const tierPattern = /^(accepted|denied)-(in|out)\/([A-Z][A-Za-z]+)\/(.+)$/;

const words = { in: 'ingress', out: 'egress' } as const;

/** What policies have let through and held back, as Prometheus reads it; of both families together. Pure. */
export function renderPolicyCounts(counters: readonly NftCounter[]): string {
  const sums = new Map<string, number>();
  for (const { name, packets } of counters) sums.set(name, (sums.get(name) ?? 0) + packets);
  const samples = (fate: string): readonly Sample[] =>
    [...sums].flatMap(([name, packets]): readonly Sample[] => {
      const [, found, direction, namespace = '', policy = ''] = pattern.exec(name) ?? [];
      if (found !== fate || (direction !== 'in' && direction !== 'out')) return [];
      return [[labels({ namespace, policy, direction: words[direction] }), packets, undefined]];
    });
  const ofTiers = (fate: string): readonly Sample[] =>
    [...sums].flatMap(([name, packets]): readonly Sample[] => {
      const [, found, direction, kind = '', policy = ''] = tierPattern.exec(name) ?? [];
      if (found !== fate || (direction !== 'in' && direction !== 'out')) return [];
      return [[labels({ kind, policy, direction: words[direction] }), packets, undefined]];
    });
  const lines = [
    ...family(
      'podwright_network_policy_allowed_connections_total',
      { type: 'counter', help: 'Connections of pods of this node that a NetworkPolicy let through.' },
      samples('allowed'),
    ),
    ...family(
      'podwright_network_policy_dropped_packets_total',
      {
        type: 'counter',
        help: 'Packets that no NetworkPolicy allowed, counted on each that isolates the pod.',
      },
      samples('dropped'),
    ),
    ...family(
      'podwright_cluster_network_policy_accepted_connections_total',
      { type: 'counter', help: 'Connections of pods of this node that a policy of the cluster accepted.' },
      ofTiers('accepted'),
    ),
    ...family(
      'podwright_cluster_network_policy_denied_packets_total',
      { type: 'counter', help: 'Packets of pods of this node that a policy of the cluster denied.' },
      ofTiers('denied'),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
