import { policiesOf } from './compile.ts';
import { meansPeer, meansPort, type PolicyView, type Talk } from './means.ts';
import { directions, type Direction } from './parse-policy.ts';
import type { PolicyPod } from './policy-pod.ts';
import { decideTier } from './tiers/decide-tier.ts';

/** Whether policies let it through this node: what the kernel's rules say of its first packet, by the policies themselves. */
export function isAllowed(talk: Talk, view: PolicyView): boolean {
  if (talk.source === talk.target) return true;
  return directions.every((direction) => allows(direction, talk, view));
}

function allows(direction: Direction, talk: Talk, view: PolicyView): boolean {
  const [own, other] = direction === 'in' ? [talk.target, talk.source] : [talk.source, talk.target];
  const subject = view.subject(own);
  if (subject === undefined) return true;
  const decided = decideTier('admin', { subject, direction, talk }, view)?.action;
  if (decided === 'accept' || decided === 'deny') return decided === 'accept';
  const policies = policiesOf(subject, view.policies(subject.namespace), direction);
  if (policies.length === 0)
    return decideTier('baseline', { subject, direction, talk }, view)?.action !== 'deny';
  const target = direction === 'in' ? subject : view.pod(other);
  return policies.some((policy) =>
    policy.rules[direction]?.some(
      (rule) => meansPeer(rule, other, view) && meansPort(rule.ports, target, talk),
    ),
  );
}

/** Whether they let a pod send it to the pod's own node, which NetworkPolicies always do, and all of them to its DNS. */
export function isAllowedToNode(talk: Talk, view: PolicyView): boolean {
  const subject = view.subject(talk.source);
  if (subject === undefined || view.dns.includes(talk.target)) return true;
  const asked = { subject, direction: 'out', talk } as const;
  const decided = decideTier('admin', asked, view)?.action;
  if (decided === 'accept' || decided === 'deny') return decided === 'accept';
  return isIsolated(subject, view) || decideTier('baseline', asked, view)?.action !== 'deny';
}

const isIsolated = (subject: PolicyPod, view: PolicyView): boolean =>
  policiesOf(subject, view.policies(subject.namespace), 'out').length > 0;
