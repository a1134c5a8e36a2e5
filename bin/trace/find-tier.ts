import type { PolicyView } from '#agent/network/policy/means.ts';
import type { Direction } from '#agent/network/policy/parse-policy.ts';
import { policyPodOf } from '#agent/network/policy/policy-pod.ts';
import { decideTier, type Decision } from '#agent/network/policy/tiers/decide-tier.ts';
import type { Tier } from '#agent/network/policy/tiers/tier-policy.ts';
import type { Pod } from '#api/generated/objects.ts';
import { nameOf, stop, type Finding, type Observed, type Talk } from './observed.ts';
import { podOfAddress } from './party.ts';

/** What a tier of policies of the cluster decides about what a pod sends (`out`) or what comes to it. Pure. */
export function findDecision(
  tier: Tier,
  subject: Pod,
  { direction, talk }: { readonly direction: Direction; readonly talk: Talk },
  seen: Observed,
): Decision | undefined {
  if (talk.source === undefined) return undefined;
  const { source, target, port } = talk;
  const protocol = protocolNumbers[talk.protocol];
  const asked = { subject: policyPodOf(subject), direction, talk: { source, target, port, protocol } };
  return decideTier(tier, asked, viewOf(seen));
}

const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

function viewOf(seen: Observed): PolicyView {
  const pod = (ip: string): ReturnType<PolicyView['pod']> => {
    const found = podOfAddress(ip, seen);
    return found === undefined || found.spec?.hostNetwork === true ? undefined : policyPodOf(found);
  };
  return {
    ...{ pod, subject: pod, policies: () => [], dns: [] },
    namespaceLabels: (namespace) =>
      seen.namespaces.find(({ metadata }) => metadata?.name === namespace)?.metadata?.labels ?? {},
    tiers: seen.tiers,
    nodes: seen.nodes.map(({ metadata, status }) => ({
      labels: metadata?.labels ?? {},
      ips: (status?.addresses ?? []).map(({ address }) => address),
    })),
  };
}

/** What somebody is told of a rule that denies. */
export function denied(
  { policy, rule }: Decision,
  subject: Pod,
  { direction, talk }: { readonly direction: Direction; readonly talk: Talk },
): Finding {
  const [side, verb, other] =
    direction === 'in'
      ? (['ingress', 'from', talk.source ?? 'somebody outside'] as const)
      : (['egress', 'to', talk.target] as const);
  const own = policy.rules[direction].indexOf(rule) + 1;
  const name = rule.name === '' ? '' : ` (${rule.name})`;
  const says = `${policy.kind} ${policy.name} denies pod ${nameOf(subject)} ${talk.protocol} ${talk.port} ${verb} ${other}: its ${side} rule ${own}${name}`;
  const remedy =
    policy.tier === 'admin'
      ? `an ${side} rule before it that accepts or passes this, or a policy with one whose priority is a lower number`
      : `a NetworkPolicy of the namespace that allows this, or an ${side} rule before it that accepts`;
  return stop(direction === 'in' ? 'ingress-forbidden' : 'egress-forbidden', says, remedy);
}
