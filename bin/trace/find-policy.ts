import { blockContains } from '#agent/network/policy/address-ranges.ts';
import { policiesOf } from '#agent/network/policy/compile.ts';
import {
  parsePolicy,
  type Direction,
  type Policy,
  type PolicyPort,
  type PolicyRule,
} from '#agent/network/policy/parse-policy.ts';
import { isPeer } from '#agent/network/policy/peer-set.ts';
import { policyPodOf } from '#agent/network/policy/policy-pod.ts';
import { parseIp } from '#base/ip.ts';
import type { Pod } from '#api/generated/objects.ts';
import { denied, findDecision } from './find-tier.ts';
import { nodeOfAddress, podOfAddress } from './party.ts';
import { nameOf, stop, warn, type Finding, type Observed, type Talk } from './observed.ts';

interface Side {
  readonly direction: Direction;
  readonly subject: Pod;
  /** The other end's address; undefined: not known. */
  readonly other: string | undefined;
  readonly talk: Talk;
}

/** Which policies of a pod forbid what it sends (`out`) or what comes to it (`in`), and what none of them says. Pure. */
export function findForbidding(
  subject: Pod,
  { direction, talk }: { readonly direction: Direction; readonly talk: Talk },
  seen: Observed,
): Finding | undefined {
  if (talk.source === talk.target || subject.spec?.hostNetwork === true) return undefined;
  const decided = findDecision('admin', subject, { direction, talk }, seen);
  if (decided?.action === 'deny') return denied(decided, subject, { direction, talk });
  if (decided?.action === 'accept') return undefined;
  const pod = policyPodOf(subject);
  const policies = policiesOf(
    // One that has no address yet is isolated all the same.
    pod,
    seen.networkPolicies.map(parsePolicy),
    direction,
  );
  if (policies.length === 0) {
    const last = findDecision('baseline', subject, { direction, talk }, seen);
    return last?.action === 'deny' ? denied(last, subject, { direction, talk }) : undefined;
  }
  const other = direction === 'in' ? talk.source : talk.target;
  // What pods and their node say to each other is always allowed.
  if (isOwnNode(other, subject, seen)) return undefined;
  const side: Side = { direction, subject, other, talk };
  const judged = policies.flatMap((policy) =>
    (policy.rules[direction] ?? []).map((rule) => ({
      policy,
      rule,
      hasPeer: meansPeer(rule, side, seen),
      hasPort: meansPort(rule.ports, side, seen),
    })),
  );
  if (judged.some(({ hasPeer, hasPort }) => hasPeer && hasPort)) return undefined;
  const nearest = judged.find(({ hasPeer }) => hasPeer) ?? judged.find(({ hasPort }) => hasPort);
  return forbidden(side, policies, nearest, seen);
}

/** Whether a policy decides otherwise than it would about the client, because it sees the node that sends for it. Pure. */
export function findUnseen(
  subject: Pod,
  talk: Talk,
  client: string | undefined,
  seen: Observed,
): Finding | undefined {
  if (client === undefined || client === talk.source) return undefined;
  const direction = 'in';
  const found = findForbidding(subject, { direction, talk }, seen);
  const meant = findForbidding(subject, { direction, talk: { ...talk, source: client } }, seen);
  if ((found === undefined) === (meant === undefined)) return undefined;
  const remedy =
    'externalTrafficPolicy: Local, for clients outside; --proxy-mode nftables instead of userspace; or an ipBlock of the nodes';
  const sees = `policies see ${talk.source ?? 'the node'}, which sends it for ${client}`;
  if (found !== undefined) return stop('policy-sees-node', `${sees}; ${found.says}`, remedy);
  return warn(
    'policy-sees-node',
    `${sees}, and let it in; of ${client} itself: ${meant?.says ?? ''}`,
    remedy,
  );
}

function isOwnNode(address: string | undefined, { spec }: Pod, seen: Observed): boolean {
  const node = address === undefined ? undefined : nodeOfAddress(address, seen);
  return node !== undefined && node.metadata?.name === spec?.nodeName;
}

function forbidden(
  side: Side,
  policies: readonly Policy[],
  nearest: { readonly policy: Policy; readonly rule: PolicyRule; readonly hasPeer: boolean } | undefined,
  seen: Observed,
): Finding {
  const { direction, subject, talk } = side;
  const names = policies.map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
  const [noun, isolate] =
    policies.length === 1 ? ['NetworkPolicy', 'isolates'] : ['NetworkPolicies', 'isolate'];
  const peer = describePeer(side, seen);
  const port = `${talk.protocol} ${talk.port}`;
  const [verb, rule, word] = direction === 'in' ? ['reach', 'ingress', 'from'] : ['send to', 'egress', 'to'];
  const close =
    nearest === undefined
      ? ''
      : nearest.hasPeer
        ? `; ${nearest.policy.name} has a rule for them, with ${describePorts(nearest.rule.ports)} only`
        : `; ${nearest.policy.name} has a rule for ${port}, for others only`;
  const says =
    direction === 'in'
      ? `${noun} ${names} ${isolate} pod ${nameOf(subject)}, and no rule lets ${peer.says} ${verb} ${port}${close}`
      : `${noun} ${names} ${isolate} pod ${nameOf(subject)}, and no rule lets it ${verb} ${peer.says} on ${port}${close}`;
  const remedy = `missing ${rule} rule: ${word} ${peer.rule}, ports: [{ protocol: ${talk.protocol}, port: ${talk.port} }]`;
  return stop(direction === 'in' ? 'ingress-forbidden' : 'egress-forbidden', says, remedy);
}

function describePeer(
  { other, subject }: Side,
  seen: Observed,
): { readonly says: string; readonly rule: string } {
  const pod = other === undefined ? undefined : podOfAddress(other, seen);
  if (pod === undefined || pod.spec?.hostNetwork === true) {
    const cidr = other === undefined ? 'CIDR' : `${other}/${other.includes(':') ? 128 : 32}`;
    return { says: other ?? 'somebody outside', rule: `[{ ipBlock: { cidr: ${cidr} } }]` };
  }
  const labels = Object.entries(pod.metadata?.labels ?? {}).map(([key, value]) => `${key}: ${value}`);
  const pods = `podSelector: { matchLabels: { ${labels.join(', ')} } }`;
  const { namespace = '' } = pod.metadata ?? {};
  const isNear = namespace === subject.metadata?.namespace;
  const from = `namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ${namespace} } }`;
  return { says: `pod ${nameOf(pod)}`, rule: `[{ ${isNear ? pods : `${from}, ${pods}`} }]` };
}

function describePorts(ports: readonly PolicyPort[] | undefined): string {
  const words = (ports ?? []).map((port) =>
    port.kind === 'name'
      ? `${port.protocol.toUpperCase()} ${port.name}`
      : `${port.protocol.toUpperCase()} ${port.from}${port.to === port.from ? '' : `-${port.to}`}`,
  );
  return words.length === 0 ? 'no port' : words.join(', ');
}

function meansPeer({ peers }: PolicyRule, { other }: Side, seen: Observed): boolean {
  if (peers === undefined) return true;
  if (other === undefined) return false;
  const ip = parseIp(other);
  const pod = podOfAddress(other, seen);
  return peers.some((peer) => {
    if (peer.kind === 'block') return ip !== undefined && blockContains(peer, ip);
    if (peer.kind === 'nodes' || pod === undefined || pod.spec?.hostNetwork === true) return false;
    const { namespace = '' } = pod.metadata ?? {};
    const labels = seen.namespaces.find(({ metadata }) => metadata?.name === namespace)?.metadata?.labels;
    return isPeer(peer, policyPodOf(pod), labels ?? {});
  });
}

function meansPort(ports: readonly PolicyPort[] | undefined, { talk }: Side, seen: Observed): boolean {
  if (ports === undefined) return true;
  const target = podOfAddress(talk.target, seen);
  const protocol = talk.protocol.toLowerCase();
  return ports.some((each) => {
    if (each.protocol !== protocol) return false;
    if (each.kind === 'numbers') return each.from <= talk.port && talk.port <= each.to;
    return (target === undefined ? [] : policyPodOf(target).ports).some(
      ({ name, protocol: own, port }) => name === each.name && own === protocol && port === talk.port,
    );
  });
}
